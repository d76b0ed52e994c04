use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a journal cannot be read or written.
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
pub enum JournalError {
    /// It could not be opened or read.
    #[error("cannot read the journal {path}: {source}", path = path.display())]
    #[diagnostic(code(DR3101))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// A complete line does not hold what was once written.
    #[error("the journal is damaged at record {record} (byte {offset}): {why}")]
    #[diagnostic(
        code(DR3102),
        help(
            "nothing from this record on can be trusted; find out what changed the file, or continue \
             with `dr resume {} --accept-loss`, which treats every unfinished step that is not pure \
             as unknown",
            run.as_deref().unwrap_or("RUN")
        )
    )]
    Damaged {
        /// Number of the first record that is not as it was written.
        record: u64,
        /// Where its line begins.
        offset: u64,
        /// What does not hold.
        why: String,
        /// The run as a command names it, where more than the file is known.
        run: Option<String>,
    },
    /// A record is of a kind that this version does not know.
    #[error("record {record} is of the kind `{kind}`, which this version of dr does not know")]
    #[diagnostic(
        code(DR3103),
        help("the run was written by a newer dr: resume it with that version")
    )]
    Newer {
        /// Number of the record.
        record: u64,
        /// Its type.
        kind: String,
    },
    /// The first write or sync that failed. Nothing is written afterwards.
    #[error("cannot write the journal: {source}")]
    #[diagnostic(
        code(DR3104),
        help(
            "nothing new was started, because it could not be recorded; mend the disk, then \
             `dr resume`"
        )
    )]
    Write {
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// An earlier write failed, or the writer has ended.
    #[error("the journal is closed after an earlier error")]
    #[diagnostic(code(DR3105))]
    Dead,
    /// The session that is recorded is over for good.
    #[error("the run is over: its verdict is {verdict}")]
    #[diagnostic(code(DR3106), help("start a new run with `dr execute`"))]
    Over {
        /// The final verdict.
        verdict: &'static str,
    },
}

impl JournalError {
    /// The same of a run that a command names like this.
    #[must_use]
    pub fn of_run(self, spoken: String) -> Self {
        match self {
            Self::Damaged { record, offset, why, .. } => {
                Self::Damaged { record, offset, why, run: Some(spoken) }
            }
            other => other,
        }
    }
}
