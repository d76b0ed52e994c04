//! The plugins of this program and what is known of them.

use std::sync::LazyLock;

use crate::catalog::Catalog;
use crate::plugin::Registry;

/// The plugins that are linked in.
#[must_use]
pub fn registry() -> Registry {
    Registry::new([
        dr_plugin_local::plugin(),
        dr_plugin_ssh::plugin(),
        dr_plugin_postgres::plugin(),
        dr_plugin_sim::plugin(),
    ])
}

/// What they offer.
#[must_use]
pub fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::new(registry().manifests()));
    &CATALOG
}
