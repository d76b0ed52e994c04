use std::path::Path;

use dr_plugin::CallError;
use ssh2::{ErrorCode, Session};

use crate::target::Target;

/// Servers usually end the connection after six keys.
const MOST_AGENT_KEYS: usize = 5;

/// Logs in with the agent's keys and the identity files.
pub(crate) fn log_in(session: &Session, target: &Target) -> Result<(), CallError> {
    let mut tried = Tried::default();
    // Asking for the methods is a login without a key, which a host may accept.
    let methods = session.auth_methods(&target.user).map(str::to_owned);
    if session.authenticated() {
        return Ok(());
    }
    match methods {
        Ok(methods) if !methods.split(',').any(|method| method == "publickey") => {
            return Err(refused(target, &tried)
                .with_cause(&format!("the host takes no keys, only: {methods}")));
        }
        Ok(_) => {}
        Err(error) => {
            tried.note(format!("asking how to log in: {error}"));
            // A host that refuses a key ends the connection after that, not before.
            if is_over(&error) {
                return Err(cut_off(target, &tried));
            }
        }
    }
    // Keys that were named go first: a full agent would use up what the host allows.
    let named: &[_] = if target.identities_named { &target.identities } else { &[] };
    let accepted = with_agent(session, target, &mut tried, |blob| {
        named.is_empty() || named.iter().any(|file| is_public_half(file, blob))
    }) || with_files(session, target, &mut tried)
        || (!named.is_empty()
            && with_agent(session, target, &mut tried, |blob| {
                !named.iter().any(|file| is_public_half(file, blob))
            }));
    match accepted {
        true => Ok(()),
        false if tried.is_cut_off() => Err(cut_off(target, &tried)),
        false => Err(refused(target, &tried)),
    }
}

/// A connection that broke while the host was to answer says nothing about the login.
fn cut_off(target: &Target, tried: &Tried) -> CallError {
    let message = format!("the connection to {} broke during the login", target.host);
    let mut error = CallError::transient("unreachable", message);
    error.causes.clone_from(&tried.notes);
    error
}

/// What was tried in vain.
#[derive(Default)]
struct Tried {
    notes: Vec<String>,
    agent_keys: usize,
    encrypted: bool,
}

impl Tried {
    /// What libssh2 says when an answer never came, and only then.
    fn is_cut_off(&self) -> bool {
        self.notes.iter().any(|note| note.contains("USERAUTH response"))
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn refused(target: &Target, tried: &Tried) -> CallError {
    let help = if tried.encrypted {
        "a key is protected by a passphrase: hand it to an agent (`ssh-add`) and start `dr` with \
         `SSH_AUTH_SOCK` set"
    } else {
        "check the login name, and that the public key is in the host's `authorized_keys`; keys \
         come from the agent, from `identity_files` of the plugin `ssh`, or from `~/.ssh`"
    };
    let mut error = CallError::denied(
        "login_refused",
        format!("{} refused the login of `{}`", target.host, target.user),
    )
    .with_help(help);
    error.causes.clone_from(&tried.notes);
    if tried.notes.is_empty() {
        error.causes.push("there was no key to try".to_owned());
    }
    error
}

#[expect(clippy::disallowed_methods, reason = "the agent is named by the environment")]
fn has_agent() -> bool {
    std::env::var_os("SSH_AUTH_SOCK").is_some_and(|socket| !socket.is_empty())
}

fn with_agent(
    session: &Session,
    target: &Target,
    tried: &mut Tried,
    wanted: impl Fn(&[u8]) -> bool,
) -> bool {
    if !has_agent() || session.authenticated() {
        return session.authenticated();
    }
    let keys = session.agent().and_then(|mut agent| {
        agent.connect()?;
        agent.list_identities()?;
        let keys = agent.identities()?;
        Ok((agent, keys))
    });
    let (agent, keys) = match keys {
        Ok(found) => found,
        Err(error) => {
            tried.note(format!("the agent: {error}"));
            return false;
        }
    };
    for key in keys.iter().filter(|key| wanted(key.blob())) {
        if tried.agent_keys == MOST_AGENT_KEYS {
            tried.note(format!("the agent's other keys were not tried after {MOST_AGENT_KEYS}"));
            break;
        }
        tried.agent_keys += 1;
        match agent.userauth(&target.user, key) {
            Ok(()) => return true,
            Err(error) => tried.note(format!("the agent's key {}: {error}", key.comment())),
        }
    }
    false
}

fn with_files(session: &Session, target: &Target, tried: &mut Tried) -> bool {
    for file in &target.identities {
        let name = file.display();
        let text = match std::fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                if target.identities_named {
                    tried.note(format!("{name}: {error}"));
                }
                continue;
            }
        };
        if is_encrypted(&text) {
            tried.encrypted = true;
            tried.note(format!("{name}: protected by a passphrase"));
            continue;
        }
        match session.userauth_pubkey_file(&target.user, None, file, None) {
            Ok(()) => return true,
            Err(error) if is_over(&error) => {
                tried.note(format!("{name}: the host ended the connection"));
                return false;
            }
            Err(error) => tried.note(format!("{name}: {error}")),
        }
    }
    false
}

fn is_over(error: &ssh2::Error) -> bool {
    const ENDED: [i32; 3] = [-7, -13, -43];
    matches!(error.code(), ErrorCode::Session(code) if ENDED.contains(&code))
}

/// Whether a private key needs a passphrase.
fn is_encrypted(text: &str) -> bool {
    // "openssh-key-v1", and "none" as the cipher.
    const OPEN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbm";
    if text.contains("BEGIN OPENSSH PRIVATE KEY") {
        let body: String =
            text.lines().filter(|line| !line.starts_with('-')).map(str::trim).collect();
        return !body.starts_with(OPEN);
    }
    text.contains("ENCRYPTED")
}

/// Whether the public key `blob` belongs to the private key `file`, by the file beside it.
fn is_public_half(file: &Path, blob: &[u8]) -> bool {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".pub");
    std::fs::read_to_string(beside).is_ok_and(|text| {
        text.split_whitespace().nth(1) == Some(crate::encode::base64(blob).as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_keys_are_recognised() {
        let key = |body: &str| format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END");
        for (text, encrypted) in [
            (key("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"), false),
            (key("b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAG"), true),
            ("-----BEGIN RSA PRIVATE KEY-----\nMII".to_owned(), false),
            ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_owned(), true),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII".to_owned(), true),
        ] {
            assert_eq!(is_encrypted(&text), encrypted, "{text}");
        }
    }
}
