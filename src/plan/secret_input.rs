//! Inputs that are secrets: a plan has a secret of its own behind each, and never the value.

use super::SecretSource;

/// Begins the names of secrets that stand behind inputs: neither a name nor an id has a colon.
const PREFIX: &str = "input:";

/// The secret behind a secret input of the runbook that a run is of.
#[must_use]
pub fn input_secret(input: &str) -> String {
    format!("{PREFIX}{input}")
}

/// The input that a secret stands behind, if it does.
#[must_use]
pub fn secret_input(secret: &str) -> Option<&str> {
    secret.strip_prefix(PREFIX)
}

/// The variable that may hold a secret input.
#[must_use]
pub fn input_variable(input: &str) -> String {
    format!("DR_INPUT_{}", input.to_uppercase())
}

/// Where a secret input comes from, unless a file is named when the run is started: a variable, else
/// whoever starts or resumes the run types it.
#[must_use]
pub fn input_sources(input: &str) -> Vec<SecretSource> {
    vec![SecretSource::Env(input_variable(input)), SecretSource::Prompt(true)]
}
