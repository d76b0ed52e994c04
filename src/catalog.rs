//! What plugins offer: manifests, as data. Starts no process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use dr_plugin::{ActionManifest, Manifest};

use crate::id::Digest;

/// What one plugin offers, made when somebody first asks: with its schemas it takes about as long as starting a
/// process, and a runbook uses few of the plugins that there are.
#[derive(Debug, Clone)]
pub struct Offer(Arc<LazyLock<Option<Manifest>, Make>>);

type Make = Box<dyn FnOnce() -> Option<Manifest> + Send>;

impl Offer {
    /// To be made by `make`. None: it cannot be read, and counts as if the plugin were not known.
    pub fn new(make: impl FnOnce() -> Option<Manifest> + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.0.as_ref().as_ref()
    }
}

/// The manifests that are known, by plugin name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    offers: BTreeMap<String, Offer>,
    executables: BTreeMap<String, Executable>,
    /// Known, and neither linked in nor found as a program.
    missing: BTreeSet<String>,
    /// They belong to `dr`: what their manifests list is made of the types that they give.
    own: BTreeSet<String>,
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
    /// A catalog of these manifests, as if they were linked in.
    #[must_use]
    pub fn new(manifests: impl IntoIterator<Item = Manifest>) -> Self {
        let offers: BTreeMap<_, _> = manifests
            .into_iter()
            .map(|manifest| (manifest.name.clone(), Offer::new(|| Some(manifest))))
            .collect();
        Self { own: offers.keys().cloned().collect(), offers, ..Self::default() }
    }

    /// Adds a plugin that is linked in.
    pub fn add_linked(&mut self, name: &str, offer: Offer) {
        self.own.insert(name.to_owned());
        self.offers.insert(name.to_owned(), offer);
    }

    /// Adds what a plugin offers whose program may not be here.
    pub fn add_known(&mut self, name: &str, offer: Offer) {
        self.own.insert(name.to_owned());
        self.missing.insert(name.to_owned());
        self.offers.insert(name.to_owned(), offer);
    }

    /// Adds a plugin that is a program of its own.
    pub fn add(&mut self, manifest: Manifest, executable: Executable) {
        self.missing.remove(&manifest.name);
        self.executables.insert(manifest.name.clone(), executable);
        self.offers.insert(manifest.name.clone(), Offer::new(|| Some(manifest)));
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

    /// Whether the plugin belongs to `dr`: a result has the fields that its manifest lists and no
    /// others. Of another plugin that is so only where the schema says it.
    #[must_use]
    pub fn is_own(&self, plugin: &str) -> bool {
        self.own.contains(plugin)
    }

    /// The manifest of a plugin.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<&Manifest> {
        self.offers.get(name)?.manifest()
    }

    /// What a plugin offers, made or not.
    #[must_use]
    pub fn offer(&self, plugin: &str) -> Option<&Offer> {
        self.offers.get(plugin)
    }

    /// The action that `plugin.action` names.
    #[must_use]
    pub fn action(&self, plugin: &str, action: &str) -> Option<&ActionManifest> {
        self.plugin(plugin)?.actions.get(action)
    }

    /// All manifests, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Manifest> {
        self.offers.values().filter_map(Offer::manifest)
    }

    /// Digest of a plugin's manifest, over its canonical JSON.
    #[must_use]
    pub fn digest(&self, plugin: &str) -> Option<Digest> {
        let json = serde_json::to_vec(self.plugin(plugin)?).ok()?;
        Some(Digest::of(&json))
    }
}
