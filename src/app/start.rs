//! What a run needs before its first step: a plan that can be run, the lock, a folder, and what can
//! be known of the targets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::app::plugins::{self, PluginError};
use crate::app::{identity, who};
use crate::engine::{EngineError, Preflight, preflight};
use crate::event::Actor;
use crate::id::{RunId, StepId};
use crate::journal::{Holder, LockError, Masker, NewRun, RunDir, RunLock, RunStore, StateError};
use crate::plan::Plan;
use crate::plugin::{OpenCalls, Outlived, Registry, SecretStore, VaultError, end_outlived};
use crate::time::Timestamp;

/// Preflight takes no longer than this: the clock is running.
const PREFLIGHT: Duration = Duration::from_secs(15);

/// Plugins, secrets and masks of one run in this process.
pub struct Tools {
    /// Runs the preflight and the session: connections that plugins keep belong to it.
    pub runtime: Runtime,
    /// The plugins.
    pub registry: Arc<Registry>,
    /// The secrets of the plan.
    pub secrets: Arc<SecretStore>,
    /// Masks what is kept and shown.
    pub masker: Masker,
    /// Calls of plugins that are programs of their own.
    open_calls: OpenCalls,
}

/// Folder below a run's own where open calls are kept.
const CALLS: &str = "calls";

impl Tools {
    /// For a plan, and for files that hold its secret inputs, by their names.
    ///
    /// # Errors
    /// A plugin that is not the one planned with.
    pub fn new(plan: &Plan, given: &BTreeMap<String, String>) -> Result<Self, PluginError> {
        let masker = Masker::default();
        let learned = masker.clone();
        let secrets = SecretStore::new(&plan.secrets, given, move |secret| {
            learned.add(secret);
        });
        let open_calls = OpenCalls::default();
        let registry = Arc::new(plugins::registry_for(plan, &open_calls)?);
        // One thread drives the run and all that waits: commands and connections wait, they do not
        // compute. What may block (writing records, showing the run, SSH) has threads of its own.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| PluginError::System(EngineError::System { source }))?;
        Ok(Self { runtime, registry, secrets: Arc::new(secrets), masker, open_calls })
    }

    /// Keeps the calls of plugins in a run's folder while they last: see [`end_calls`].
    pub fn keep_calls(&self, dir: &RunDir) {
        self.open_calls.keep_in(dir.path().join(CALLS));
    }

    /// Lets a person type the secrets that are to be typed: see [`SecretStore::type_in`].
    pub fn type_secrets(&self, typed: impl Fn(&str) -> Result<Zeroizing<String>, String>) {
        self.runtime.block_on(self.secrets.type_in(typed));
    }

    /// From now on secrets that the run captures or generates are kept in its folder.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn keep_secrets(&self, plan: &Plan, dir: &RunDir) -> Result<(), VaultError> {
        match identity::vault(plan, dir)? {
            Some(vault) => self.runtime.block_on(self.secrets.keep_in(vault)),
            None => Ok(()),
        }
    }

    /// Asks the targets of the steps for which `is_open` holds.
    pub fn preflight(&self, plan: &Plan, is_open: impl Fn(&StepId) -> bool) -> Preflight {
        let asked =
            preflight(plan, is_open, &self.registry, &self.secrets, &self.masker, PREFLIGHT);
        self.runtime.block_on(asked)
    }
}

/// Ends the processes of plugins that outlived the `dr` that had called them for this run. Only
/// while its lock is held.
#[must_use]
pub fn end_calls(dir: &RunDir) -> Vec<Outlived> {
    end_outlived(&dir.path().join(CALLS))
}

/// The locks that a run holds while this process drives it.
#[derive(Debug)]
pub struct Locks {
    _runbook: RunLock,
    _named: Vec<RunLock>,
    run: Option<RunLock>,
}

impl Locks {
    /// Takes the lock of a runbook in its environment, and those that the plan names.
    ///
    /// # Errors
    /// [`LockError`]: somebody else drives it.
    pub fn take(
        store: &RunStore,
        plan: &Plan,
        run: &RunId,
        since: Timestamp,
    ) -> Result<Self, LockError> {
        let holder = holder(run, since);
        let runbook = store.lock(&plan.runbook, &plan.environment, &holder)?;
        let named = plan.locks.iter().map(|name| store.named_lock(name, &holder));
        Ok(Self { _runbook: runbook, _named: named.collect::<Result<_, _>>()?, run: None })
    }

    /// Takes the lock of the run itself as well.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take_run(&mut self, dir: &RunDir, since: Timestamp) -> Result<(), LockError> {
        self.run = Some(hold_run(dir, since)?);
        Ok(())
    }
}

/// Takes the lock of a run alone: nobody goes on with it meanwhile.
///
/// # Errors
/// [`LockError`].
pub fn hold_run(dir: &RunDir, since: Timestamp) -> Result<RunLock, LockError> {
    RunLock::acquire(&dir.lock(), &dir.id().to_string(), &holder(&dir.id(), since))
}

fn holder(run: &RunId, since: Timestamp) -> Holder {
    let Actor { user, host, .. } = who::actor("");
    Holder { run: run.clone(), user, host, pid: std::process::id(), since }
}

/// Makes the folder of a new run with its plan and the texts that it was made from, the runbook
/// first.
///
/// # Errors
/// [`StateError`]; nothing is left behind.
pub fn make_run(
    store: &RunStore,
    run: &RunId,
    plan: &Plan,
    sources: &[(PathBuf, Vec<u8>)],
) -> Result<RunDir, StateError> {
    let plan = serde_json::to_vec(plan).unwrap_or_default();
    let named = |path: &Path| path.file_name().map_or_else(|| "runbook.yaml".into(), PathBuf::from);
    let mut runbook: Vec<(PathBuf, &[u8])> = Vec::with_capacity(sources.len());
    for (path, text) in sources {
        let name = named(path);
        // Files of one name in several folders are told apart by a number.
        let mut own = name.clone();
        let mut number = 1;
        while runbook.iter().any(|(other, _)| *other == own) {
            number += 1;
            own = PathBuf::from(format!("{number}-{}", name.display()));
        }
        runbook.push((own, text.as_slice()));
    }
    let files = NewRun { plan: &plan, runbook };
    store.create_run(run, &files)
}
