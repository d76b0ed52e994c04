//! The identity that secrets are sealed to which must outlive a crash.

use std::path::PathBuf;

use super::folder::as_typed;
use crate::journal::RunDir;
use crate::plan::{Plan, SecretSource, Step, secret_input};
use crate::plugin::{Vault, VaultError, read_identity};

/// Where the identity lies: `DR_IDENTITY`, else under the user's configuration folder. Never in the
/// state directory: whoever copies that copies no secret.
#[must_use]
pub fn path() -> PathBuf {
    as_typed(&named_path())
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the user keeps the identity is looked up here only"
)]
fn named_path() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = named("DR_IDENTITY") {
        return path.into();
    }
    let config = named("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || PathBuf::from(named("HOME").unwrap_or_else(|| "/".into())).join(".config");
    config.unwrap_or_else(home).join("dr/identity")
}

/// Whether a run of the plan captures or generates secrets.
#[must_use]
pub fn is_needed_by(plan: &Plan) -> bool {
    plan.steps.iter().any(captures)
        || plan.secrets.values().flatten().any(SecretSource::is_generated)
}

/// Whether a step, or one that is made of its template during the run, captures a secret.
fn captures(step: &Step) -> bool {
    step.skip.is_none()
        && (step.outputs.iter().any(|output| output.secret) || step.template().iter().any(captures))
}

/// Whether there is an identity, if a run of the plan needs one: what is only planned, checked or
/// rehearsed does without.
///
/// # Errors
/// [`VaultError`].
pub fn require(plan: &Plan) -> Result<(), VaultError> {
    if is_needed_by(plan) { read_identity(&path()).map(|_| ()) } else { Ok(()) }
}

/// The sealed secrets of a run, if its plan needs any. Secret inputs are kept there as well, if there
/// is an identity; without one they are asked for again by whoever resumes.
///
/// # Errors
/// [`VaultError`].
pub fn vault(plan: &Plan, dir: &RunDir) -> Result<Option<Vault>, VaultError> {
    let identity = if is_needed_by(plan) {
        read_identity(&path())?
    } else if plan.secrets.keys().any(|name| secret_input(name).is_some())
        && let Ok(identity) = read_identity(&path())
    {
        identity
    } else {
        return Ok(None);
    };
    Ok(Some(Vault::new(dir.sealed(), identity)))
}
