//! The plugins of this program and those beside it, and what is known of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use dr_plugin::Plugin;

use crate::catalog::{Catalog, Executable};
use crate::engine::EngineError;
use crate::id::Digest;
use crate::plan::Plan;
use crate::plugin::{self, FindError, ProcessPlugin, Registry};
use crate::runbook::{Document, Outline, Runbook};

fn linked() -> [Arc<dyn Plugin>; 4] {
    [
        dr_plugin_local::plugin(),
        dr_plugin_ssh::plugin(),
        dr_plugin_postgres::plugin(),
        dr_plugin_sim::plugin(),
    ]
}

/// What the plugins that are linked in offer.
#[must_use]
pub fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> =
        LazyLock::new(|| Catalog::new(linked().iter().map(|plugin| plugin.manifest())));
    &CATALOG
}

/// What the plugins that a runbook names offer, those that are programs of their own included.
/// Reads files and starts nothing.
///
/// # Errors
/// A program that is there and cannot be used.
pub fn catalog_for(runbook: &Runbook) -> Result<Catalog, FindError> {
    let mut catalog = catalog().clone();
    let folders = LazyLock::new(plugin::folders);
    for name in runbook.all().into_iter().flat_map(|it| named(&it.document)) {
        if catalog.plugin(name).is_some() || crate::id::check_name(name).is_err() {
            continue;
        }
        if let Some(found) = plugin::find(name, &folders)? {
            let path = found.path.display().to_string();
            catalog.add(found.manifest, Executable { path, sha256: found.sha256 });
        }
    }
    Ok(catalog)
}

/// Every plugin that there is, linked in or found, and those found that cannot be used.
#[must_use]
pub fn everything() -> (Catalog, Vec<FindError>) {
    let (mut catalog, mut unusable) = (catalog().clone(), Vec::new());
    let folders = plugin::folders();
    for name in plugin::names(&folders) {
        if catalog.plugin(&name).is_some() {
            continue;
        }
        match plugin::find(&name, &folders) {
            Ok(Some(found)) => {
                let path = found.path.display().to_string();
                catalog.add(found.manifest, Executable { path, sha256: found.sha256 });
            }
            Ok(None) => {}
            Err(error) => unusable.push(error),
        }
    }
    (catalog, unusable)
}

/// Names of the plugins that a runbook uses or sets.
fn named(document: &Document) -> BTreeSet<&str> {
    let outline = Outline::new(document);
    let of_steps = outline.steps().flat_map(|declared| {
        let step = declared.doc;
        let undo = step.undo.as_deref();
        let checks = step.check.iter().chain(undo.and_then(|undo| undo.check.as_ref()));
        let checks = checks.map(|check| check.uses.as_str());
        let undo = undo.and_then(|undo| undo.uses.as_deref());
        step.uses.as_deref().into_iter().chain(undo).chain(checks)
    });
    let validations = document.services.values().flat_map(|service| &service.validation);
    let of_checks = validations.flat_map(|it| &it.checks).map(|check| check.uses.as_str());
    let used = of_steps.chain(of_checks).filter_map(|uses| Some(uses.split_once('.')?.0));
    used.chain(document.plugins.keys().map(String::as_str)).collect()
}

/// Why the plugins of a plan cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PluginError {
    /// A program cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Find(#[from] FindError),
    /// The program is another one than when the plan was made.
    #[error(
        "plugin {path} is not the one that was planned with: it is {now}, planned was {planned}"
    )]
    #[diagnostic(
        code(DR3314),
        help("put the planned version back, or plan and start the recovery again")
    )]
    Changed {
        /// Where it lies.
        path: String,
        /// Its digest when planned.
        planned: Digest,
        /// Its digest now.
        now: Digest,
    },
    /// A plugin of this program is another one than when the plan was sealed.
    #[error(
        "the plugin `{name}` of this dr ({now}) is not the one that the plan was sealed with ({planned})"
    )]
    #[diagnostic(
        code(DR3314),
        help(
            "use the dr that sealed it, or seal the runbook again; to act now, `dr execute` the runbook itself"
        )
    )]
    Linked {
        /// Its name.
        name: String,
        /// Its version when planned.
        planned: String,
        /// Its version now.
        now: String,
    },
    /// The system refused a thread.
    #[error(transparent)]
    #[diagnostic(transparent)]
    System(EngineError),
}

/// Whether the plugins of this program are those that a plan was sealed with.
///
/// # Errors
/// [`PluginError::Linked`].
pub fn check_linked(plan: &Plan) -> Result<(), PluginError> {
    let catalog = catalog();
    for (name, used) in plan.plugins.iter().filter(|(_, used)| used.executable.is_none()) {
        if catalog.digest(name).as_ref() != Some(&used.manifest) {
            let now = catalog.plugin(name).map_or("none", |manifest| &manifest.version);
            return Err(PluginError::Linked {
                name: name.clone(),
                planned: used.version.clone(),
                now: now.to_owned(),
            });
        }
    }
    Ok(())
}

/// The plugins that a plan calls: those linked in, and its programs if they are what was planned
/// with. Starts nothing yet.
///
/// # Errors
/// [`PluginError`].
pub fn registry_for(plan: &Plan) -> Result<Registry, PluginError> {
    let mut plugins: Vec<Arc<dyn Plugin>> = linked().into();
    for (name, used) in &plan.plugins {
        let Some(planned) = &used.executable else { continue };
        let path = Path::new(&planned.path);
        let now = plugin::digest(path)
            .map_err(|source| FindError::Executable { path: path.to_owned(), source })?;
        if now != planned.sha256 {
            let planned = planned.clone();
            return Err(PluginError::Changed { path: planned.path, planned: planned.sha256, now });
        }
        let folder = path.parent().map(Path::to_owned).into_iter().collect::<Vec<_>>();
        if let Some(found) = plugin::find(name, &folder)? {
            plugins.push(Arc::new(ProcessPlugin::new(found.path, found.manifest)));
        }
    }
    Ok(Registry::new(plugins))
}
