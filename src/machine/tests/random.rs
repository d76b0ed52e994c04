use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use dr_plugin::{Effect, Keyed};

use super::build::{Build, expr, step};
use super::groups::{each, group, included, later, plan_of, rounds, until};
use crate::plan::{OnReject, Plan, Pool, Step};
use crate::text::Templated;
use crate::words::{Class, OnFailure, OnUnknown, Phase};

/// A number that depends on nothing but its arguments.
pub(super) fn dice(seed: u64, what: impl Hash, sides: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    what.hash(&mut hasher);
    hasher.finish() % sides
}

/// What kind of plans are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// What becomes of each step does not depend on when others end: ends can be compared.
    Timeless,
    /// With failures that stop whatever has not begun.
    Halting,
    /// With undo, closing and cleanup steps.
    Ending,
}

/// A random plan with everything that a step can be.
pub(super) fn random_plan(seed: u64, family: Family, most: u64) -> Plan {
    let count = 3 + dice(seed, "count", most - 2);
    let steps = (0..count).map(|number| random_step(seed, family, number)).collect();
    let mut steps: Vec<Step> = steps;
    if family == Family::Ending {
        add_closings(seed, &mut steps);
    }
    let found = captured(seed, family);
    let part = random_part(seed, family, &steps);
    let rounds = random_rounds(seed, family);
    let mut plan = plan_of(vec![steps, found, random_loop(seed, family), part, rounds]);
    let run = 1 + dice(seed, "run", 4) as u32;
    plan.pools.insert("run".to_owned(), Pool { capacity: run });
    plan.pools.insert("api".to_owned(), Pool { capacity: 2 });
    // In some plans every service is at risk, in some none is, whenever the run is ended.
    for service in &mut plan.services {
        service.rto_ms = [None, Some(0), Some(36_000_000)][(seed % 3) as usize];
    }
    if plan.services.len() > 1 && family == Family::Halting {
        let first = plan.services[0].name.clone();
        plan.services[1].depends_on.push(first);
    }
    plan
}

/// Up to two steps that close others, and one that tidies up.
fn add_closings(seed: u64, steps: &mut Vec<Step>) {
    let count = steps.len() as u64;
    for number in 0..dice(seed, "closings", 3) {
        let opener = dice(seed, ("opener", number), count);
        let mut made = step(&format!("c{number}")).tries(3);
        for after in opener..count {
            if dice(seed, ("scope", number, after), 3) == 0 {
                made = made.after(&[&format!("s{after}")]);
            }
        }
        steps.push(made.closes(&format!("s{opener}"), &[]));
    }
    if dice(seed, "cleanup", 2) == 0 {
        steps.push(step("tidy").tries(3).set(|step| step.phase = Some(Phase::Cleanup)));
    }
}

/// What a loop goes over, if it is known when planning, written in the runbook, or captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elements {
    Known,
    Written,
    Captured,
}

/// In half of all plans there is a loop.
fn elements(seed: u64) -> Option<Elements> {
    match dice(seed, "loop", 6) {
        0 => Some(Elements::Known),
        1 => Some(Elements::Written),
        2 => Some(Elements::Captured),
        _ => None,
    }
}

/// The step that finds what a loop goes over.
fn captured(seed: u64, family: Family) -> Vec<Step> {
    if elements(seed) != Some(Elements::Captured) {
        return Vec::new();
    }
    let effect = if dice(seed, "finds", 2) == 0 { Effect::Pure } else { Effect::Idempotent };
    let list = if dice(seed, "few", 2) == 0 { "result.items" } else { "result.items + ['c']" };
    let found = step("found").effect(effect).tries(3).output("list", list);
    vec![found.on_failure(policy(family))]
}

/// What follows from a failure that stops others, where that may be.
fn policy(family: Family) -> OnFailure {
    if family == Family::Timeless { OnFailure::Continue } else { OnFailure::Halt }
}

/// Puts a loop or rounds into the plan, perhaps behind its first step.
fn stand(steps: &mut [Step], behind: bool, family: Family) {
    if behind {
        steps[0].needs.push("s0".into());
    }
    let last = steps.len() - 1;
    for end in [0, last] {
        if family == Family::Timeless {
            steps[end].on_failure = OnFailure::Continue;
        }
    }
}

/// A loop over groups, behind the first step.
fn random_loop(seed: u64, family: Family) -> Vec<Step> {
    let roll = |what: &str, sides: u64| dice(seed, ("loop", what), sides);
    let Some(over) = elements(seed) else { return Vec::new() };
    // Whether too many fail before the last one begins depends on when they end.
    let bears = if family == Family::Timeless { 9 } else { roll("bears", 3) as u32 };
    let width = (roll("window", 2) == 0).then(|| 1 + roll("width", 2) as u32);
    let make = || {
        let mut steps = inner_steps(seed, "element", family);
        if roll("part", 2) == 0 {
            // The runbook that each element includes.
            steps.extend(included("p", "{{ item }}", part_steps(seed, "inner", family)));
        }
        steps
    };
    let names = ["a", "b", "c"];
    let count = 1 + roll("elements", 3) as usize;
    let mut steps = match over {
        Elements::Known => each("l", &names[..count], (width, bears), make),
        Elements::Written => {
            let from = serde_json::json!(names[..count]).to_string().replace('"', "'");
            later("l", &from, (width, bears), make)
        }
        Elements::Captured => {
            let mut steps = later("l", "steps.found.outputs.list", (width, bears), make);
            steps[0].needs.push("found".into());
            steps
        }
    };
    stand(&mut steps, roll("behind", 2) == 0, family);
    steps.push(step("behind").needs(&["l"]).on_failure(OnFailure::Continue));
    steps
}

/// In a third of all plans a group that is repeated, which perhaps gives up, with a loop inside.
fn random_rounds(seed: u64, family: Family) -> Vec<Step> {
    let roll = |what: &str, sides: u64| dice(seed, ("rounds", what), sides);
    if roll("any", 3) > 0 {
        return Vec::new();
    }
    let make = || {
        let mut steps = inner_steps(seed, "round", family);
        match roll("inside", 4) {
            0 => steps.extend(group("i", inner_steps(seed, "inner", family))),
            1 => steps
                .extend(each("m", &["a", "b"], (None, 9), || inner_steps(seed, "among", family))),
            2 => {
                let width = (roll("window", 2) == 0).then_some(1);
                let later =
                    later("n", "['a', 'b']", (width, 9), || inner_steps(seed, "found", family));
                steps.extend(later);
            }
            _ => {}
        }
        steps
    };
    let enough = 1 + roll("enough", 3);
    let mut repeat = until(&format!("iteration >= {enough}"));
    repeat.stable = 1 + roll("stable", 2) as u32;
    repeat.at_most = (roll("most", 3) == 0).then(|| 1 + roll("rounds", 3) as u32);
    // Whatever fails in a round, fails in the next one perhaps not.
    repeat.tolerate = (roll("tolerates", 2) == 0).then(|| expr("error.code == 'exit_1'"));
    if repeat.tolerate.is_some() {
        repeat.at_most.get_or_insert(4);
    }
    let mut steps = rounds("r", repeat, make);
    stand(&mut steps, roll("behind", 2) == 0, family);
    if family == Family::Ending && roll("undoes", 3) == 0 {
        steps.last_mut().expect("an end").on_failure = OnFailure::Undo;
    }
    steps.push(step("after_rounds").needs(&["r"]).on_failure(OnFailure::Continue));
    steps
}

/// What a group does: one thing after the other, perhaps something to close, to take back, to ask.
fn inner_steps(seed: u64, of: &str, family: Family) -> Vec<Step> {
    let roll = |what: &str, sides: u64| dice(seed, (of, what), sides);
    let ends = family == Family::Ending;
    let mut first = step("x").effect(Effect::Idempotent).tries(1 + roll("tries", 3) as u32);
    let mut second = step("y").needs(&["x"]).effect(Effect::Once).keyed(Keyed::Job);
    if ends && roll("undo", 3) > 0 {
        first = random_undo(seed, (of, "x"), first);
        second = random_undo(seed, (of, "y"), second);
    }
    if roll("gate", 6) == 0 {
        second = second.gate(1, None, OnReject::Fail);
    }
    let mut steps = vec![first, second];
    if ends && roll("closes", 2) == 0 {
        steps.push(step("c").tries(3).closes("x", &["y"]));
    }
    if ends && roll("alone", 2) == 0 {
        steps[1].on_failure = OnFailure::Undo;
        steps[1].fails_group = true;
    }
    steps
}

/// What an included runbook does, with what it is given.
fn part_steps(seed: u64, of: &str, family: Family) -> Vec<Step> {
    let read =
        serde_json::json!({ "for": "{{ inputs.given }} {{ inputs.site }} {{ values.zone }}" });
    let read = Templated::parse(&read).expect("a template");
    let mut steps = inner_steps(seed, of, family);
    for step in &mut steps {
        step.with = read.clone();
        step.each_undo(&mut |undo| undo.with = read.clone());
    }
    steps[1].when = Some(expr("inputs.site == 'west' && inputs.given != ''"));
    steps
}

/// In half of all plans an included runbook, which is given what another step found.
fn random_part(seed: u64, family: Family, steps: &[Step]) -> Vec<Step> {
    if dice(seed, "part", 2) == 0 {
        return Vec::new();
    }
    // Who is only said to have been done gives nothing.
    let is_sure = |step: &&Step| step.effect == Effect::Idempotent && !step.outputs.is_empty();
    let source = steps.iter().find(is_sure);
    let given = source
        .map_or("nothing".to_owned(), |step| format!("n{{{{ steps.{}.outputs.n }}}}", step.id));
    let mut part = included("part", &given, part_steps(seed, "part", family));
    part[0].needs.extend(source.map(|step| step.id.clone()));
    let last = part.len() - 1;
    for end in [0, last] {
        part[end].on_failure = policy(family);
    }
    part.push(step("home").needs(&["part"]).on_failure(OnFailure::Continue));
    part
}

/// Lets a step be taken back by one step, or by several.
fn random_undo(seed: u64, of: impl Hash, step: Step) -> Step {
    let roll = |what: &str, sides: u64| dice(seed, ("back", &of, what), sides);
    let mut step = match roll("several", 5) {
        0 => step.undo_by(&[("p", &[]), ("q", &["p"])]),
        1 => step.undo_by(&[("p", &[]), ("q", &[]), ("r", &["p", "q"])]),
        _ => return step.undo(),
    };
    let group = step.undo.as_mut().and_then(|undo| undo.group.as_mut()).expect("a group");
    let parts = &mut group.undoing;
    if roll("gate", 4) == 0 {
        let at = roll("asks", 2) as usize;
        parts[at] = parts[at].clone().gate(1, None, OnReject::Fail);
    }
    if roll("reads", 4) == 0 {
        parts[2] = parts[2].clone().until("result.n >= 2", 1_000, None);
    }
    if roll("warns", 4) == 0 {
        parts[1].on_failure = OnFailure::Warn;
    }
    step
}

fn random_step(seed: u64, family: Family, number: u64) -> Step {
    let roll = |what: &str, sides: u64| dice(seed, (what, number), sides);
    let id = format!("s{number}");
    let mut made = step(&id);
    for before in 0..number {
        let name = format!("s{before}");
        match dice(seed, ("edge", before, number), 10) {
            0..=2 => made = made.needs(&[&name]),
            3 => made = made.after(&[&name]),
            _ => {}
        }
    }
    made = match roll("kind", 20) {
        0..=4 => made.effect(Effect::Idempotent).tries(3).output("n", "result.n"),
        5..=6 => made.effect(Effect::Pure).tries(3),
        7..=9 => made.check("result.done").tries(1),
        10..=12 => made.effect(Effect::Once).keyed(Keyed::Job).output("n", "result.n"),
        13 => made.check("result.done").keyed(Keyed::Job),
        14..=15 => made.effect(Effect::Once),
        16 => made.effect(Effect::Once).keyed(Keyed::Token),
        17 => made.until("result.n >= 3", 1_000, None),
        18 if roll("sleep", 2) == 0 => made.sleeps(2_000, None),
        18 => made.without_action(),
        _ => made.effect(Effect::Once).retry_written(3),
    };
    if roll("gate", 8) == 0 {
        let on_reject = if roll("reject", 2) == 0 { OnReject::Fail } else { OnReject::Skip };
        made = made.gate(1 + roll("approvers", 2) as u32, None, on_reject);
    }
    if roll("unknown", 6) == 0 && family != Family::Timeless {
        made = made.on_unknown(OnUnknown::Fail);
    }
    if let Some(need) = made.needs.first().filter(|_| roll("when", 6) == 0) {
        made.when = Some(expr(&format!("steps.{need}.status == 'succeeded'")));
    }
    if family == Family::Ending && roll("undo", 2) == 0 && made.uses.is_some() {
        made = random_undo(seed, number, made);
        made.point_of_no_return = roll("point", 8) == 0;
    }
    let policy = match (family, roll("policy", 10)) {
        (Family::Ending, 3..=7) => OnFailure::Undo,
        (_, 0..=1) => OnFailure::Warn,
        (_, 2) => OnFailure::Ask,
        (Family::Timeless, _) | (_, 3..=5) => OnFailure::Continue,
        (Family::Halting | Family::Ending, _) => OnFailure::Halt,
    };
    // Asking ends in failing, which stops others.
    let policy = match (family, policy) {
        (Family::Timeless, OnFailure::Ask) => OnFailure::Continue,
        (_, policy) => policy,
    };
    made = made.on_failure(policy);
    if roll("service", 3) > 0 {
        made = made.service(["db", "web"][roll("which", 2) as usize]);
    }
    if roll("api", 3) == 0 {
        made = made.takes("api", 1 + roll("units", 2) as u32);
    }
    let class = Class::ALL[roll("class", 4) as usize];
    made.urgent(class, roll("latest", 100) as i64)
}
