use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::{Effect, Keyed};
use serde_json::{Value, json};

use crate::event::{Actor, RunStarted};
use crate::id::{Digest, RunId, ServiceId, StepId};
use crate::plan::{
    Check, EstimateSource, Expectation, FORMAT, Gate, Group, OnReject, Output, Plan, Pool, Repeat,
    Retry, Rule, Service, Sleep, Step, Urgency, Uses, begin_of,
};
use crate::text::{Expr, Templated};
use crate::time::{Now, Timestamp};
use crate::words::{Class, Mode, OnFailure, OnUnknown, Severity, Style};

/// The wall clock when a test's run begins: that of every rehearsal, 2030-01-01T02:00:00Z.
pub(super) const START_S: i64 = 1_893_463_200;

pub(super) fn now(ms: u64) -> Now {
    let at = Timestamp::from_millisecond(START_S * 1_000 + ms as i64).expect("in range");
    Now { at, elapsed_ms: ms }
}

pub(super) fn uses(text: &str) -> Uses {
    text.to_owned().try_into().expect("plugin.action")
}

pub(super) fn expr(source: &str) -> Expr {
    Expr::parse(source).expect("an expression")
}

/// An idempotent step that calls `sim.act`.
pub(super) fn step(id: &str) -> Step {
    Step {
        id: StepId::from(id),
        description: None,
        source: Vec::new(),
        service: None,
        phase: None,
        validates: None,
        uses: Some(uses("sim.act")),
        sleep: None,
        tally: None,
        with: Templated::default(),
        host: None,
        needs: Vec::new(),
        after: Vec::new(),
        because: BTreeMap::new(),
        when: None,
        skip: None,
        approve: None,
        outputs: Vec::new(),
        expect: Vec::new(),
        expect_error: None,
        recovery_point: None,
        point_of_no_return: false,
        incident: false,
        effect: Effect::Idempotent,
        action_effect: None,
        keyed: Keyed::Never,
        action_checks: false,
        check: None,
        on_unknown: OnUnknown::Ask,
        on_failure: OnFailure::Halt,
        undo: None,
        own_undo: false,
        closes: None,
        fails_group: false,
        inside: None,
        opens: None,
        group: None,
        include: None,
        bound: BTreeMap::new(),
        timeout_ms: None,
        retry: Retry {
            attempts: 1,
            backoff_ms: 1_000,
            max_backoff_ms: 30_000,
            when: None,
            written: false,
        },
        repeat: None,
        takes: BTreeMap::from([("run".to_owned(), 1)]),
        urgency: Urgency { class: Class::Low, latest_start_ms: 0, order: 0 },
        yields_to: Vec::new(),
        estimate_ms: 1_000,
        estimate_source: EstimateSource::None,
        start_ms: 0,
        finish_ms: 0,
        slack_ms: 0,
        critical: false,
        place: None,
    }
}

/// Short ways to say what a step of a test is like.
pub(super) trait Build: Sized {
    fn set(self, change: impl FnOnce(&mut Step)) -> Self;

    fn needs(self, ids: &[&str]) -> Self {
        self.set(|step| step.needs.extend(ids.iter().map(|&id| StepId::from(id))))
    }
    fn after(self, ids: &[&str]) -> Self {
        self.set(|step| step.after.extend(ids.iter().map(|&id| StepId::from(id))))
    }
    fn service(self, name: &str) -> Self {
        self.set(|step| step.service = Some(ServiceId::from(name)))
    }
    fn effect(self, effect: Effect) -> Self {
        self.set(|step| step.effect = effect)
    }
    fn on_failure(self, on_failure: OnFailure) -> Self {
        self.set(|step| step.on_failure = on_failure)
    }
    fn on_unknown(self, on_unknown: OnUnknown) -> Self {
        self.set(|step| step.on_unknown = on_unknown)
    }
    fn keyed(self, keyed: Keyed) -> Self {
        self.set(|step| step.keyed = keyed)
    }
    fn tries(self, attempts: u32) -> Self {
        self.set(|step| step.retry.attempts = attempts)
    }
    fn retry_written(self, attempts: u32) -> Self {
        self.set(|step| {
            step.retry.attempts = attempts;
            step.retry.written = true;
        })
    }
    fn without_action(self) -> Self {
        self.set(|step| step.uses = None)
    }
    fn sleeps(self, for_ms: u64, since: Option<&str>) -> Self {
        self.set(|step| {
            step.uses = None;
            step.takes.clear();
            step.sleep = Some(Sleep { for_ms, since: since.map(StepId::from) });
        })
    }
    fn fails_as(self, error: &str) -> Self {
        self.set(|step| step.expect_error = Some(expr(error)))
    }
    fn gate(self, approvers: u32, timeout_ms: Option<u64>, on_reject: OnReject) -> Self {
        self.set(|step| {
            step.approve = Some(Gate {
                message: Templated::literal(json!("go on?")),
                approvers,
                from: Vec::new(),
                keys: BTreeMap::new(),
                inputs: Vec::new(),
                remind_ms: None,
                timeout_ms,
                on_reject,
            });
        })
    }
    fn expects(self, that: &str, severity: Severity) -> Self {
        self.set(|step| {
            step.expect.push(Expectation {
                that: expr(that),
                message: None,
                severity: Rule::Fixed(severity),
            });
        })
    }
    fn output(self, name: &str, value: &str) -> Self {
        let output = Output { name: name.to_owned(), value: expr(value), secret: false };
        self.set(|step| step.outputs.push(output))
    }
    fn until(self, condition: &str, every_ms: u64, timeout_ms: Option<u64>) -> Self {
        self.set(|step| {
            step.effect = Effect::Pure;
            step.repeat = Some(Repeat {
                until: (!condition.is_empty()).then(|| expr(condition)),
                every_ms,
                timeout_ms,
                stable: 1,
                at_least: 1,
                at_most: None,
                tolerate: None,
            });
        })
    }
    fn check(self, done: &str) -> Self {
        self.set(|step| {
            step.effect = Effect::Checkable;
            step.check = Some(Check {
                uses: uses("sim.look"),
                host: None,
                with: Templated::default(),
                done: expr(done),
                running: None,
                timeout_ms: 10_000,
            });
        })
    }
    fn urgent(self, class: Class, latest_start_ms: i64) -> Self {
        self.set(|step| {
            step.urgency.class = class;
            step.urgency.latest_start_ms = latest_start_ms;
        })
    }
    fn undo(self) -> Self {
        self.set(|of| {
            let undo = step(&format!("{}!undo", of.id));
            of.undo = Some(Box::new(Step {
                uses: Some(uses("sim.undo")),
                retry: of.retry.clone(),
                takes: of.takes.clone(),
                ..undo
            }));
        })
    }
    /// Several steps take it back, each of which needs those that are named with it.
    fn undo_by(self, parts: &[(&str, &[&str])]) -> Self {
        self.undo().set(|of| {
            let end = of.undo.as_deref_mut().expect("an undo");
            let at = |name: &str| StepId::from(format!("{}/{name}", end.id));
            let mut first = step(begin_of(&end.id).as_str()).without_action();
            first.opens = Some(end.id.clone());
            if of.check.is_none() && !of.action_checks && of.keyed != Keyed::Job {
                first.takes.clear();
            }
            let mut undoing = vec![first];
            for (name, needs) in parts {
                let mut part = step(at(name).as_str());
                part.uses = Some(uses("sim.undo"));
                part.retry = of.retry.clone();
                part.takes = of.takes.clone();
                part.inside = Some(end.id.clone());
                part.fails_group = true;
                part.needs = needs.iter().map(|&name| at(name)).collect();
                if part.needs.is_empty() {
                    part.needs.push(begin_of(&end.id));
                }
                undoing.push(part);
            }
            end.uses = None;
            end.takes.clear();
            end.after = undoing.iter().map(|step| step.id.clone()).collect();
            let of = undoing[1..].iter().map(|step| step.id.clone()).collect();
            end.group = Some(Box::new(Group { of, undoing, each: None }));
        })
    }
    fn closes(self, opener: &str, after: &[&str]) -> Self {
        self.after(after).set(|step| step.closes = Some(StepId::from(opener)))
    }
    fn takes(self, pool: &str, units: u32) -> Self {
        self.set(|step| {
            step.takes.insert(pool.to_owned(), units);
        })
    }
}

impl Build for Step {
    fn set(mut self, change: impl FnOnce(&mut Step)) -> Self {
        change(&mut self);
        self
    }
}

pub(super) fn service(name: &str) -> Service {
    Service {
        name: ServiceId::from(name),
        kind: None,
        priority: Class::High,
        priority_number: 38,
        rto_ms: None,
        rpo_ms: None,
        depends_on: Vec::new(),
        validated: false,
        predicted_ms: None,
        p50_ms: None,
        p90_ms: None,
        p95_ms: None,
        lower_bound_ms: None,
        bound: None,
        meets_rto: None,
    }
}

/// A plan of these steps, 32 at once; services are made as the steps name them.
pub(super) fn plan(steps: Vec<Step>) -> Plan {
    let mut services: Vec<Service> = Vec::new();
    let mut steps = steps;
    for (order, step) in steps.iter_mut().enumerate() {
        step.urgency.order = order as u32;
        if let Some(name) = &step.service
            && services.iter().all(|service| service.name != *name)
        {
            services.push(service(name.as_str()));
        }
    }
    Plan {
        format: FORMAT,
        runbook: "test".to_owned(),
        description: None,
        owner: None,
        environment: "default".to_owned(),
        protected: false,
        mode: Mode::Live,
        style: Style::Graceful,
        phases: Vec::new(),
        undo_on_cancel: false,
        digest: Digest::from("sha256:0"),
        makespan_ms: 0,
        lower_bound_ms: 0,
        critical_path: Vec::new(),
        inputs: BTreeMap::new(),
        values: BTreeMap::new(),
        hosts: BTreeMap::new(),
        secrets: BTreeMap::new(),
        plugins: BTreeMap::new(),
        pools: BTreeMap::from([("run".to_owned(), Pool { capacity: 32 })]),
        services,
        spans: Vec::new(),
        includes: BTreeMap::new(),
        locks: std::collections::BTreeSet::new(),
        steps,
        files: Vec::new(),
        history: Vec::new(),
        forecast: None,
        notices: Vec::new(),
        seal: None,
    }
}

pub(super) fn actor(user: &str) -> Actor {
    Actor { user: user.to_owned(), host: "here".to_owned(), via: "terminal".to_owned() }
}

pub(super) fn run_started(plan: &Arc<Plan>, attended: bool) -> RunStarted {
    RunStarted {
        format: crate::event::FORMAT,
        run: RunId::from("r1"),
        runbook: plan.runbook.clone(),
        environment: plan.environment.clone(),
        mode: plan.mode,
        style: plan.style,
        plan_digest: plan.digest.clone(),
        declared_at: now(0).at,
        incident_at: now(0).at,
        by: actor("alice"),
        attended,
        version: "0".to_owned(),
        reason: None,
        folder: None,
        seal: None,
    }
}

pub(super) fn nothing() -> Value {
    json!({})
}
