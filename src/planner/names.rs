use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::Host;
use serde_json::{Map, Value, json};

use super::compound::Element;
use crate::text::Names;
use crate::words::{Mode, Style};

/// What is known when planning, under the names that texts and decisions use.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) mode: Mode,
    pub(super) style: Style,
    pub(super) environment: String,
    pub(super) inputs: BTreeMap<String, Value>,
    /// Inputs that are only known during the run.
    pub(super) asked: BTreeSet<String>,
    pub(super) values: BTreeMap<String, Value>,
    pub(super) hosts: BTreeMap<String, Host>,
}

/// The same for one step: with `host`, its own, and the elements of the loops around it.
pub(super) struct KnownAt<'a> {
    pub(super) known: &'a Known,
    pub(super) host: Option<&'a Host>,
    pub(super) around: &'a [Element],
}

fn member_of(map: &BTreeMap<String, Value>, member: Option<&str>) -> Option<Value> {
    match member {
        Some(name) => map.get(name).cloned(),
        None => Some(map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
    }
}

pub(super) fn host_value(host: &Host) -> Value {
    serde_json::to_value(host).unwrap_or_default()
}

impl Names for Known {
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
        match (root, member) {
            ("run", Some("mode")) => Some(json!(self.mode)),
            ("run", Some("style")) => Some(json!(self.style)),
            ("run", Some("environment")) => Some(json!(self.environment)),
            ("inputs", _) => member_of(&self.inputs, member),
            ("values", _) => member_of(&self.values, member),
            ("hosts", Some(name)) => self.hosts.get(name).map(host_value),
            ("hosts", None) => Some(Value::Object(
                self.hosts
                    .iter()
                    .map(|(name, host)| (name.clone(), host_value(host)))
                    .collect::<Map<_, _>>(),
            )),
            _ => None,
        }
    }
}

impl Names for KnownAt<'_> {
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
        match (root, self.host) {
            ("host", Some(host)) => {
                let value = host_value(host);
                match member {
                    Some(field) => value.get(field).cloned(),
                    None => Some(value),
                }
            }
            _ => match self.around.iter().rev().find(|element| element.name == root) {
                Some(element) => element.value.clone(),
                None => self.known.get(root, member),
            },
        }
    }
}
