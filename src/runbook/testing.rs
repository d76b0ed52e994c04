//! A catalog for the tests of this module: small plugins with every kind of action.

use std::collections::BTreeMap;

use dr_plugin::{ActionManifest, Effect, HostNeed, Manifest};
use schemars::JsonSchema;
use serde_json::Value;

use super::{Problem, Rest, check, load, normalize};
use crate::catalog::Catalog;

/// Arguments of a command.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Command {
    /// The program and its arguments.
    argv: Vec<String>,
    /// More variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Codes that are no failure.
    #[serde(default)]
    exit_codes: Vec<i32>,
    /// Survives the end of dr.
    #[serde(default)]
    detach: bool,
}

/// What a command gives.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct CommandOutput {
    /// The code it exited with.
    exit_code: i32,
    /// What it wrote.
    stdout: String,
    /// What it complained about.
    stderr: String,
}

/// Arguments of a script.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Script {
    /// Read by a POSIX shell.
    script: String,
    /// More variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// Arguments of a query.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Query {
    /// One statement.
    sql: String,
    /// Its parameters.
    #[serde(default)]
    params: Vec<Value>,
}

/// Settings of the database.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Settings {
    /// Database to connect to.
    dbname: String,
    /// Its password.
    #[serde(default)]
    password: Option<String>,
    /// Its port.
    #[serde(default)]
    port: Option<u16>,
}

/// No arguments.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) fn catalog() -> Catalog {
    let once =
        |description| ActionManifest::action::<Command, CommandOutput>(description, Effect::Once);
    Catalog::new([
        Manifest::new::<Nothing>("local", "1.0.0", "Commands here")
            .with("command", once("Runs a command").as_job())
            .with(
                "script",
                ActionManifest::action::<Script, Value>("Runs a script", Effect::Once).as_job(),
            ),
        Manifest::new::<Nothing>("ssh", "1.0.0", "Commands elsewhere")
            .with("command", once("Runs a command").on_host(HostNeed::Required).as_job())
            .with("reboot", once("Reboots").on_host(HostNeed::Required)),
        Manifest::new::<Settings>("postgres", "1.0.0", "Databases")
            .with(
                "query",
                ActionManifest::probe::<Query, Value>("Reads").on_host(HostNeed::Required),
            )
            .with(
                "execute",
                ActionManifest::action::<Query, Value>("Writes", Effect::Once)
                    .on_host(HostNeed::Required),
            ),
    ])
}

/// Every problem of a text, as `dr check` would find it.
pub(super) fn problems_of(text: &str) -> Vec<Problem> {
    let catalog = catalog();
    match load(text, "runbook.yaml") {
        Ok(mut runbook) => {
            normalize(&mut runbook, &catalog);
            check(&runbook, &catalog)
        }
        Err(mut problems) => {
            if let Some(mut rest) = Rest::of(text, "runbook.yaml") {
                normalize(&mut rest.runbook, &catalog);
                let found = check(&rest.runbook, &catalog);
                problems.extend(rest.certain(found));
            }
            problems
        }
    }
}
