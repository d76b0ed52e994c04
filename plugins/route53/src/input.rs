use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// `with` of `route53.upsert_record` and `route53.delete_record`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordInput {
    /// The hosted zone: its id (`Z…`) or its domain name.
    pub(crate) zone: String,
    /// The record set. For deleting, name and type (and set identifier) are enough; values that are
    /// given must be those that are there.
    pub(crate) record: Record,
    /// Wait until all name servers answer so. Default true.
    #[serde(default = "yes")]
    pub(crate) wait: bool,
    /// The record sets as an earlier step read them: `result.records` of `route53.get_record`. With
    /// them the action undoes itself, and `changes` and `restore` are right also where a call is
    /// repeated after a crash and finds its work done.
    #[serde(default)]
    pub(crate) before: Option<Vec<Record>>,
}

/// `with` of `route53.change_batch`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchInput {
    /// The hosted zone: its id (`Z…`) or its domain name.
    pub(crate) zone: String,
    /// What to do: all of it at once, or nothing.
    pub(crate) changes: Vec<RecordChange>,
    /// Wait until all name servers answer so. Default true.
    #[serde(default = "yes")]
    pub(crate) wait: bool,
    /// The record sets as an earlier step read them: `result.records` of `route53.get_record`. With
    /// them the action undoes itself, and `changes` and `restore` are right also where a call is
    /// repeated after a crash and finds its work done.
    #[serde(default)]
    pub(crate) before: Option<Vec<Record>>,
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordChange {
    /// What to do.
    pub(crate) action: Action,
    /// The record set.
    pub(crate) record: Record,
}

/// What to do with a record set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Make it; it is an error if another is there.
    Create,
    /// Make it or replace it.
    Upsert,
    /// Remove it.
    Delete,
}

/// `with` of `route53.get_record`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetInput {
    /// The hosted zone: its id (`Z…`) or its domain name.
    pub(crate) zone: String,
    /// Name of the record sets, in full.
    pub(crate) name: String,
    /// Their type.
    pub(crate) r#type: String,
    /// Only the one with this set identifier.
    #[serde(default)]
    pub(crate) set_identifier: Option<String>,
}

/// `with` of `route53.health_check_status`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthInput {
    /// Id of the health check.
    pub(crate) health_check: String,
}

fn yes() -> bool {
    true
}

/// `result` of what changes record sets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ChangeResult {
    /// Id of the hosted zone.
    pub(crate) zone_id: String,
    /// Whether anything was different before.
    pub(crate) changed: bool,
    /// Id of Route 53's change; null if nothing had to be sent.
    pub(crate) change_id: Option<String>,
    /// `INSYNC`: all name servers answer so. `PENDING`: not waited for. `UNCONFIRMED`: done, but the
    /// answer with the change's id was lost.
    pub(crate) status: String,
    /// What it changed, for people.
    pub(crate) changes: Vec<dr_plugin::Change>,
    /// The record sets as they were, null where there was none; in the order of the changes.
    pub(crate) before: Vec<Option<Record>>,
    /// What puts everything back exactly: `changes` for `route53.change_batch`.
    pub(crate) restore: Vec<RecordChange>,
}

/// `result` of `route53.get_record`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct GetResult {
    /// Id of the hosted zone.
    pub(crate) zone_id: String,
    /// Whether there is one.
    pub(crate) found: bool,
    /// The record set if there is exactly one, else null.
    pub(crate) record: Option<Record>,
    /// All of that name and type.
    pub(crate) records: Vec<Record>,
    /// What puts them back as they are now, and removes the record set if there is none now:
    /// `changes` for `route53.change_batch`.
    pub(crate) restore: Vec<RecordChange>,
}

/// `result` of `route53.health_check_status`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct HealthResult {
    /// Whether more than 18 % of the checkers call it healthy, which is what Route 53 goes by.
    pub(crate) healthy: bool,
    /// Checkers that call it healthy.
    pub(crate) healthy_checkers: usize,
    /// Checkers that report.
    pub(crate) checkers: usize,
    /// What each reports.
    pub(crate) observations: Vec<Observation>,
}

/// What a checker reports.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Observation {
    /// Where it is.
    pub(crate) region: Option<String>,
    /// Its report: `Success: HTTP Status Code 200, OK`.
    pub(crate) status: String,
}
