//! Sealed plans: saved, recognised, read back, compared with what they were made from, and executed
//! once.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files;
use crate::id::{Digest, RunId, SealId, StepId};
use crate::journal::write_new;
use crate::plan::{FORMAT, Plan, Seal, SealedSource, digest};
use crate::time::Timestamp;

/// Larger files are not plans: 100,000 steps take some 150 MiB.
const MAX_FILE: u64 = 512 << 20;

/// Why a sealed plan is not executed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SealError {
    /// It looks like a plan and cannot be read as one.
    #[error("{path} is not a plan that can be read: {reason}", path = path.display())]
    #[diagnostic(code(DR2201), help("seal the runbook again: `dr plan RUNBOOK -o FILE`"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What it says is not what was sealed.
    #[error(
        "{path} was changed after it was sealed: its digest says {written}, its content gives {is}",
        path = path.display()
    )]
    #[diagnostic(
        code(DR2202),
        help(
            "change the runbook instead, and seal it again; to act now, `dr execute` the runbook"
        )
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// What its `digest` says.
        written: Digest,
        /// What its content gives.
        is: Digest,
    },
    /// It is a plan, but nobody sealed it.
    #[error("{path} is a plan without a seal", path = path.display())]
    #[diagnostic(code(DR2203), help("`dr plan RUNBOOK -o FILE` seals one"))]
    Unsealed {
        /// The file.
        path: PathBuf,
    },
    /// Its time is over.
    #[error("the seal of {path} expired at {expired}", path = path.display())]
    #[diagnostic(
        code(DR2204),
        help("seal the runbook again; to act now, `dr execute` the runbook itself")
    )]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        expired: Timestamp,
    },
    /// It was executed.
    #[error("this seal ({seal}) was executed before: run {run}, started at {at} by {by}")]
    #[diagnostic(
        code(DR2205),
        help(
            "`dr resume {run}` goes on with that run; to carry the same plan out once more, say why: \
             `--again \"REASON\"`"
        )
    )]
    Executed {
        /// The seal.
        seal: SealId,
        /// The last run.
        run: RunId,
        /// When it was started.
        at: Timestamp,
        /// By whom.
        by: String,
    },
    /// A file that a step uses is another one.
    #[error("{path}, which step `{step}` uses, is not what was sealed: it {now}")]
    #[diagnostic(
        code(DR2206),
        help(
            "put it back as it was, or seal the runbook again; to act now, `dr execute` the \
             runbook itself"
        )
    )]
    File {
        /// The step.
        step: StepId,
        /// The file.
        path: String,
        /// What became of it.
        now: &'static str,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    #[diagnostic(code(DR2207), help("nothing was started; check the folder and its permissions"))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What became of a text that a plan was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// It is as it was.
    Same,
    /// It says something else now.
    Changed,
    /// It is not where it was.
    Missing,
}

/// The plan in a file; none if the content is not that of a plan, but of a runbook or nothing that
/// can be read.
///
/// # Errors
/// [`SealError::Unreadable`]: it is a plan, and cannot be read as one.
pub fn recognize(path: &Path) -> Result<Option<Plan>, SealError> {
    let large = path.metadata().is_ok_and(|data| data.is_file() && data.len() > MAX_FILE);
    let Ok(text) = (if large { Ok(String::new()) } else { std::fs::read_to_string(path) }) else {
        return Ok(None);
    };
    recognize_text(path, &text)
}

/// The same for the text of a file.
///
/// # Errors
/// [`SealError::Unreadable`].
pub fn recognize_text(path: &Path, text: &str) -> Result<Option<Plan>, SealError> {
    // A runbook may be JSON as well; but no runbook has a digest.
    if !text.trim_start().starts_with('{') || !text.contains("\"digest\"") {
        return Ok(None);
    }
    let unreadable = |reason: String| SealError::Unreadable { path: path.to_owned(), reason };
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        if value.get("digest").is_none() {
            return Ok(None);
        }
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format > u64::from(FORMAT) => {
                return Err(unreadable(format!(
                    "its format is {format}, and this dr knows formats up to {FORMAT}"
                )));
            }
            _ => {}
        }
    }
    serde_json::from_str(text).map(Some).map_err(|error| unreadable(error.to_string()))
}

/// The seal of a plan that was read, if what it says is what was sealed.
///
/// # Errors
/// [`SealError::Unsealed`], [`SealError::Digest`].
pub fn verify<'a>(plan: &'a Plan, path: &Path) -> Result<&'a Seal, SealError> {
    let is = digest(plan);
    if is != plan.digest {
        let written = plan.digest.clone();
        return Err(SealError::Digest { path: path.to_owned(), written, is });
    }
    plan.seal.as_ref().ok_or_else(|| SealError::Unsealed { path: path.to_owned() })
}

/// Whether a plan may be executed now, as far as it and the files that its steps use tell.
///
/// # Errors
/// [`SealError`].
pub fn admit<'a>(plan: &'a Plan, path: &Path, now: Timestamp) -> Result<&'a Seal, SealError> {
    let seal = verify(plan, path)?;
    if let Some(expired) = seal.expires.filter(|expires| *expires <= now) {
        return Err(SealError::Expired { path: path.to_owned(), expired });
    }
    if let Some((file, now)) = files::changed(plan).into_iter().next() {
        let now = if now.is_some() { "has another content" } else { "is not there" };
        return Err(SealError::File { step: file.step.clone(), path: file.path.clone(), now });
    }
    Ok(seal)
}

/// Whether a file may be replaced by a sealed plan: it is one, or there is nothing in it.
#[must_use]
pub fn may_replace(file: &Path) -> bool {
    match std::fs::metadata(file) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(data) if data.is_file() && data.len() == 0 => true,
        Ok(_) => {
            matches!(recognize(file), Ok(Some(plan)) if plan.seal.is_some())
        }
    }
}

/// Seals a plan and puts it in a file, whole or not at all. `sources` are the texts that it was
/// made from, the runbook first.
///
/// # Errors
/// [`SealError::Write`].
pub fn save(
    plan: &mut Plan,
    file: &Path,
    seal: Seal,
    sources: &[(PathBuf, Vec<u8>)],
) -> Result<(), SealError> {
    let failed = |source| SealError::Write { path: file.to_owned(), source };
    let name = file.file_name().ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?;
    let folder = folder_of(file);
    let sources = sources
        .iter()
        .map(|(path, text)| SealedSource {
            path: relative(path, folder).display().to_string(),
            sha256: Digest::of(text),
        })
        .collect();
    plan.seal = Some(Seal { sources, ..seal });
    let mut json = serde_json::to_vec_pretty(plan).map_err(|error| failed(error.into()))?;
    json.push(b'\n');
    let aside = folder.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let written = write_new(&aside, &json).and_then(|()| std::fs::rename(&aside, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    written.map_err(failed)
}

/// The texts that a sealed plan was made from: where each should lie, what became of it, and its
/// content if it is the same.
#[must_use]
pub fn sources(seal: &Seal, file: &Path) -> Vec<(PathBuf, SourceState, Option<Vec<u8>>)> {
    let look = |source: &SealedSource| {
        let path = folder_of(file).join(&source.path);
        match std::fs::read(&path) {
            Ok(text) => {
                if Digest::of(&text) == source.sha256 {
                    (path, SourceState::Same, Some(text))
                } else {
                    (path, SourceState::Changed, None)
                }
            }
            Err(_) => (path, SourceState::Missing, None),
        }
    };
    seal.sources.iter().map(look).collect()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` as seen from `folder`, both as they really are; as it is where that cannot be told.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (Ok(path), Ok(folder)) = (path.canonicalize(), folder.canonicalize()) else {
        return path.to_owned();
    };
    let shared =
        path.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

/// One execution of a seal, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// When it was started.
    pub at: Timestamp,
    /// By whom: `USER@HOST`.
    pub by: String,
    /// Why, if the seal had been executed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// Remembers that a seal is executed now. Of several processes that try it without a reason, one
/// succeeds.
///
/// # Errors
/// [`SealError::Executed`], unless `claim` says why again; [`SealError::Write`].
pub fn claim(state: &Path, seal: &SealId, claim: &Claim) -> Result<(), SealError> {
    let folder = state.join("seals");
    let path = folder.join(format!("{}.jsonl", file_name(seal)));
    let failed = |source| SealError::Write { path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let mut line = serde_json::to_vec(claim).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    match write_new(&path, &line) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other.map_err(failed),
    }
    if claim.again.is_none() {
        let last = last_claim(&path)
            .unwrap_or_else(|| Claim { run: RunId::from("unknown"), ..claim.clone() });
        return Err(SealError::Executed {
            seal: seal.clone(),
            run: last.run,
            at: last.at,
            by: last.by,
        });
    }
    let append = || {
        let mut file = OpenOptions::new().append(true).mode(0o600).open(&path)?;
        file.write_all(&line)?;
        file.sync_all()
    };
    append().map_err(failed)
}

/// Forgets a first execution that did not come about: nothing was started.
pub fn release(state: &Path, seal: &SealId) {
    let path = state.join("seals").join(format!("{}.jsonl", file_name(seal)));
    let first = std::fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 1);
    if first {
        let _ = std::fs::remove_file(&path);
    }
}

fn last_claim(path: &Path) -> Option<Claim> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

/// A seal's id as a safe file name: what is read from a file may be anything.
fn file_name(seal: &SealId) -> String {
    let safe = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    seal.as_str().chars().take(64).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().expect("a timestamp")
    }

    #[test]
    fn a_seal_is_executed_once_without_a_reason() {
        let temp = tempfile::tempdir().expect("a folder");
        let seal = SealId::from("5ea1");
        let of = |run: &str, again: Option<&str>| Claim {
            run: RunId::from(run),
            at: now(),
            by: "ann@here".into(),
            again: again.map(str::to_owned),
        };
        claim(temp.path(), &seal, &of("r1", None)).expect("the first time");
        let refused = claim(temp.path(), &seal, &of("r2", None)).expect_err("the second");
        assert!(matches!(refused, SealError::Executed { run, .. } if run.as_str() == "r1"));
        claim(temp.path(), &seal, &of("r2", Some("the site failed back"))).expect("with a reason");
        release(temp.path(), &seal);
        let refused = claim(temp.path(), &seal, &of("r3", None)).expect_err("once more");
        assert!(matches!(refused, SealError::Executed { run, .. } if run.as_str() == "r2"));
        let odd = SealId::from("../../x");
        claim(temp.path(), &odd, &of("r4", None)).expect("a safe name");
        assert!(temp.path().join("seals/______x.jsonl").exists());
        release(temp.path(), &odd);
        assert!(!temp.path().join("seals/______x.jsonl").exists());
    }

    #[test]
    fn paths_are_seen_from_the_plan() {
        let temp = tempfile::tempdir().expect("a folder");
        let runbooks = temp.path().join("a/runbooks");
        let plans = temp.path().join("plans");
        std::fs::create_dir_all(&runbooks).expect("a folder");
        std::fs::create_dir_all(&plans).expect("a folder");
        let file = runbooks.join("r.yaml");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(relative(&file, &plans), Path::new("../a/runbooks/r.yaml"));
        assert_eq!(relative(&file, &runbooks), Path::new("r.yaml"));
        assert_eq!(relative(Path::new("gone.yaml"), &plans), Path::new("gone.yaml"));
    }

    #[test]
    fn plans_are_told_from_runbooks_by_content() {
        let temp = tempfile::tempdir().expect("a folder");
        let told = |text: &str| {
            let path = temp.path().join("f");
            std::fs::write(&path, text).expect("a file");
            recognize(&path)
        };
        assert!(matches!(told("runbook: r\n"), Ok(None)));
        assert!(matches!(told("{\"runbook\": \"r\", \"steps\": []}"), Ok(None)));
        assert!(matches!(
            told("{\"runbook\": \"r\", \"description\": \"a \\\"digest\\\"\"}"),
            Ok(None)
        ));
        for bad in ["{\"format\": 9, \"digest\": \"x\"}", "{\"digest\": \"x\", ", "{\"digest\": 1}"]
        {
            assert!(matches!(told(bad), Err(SealError::Unreadable { .. })), "{bad}");
        }
        assert!(matches!(recognize(&temp.path().join("none")), Ok(None)));
    }
}
