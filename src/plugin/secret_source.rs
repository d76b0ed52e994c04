use std::process::Stdio;
use std::time::Duration;

use dr_plugin::Secret;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::Zeroizing;

use crate::plan::SecretSource;

/// A command that gives a secret has this long.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// No secret is longer than this, in bytes.
const LONGEST: u64 = 1 << 20;
/// Of what a failing command says, this many bytes are shown.
const SAID: usize = 400;

/// A source that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What it is, for people. Never a value.
    pub source: String,
    /// Why it gave nothing.
    pub why: String,
    /// Whether the same source may work a moment later.
    pub is_transient: bool,
}

/// Letters and digits, from the system's source of randomness: each is as likely.
fn generated(characters: u32) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read as _;
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = std::fs::File::open("/dev/urandom")?;
    let mut text = Zeroizing::new(String::with_capacity(characters as usize));
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < characters as usize {
        random.read_exact(&mut *bytes)?;
        // The largest multiple of 62 below 256: what is above would favour the first letters.
        for byte in bytes.iter().filter(|byte| **byte < 248) {
            if text.len() < characters as usize {
                text.push(char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
            }
        }
    }
    Ok(text)
}

/// The part of a JSON text that `path` names: a text, a number or a boolean.
pub(super) fn field(text: &str, path: &str) -> Result<Zeroizing<String>, String> {
    // What the parser says of a text that is none may show a part of it.
    let value: Value = serde_json::from_str(text).map_err(|_| "gives no JSON".to_owned())?;
    let mut part = &value;
    for name in path.split('.') {
        let inner = match part {
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(name),
        };
        part = inner.ok_or_else(|| format!("gives JSON without `{path}`"))?;
    }
    match part {
        Value::String(text) if text.is_empty() => Err(format!("gives an empty `{path}`")),
        Value::String(text) => Ok(Zeroizing::new(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Zeroizing::new(part.to_string())),
        _ => Err(format!("gives a `{path}` that is no text")),
    }
}

/// The value that a source gives.
pub(super) async fn read(source: &SecretSource) -> Result<Secret, Tried> {
    if let SecretSource::Field { of, name } = source {
        let whole = Box::pin(read(of)).await?;
        return match field(whole.expose(), name) {
            Ok(text) => Ok(Secret::new(text.as_str())),
            Err(why) => Err(Tried { source: described(of), why, is_transient: false }),
        };
    }
    let found = match source {
        SecretSource::Env(name) => of_environment(name),
        SecretSource::File(path) => of_file(path).await,
        SecretSource::Command(argv) => of_command(argv).await,
        SecretSource::Generate(characters) => {
            generated(*characters).map_err(|error| (format!("cannot be used: {error}"), false))
        }
        // Asked for apart, and then known.
        SecretSource::Prompt(_) | SecretSource::Field { .. } => {
            Err(("was not asked for".to_owned(), false))
        }
    };
    let source = described(source);
    match found {
        Ok(text) if text.is_empty() => {
            Err(Tried { source, why: "gives an empty text".to_owned(), is_transient: false })
        }
        Ok(text) => Ok(Secret::new(text.as_str())),
        Err((why, is_transient)) => Err(Tried { source, why, is_transient }),
    }
}

/// A source, for people.
pub(super) fn described(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) => format!("the variable {name}"),
        SecretSource::File(path) => format!("the file {path}"),
        SecretSource::Command(argv) => {
            format!("the command `{}`", argv.first().map_or("", String::as_str))
        }
        SecretSource::Prompt(_) => "the prompt".to_owned(),
        SecretSource::Generate(_) => "the source of randomness".to_owned(),
        SecretSource::Field { of, .. } => described(of),
    }
}

/// Why a source gave nothing, and whether it may later.
type Failed = (String, bool);

#[expect(clippy::disallowed_methods, reason = "secrets are read from the environment here only")]
fn of_environment(name: &str) -> Result<Zeroizing<String>, Failed> {
    match std::env::var(name) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(std::env::VarError::NotPresent) => Err(("is not set".to_owned(), false)),
        Err(std::env::VarError::NotUnicode(_)) => Err(("is not UTF-8 text".to_owned(), false)),
    }
}

async fn of_file(path: &str) -> Result<Zeroizing<String>, Failed> {
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| (format!("cannot be read: {error}"), false))?;
    text(&limited(file).await.map_err(|error| (format!("cannot be read: {error}"), false))?)
}

async fn of_command(argv: &[String]) -> Result<Zeroizing<String>, Failed> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(("names no program".to_owned(), false));
    };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own group: a Ctrl-C at the terminal is the run's, and all of it can be ended.
    command.process_group(0).kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| (format!("cannot be started: {error}"), false))?;
    let group = child.id();
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(("cannot be started".to_owned(), false));
    };
    let finish = async { tokio::join!(limited(stdout), limited(stderr), child.wait()) };
    let Ok((stdout, stderr, status)) = tokio::time::timeout(COMMAND_LIMIT, finish).await else {
        end_group(group);
        return Err((format!("did not answer within {} s", COMMAND_LIMIT.as_secs()), true));
    };
    let broken = |error| (format!("cannot be read: {error}"), true);
    let (stdout, status) = (stdout.map_err(broken)?, status.map_err(broken)?);
    if status.success() {
        return text(&stdout);
    }
    let said = stderr.unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SAID)..]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let ended = match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => format!("was ended ({status})"),
    };
    let why = if said.is_empty() { ended } else { format!("{ended}: {said}") };
    Err((why, true))
}

fn end_group(leader: Option<u32>) {
    let group =
        leader.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself in the meantime.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

async fn limited(source: impl AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4_096));
    source.take(LONGEST + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > LONGEST {
        return Err(std::io::Error::other("it is longer than 1 MiB"));
    }
    Ok(bytes)
}

/// As text, without its final newline.
fn text(bytes: &[u8]) -> Result<Zeroizing<String>, Failed> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(("does not give UTF-8 text".to_owned(), false));
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}
