//! Approvals by people who cannot reach the run: a line that says all that they agree to, and their
//! signature over it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use ssh_key::{PublicKey, SshSig};

use super::Gate;
use crate::event::Signed;
use crate::id::{Digest, RequestId, RunId, StepId};
use crate::time::Timestamp;

/// What a signature is for: `ssh-keygen -Y sign -n` takes it.
const NAMESPACE: &str = "dr-approve@v1";
/// A signature over an open gate without a deadline is good for so many hours.
const HOURS: i64 = 24;

/// All that somebody agrees to who signs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Challenge<'a> {
    /// The question.
    pub message: &'a str,
    /// The run.
    pub run: &'a RunId,
    /// The step whose gate it is.
    pub step: &'a StepId,
    /// The request that is open.
    pub request: &'a RequestId,
    /// The plan that is carried out.
    pub plan: &'a Digest,
    /// What the gate asks for, defaults included.
    pub inputs: &'a BTreeMap<String, Value>,
    /// Until when it can be handed in.
    pub expires: Timestamp,
}

impl Challenge<'_> {
    /// Until when a signature can be handed in.
    #[must_use]
    pub fn expiry(asked: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
        let day = jiff::SignedDuration::from_hours(HOURS);
        deadline.or_else(|| asked.checked_add(day).ok()).unwrap_or(asked)
    }

    /// The line to sign, without a newline.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A public key as it stands in `authorized_keys`.
///
/// # Errors
/// Why it is none, or of a kind that is not read.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::from_openssh(text).map_err(|error| error.to_string())
}

impl Gate {
    /// Whose signature it is, of those whose keys the gate knows.
    ///
    /// # Errors
    /// It is nobody's, or it signs something else.
    pub fn signer(&self, signed: &Signed) -> Result<&str, String> {
        let signature = SshSig::from_pem(signed.signature.trim())
            .map_err(|error| format!("this is no signature of `ssh-keygen -Y sign`: {error}"))?;
        // A file ends with a newline, a text that was pasted may not.
        let texts = [format!("{}\n", signed.challenge), signed.challenge.clone()];
        let is_by = |key: &PublicKey| {
            texts.iter().any(|text| key.verify(NAMESPACE, text.as_bytes(), &signature).is_ok())
        };
        let known = self.keys.iter();
        let mut by = known.filter(|(_, key)| public_key(key).is_ok_and(|key| is_by(&key)));
        by.next().map(|(user, _)| user.as_str()).ok_or_else(|| {
            let all: Vec<&str> = self.keys.keys().map(String::as_str).collect();
            if all.is_empty() {
                return "this gate knows no keys: nobody can sign for it".to_owned();
            }
            format!("it is by none of {}, or it signs another challenge", all.join(", "))
        })
    }
}
