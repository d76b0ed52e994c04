use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

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
