use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::{Manifest, Plugin};

/// The plugins that can be called, by name.
#[derive(Clone, Default)]
pub struct Registry {
    plugins: BTreeMap<String, Linked>,
}

#[derive(Clone)]
struct Linked {
    plugin: Arc<dyn Plugin>,
    /// Asked for once: making its schemas costs as much as starting a process.
    manifest: Arc<Manifest>,
}

impl Registry {
    /// A registry of these plugins, each under the name of its manifest.
    #[must_use]
    pub fn new(plugins: impl IntoIterator<Item = Arc<dyn Plugin>>) -> Self {
        let plugins = plugins.into_iter().map(|plugin| {
            let manifest = Arc::new(plugin.manifest());
            (manifest.name.clone(), Linked { plugin, manifest })
        });
        Self { plugins: plugins.collect() }
    }

    /// The plugins that are part of this program.
    #[must_use]
    pub fn linked() -> Self {
        Self::new([
            dr_plugin_http::plugin(),
            dr_plugin_local::plugin(),
            dr_plugin_postgres::plugin(),
            dr_plugin_sim::plugin(),
            dr_plugin_ssh::plugin(),
        ])
    }

    /// The plugin with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Plugin>> {
        self.plugins.get(name).map(|linked| &linked.plugin)
    }

    /// What the plugin with this name offers.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Option<&Manifest> {
        self.plugins.get(name).map(|linked| linked.manifest.as_ref())
    }

    /// All plugins, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<dyn Plugin>)> {
        self.plugins.iter().map(|(name, linked)| (name.as_str(), &linked.plugin))
    }

    /// What all plugins offer, by name: a catalog's content.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        self.plugins.values().map(|linked| linked.manifest.as_ref().clone()).collect()
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
    fn the_linked_plugins_go_by_their_own_names() {
        let registry = Registry::linked();
        let names: Vec<_> = registry.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["http", "local", "postgres", "sim", "ssh"]);
        assert_eq!(registry.manifests().len(), 5);
        assert_eq!(registry.manifest("sim").map(|manifest| manifest.name.as_str()), Some("sim"));
        assert!(registry.manifest("none").is_none());
        assert!(registry.get("ssh").is_some() && registry.get("none").is_none());
    }
}
