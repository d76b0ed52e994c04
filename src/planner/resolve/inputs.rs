use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::plan::{allowed, from_json, from_text, input_secret};
use crate::planner::codes;
use crate::planner::request::{InputValue, PlanRequest};
use crate::runbook::{DocPath, Document, InputDoc, Problem, nearest};
use crate::text::{secret_reference, secret_value};

/// Every input with its value: given, or its default.
pub(super) fn resolve(
    document: &Document,
    request: &PlanRequest,
    asked: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Value> {
    for name in request.inputs.keys() {
        if !document.inputs.contains_key(name) {
            let mut problem = Problem::error(
                codes::INPUT_UNKNOWN,
                DocPath::key("inputs"),
                format!("the runbook has no input `{name}`"),
            );
            let all: Vec<&str> = document.inputs.keys().map(String::as_str).collect();
            if let Some(near) = nearest(name, all.iter().copied()) {
                problem = problem.with_help(format!("did you mean `{near}`?"));
            } else if !all.is_empty() {
                problem = problem.with_help(format!("its inputs are {}", all.join(", ")));
            }
            problems.push(problem);
        }
    }
    let mut resolved = BTreeMap::new();
    for (name, doc) in document.inputs.iter().filter(|(name, _)| !asked.contains(*name)) {
        let at = DocPath(format!("inputs.{name}"));
        if doc.secret {
            match request.inputs.get(name) {
                // The value of a secret is no part of a plan.
                None | Some(InputValue::Secret(_)) => {
                    resolved.insert(name.clone(), secret_value(&input_secret(name)));
                }
                Some(_) => problems.push(
                    Problem::error(
                        codes::INPUT_INVALID,
                        at,
                        format!("input `{name}` is a secret, and what it is given is none"),
                    )
                    .with_help("`{{ secrets.NAME }}`, or a secret that a step has captured"),
                ),
            }
            continue;
        }
        let read = match (request.inputs.get(name), &doc.default) {
            (Some(InputValue::Text(text)), _) => from_text(doc.kind, text),
            (Some(InputValue::Json(value)), _) | (None, Some(value)) => from_json(doc.kind, value),
            (Some(InputValue::Secret(_)), _) => {
                Err("it is given a secret: say `secret: true` at the input".to_owned())
            }
            (None, None) => {
                let about =
                    doc.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
                let message = format!("input `{name}`{about} is missing");
                problems.push(
                    Problem::error(codes::INPUT_MISSING, at, message)
                        .with_help(format!("give it with `--input {name}=…`")),
                );
                continue;
            }
        };
        let read = read.and_then(|value| match secret_reference(&value) {
            Some(_) => Err("it passes for a reference to a secret".to_owned()),
            None => Ok(value),
        });
        match read.and_then(|value| fits(doc, &value).map(|()| value)) {
            Ok(value) => {
                resolved.insert(name.clone(), value);
            }
            Err(why) => problems.push(Problem::error(
                codes::INPUT_INVALID,
                at,
                format!("input `{name}`: {why}"),
            )),
        }
    }
    resolved
}

fn fits(doc: &InputDoc, value: &Value) -> Result<(), String> {
    allowed(doc.kind, doc.choices.as_deref(), doc.pattern.as_deref(), value)
}
