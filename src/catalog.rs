//! What plugins offer: manifests, as data. Starts no process.

use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::{ActionManifest, Manifest};

use crate::id::Digest;

/// The manifests that are known, by plugin name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    manifests: BTreeMap<String, Manifest>,
    executables: BTreeMap<String, Executable>,
    /// Known, and neither linked in nor found as a program.
    missing: BTreeSet<String>,
}

/// The program of a plugin that is not linked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Where it lies.
    pub path: String,
    /// Digest of its content.
    pub sha256: Digest,
}

impl Catalog {
    /// A catalog of these manifests.
    #[must_use]
    pub fn new(manifests: impl IntoIterator<Item = Manifest>) -> Self {
        let manifests =
            manifests.into_iter().map(|manifest| (manifest.name.clone(), manifest)).collect();
        Self { manifests, ..Self::default() }
    }

    /// Adds what a plugin offers whose program may not be here.
    pub fn add_known(&mut self, manifest: Manifest) {
        self.missing.insert(manifest.name.clone());
        self.manifests.insert(manifest.name.clone(), manifest);
    }

    /// Adds a plugin that is a program of its own.
    pub fn add(&mut self, manifest: Manifest, executable: Executable) {
        self.missing.remove(&manifest.name);
        self.executables.insert(manifest.name.clone(), executable);
        self.manifests.insert(manifest.name.clone(), manifest);
    }

    /// The program of a plugin; none for one that is linked in.
    #[must_use]
    pub fn executable(&self, plugin: &str) -> Option<&Executable> {
        self.executables.get(plugin)
    }

    /// Whether the plugin's program is not here, although what it offers is known.
    #[must_use]
    pub fn is_missing(&self, plugin: &str) -> bool {
        self.missing.contains(plugin)
    }

    /// The manifest of a plugin.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<&Manifest> {
        self.manifests.get(name)
    }

    /// The action that `plugin.action` names.
    #[must_use]
    pub fn action(&self, plugin: &str, action: &str) -> Option<&ActionManifest> {
        self.manifests.get(plugin)?.actions.get(action)
    }

    /// All manifests, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.values()
    }

    /// Digest of a plugin's manifest, over its canonical JSON.
    #[must_use]
    pub fn digest(&self, plugin: &str) -> Option<Digest> {
        let json = serde_json::to_vec(self.manifests.get(plugin)?).ok()?;
        Some(Digest::of(&json))
    }
}
