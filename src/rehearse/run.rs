use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::guess::Guesser;
use super::script::Script;
use super::simulation::{End, RehearseError, Simulation};
use crate::event::Record;
use crate::id::StepId;
use crate::machine::UnmetKind;
use crate::plan::{Plan, Uses};

/// A rehearsed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// How it ended.
    pub end: End,
    /// How long it took, in simulated milliseconds.
    pub took_ms: u64,
    /// What it must be told to go on.
    pub wanted: Vec<Wanted>,
}

/// Something that no plausible result satisfies: it must be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The step whose result is needed.
    pub step: StepId,
    /// What does not hold.
    pub source: String,
    /// Why it could not be decided, if so.
    pub why: Option<String>,
    /// What to give: arguments of `dr rehearse`.
    pub set: Vec<String>,
}

/// Rehearses a plan. `schemas` are those of the results of actions; `observe` sees every record.
///
/// # Errors
/// [`RehearseError`].
pub fn rehearse(
    plan: &Arc<Plan>,
    script: &Script,
    schemas: BTreeMap<Uses, Value>,
    observe: &mut dyn FnMut(&Record),
) -> Result<Rehearsed, RehearseError> {
    let guesser = Guesser::new(schemas);
    let mut simulation = Simulation::new(plan, script, &guesser, observe)?;
    let end = simulation.session(Vec::new())?;
    let mut wanted = wanted(plan, &simulation);
    wanted.retain_mut(|wanted| {
        wanted.set.retain(|set| !script.says(set));
        !wanted.set.is_empty()
    });
    Ok(Rehearsed { end, took_ms: simulation.ms, wanted })
}

fn wanted(plan: &Plan, simulation: &Simulation<'_>) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for unguessed in simulation.unguessed() {
        let Some(step) = simulation.world.step(unguessed.step.as_str()) else { continue };
        for unmet in &unguessed.unmet {
            let output = step.outputs.iter().find(|output| {
                unmet.kind == UnmetKind::Output && output.value.source() == unmet.source
            });
            let read: BTreeSet<String> = match output {
                Some(output) => BTreeSet::from([output.name.clone()]),
                None => step
                    .outputs
                    .iter()
                    .filter(|output| reads(&unmet.source, "outputs", &output.name))
                    .map(|output| output.name.clone())
                    .collect(),
            };
            let mut set: Vec<String> =
                read.iter().map(|name| format!("{}.{name}=VALUE", unguessed.step)).collect();
            if set.is_empty() {
                set.push(format!("{}.result={{…}}", unguessed.step));
            }
            wanted.push(Wanted {
                step: unguessed.step.clone(),
                source: unmet.source.clone(),
                why: unmet.why.clone(),
                set,
            });
        }
    }
    // Guards, which only read what others gave.
    for step in plan.steps.iter().filter(|step| step.uses.is_none()) {
        let failed = simulation
            .state(step.id.as_str())
            .is_some_and(|state| matches!(state, crate::event::StepState::Failed));
        if !failed || step.approve.is_some() {
            continue;
        }
        for expect in &step.expect {
            let paths = expect.that.paths().unwrap_or_default();
            let set: Vec<String> = paths
                .iter()
                .filter(|path| path.root() == "steps" && path.field(2) == Some("outputs"))
                .filter_map(|path| Some(format!("{}.{}=VALUE", path.field(1)?, path.field(3)?)))
                .collect();
            if set.is_empty() {
                continue;
            }
            wanted.push(Wanted {
                step: step.id.clone(),
                source: expect.that.source().to_owned(),
                why: None,
                set,
            });
        }
    }
    wanted
}

fn reads(source: &str, root: &str, member: &str) -> bool {
    crate::text::Expr::parse(source).and_then(|expr| expr.paths()).is_ok_and(|paths| {
        paths.iter().any(|path| path.root() == root && path.field(1) == Some(member))
    })
}
