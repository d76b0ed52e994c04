use std::fmt::Write as _;

use dr_plugin::CallKey;
use sha2::{Digest as _, Sha256};

/// Tag with the id of the run that made something.
pub const RUN_TAG: &str = "dr:run";
/// Tag with the id of the step that made something.
pub const STEP_TAG: &str = "dr:step";
/// Tag that names the attempt that made something: it is found again by it.
pub const KEY_TAG: &str = "dr:key";

/// The client token of an attempt: the same for a call that is repeated after a crash, another for
/// any other attempt. 64 characters, the most that APIs take.
#[must_use]
pub fn client_token(key: &CallKey) -> String {
    let mut token = String::with_capacity(64);
    for byte in Sha256::digest(key.as_token()) {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// The tags of everything that an attempt makes.
#[must_use]
pub fn marks(key: &CallKey) -> [(&'static str, String); 3] {
    let [run, step] = marks_of_step(key);
    [run, step, (KEY_TAG, client_token(key))]
}

/// The tags of everything that any attempt of a step makes; for an undo, of the step that it takes
/// back.
#[must_use]
pub fn marks_of_step(key: &CallKey) -> [(&'static str, String); 2] {
    let step = key.step.strip_suffix("!undo").unwrap_or(&key.step);
    // AWS takes 256 characters.
    [(RUN_TAG, key.run.clone()), (STEP_TAG, step.chars().take(256).collect())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_have_tokens_of_their_own() {
        let key = |attempt| CallKey {
            run: "r".into(),
            step: "s".into(),
            purpose: "apply".into(),
            attempt,
        };
        assert_eq!(client_token(&key(1)), client_token(&key(1)));
        assert_ne!(client_token(&key(1)), client_token(&key(2)));
        assert_eq!(client_token(&key(1)).len(), 64);
        let undo = CallKey { step: "s!undo".into(), purpose: "undo".into(), ..key(1) };
        assert_eq!(marks_of_step(&undo), marks_of_step(&key(2)));
    }
}
