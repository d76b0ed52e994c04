use super::checker::Checker;
use crate::plan::public_key;
use crate::runbook::{ApproveDoc, DocPath, Named, OutputDoc, codes};

impl Checker<'_> {
    /// Who may open a gate, and what they are asked for.
    pub(super) fn gate(&mut self, gate: &ApproveDoc, outputs: &Named<OutputDoc>, at: &DocPath) {
        let needed = gate.approvers.unwrap_or(1) as usize;
        let people: std::collections::BTreeSet<&str> =
            gate.from.iter().map(String::as_str).collect();
        if !people.is_empty() && people.len() < needed {
            self.help(
                codes::OUT_OF_RANGE,
                at.field("from"),
                format!("{needed} people must approve, and only {} may", people.len()),
                "name more people, or ask for fewer `approvers`",
            );
        }
        for (user, key) in &gate.keys {
            let at = at.field("keys").field(user);
            if let Err(why) = public_key(key) {
                self.help(
                    codes::BAD_KEY,
                    at.clone(),
                    format!("this is not a public key: {why}"),
                    "write the line of `~/.ssh/id_ed25519.pub`: `ssh-ed25519 AAAA…`",
                );
            }
            if !people.is_empty() && !people.contains(user.as_str()) {
                self.help(
                    codes::OUT_OF_RANGE,
                    at,
                    format!("`{user}` has a key here, and may not approve"),
                    format!("add `{user}` to `from`, or remove the key"),
                );
            }
        }
        for (name, input) in &gate.inputs {
            let at = at.field("inputs").field(name);
            self.name(name, || at.clone());
            self.input(name, input, &at);
            if input.secret {
                self.help(
                    codes::BAD_INPUT,
                    at.field("secret"),
                    "what a gate is told is kept in the journal, for everybody to read",
                    "make it an input of the runbook, or one of its `secrets` with `prompt: true`",
                );
            }
            if outputs.contains_key(name) {
                self.help(
                    codes::BAD_INPUT,
                    at,
                    format!("`{name}` is an output of the step as well"),
                    "what a gate asks for becomes an output: give one of them another name",
                );
            }
        }
    }
}
