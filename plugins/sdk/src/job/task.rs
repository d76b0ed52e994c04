use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::quote::quote;
use crate::CallError;

/// A command: what is executed, and with what around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// The command and its arguments; no shell sees them.
    pub argv: Vec<String>,
    /// Variables besides those that the command inherits.
    pub env: BTreeMap<String, String>,
    /// What it reads; empty: nothing.
    pub stdin: String,
    /// Its working directory; absent: the one it would have anyway.
    pub cwd: Option<String>,
}

/// What the runner reads on its standard input: values never become arguments of a process.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Ends the payload, so that a part of it is never taken for the whole.
    pub checksum: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.bytes.len())
    }
}

impl Task {
    /// Refuses what no system can execute as it is written.
    ///
    /// # Errors
    /// A permanent `bad_input` that says what is wrong.
    pub fn validate(&self) -> Result<(), CallError> {
        let bad = |message: String| Err(CallError::permanent("bad_input", message));
        match self.argv.first() {
            None => return bad("`argv` is empty".into()),
            Some(command) if command.is_empty() => return bad("`argv` begins with ``".into()),
            Some(command) if command.starts_with('-') => {
                return bad(format!("the command `{command}` must not begin with `-`"));
            }
            Some(_) => {}
        }
        if let Some(at) = self.argv.iter().position(|word| word.contains('\0')) {
            return bad(format!("`argv[{at}]` contains a NUL"));
        }
        for (name, value) in &self.env {
            let mut bytes = name.bytes();
            let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return bad(format!("`{name}` is not a name of an environment variable"));
            }
            if value.contains('\0') {
                return bad(format!("the value of `env.{name}` contains a NUL"));
            }
        }
        match &self.cwd {
            Some(cwd) if cwd.contains('\0') => bad("`cwd` contains a NUL".into()),
            Some(cwd) if cwd.is_empty() => bad("`cwd` is empty".into()),
            _ => Ok(()),
        }
    }

    /// The sh text that becomes the command, or tells that it could not.
    fn program(&self) -> String {
        let mut text = String::new();
        if let Some(cwd) = &self.cwd {
            // `cd -` and a search path for `cd` have meanings of their own.
            let path = if cwd.starts_with('/') { cwd.clone() } else { format!("./{cwd}") };
            let _ = writeln!(text, "cd {} || {{ dr_unstarted cwd; exit 125; }}", quote(&path));
        }
        for (name, value) in &self.env {
            let _ = writeln!(
                text,
                "export {name}={} || {{ dr_unstarted env; exit 125; }}",
                quote(value)
            );
        }
        text.push_str("exec");
        for word in &self.argv {
            text.push(' ');
            text.push_str(&quote(word));
        }
        text.push_str("\ndr_unstarted $?\n");
        text
    }

    /// The payload of a launch.
    #[must_use]
    pub fn for_launch(&self) -> Payload {
        let mut feed = String::with_capacity(self.stdin.len());
        for part in self.stdin.chars() {
            match part {
                '\\' => feed.push_str("\\\\"),
                '\0' => feed.push_str("\\0000"),
                _ => feed.push(part),
            }
        }
        let program = self.program();
        let checksum = checksum(&program, &feed);
        let bytes = format!(
            "dr_prog={}\ndr_feed={}\n#{checksum}",
            quote(&format!("{program}#{checksum}")),
            quote(&feed)
        );
        Payload { checksum, bytes: bytes.into_bytes() }
    }

    /// The payload of a command that runs while its connection lasts.
    #[must_use]
    pub fn for_direct(&self) -> Payload {
        let program = self.program();
        let checksum = checksum(&program, "");
        let bytes = format!("{program}#{checksum}\n{}", self.stdin);
        Payload { checksum, bytes: bytes.into_bytes() }
    }
}

fn checksum(program: &str, feed: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(program.len().to_le_bytes());
    digest.update(program);
    digest.update(feed);
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(argv: &[&str]) -> Task {
        Task { argv: argv.iter().map(|word| (*word).to_owned()).collect(), ..Task::default() }
    }

    #[test]
    fn what_cannot_be_executed_is_refused() {
        let mut env = task(&["true"]);
        env.env.insert("A-B".into(), "x".into());
        let mut value = task(&["true"]);
        value.env.insert("A".into(), "\0".into());
        let mut cwd = task(&["true"]);
        cwd.cwd = Some("\0".into());
        for bad in [task(&[]), task(&[""]), task(&["-x"]), task(&["a", "\0"]), env, value, cwd] {
            assert_eq!(bad.validate().unwrap_err().code, "bad_input", "{bad:?}");
        }
        assert!(task(&["a", "-x", ""]).validate().is_ok());
    }

    #[test]
    fn the_payload_ends_with_its_checksum() {
        let mut task = task(&["cat", "a b"]);
        task.stdin = "x\\y\0".into();
        task.cwd = Some("-".into());
        let payload = task.for_launch();
        let text = String::from_utf8(payload.bytes).unwrap();
        assert!(text.ends_with(&format!("\n#{}", payload.checksum)));
        assert!(text.contains("cd ./- ||"));
        assert!(text.contains("dr_feed='x\\\\y\\0000'"));
        assert_eq!(format!("{:?}", task.for_direct()).find("a b"), None);
    }
}
