//! Inputs on the command line: each is given once.

use super::args::Command;

/// An input that a command is given more than once: only one value could count.
pub(super) fn twice(command: &Command) -> Option<&str> {
    let inputs = match command {
        Command::Plan(args) => &args.selection.inputs,
        Command::Rehearse(args) => &args.selection.inputs,
        Command::Diff(args) => &args.selection.inputs,
        Command::Execute(args) => &args.selection.inputs,
        Command::Resume(args) => &args.inputs,
        Command::Approve(args) => &args.inputs,
        _ => return None,
    };
    let mut names = inputs.iter().map(|(name, _)| name.as_str()).enumerate();
    let given_before = |(at, name): &(usize, &str)| inputs[..*at].iter().any(|(it, _)| it == name);
    names.find(given_before).map(|(_, name)| name)
}
