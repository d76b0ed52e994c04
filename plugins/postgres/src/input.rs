use dr_plugin::{Period, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Settings of the plugin: how to log in where a step does not say otherwise.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Server for steps without a `host`: a name, an address, or the folder of a Unix socket.
    #[serde(default)]
    pub(crate) host: Option<String>,
    /// TCP port of the server; 5432 unless given. The port of a step's host is that of its remote
    /// shell and is not used here.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// Database; `postgres` unless given.
    #[serde(default)]
    pub(crate) dbname: Option<String>,
    /// Role to log in as; `postgres` unless given. The user of a step's host is not used here.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// Password, where the server asks for one.
    #[serde(default, deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(crate) password: Option<Secret>,
    /// Longest time for connecting and logging in; 5s unless given.
    #[serde(default)]
    pub(crate) connect_timeout: Option<Period>,
    /// Name that the server's own views and log show; `dr` unless given.
    #[serde(default)]
    pub(crate) application_name: Option<String>,
}

/// Where a step differs from the settings. The same fields stand in both actions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) port: Option<u16>,
    pub(crate) dbname: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

/// `with` of `postgres.query`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One statement. It runs in a read-only transaction.
    #[schemars(length(min = 1))]
    pub(crate) sql: String,
    /// Values of `$1`, `$2`, …: they reach the server apart from the statement.
    #[serde(default)]
    pub(crate) params: Vec<Value>,
    /// TCP port of the server, instead of that of the settings.
    #[serde(default)]
    port: Option<u16>,
    /// Database, instead of that of the settings.
    #[serde(default)]
    dbname: Option<String>,
    /// Role, instead of that of the settings.
    #[serde(default)]
    user: Option<String>,
    /// Password, instead of that of the settings.
    #[serde(default, deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    password: Option<Secret>,
}

/// `with` of `postgres.execute`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Execute {
    /// One statement, or several separated by semicolons (then without `params`).
    #[schemars(length(min = 1))]
    pub(crate) sql: String,
    /// Values of `$1`, `$2`, …: they reach the server apart from the statement.
    #[serde(default)]
    pub(crate) params: Vec<Value>,
    /// Whether all of it is one transaction: done as a whole or not at all. `false` is for what
    /// PostgreSQL refuses inside one, such as `create database` or `vacuum`.
    #[serde(default = "yes")]
    pub(crate) transaction: bool,
    /// TCP port of the server, instead of that of the settings.
    #[serde(default)]
    port: Option<u16>,
    /// Database, instead of that of the settings.
    #[serde(default)]
    dbname: Option<String>,
    /// Role, instead of that of the settings.
    #[serde(default)]
    user: Option<String>,
    /// Password, instead of that of the settings.
    #[serde(default, deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    password: Option<Secret>,
}

/// `result` of `postgres.query`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct QueryResult {
    /// The rows, each a map from column to value; at most 10,000 rows and 1 MiB.
    pub(crate) rows: Vec<Map<String, Value>>,
    /// Number of rows.
    pub(crate) row_count: usize,
}

/// `result` of `postgres.execute`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ExecuteResult {
    /// Rows that the statements changed or returned, summed up.
    pub(crate) affected: u64,
    /// The rows that one single statement returned (`returning`, `select`), else empty; at most
    /// 10,000 rows and 1 MiB.
    pub(crate) rows: Vec<Map<String, Value>>,
}

impl Query {
    pub(crate) fn login(&self) -> Login {
        Login {
            port: self.port,
            dbname: self.dbname.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
        }
    }
}

impl Execute {
    pub(crate) fn login(&self) -> Login {
        Login {
            port: self.port,
            dbname: self.dbname.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
        }
    }
}

fn yes() -> bool {
    true
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}
