//! What plugins offer: manifests, as data. Starts no process.

use std::collections::BTreeMap;

use dr_plugin::{ActionManifest, Manifest};
use sha2::{Digest as _, Sha256};

use crate::id::Digest;

/// The manifests that are known, by plugin name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    manifests: BTreeMap<String, Manifest>,
}

impl Catalog {
    /// A catalog of these manifests.
    #[must_use]
    pub fn new(manifests: impl IntoIterator<Item = Manifest>) -> Self {
        let manifests =
            manifests.into_iter().map(|manifest| (manifest.name.clone(), manifest)).collect();
        Self { manifests }
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
        Some(Digest::from(format!("sha256:{:x}", Sha256::digest(json))))
    }
}
