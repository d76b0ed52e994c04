/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Its key was never claimed.
    Absent,
    /// Its key was claimed, but the command was never executed, and nobody is about to.
    Unstarted,
    /// It is going on, or its end is being recorded.
    Running,
    /// It exited with a code, after so many milliseconds.
    Exited(i32, u64),
    /// A signal ended it, after so many milliseconds.
    Signalled(i32, u64),
    /// It could not be executed: 126, 127, `cwd` or `env`.
    NotExecuted(String),
    /// It was ended on request, and the record of how was lost with it.
    Killed,
    /// It is gone without a record of how it ended.
    Vanished,
    /// The machine was started again since, and there is no record of how it ended.
    Rebooted,
}

/// The answer to a launch or a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the job stands.
    pub state: JobState,
    /// All that it wrote to stdout so far, in bytes.
    pub out_size: u64,
    /// All that it wrote to stderr so far, in bytes.
    pub err_size: u64,
    /// A chunk of stdout from the offset asked for.
    pub out: Vec<u8>,
    /// A chunk of stderr from the offset asked for.
    pub err: Vec<u8>,
}

/// What the runner answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a launch or a poll.
    Report(Report),
    /// To a kill or an end: whether no process of the group is left.
    Ended(bool),
    /// To a remove: whether nothing is kept any more.
    Removed(bool),
    /// The runner could not do its part; a short code.
    Refused(String),
}

/// Begins each answer, so that it is found among what a login shell prints.
pub(crate) const MARK: &str = "\u{1e}dr-job/1 ";

impl JobState {
    /// Reads the words of `rc`, or those after `state` in an answer.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ms = |word: Option<&&str>| word.and_then(|word| word.parse().ok()).unwrap_or(0);
        Some(match words.split_first()? {
            (&"absent", []) => Self::Absent,
            (&"unstarted", []) => Self::Unstarted,
            (&"running", []) => Self::Running,
            (&"killed", []) => Self::Killed,
            (&"vanished", []) => Self::Vanished,
            (&"rebooted", []) => Self::Rebooted,
            (&"exit", rest) => Self::Exited(rest.first()?.parse().ok()?, ms(rest.get(1))),
            (&"signal", rest) => Self::Signalled(rest.first()?.parse().ok()?, ms(rest.get(1))),
            (&"noexec", rest) => Self::NotExecuted((*rest.first()?).to_owned()),
            _ => return None,
        })
    }
}

impl Answer {
    /// Finds and reads the answer for `folder` in what came back; absent if there is none or it is
    /// not complete.
    #[must_use]
    pub fn parse(bytes: &[u8], folder: &str) -> Option<Self> {
        let mark = format!("{MARK}{folder} ");
        let start = find(bytes, mark.as_bytes())? + mark.len();
        let length = bytes[start..].iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(&bytes[start..start + length]).ok()?;
        let body = &bytes[start + length + 1..];
        let words: Vec<&str> = header.splitn(8, ' ').collect();
        match words.as_slice() {
            ["out", out_size, out, "err", err_size, err, "state", state] => {
                let (out, err): (usize, usize) = (out.parse().ok()?, err.parse().ok()?);
                Some(Self::Report(Report {
                    state: JobState::parse(state)?,
                    out_size: out_size.parse().ok()?,
                    err_size: err_size.parse().ok()?,
                    out: body.get(..out)?.to_vec(),
                    err: body.get(out..out.checked_add(err)?)?.to_vec(),
                }))
            }
            ["ended", ended, ..] => Some(Self::Ended(*ended == "yes")),
            ["gone"] => Some(Self::Removed(true)),
            ["kept"] => Some(Self::Removed(false)),
            ["error", code] => Some(Self::Refused((*code).to_owned())),
            _ => None,
        }
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_among_noise() {
        let bytes = b"Welcome!\n\x1edr-job/1 k out 7 3 err 9 2 state exit 3 120\nabcde";
        assert_eq!(
            Answer::parse(bytes, "k"),
            Some(Answer::Report(Report {
                state: JobState::Exited(3, 120),
                out_size: 7,
                err_size: 9,
                out: b"abc".to_vec(),
                err: b"de".to_vec(),
            }))
        );
    }

    #[test]
    fn half_an_answer_is_none() {
        for bytes in [
            &b"\x1edr-job/1 k out 7 3 err 9 2 state exit 3 120\nabcd"[..],
            b"\x1edr-job/1 k out 7 3 err 9 2 state exi\n",
            b"\x1edr-job/1 k out 7 3 err 9 2 state exit 3 120",
            b"\x1edr-job/1 other gone\n",
            b"",
        ] {
            assert_eq!(Answer::parse(bytes, "k"), None);
        }
    }

    #[test]
    fn the_other_answers() {
        for (text, answer) in [
            ("ended yes state signal 15 20", Answer::Ended(true)),
            ("ended no", Answer::Ended(false)),
            ("gone", Answer::Removed(true)),
            ("kept", Answer::Removed(false)),
            ("error job_dir", Answer::Refused("job_dir".into())),
        ] {
            let bytes = format!("{MARK}k {text}\n");
            assert_eq!(Answer::parse(bytes.as_bytes(), "k"), Some(answer));
        }
    }

    #[test]
    fn states() {
        for (text, state) in [
            ("running", Some(JobState::Running)),
            ("signal 9", Some(JobState::Signalled(9, 0))),
            ("noexec 127 20", Some(JobState::NotExecuted("127".into()))),
            ("exit", None),
            ("", None),
            ("odd", None),
        ] {
            assert_eq!(JobState::parse(text), state);
        }
    }
}
