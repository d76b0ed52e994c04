use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Asked, Plan};
use crate::id::StepId;

/// A runbook inside the plan of another: what its steps read instead of what the outer one has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Include {
    /// Its name.
    pub runbook: String,
    /// Its environment.
    pub environment: String,
    /// Inputs that were known when planning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// Inputs that are only known when it begins: outputs of the step with which it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    /// Its values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
    /// What it calls by names that mean something else around it.
    #[serde(default, skip_serializing_if = "OwnNames::is_empty")]
    pub names: OwnNames,
}

/// By the names that an included runbook uses, those that the plan has for the same things: only
/// where the two differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnNames {
    /// Hosts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, String>,
    /// Secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Plugins, for their settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, String>,
}

impl OwnNames {
    /// Whether it calls everything as the plan does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.secrets.is_empty() && self.plugins.is_empty()
    }
}

/// The plugin that a name in [`Plan::plugins`] stands for: the settings of an included runbook are
/// kept under `RUNBOOK/PLUGIN`.
#[must_use]
pub fn plugin_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

impl Plan {
    fn own_names(&self, include: Option<&StepId>) -> Option<&OwnNames> {
        Some(&self.includes.get(include?)?.names)
    }

    /// The plan's name of what the steps of an included runbook call the host `name`.
    #[must_use]
    pub fn host_name<'n>(&'n self, include: Option<&StepId>, name: &'n str) -> &'n str {
        self.own_names(include).and_then(|own| own.hosts.get(name)).map_or(name, String::as_str)
    }

    /// The plan's name of what the steps of an included runbook call the secret `name`.
    #[must_use]
    pub fn secret_name<'n>(&'n self, include: Option<&StepId>, name: &'n str) -> &'n str {
        self.own_names(include).and_then(|own| own.secrets.get(name)).map_or(name, String::as_str)
    }

    /// Under what name the settings stand that a plugin is called with by the steps of an included
    /// runbook.
    #[must_use]
    pub fn settings_name<'n>(&'n self, include: Option<&StepId>, plugin: &'n str) -> &'n str {
        let own = self.own_names(include);
        own.and_then(|own| own.plugins.get(plugin)).map_or(plugin, String::as_str)
    }

    /// Gives the secrets that rendered arguments of an included runbook's step refer to their names
    /// in the plan.
    pub fn name_secrets(&self, include: Option<&StepId>, input: &mut Value) {
        if let Some(own) = self.own_names(include).filter(|own| !own.secrets.is_empty()) {
            rename_secrets(input, &own.secrets);
        }
    }
}

/// Renames the secrets that a rendered value refers to (`{"$secret": "name"}`).
pub fn rename_secrets(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename_secrets(item, names)),
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get_mut("$secret")
                && let Some(new) = names.get(name)
            {
                name.clone_from(new);
            }
            fields.values_mut().for_each(|item| rename_secrets(item, names));
        }
        _ => {}
    }
}
