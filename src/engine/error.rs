use super::Recovered;
use crate::journal::JournalError;

/// Why a session ended without an ending.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum EngineError {
    /// The journal could not be opened.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] JournalError),
    /// Something could not be recorded. Nothing new was started afterwards; what was running came
    /// back with `recovered`.
    #[error("{source}; {} of running attempts came back unrecorded", results(recovered.len()))]
    #[diagnostic(
        code(DR3305),
        help(
            "nothing new was started, because it could not be recorded; `recovered.jsonl` in the \
             run's folder holds the results if it could be written; mend the disk, then \
             `dr resume`"
        )
    )]
    Unrecorded {
        /// What failed.
        source: JournalError,
        /// Results that are not in the journal.
        recovered: Vec<Recovered>,
    },
    /// The plan calls a plugin that is not there.
    #[error("the plan needs the plugin `{plugin}`, which is not there")]
    #[diagnostic(code(DR3301), help("`dr plugins` lists those that are"))]
    PluginMissing {
        /// Its name.
        plugin: String,
    },
    /// The runbook's settings of a plugin cannot be rendered.
    #[error("the settings of the plugin `{plugin}` cannot be rendered: {message}")]
    #[diagnostic(code(DR3302))]
    Settings {
        /// Its name.
        plugin: String,
        /// Why.
        message: String,
    },
    /// The system refused a thread or a signal handler.
    #[error("cannot start the run: {source}")]
    #[diagnostic(code(DR3303))]
    System {
        /// The system's reason.
        source: std::io::Error,
    },
    /// A third interrupt: nothing more was waited for. Like a crash, for the run.
    #[error("left at once, with {running} {} running", if *running == 1 { "attempt" } else { "attempts" })]
    #[diagnostic(
        code(DR3304),
        help("jobs go on by themselves; `dr resume` finds out what became of them")
    )]
    Abandoned {
        /// Attempts that were running.
        running: usize,
    },
}

fn results(count: usize) -> String {
    if count == 1 { "1 result".to_owned() } else { format!("{count} results") }
}
