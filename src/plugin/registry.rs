use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::{Manifest, Plugin};

use crate::catalog::Offer;

/// The plugins that can be called, by name.
#[derive(Clone, Default)]
pub struct Registry {
    plugins: BTreeMap<String, Linked>,
}

#[derive(Clone)]
struct Linked {
    plugin: Arc<dyn Plugin>,
    offer: Offer,
}

impl Registry {
    /// A registry of these plugins, each under the name of its manifest.
    #[must_use]
    pub fn new(plugins: impl IntoIterator<Item = Arc<dyn Plugin>>) -> Self {
        let mut registry = Self::default();
        for plugin in plugins {
            let manifest = plugin.manifest();
            registry.add(&manifest.name.clone(), plugin, Offer::new(|| Some(manifest)));
        }
        registry
    }

    /// Adds a plugin, or puts it in the place of the one with its name.
    pub fn add(&mut self, name: &str, plugin: Arc<dyn Plugin>, offer: Offer) {
        self.plugins.insert(name.to_owned(), Linked { plugin, offer });
    }

    /// The plugin with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Plugin>> {
        self.plugins.get(name).map(|linked| &linked.plugin)
    }

    /// What the plugin with this name offers.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Option<&Manifest> {
        self.plugins.get(name)?.offer.manifest()
    }

    /// All plugins, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<dyn Plugin>)> {
        self.plugins.iter().map(|(name, linked)| (name.as_str(), &linked.plugin))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.plugins.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_go_by_their_own_names() {
        let registry = Registry::new([dr_plugin_ssh::plugin(), dr_plugin_sim::plugin()]);
        let names: Vec<_> = registry.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["sim", "ssh"]);
        assert_eq!(registry.manifest("sim").map(|manifest| manifest.name.as_str()), Some("sim"));
        assert!(registry.manifest("none").is_none());
        assert!(registry.get("ssh").is_some() && registry.get("none").is_none());
    }
}
