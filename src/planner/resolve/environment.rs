use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{hosts, inputs};
use crate::plan::{Pool, SecretSource, input_secret, input_sources};
use crate::planner::codes;
use crate::planner::names::Known;
use crate::planner::request::{InputValue, PlanRequest};
use crate::runbook::{DocPath, Document, EnvironmentDoc, Problem, SecretSourceDoc, nearest};
use crate::text::{Path, Templated, known_at_plan_time};
use crate::words::{Mode, Style};

/// Steps at once when nothing says otherwise.
const PARALLELISM: u32 = 32;

/// Everything that depends on the environment and the inputs, and on no step.
pub(in crate::planner) struct Environment {
    pub(in crate::planner) protected: bool,
    pub(in crate::planner) known: Known,
    pub(in crate::planner) secrets: BTreeMap<String, Vec<SecretSource>>,
    /// Settings of plugins, rendered as far as they are known.
    pub(in crate::planner) settings: BTreeMap<String, Templated>,
    pub(in crate::planner) pools: BTreeMap<String, Pool>,
}

/// Resolves the environment that `request` asks for.
pub(in crate::planner) fn resolve(
    document: &Document,
    request: &PlanRequest,
    asked: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Option<Environment> {
    let (name, doc) = match choose(document, request) {
        Ok(chosen) => chosen,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    if request.mode == Mode::Drill && doc.protected {
        problems.push(
            Problem::error(
                codes::MODE,
                DocPath(format!("environments.{name}.protected")),
                format!("environment `{name}` is protected: no drill runs in it"),
            )
            .with_help("choose another environment with `--env`"),
        );
    }
    let mut known = Known {
        mode: request.mode,
        style: request.style.unwrap_or(Style::Graceful),
        environment: name,
        inputs: inputs::resolve(document, request, asked, problems),
        asked: asked.clone(),
        values: BTreeMap::new(),
        hosts: BTreeMap::new(),
    };
    if known.inputs.len() + asked.len() < document.inputs.len() {
        // What reads a missing input would only repeat the problem.
        return None;
    }
    resolve_values(document, &doc, &mut known, problems);
    let hosts = hosts::resolve(document, &doc, &known, problems);
    let mut pools = pools(document, &doc, request, problems);
    for (name, (host, parallel)) in hosts {
        pools.insert(format!("host:{name}"), Pool { capacity: parallel });
        known.hosts.insert(name, host);
    }
    let settings = settings(document, &doc, &known, problems);
    let mut secrets = secrets(document, &doc, problems);
    let own = document.inputs.iter().filter(|(name, input)| {
        let is_given = matches!(request.inputs.get(*name), Some(InputValue::Secret(_)));
        input.secret && !is_given && !asked.contains(*name)
    });
    secrets.extend(own.map(|(name, _)| (input_secret(name), input_sources(name))));
    Some(Environment { protected: doc.protected, known, secrets, settings, pools })
}

fn choose(
    document: &Document,
    request: &PlanRequest,
) -> Result<(String, EnvironmentDoc), Box<Problem>> {
    let all = &document.environments;
    let problem = |message: String, help: String| {
        Box::new(
            Problem::error(codes::ENVIRONMENT, DocPath::key("environments"), message)
                .with_help(help),
        )
    };
    let names = || all.keys().map(String::as_str).collect::<Vec<_>>();
    match (&request.environment, all.len()) {
        (None, 0) => Ok(("default".to_owned(), EnvironmentDoc::default())),
        (Some(name), 0) if name == "default" => Ok((name.clone(), EnvironmentDoc::default())),
        (Some(name), 0) => Err(problem(
            format!("there is no environment `{name}`"),
            "the runbook declares none, so there is only `default`".to_owned(),
        )),
        (Some(name), _) => all.get(name).map(|doc| (name.clone(), doc.clone())).ok_or_else(|| {
            let help = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names().join(", ")),
            };
            problem(format!("there is no environment `{name}`"), help)
        }),
        (None, _) => {
            let mut defaults = all.iter().filter(|(_, doc)| doc.default || all.len() == 1);
            match (defaults.next(), defaults.next()) {
                (Some((name, doc)), None) => Ok((name.clone(), doc.clone())),
                (None, _) => Err(problem(
                    "no environment was chosen, and none is the default".to_owned(),
                    format!("choose one with `--env`: {}", names().join(", ")),
                )),
                (Some((one, _)), Some((two, _))) => Err(problem(
                    format!("both `{one}` and `{two}` say that they are the default environment"),
                    "leave `default: true` at one of them".to_owned(),
                )),
            }
        }
    }
}

/// Values may read inputs, the run, and values before them.
fn resolve_values(
    document: &Document,
    environment: &EnvironmentDoc,
    known: &mut Known,
    problems: &mut Vec<Problem>,
) {
    let base = document
        .values
        .iter()
        .filter(|(name, _)| !environment.values.contains_key(*name))
        .map(|(name, value)| (name, value, DocPath(format!("values.{name}"))));
    let over = environment.values.iter().map(|(name, value)| {
        (name, value, DocPath(format!("environments.{}.values.{name}", known.environment)))
    });
    let mut open: Vec<_> = base.chain(over).collect();
    // The file may have them in any order: go round as long as that resolves one more.
    loop {
        let before = open.len();
        let mut failed = Vec::new();
        open.retain(|(name, written, at)| {
            let rendered = Templated::parse(written).and_then(|template| template.render(&*known));
            match rendered {
                Ok(value) => {
                    known.values.insert((*name).clone(), value);
                    false
                }
                Err(error) => {
                    let mut problem = Problem::error(
                        codes::UNRESOLVED,
                        at.clone(),
                        format!("value `{name}`: {error}"),
                    )
                    .within(error.span);
                    problem.help = error.help;
                    failed.push(problem);
                    true
                }
            }
        });
        if open.is_empty() {
            return;
        }
        if open.len() == before {
            problems.extend(failed);
            return;
        }
    }
}

fn pools(
    document: &Document,
    environment: &EnvironmentDoc,
    request: &PlanRequest,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Pool> {
    let parallelism = request
        .parallelism
        .or(environment.parallelism)
        .or(document.parallelism)
        .unwrap_or(PARALLELISM);
    if parallelism == 0 {
        problems.push(Problem::error(
            codes::CAPACITY,
            DocPath::key("parallelism"),
            "with a parallelism of 0 nothing could run",
        ));
    }
    let mut pools = BTreeMap::from([("run".to_owned(), Pool { capacity: parallelism.max(1) })]);
    for (name, pool) in document.pools.iter().chain(&environment.pools) {
        if name == "run" {
            problems.push(
                Problem::error(
                    codes::POOL,
                    DocPath::key("pools").field(name),
                    "the pool `run` is the whole run's",
                )
                .with_help("its size is `parallelism`"),
            );
        } else {
            pools.insert(name.clone(), Pool { capacity: pool.capacity });
        }
    }
    pools
}

fn settings(
    document: &Document,
    environment: &EnvironmentDoc,
    known: &Known,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Templated> {
    let mut merged: BTreeMap<String, Value> =
        document.plugins.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    for (name, over) in &environment.plugins {
        match (merged.get_mut(name), over) {
            (Some(Value::Object(base)), Value::Object(over)) => {
                base.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => {
                merged.insert(name.clone(), over.clone());
            }
        }
    }
    let mut settings = BTreeMap::new();
    for (name, written) in merged {
        let known_or_secret = |path: &Path| known_at_plan_time(path) || path.root() == "secrets";
        let rendered = Templated::parse(&written)
            .and_then(|template| template.render_known(known, &known_at_plan_time))
            .and_then(|template| template.paths().map(|paths| (template, paths)));
        let at = DocPath(format!("plugins.{name}"));
        match rendered {
            Ok((template, paths)) => {
                if let Some(path) = paths.iter().find(|path| !known_or_secret(path)) {
                    problems.push(
                        Problem::error(
                            codes::UNRESOLVED,
                            at,
                            format!("`{path}` is not known before the run"),
                        )
                        .with_help("plugin settings may read inputs, values, hosts and secrets"),
                    );
                }
                settings.insert(name, template);
            }
            Err(error) => {
                let mut problem =
                    Problem::error(codes::UNRESOLVED, at, error.to_string()).within(error.span);
                problem.help = error.help;
                problems.push(problem);
            }
        }
    }
    settings
}

fn secrets(
    document: &Document,
    environment: &EnvironmentDoc,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Vec<SecretSource>> {
    let mut resolved = BTreeMap::new();
    let over = environment.secrets.iter();
    for (name, sources) in document.secrets.iter().chain(over) {
        let mut read = Vec::new();
        for (position, source) in sources.iter().enumerate() {
            match secret_source(source) {
                Some(source) => read.push(source),
                None => problems.push(Problem::error(
                    codes::UNRESOLVED,
                    DocPath(format!("secrets.{name}")).index(position),
                    "a secret comes from exactly one of `env`, `file`, `command`, `prompt` and \
                     `generate`",
                )),
            }
        }
        if sources.is_empty() {
            problems.push(Problem::error(
                codes::UNRESOLVED,
                DocPath(format!("secrets.{name}")),
                format!("secret `{name}` comes from nowhere"),
            ));
        }
        resolved.insert(name.clone(), read);
    }
    resolved
}

fn secret_source(doc: &SecretSourceDoc) -> Option<SecretSource> {
    let given = [
        doc.env.clone().map(SecretSource::Env),
        doc.file.clone().map(SecretSource::File),
        doc.command.clone().filter(|argv| !argv.is_empty()).map(SecretSource::Command),
        doc.prompt.filter(|asks| *asks).map(SecretSource::Prompt),
        doc.generate.map(SecretSource::Generate),
    ];
    let mut given = given.into_iter().flatten();
    let (Some(source), None) = (given.next(), given.next()) else { return None };
    Some(match &doc.field {
        Some(name) => SecretSource::Field { of: Box::new(source), name: name.clone() },
        None => source,
    })
}
