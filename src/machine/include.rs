//! Included runbooks: the inputs that are only known when one begins.

use std::sync::Arc;

use dr_plugin::CallError;
use serde_json::Value;

use super::graph::Index;
use super::machine::Machine;
use super::names::Scope;
use super::rules::finish::{Finish, not_evaluated};
use crate::event::Outcome;
use crate::plan::{Asked, allowed, from_json};
use crate::text::{only_secret, secret_value};

impl Machine {
    /// Ends the step with which an included runbook begins, its inputs as outputs. False: there are
    /// none that were not known when planning.
    pub(super) fn begins_include(&mut self, step: Index) -> bool {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let include = plan.opens.as_ref().and_then(|end| graph.plan.includes.get(end));
        let Some(include) = include.filter(|include| !include.asked.is_empty()) else {
            return false;
        };
        let scope = Scope::new(&graph, &self.state, self.now, step);
        let given = match plan.with.render(&scope) {
            Ok(given) => given,
            Err(error) => {
                self.fail(step, not_evaluated("text", "with", &error));
                return true;
            }
        };
        let read = |asked: &Asked| {
            let value = given.get(&asked.name).unwrap_or(&Value::Null);
            if asked.secret {
                let secret = only_secret(value).map(secret_value);
                return secret.map(|secret| (asked.name.clone(), secret)).ok_or_else(|| {
                    format!("input `{}`: it is a secret, and what it is given is none", asked.name)
                });
            }
            let fits = |value: &Value| {
                allowed(asked.kind, asked.choices.as_deref(), asked.pattern.as_deref(), value)
            };
            let read = from_json(asked.kind, value);
            let read = read.and_then(|value| fits(&value).map(|()| value));
            read.map(|value| (asked.name.clone(), value))
                .map_err(|why| format!("input `{}`: {why}", asked.name))
        };
        match include.asked.iter().map(read).collect() {
            Ok(outputs) => {
                self.over_with(step, Outcome::Succeeded, Finish { outputs, ..Finish::default() });
            }
            Err(why) => self.fail(step, CallError::permanent("inputs", why)),
        }
        true
    }
}
