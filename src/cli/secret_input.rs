//! Secret inputs on the command line: there they are named, never told.

use std::collections::BTreeMap;

use super::exit::Exit;
use super::out::Out;
use crate::plan::{Plan, input_variable};
use crate::text::secret_reference;

/// Whether an input of a plan is a secret.
pub(super) fn is_secret(plan: &Plan, name: &str) -> bool {
    plan.inputs.get(name).and_then(secret_reference).is_some()
}

/// The files that hold the secret inputs among those that are given, by the inputs' names. What is
/// no file is refused: others see what is typed here.
pub(super) fn files(
    inputs: &[(String, String)],
    is_secret: impl Fn(&str) -> bool,
    out: &Out,
) -> Result<BTreeMap<String, String>, Exit> {
    let mut files = BTreeMap::new();
    for (name, told) in inputs.iter().filter(|(name, _)| is_secret(name)) {
        let Some(file) = told.strip_prefix('@').filter(|file| !file.is_empty()) else {
            let message = format!(
                "input `{name}` is a secret, and everybody on this machine sees a command line"
            );
            let help = format!(
                "name a file that holds it, `--input {name}=@FILE`, set {}, or leave it out and \
                 type it when you are asked; what you have typed here others may have seen",
                input_variable(name)
            );
            return Err(out.refuse(&message, &help, Exit::Usage));
        };
        files.insert(name.clone(), file.to_owned());
    }
    Ok(files)
}
