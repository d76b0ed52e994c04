use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::quote::escape;
use super::task::Payload;
use crate::{CallError, CallKey};

/// The runner's text without its comments and indentation.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    include_str!("runner.sh")
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
});

/// One operation of the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Starts the job, or joins it if its key is taken; then as `Poll`.
    Launch {
        /// The command.
        payload: Payload,
        /// How long to wait for the end before answering.
        wait: Duration,
    },
    /// What became of the job, and what it wrote from these offsets on.
    Poll {
        /// How long to wait for the end before answering.
        wait: Duration,
        /// Bytes of stdout already known.
        out: u64,
        /// Bytes of stderr already known.
        err: u64,
    },
    /// Ends the process group: asks, waits `grace`, ends. A job whose command was not yet executed
    /// never will be.
    Kill {
        /// From asking to ending.
        grace: Duration,
    },
    /// Removes what is kept of a job that is over.
    Remove,
    /// A command of the connection, no job: runs it and reports where and how it ended.
    Direct {
        /// The command.
        payload: Payload,
    },
    /// Ends the process group of a [`Request::Direct`].
    End {
        /// What its `begin` marker said.
        group: String,
        /// From asking to ending.
        grace: Duration,
    },
}

/// Most bytes of each stream that one answer holds.
const CHUNK: u64 = 256 * 1024;

impl Request {
    /// The runner's arguments. `folder` is a [`folder_name`], `jobs` a checked job folder or empty.
    #[must_use]
    pub fn args(&self, folder: &str, jobs: &str) -> Vec<String> {
        let ms = |time: &Duration| time.as_millis().to_string();
        let (op, mut rest) = match self {
            Self::Launch { payload, wait } => (
                "launch",
                vec![
                    payload.checksum.clone(),
                    ms(wait),
                    "0".to_owned(),
                    "0".to_owned(),
                    CHUNK.to_string(),
                ],
            ),
            Self::Poll { wait, out, err } => {
                ("poll", vec![ms(wait), out.to_string(), err.to_string(), CHUNK.to_string()])
            }
            Self::Kill { grace } => ("kill", vec![ms(grace)]),
            Self::Remove => ("remove", vec![]),
            Self::Direct { payload } => ("direct", vec![payload.checksum.clone()]),
            Self::End { group, grace } => (
                "end",
                group.split(' ').map(str::to_owned).chain(std::iter::once(ms(grace))).collect(),
            ),
        };
        let mut args = vec![op.to_owned(), folder.to_owned(), escape(jobs)];
        args.append(&mut rest);
        args
    }

    /// What the runner reads.
    #[must_use]
    pub fn stdin(&self) -> &[u8] {
        match self {
            Self::Launch { payload, .. } | Self::Direct { payload } => &payload.bytes,
            _ => &[],
        }
    }

    /// How long the answer may take by design, without the way to and fro.
    #[must_use]
    pub fn takes(&self) -> Duration {
        match self {
            Self::Launch { wait, .. } | Self::Poll { wait, .. } => *wait,
            // The grace, then the end and the end's confirmation.
            Self::Kill { grace } | Self::End { grace, .. } => *grace + Duration::from_secs(1),
            Self::Remove | Self::Direct { .. } => Duration::ZERO,
        }
    }

    /// The text that all requests are for.
    #[must_use]
    pub fn text() -> &'static str {
        &TEXT
    }
}

/// The arguments of a local `/bin/sh` that performs `request`.
#[must_use]
pub fn shell_args(request: &Request, folder: &str, jobs: &str) -> Vec<String> {
    let mut args = vec![
        "-c".to_owned(),
        "dr_text=$1; shift; eval \"$dr_text\"".to_owned(),
        "dr-job".to_owned(),
        Request::text().to_owned(),
    ];
    args.append(&mut request.args(folder, jobs));
    args
}

/// The name of the job's folder: the key's token; a digest takes its place where file systems or
/// shells would not have it.
#[must_use]
pub fn folder_name(key: &CallKey) -> String {
    const LONGEST: usize = 180;
    let token = key.as_token();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if token.len() <= LONGEST && !token.starts_with(['.', '-']) && token.bytes().all(plain) {
        return token;
    }
    let head: String =
        token.chars().take(80).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    Sha256::digest(&token).iter().fold(format!("{head}-"), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Checks a configured job folder; absent gives the empty text, which means the usual place.
///
/// # Errors
/// A permanent `bad_input` unless it is absolute or begins with `~/`.
pub fn job_dir(configured: Option<&str>) -> Result<String, CallError> {
    let Some(folder) = configured else { return Ok(String::new()) };
    let placed = folder.starts_with('/') || folder.starts_with("~/");
    if !placed || folder.chars().any(char::is_control) {
        return Err(CallError::permanent(
            "bad_input",
            format!("`job_dir` must be an absolute path or begin with `~/`, not `{folder}`"),
        ));
    }
    Ok(folder.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_get_short_distinct_folders() {
        let key =
            |step: String| CallKey { run: "r".into(), step, purpose: "apply".into(), attempt: 1 };
        let one = folder_name(&key(format!("{}/a", "g@x/".repeat(60))));
        let two = folder_name(&key(format!("{}/b", "g@x/".repeat(60))));
        assert_ne!(one, two);
        assert!(one.len() <= 180);
        assert_eq!(folder_name(&key("a".into())), "r.a.apply.1");
        let odd = CallKey { run: "../r '$x'".into(), ..key("a".into()) };
        assert!(folder_name(&odd).bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
    }

    #[test]
    fn job_folders_are_absolute() {
        assert_eq!(job_dir(None).unwrap(), "");
        assert_eq!(job_dir(Some("/var/lib/dr/")).unwrap(), "/var/lib/dr");
        assert_eq!(job_dir(Some("~/jobs")).unwrap(), "~/jobs");
        for bad in ["", "jobs", "../x", "/a\nb", "~"] {
            assert_eq!(job_dir(Some(bad)).unwrap_err().code, "bad_input");
        }
    }

    #[test]
    fn arguments_need_no_quoting() {
        let request = Request::Poll { wait: Duration::from_millis(5), out: 1, err: 2 };
        assert_eq!(request.args("k", "/a'b"), ["poll", "k", "/a\\0047b", "5", "1", "2", "262144"]);
        assert!(!Request::text().contains("\n#"));
    }
}
