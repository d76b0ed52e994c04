use regex::Regex;
use serde_json::Value;

use super::checker::Checker;
use crate::runbook::{DocPath, InputDoc, InputType, codes};
use crate::time::{Millis, Timestamp};

impl Checker<'_> {
    /// Inputs whose default, choices and pattern contradict their type or each other.
    pub(super) fn inputs(&mut self) {
        let document = self.document;
        for (name, input) in &document.inputs {
            self.input(name, input, &DocPath::key("inputs").field(name));
        }
        for (name, value) in &document.values {
            self.constant(value, &DocPath::key("values").field(name));
        }
    }

    pub(super) fn input(&mut self, name: &str, input: &InputDoc, at: &DocPath) {
        if input.secret {
            return self.secret_input(name, input, at);
        }
        let pattern = input.pattern.as_ref().map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
        if pattern.is_some() && input.kind != InputType::String {
            self.help(
                codes::BAD_INPUT,
                at.field("pattern"),
                format!("a pattern is for texts, and `{name}` is none"),
                "remove `pattern`, or say `type: string`",
            );
        }
        let pattern = match pattern {
            Some(Ok(pattern)) => Some(pattern),
            Some(Err(error)) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                self.help(
                    codes::BAD_INPUT,
                    at.field("pattern"),
                    format!("this is not a regular expression: {reason}"),
                    "the whole text must match it; write it in single quotes",
                );
                None
            }
            None => None,
        };
        if input.choices.as_ref().is_some_and(Vec::is_empty) {
            self.help(
                codes::BAD_INPUT,
                at.field("enum"),
                format!("`{name}` could take no value at all"),
                "list the values that it may take, or remove `enum`",
            );
        }
        for (index, choice) in input.choices.iter().flatten().enumerate() {
            self.input_value(input, None, choice, &at.field("enum").index(index));
        }
        if let Some(default) = &input.default {
            self.input_value(input, pattern.as_ref(), default, &at.field("default"));
            if let Some(choices) = &input.choices
                && !choices.is_empty()
                && !choices.contains(default)
            {
                self.help(
                    codes::BAD_INPUT,
                    at.field("default"),
                    "the default is none of `enum`",
                    "add it there, or take one of them",
                );
            }
        }
    }

    /// Of a secret nothing is written down.
    fn secret_input(&mut self, name: &str, input: &InputDoc, at: &DocPath) {
        if input.kind != InputType::String {
            self.help(
                codes::BAD_INPUT,
                at.field("type"),
                format!("`{name}` is a secret, and a secret is a text"),
                "say `type: string`; what is not secret about it can be another input",
            );
        }
        for (key, is_given) in [
            ("default", input.default.is_some()),
            ("enum", input.choices.is_some()),
            ("pattern", input.pattern.is_some()),
        ] {
            if is_given {
                self.help(
                    codes::BAD_INPUT,
                    at.field(key),
                    format!("`{name}` is a secret: nothing of it is written into a runbook"),
                    "remove it; where secrets come from is said under `secrets`",
                );
            }
        }
    }

    fn input_value(
        &mut self,
        input: &InputDoc,
        pattern: Option<&Regex>,
        value: &Value,
        at: &DocPath,
    ) {
        if let Err(wanted) = fits(input.kind, value) {
            self.help(
                codes::BAD_INPUT,
                at.clone(),
                format!(
                    "`{}` is not {wanted}",
                    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                ),
                "change the value, or the `type` of the input",
            );
            return;
        }
        if let (Some(pattern), Value::String(text)) = (pattern, value)
            && !pattern.is_match(text)
        {
            self.help(
                codes::BAD_INPUT,
                at.clone(),
                format!("`{text}` does not match the pattern"),
                "change the value, or the pattern",
            );
        }
    }
}

/// Whether a written value has the type; else what would.
fn fits(kind: InputType, value: &Value) -> Result<(), &'static str> {
    let (fits, wanted) = match kind {
        InputType::String => (value.is_string(), "a text"),
        InputType::Integer => (value.is_i64() || value.is_u64(), "a whole number"),
        InputType::Number => (value.is_number(), "a number"),
        InputType::Boolean => (value.is_boolean(), "`true` or `false`"),
        InputType::Duration => (
            value.as_str().is_some_and(|text| text.parse::<Millis>().is_ok()),
            "a duration such as `15m`",
        ),
        InputType::Timestamp => (
            value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            "a time such as `2026-01-31T12:00:00Z`",
        ),
        InputType::List => (value.is_array(), "a list"),
        InputType::Map => (value.is_object(), "a map"),
    };
    if fits { Ok(()) } else { Err(wanted) }
}
