//! What expressions and texts of a run may read, built from the plan and the journal's fold.

use std::collections::BTreeMap;

use dr_plugin::CallError;
use serde_json::{Map, Value, json};

use super::graph::{Graph, Index, Role};
use super::state::State;
use crate::id::StepId;
use crate::plan::{Include, begin_of, meanings};
use crate::text::{Names, Templated, TextError};
use crate::time::{Now, Timestamp};

/// The names of one step at one moment.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) graph: &'a Graph,
    pub(super) state: &'a State,
    pub(super) now: Now,
    pub(super) step: Index,
    pub(super) result: Option<&'a Value>,
    pub(super) outputs: Option<&'a BTreeMap<String, Value>>,
    pub(super) error: Option<&'a CallError>,
    pub(super) iteration: Option<u32>,
    pub(super) previous: Option<&'a BTreeMap<String, Value>>,
    /// Outputs of another step that is looked ahead at, instead of those that it has.
    pub(super) foreseen: Option<(Index, &'a BTreeMap<String, Value>)>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(graph: &'a Graph, state: &'a State, now: Now, step: Index) -> Self {
        Self {
            graph,
            state,
            now,
            step,
            result: None,
            outputs: None,
            error: None,
            iteration: None,
            previous: None,
            foreseen: None,
        }
    }

    pub(super) fn error(mut self, error: &'a CallError) -> Self {
        self.error = Some(error);
        self
    }

    /// Renders arguments of the step; the secrets that they refer to have their names in the plan.
    pub(super) fn render(&self, arguments: &Templated) -> Result<Value, TextError> {
        let mut rendered = arguments.render(self)?;
        let include = self.graph.step(self.step).include.as_ref();
        self.graph.plan.name_secrets(include, &mut rendered);
        Ok(rendered)
    }

    /// The included runbook that the step comes from, with the step that ends it.
    fn include(&self) -> Option<(&'a StepId, &'a Include)> {
        let end = self.graph.step(self.step).include.as_ref()?;
        self.graph.plan.includes.get_key_value(end)
    }

    fn values(&self) -> &'a BTreeMap<String, Value> {
        self.include().map_or(&self.graph.plan.values, |(_, include)| &include.values)
    }

    fn inputs(&self, name: &str) -> Option<Value> {
        let (known, later) = self.all_inputs();
        known.get(name).or_else(|| later?.get(name)).cloned()
    }

    /// Inputs that were known when planning, and those that came when the runbook began.
    fn all_inputs(&self) -> (&'a BTreeMap<String, Value>, Option<&'a BTreeMap<String, Value>>) {
        match self.include() {
            None => (&self.graph.plan.inputs, None),
            Some((end, include)) => {
                let begin = self.graph.find(begin_of(end).as_str());
                (&include.inputs, begin.map(|begin| &self.state.record(begin).outputs))
            }
        }
    }

    fn run(&self, member: &str) -> Option<Value> {
        let started = self.state.started.as_ref()?;
        Some(match member {
            "id" => json!(started.run),
            "mode" => json!(started.mode),
            "style" => json!(started.style),
            "environment" => json!(started.environment),
            "declared_at" => time(started.declared_at),
            "incident_at" => time(started.incident_at),
            "now" => time(self.now.at),
            _ => return None,
        })
    }

    fn step(&self, id: &str) -> Option<Value> {
        let position = self.named(id)?;
        let mut step = self.facts(position);
        let elements = self.graph.step(position).group.as_ref();
        if let Some(elements) = elements.filter(|group| group.each.is_some()) {
            let items = elements.of.iter().filter_map(|id| {
                let name = id.as_str().rsplit('@').next()?.to_owned();
                Some((name, Value::Object(self.facts(self.graph.find(id.as_str())?))))
            });
            step.insert("items".to_owned(), Value::Object(items.collect()));
        }
        Some(Value::Object(step))
    }

    /// The step that a name means here: one of the same group, else of those around it.
    fn named(&self, name: &str) -> Option<Index> {
        meanings(self.graph.step(self.step), name).find_map(|id| self.graph.find(&id))
    }

    fn facts(&self, position: Index) -> Map<String, Value> {
        let record = self.state.record(position);
        let mut step = Map::new();
        let foreseen = self.foreseen.filter(|(of, _)| *of == position);
        let outputs = foreseen.map_or(&record.outputs, |(_, outputs)| outputs);
        step.insert("outputs".to_owned(), json!(outputs));
        step.insert("status".to_owned(), json!(record.state().as_str()));
        let started = record.started.or(record.over);
        if let Some((at, _)) = started {
            step.insert("started_at".to_owned(), time(at));
        }
        if let (Some((_, from)), Some((at, to))) = (started, record.over) {
            step.insert("finished_at".to_owned(), time(at));
            step.insert("duration_ms".to_owned(), json!(to.saturating_sub(from)));
        }
        step
    }

    fn member(&self, root: &str, member: &str) -> Option<Value> {
        match root {
            "run" => self.run(member),
            "values" => self.values().get(member).cloned(),
            "inputs" => self.inputs(member),
            "hosts" => {
                let include = self.graph.step(self.step).include.as_ref();
                self.graph.hosts.get(self.graph.plan.host_name(include, member)).cloned()
            }
            "steps" => self.step(member),
            _ => None,
        }
    }
}

impl Names for Scope<'_> {
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
        if let Some(element) = self.graph.step(self.step).bound.get(root) {
            return Some(element.clone());
        }
        if let ("run" | "values" | "inputs" | "hosts" | "steps", Some(member)) = (root, member) {
            return self.member(root, member);
        }
        match root {
            "run" => {
                let members =
                    ["id", "mode", "style", "environment", "declared_at", "incident_at", "now"];
                let named = members.iter().filter_map(|&name| Some((name.into(), self.run(name)?)));
                Some(Value::Object(named.collect()))
            }
            "values" => Some(json!(self.values())),
            "inputs" => {
                let (known, later) = self.all_inputs();
                let mut all = known.clone();
                all.extend(later.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
                Some(json!(all))
            }
            "hosts" => {
                let mut hosts = self.graph.hosts.clone();
                for (own, name) in self.include().into_iter().flat_map(|(_, it)| &it.names.hosts) {
                    hosts
                        .extend(self.graph.hosts.get(name).map(|host| (own.clone(), host.clone())));
                }
                Some(json!(hosts))
            }
            "steps" => {
                let steps = self.graph.plan.steps.iter();
                let named = steps
                    .filter_map(|step| Some((step.id.to_string(), self.step(step.id.as_str())?)));
                Some(Value::Object(named.collect()))
            }
            "host" => {
                let host = self.graph.step(self.step).host.as_ref()?;
                self.graph.hosts.get(host).cloned()
            }
            "self" => match self.graph.role(self.step) {
                Role::Undo(of) | Role::Closing(of) => self.step(self.graph.step(of).id.as_str()),
                Role::Forward | Role::Cleanup => None,
            },
            "result" => self.result.cloned(),
            "outputs" => self.outputs.map(|outputs| json!(outputs)),
            "error" => self
                .error
                .map(|e| json!({ "class": e.class, "code": e.code, "message": e.message })),
            "iteration" => self.iteration.map(|iteration| json!(iteration)),
            "previous" => match (self.iteration, self.previous) {
                (_, Some(previous)) => Some(json!(previous)),
                // Before the first reading there is none, and an expression can ask for that.
                (Some(_), None) => Some(Value::Null),
                (None, None) => None,
            },
            _ => None,
        }
    }
}

/// A moment, as data carries it.
pub(super) fn time(at: Timestamp) -> Value {
    json!({ "$time": at.to_string() })
}

/// The moment that data carries, if it is one.
pub(super) fn as_time(value: &Value) -> Option<Timestamp> {
    value.get("$time")?.as_str()?.parse().ok()
}
