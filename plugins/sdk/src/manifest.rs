use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Effect;

/// Version of the plugin protocol that this crate speaks.
pub const PROTOCOL: u32 = 1;

/// Everything that can be known about a plugin without starting it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The part of `uses` before the dot.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// Version of the protocol it speaks.
    pub protocol: u32,
    /// One paragraph for people.
    pub description: String,
    /// JSON Schema of the runbook's settings for this plugin.
    pub settings: Schema,
    /// What it offers, by name.
    pub actions: BTreeMap<String, ActionManifest>,
    /// Environment variables that its process may see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

/// One action or probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionManifest {
    /// One paragraph for people.
    pub description: String,
    /// Whether it may change things.
    pub kind: Kind,
    /// What repeating it would do, unless the step says otherwise.
    pub effect: Effect,
    /// Inputs for which repeating it does something else. The first that fits decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effect_when: Vec<EffectWhen>,
    /// Whether repeating it with the same key is recognised.
    pub keyed: Keyed,
    /// Whether it acts on a host.
    pub host: HostNeed,
    /// JSON Schema of `with`.
    pub input: Schema,
    /// JSON Schema of `result`.
    pub output: Schema,
    /// It can say, read-only, what it would do.
    #[serde(default)]
    pub has_preview: bool,
    /// It can say, read-only, whether it was done.
    #[serde(default)]
    pub has_check: bool,
    /// It can take itself back.
    #[serde(default)]
    pub has_undo: bool,
    /// Typical duration in milliseconds, for plans without better knowledge.
    pub typical_ms: u64,
}

/// An effect that follows from what an action is asked to do: `GET` only reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectWhen {
    /// Name of a field of the input.
    pub field: String,
    /// Its values. `null` stands for a field that is not given.
    pub is: Vec<Value>,
    /// What repeating the action then does.
    pub effect: Effect,
}

/// Whether an action may change things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// May change things.
    Action,
    /// Only reads.
    Probe,
}

/// Whether a second call with the same key joins the first instead of repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keyed {
    /// The key means nothing.
    Never,
    /// It runs as a job (unless `with` says `detach: false`): [`crate::Plugin::check`] tells from
    /// the key what became of it, and a second `apply` with the same key re-attaches.
    Job,
    /// It hands the key to an API that honours client tokens.
    Token,
}

/// Whether an action acts on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostNeed {
    /// `host` on the step is an error.
    None,
    /// `host` may be given.
    Optional,
    /// `host` must be given.
    Required,
}

impl Manifest {
    /// A manifest without actions.
    #[must_use]
    pub fn new<Settings: JsonSchema>(name: &str, version: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            protocol: PROTOCOL,
            description: description.to_owned(),
            settings: schema_of::<Settings>(),
            actions: BTreeMap::new(),
            environment: Vec::new(),
        }
    }

    /// The same manifest with one action more.
    #[must_use]
    pub fn with(mut self, name: &str, action: ActionManifest) -> Self {
        self.actions.insert(name.to_owned(), action);
        self
    }
}

impl ActionManifest {
    /// An action with the schemas of its input and output types. Not keyed, no host, no extras.
    #[must_use]
    pub fn action<In: JsonSchema, Out: JsonSchema>(description: &str, effect: Effect) -> Self {
        Self {
            description: description.to_owned(),
            kind: if effect == Effect::Pure { Kind::Probe } else { Kind::Action },
            effect,
            effect_when: Vec::new(),
            keyed: Keyed::Never,
            host: HostNeed::None,
            input: schema_of::<In>(),
            output: schema_of::<Out>(),
            has_preview: false,
            has_check: false,
            has_undo: false,
            typical_ms: 1_000,
        }
    }

    /// A probe: an action that only reads.
    #[must_use]
    pub fn probe<In: JsonSchema, Out: JsonSchema>(description: &str) -> Self {
        Self::action::<In, Out>(description, Effect::Pure)
    }

    /// The same action acting on a host.
    #[must_use]
    pub fn on_host(mut self, need: HostNeed) -> Self {
        self.host = need;
        self
    }

    /// The same action, running as a job that a second call with its key joins.
    #[must_use]
    pub fn as_job(mut self) -> Self {
        self.keyed = Keyed::Job;
        self.has_check = true;
        self
    }

    /// The same action with another effect where `field` of the input is one of `values`.
    #[must_use]
    pub fn with_effect_when(
        mut self,
        field: &str,
        values: impl IntoIterator<Item = Value>,
        effect: Effect,
    ) -> Self {
        let is = values.into_iter().collect();
        self.effect_when.push(EffectWhen { field: field.to_owned(), is, effect });
        self
    }

    /// What repeating it with this input would do, as far as the input tells before it is
    /// rendered: a field whose text is still a template fits nothing.
    #[must_use]
    pub fn effect_with(&self, input: Option<&Value>) -> Effect {
        let is_open = match input {
            None | Some(Value::Null) => false,
            Some(Value::Object(fields)) => fields.keys().any(|key| key.starts_with('$')),
            Some(_) => true,
        };
        if is_open {
            return self.effect;
        }
        let fits = |when: &&EffectWhen| {
            let given = input.and_then(|input| input.get(&when.field)).unwrap_or(&Value::Null);
            when.is.contains(given)
        };
        self.effect_when.iter().find(fits).map_or(self.effect, |when| when.effect)
    }

    /// The same action, able to say what it would do.
    #[must_use]
    pub fn with_preview(mut self) -> Self {
        self.has_preview = true;
        self
    }

    /// The same action, able to say whether it was done.
    #[must_use]
    pub fn with_check(mut self) -> Self {
        self.has_check = true;
        self
    }

    /// The same action, able to take itself back.
    #[must_use]
    pub fn with_undo(mut self) -> Self {
        self.has_undo = true;
        self
    }

    /// The same action, handing its key to an API that honours client tokens.
    #[must_use]
    pub fn with_token(mut self) -> Self {
        self.keyed = Keyed::Token;
        self
    }

    /// The same action with another typical duration.
    #[must_use]
    pub fn typically_ms(mut self, typical_ms: u64) -> Self {
        self.typical_ms = typical_ms;
        self
    }
}

/// The schema of `T` with its parts inlined, so that it stands on its own anywhere.
#[must_use]
fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_input_decides_the_effect() {
        let action = ActionManifest::action::<Value, Value>("", Effect::Once).with_effect_when(
            "method",
            [Value::Null, json!("GET")],
            Effect::Pure,
        );
        let effect = |input: Value| action.effect_with(Some(&input));
        assert_eq!(effect(json!({ "method": "GET" })), Effect::Pure);
        assert_eq!(effect(json!({})), Effect::Pure);
        assert_eq!(effect(json!({ "method": "POST" })), Effect::Once);
        assert_eq!(effect(json!({ "method": "{{ values.method }}" })), Effect::Once);
        assert_eq!(action.effect_with(None), Effect::Pure);
        assert_eq!(effect(json!({ "$template": "{{ values.request }}" })), Effect::Once);
        assert_eq!(effect(json!("{{ values.request }}")), Effect::Once);
    }
}
