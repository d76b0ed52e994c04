use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::{ActionManifest, Effect, Host, Keyed};
use serde_json::Value;

use super::action::set_action;
use super::codes;
use super::compound::Element;
use super::estimates::Estimates;
use super::include::Brought;
use super::names::KnownAt;
use super::request::PlanRequest;
use super::resolve::Environment;
use crate::catalog::Catalog;
use crate::event::SkipReason;
use crate::id::StepId;
use crate::plan::{
    Asked, EstimateSource, Expectation, Gate, OnReject, Output, Place, Pool, Repeat, Retry, Rule,
    Sleep, Step, Urgency, Uses,
};
use crate::runbook::{
    ApproveDoc, DocPath, Document, ExpectDoc, InputDoc, Outline, Problem, RepeatDoc, RetryDoc,
    Runbook, SeverityDoc, SleepDoc, StepDoc, nearest,
};
use crate::text::{Path, Templated};
use crate::words::{Class, OnFailure, OnUnknown, Severity};

const SECOND: u64 = 1_000;
/// Defaults of the language, in milliseconds where they are times.
pub(super) const READING_PAUSE: u64 = SECOND;
const ATTEMPTS: u32 = 3;
const BACKOFF: u64 = SECOND;
const MAX_BACKOFF: u64 = 30 * SECOND;

/// Turns declarations into steps of a plan, and remembers what they use.
pub(super) struct Maker<'a> {
    pub(super) runbook: &'a Runbook,
    pub(super) document: &'a Document,
    pub(super) outline: &'a Outline<'a>,
    pub(super) file: &'a str,
    pub(super) catalog: &'a Catalog,
    pub(super) environment: &'a Environment,
    pub(super) estimates: &'a Estimates,
    pub(super) problems: Vec<Problem>,
    /// Plugins that steps which may run call.
    pub(super) plugins: BTreeSet<String>,
    /// Steps that are read, as positions in the outline, with the place: for the checks that need
    /// all steps.
    pub(super) reads: Vec<(usize, DocPath, Path)>,
    /// The loops around what is being made, the outermost first.
    pub(super) around: Vec<Element>,
    /// The group whose steps what is being made sees first.
    pub(super) inside: Option<usize>,
    /// Whether the host of what is being made is named by an element that is not known yet.
    pub(super) host_unknown: bool,
    /// Pools that loops are.
    pub(super) windows: BTreeMap<String, Pool>,
    /// What follows from a failure where this runbook does not say so, if another includes it.
    pub(super) around_policy: Option<(OnFailure, bool)>,
    /// What the runbooks that it includes bring along.
    pub(super) brought: Brought,
    /// What is asked for.
    pub(super) request: &'a PlanRequest,
    /// Where `run.style` is read.
    pub(super) reads_style: Option<DocPath>,
}

/// The output in which an action's changes are kept.
const CHANGES: &str = "changes";

impl Maker<'_> {
    /// The step that a declaration stands for. What is passed over is made as well as possible,
    /// without complaints: it may be passed over because it does not fit here.
    pub(super) fn step(&mut self, index: usize, skip: Option<SkipReason>) -> Step {
        let declared = *self.outline.get(index);
        let doc = declared.doc;
        let at = self.outline.path(index);
        let before = self.remember();
        let mut step = self.step_of(index, doc, &at, skip);
        if let Some(undo) = &doc.undo {
            step.undo = Some(Box::new(self.undo(index, undo, &step, &at.field("undo"))));
        }
        if step.skip.is_some() {
            self.forget(before);
        } else {
            for step in std::iter::once(&step).chain(step.undo_steps()) {
                self.plugins.extend(step.uses.iter().map(|uses| uses.plugin.clone()));
                self.plugins.extend(step.check.iter().map(|check| check.uses.plugin.clone()));
            }
        }
        step
    }

    /// What is written at a place, as the step that the declaration at `index` stands for.
    pub(super) fn step_of(
        &mut self,
        index: usize,
        doc: &StepDoc,
        at: &DocPath,
        skip: Option<SkipReason>,
    ) -> Step {
        self.inside = self.outline.get(index).parent.map(|parent| parent as usize);
        let mut step = self.outer(index, self.element_id(index));
        step.description.clone_from(&doc.description);
        step.point_of_no_return = doc.point_of_no_return;
        step.incident = doc.incident;
        step.on_unknown = doc.on_unknown.unwrap_or(OnUnknown::Ask);
        step.closes = doc.closes.as_deref().and_then(|name| self.named(name));
        step.skip = skip;
        let asks = self.asks_here(index);
        if skip.is_none() && asks {
            self.decide_when(&mut step, doc, at);
        }
        let (host, host_written) = self.host_of(index, doc, at);
        let action = doc
            .uses
            .as_deref()
            .and_then(|uses| self.action(uses, host.as_ref(), host_written.is_some(), at));
        let known_host = host.as_ref();
        step.with = self.template(doc.with.as_ref(), known_host, &at.field("with"));
        set_action(&mut step, doc.effect, doc.check.is_some(), action.as_ref());
        step.host = match &host {
            Some(host) => Some(host.name.clone()),
            None if self.host_unknown => host_written.map(str::to_owned),
            None => None,
        };
        step.sleep = doc.sleep.as_ref().and_then(|sleep| self.sleep(sleep, &at.field("sleep")));
        if asks {
            step.approve = doc.approve.as_ref().map(|gate| self.gate(gate, known_host, at));
        }
        self.set_results(&mut step, doc, known_host, at);
        self.keep_changes(&mut step, doc, action.as_ref(), at);
        step.timeout_ms = self.duration(doc.timeout.as_deref(), &at.field("timeout"));
        step.retry = self.retry(doc.retry.as_ref(), step.effect, at);
        step.repeat = doc.repeat.as_ref().map(|repeat| self.repeat(repeat, at));
        step.check = doc.check.as_ref().and_then(|check| self.check(check, host.as_ref(), at));
        let around = self.outline.outwards(index).map(|declared| &declared.doc.takes);
        let takes = std::iter::once(&doc.takes).chain(around).find(|takes| !takes.is_empty());
        self.set_takes(&mut step, takes.into_iter().flatten(), at);
        self.set_estimate(&mut step, doc.estimate.as_deref(), action.as_ref(), at);
        step
    }

    /// What every step made of a declaration has.
    pub(super) fn outer(&self, index: usize, id: StepId) -> Step {
        let declared = self.outline.get(index);
        let mut step = self.blank(id);
        step.description.clone_from(&declared.doc.description);
        step.source.clone_from(&declared.doc.source);
        step.service = declared.service.map(Into::into);
        step.phase = declared.phase;
        (step.on_failure, step.fails_group) = self.policy(index);
        step.inside = self.group_of(index);
        step.bound = self.bound();
        let line = declared.doc.id.line;
        step.place = u32::try_from(line)
            .ok()
            .filter(|line| *line > 0)
            .map(|line| Place { file: self.file.to_owned(), line });
        step
    }

    pub(super) fn gate(&mut self, doc: &ApproveDoc, host: Option<&Host>, at: &DocPath) -> Gate {
        let at = at.field("approve");
        let message = Value::String(doc.message.clone());
        Gate {
            message: self.template(Some(&message), host, &at.field("message")),
            approvers: doc.approvers.unwrap_or(1),
            from: doc.from.clone(),
            keys: doc.keys.clone().into_iter().collect(),
            inputs: doc.inputs.iter().map(asked).collect(),
            remind_ms: self.duration(doc.remind.as_deref(), &at.field("remind")),
            timeout_ms: self.duration(doc.timeout.as_deref(), &at.field("timeout")),
            on_reject: doc.on_reject.unwrap_or(OnReject::Fail),
        }
    }

    /// What follows from a result: outputs, expectations, recovery point.
    pub(super) fn set_results(
        &mut self,
        step: &mut Step,
        doc: &StepDoc,
        host: Option<&Host>,
        at: &DocPath,
    ) {
        for (name, output) in &doc.outputs {
            if let Some(value) = self.expr(&output.value, &at.field("outputs").field(name)) {
                step.outputs.push(Output { name: name.clone(), value, secret: output.secret });
            }
        }
        step.expect = self.expectations(&doc.expect, host, at);
        step.expect_error = doc
            .expect_error
            .as_deref()
            .and_then(|source| self.expr(source, &at.field("expect_error")));
        step.recovery_point = doc
            .recovery_point
            .as_deref()
            .and_then(|source| self.expr(source, &at.field("recovery_point")));
    }

    /// What an action says that it changed is kept as the output `changes`, for the report; unless
    /// the step has one of its own, or a check that may find it done without a result.
    fn keep_changes(
        &mut self,
        step: &mut Step,
        doc: &StepDoc,
        action: Option<&(Uses, &ActionManifest)>,
        at: &DocPath,
    ) {
        let says = |action: &ActionManifest| {
            action.effect != Effect::Pure
                && action
                    .output
                    .as_value()
                    .get("properties")
                    .is_some_and(|it| it.get(CHANGES).is_some())
        };
        let is_said = action.is_some_and(|(_, action)| says(action));
        if !is_said || doc.check.is_some() || doc.outputs.contains_key(CHANGES) {
            return;
        }
        let value = "has(result.changes) ? result.changes : []";
        if let Some(value) = self.expr(value, at) {
            step.outputs.push(Output { name: CHANGES.to_owned(), value, secret: false });
        }
    }

    pub(super) fn remember(&self) -> (usize, usize, Option<DocPath>) {
        (self.problems.len(), self.reads.len(), self.reads_style.clone())
    }

    pub(super) fn forget(&mut self, (problems, reads, style): (usize, usize, Option<DocPath>)) {
        self.problems.truncate(problems);
        self.reads.truncate(reads);
        self.reads_style = style;
    }

    /// A step that does nothing.
    pub(super) fn blank(&self, id: StepId) -> Step {
        Step {
            id,
            description: None,
            source: Vec::new(),
            service: None,
            phase: None,
            validates: None,
            uses: None,
            sleep: None,
            tally: None,
            with: Templated::literal(Value::Null),
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
            effect: Effect::Pure,
            action_effect: None,
            keyed: Keyed::Never,
            action_checks: false,
            check: None,
            on_unknown: OnUnknown::Ask,
            on_failure: self.document.on_failure.unwrap_or(OnFailure::Halt),
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
                backoff_ms: BACKOFF,
                max_backoff_ms: MAX_BACKOFF,
                when: None,
                written: false,
            },
            repeat: None,
            takes: BTreeMap::new(),
            urgency: Urgency { class: Class::Low, latest_start_ms: 0, order: 0 },
            yields_to: Vec::new(),
            estimate_ms: 0,
            estimate_source: EstimateSource::None,
            start_ms: 0,
            finish_ms: 0,
            slack_ms: 0,
            critical: false,
            place: None,
        }
    }

    fn sleep(&mut self, doc: &SleepDoc, at: &DocPath) -> Option<Sleep> {
        let for_ms = self.duration(Some(&doc.lasts), &at.field("for"))?;
        let since = doc.since.as_deref();
        let since = since.map(|name| self.named(name).unwrap_or_else(|| StepId::from(name)));
        Some(Sleep { for_ms, since })
    }

    /// The step that a name means for what is being made.
    fn named(&self, name: &str) -> Option<StepId> {
        let index = self.outline.named(name, self.inside)?;
        Some(self.placed(&self.outline.id(index)))
    }

    pub(super) fn decide_when(&mut self, step: &mut Step, doc: &StepDoc, at: &DocPath) {
        let Some(source) = doc.when.as_deref() else { return };
        let at = at.field("when");
        let Some(expr) = self.expr(source, &at) else { return };
        if !self.is_known(&expr) {
            step.when = Some(expr);
            return;
        }
        let names = KnownAt { known: &self.environment.known, host: None, around: &self.around };
        match expr.decide(&names) {
            Ok(true) => {}
            Ok(false) => {
                step.skip = Some(SkipReason::When);
                step.when = Some(expr);
            }
            Err(error) => self.text_problem(codes::WHEN, at, &error),
        }
    }

    /// The host that a step names.
    pub(super) fn host(&mut self, written: Option<&str>, at: &DocPath) -> Option<Host> {
        let written = written?;
        let template = self.template(Some(&Value::String(written.to_owned())), None, at);
        let Value::String(name) = template.as_value() else {
            self.problems.push(
                Problem::error(
                    codes::HOST,
                    at.clone(),
                    format!("`{written}` must be known when planning"),
                )
                .with_help("a host may be named by inputs and values"),
            );
            return None;
        };
        let hosts = &self.environment.known.hosts;
        let found = hosts.get(name);
        if found.is_none() {
            let problem =
                Problem::error(codes::HOST, at.clone(), format!("there is no host `{name}`"));
            self.problems.push(match nearest(name, hosts.keys().map(String::as_str)) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem.with_help("declare it under `hosts`"),
            });
        }
        found.cloned()
    }

    pub(super) fn expectations(
        &mut self,
        docs: &[ExpectDoc],
        host: Option<&Host>,
        at: &DocPath,
    ) -> Vec<Expectation> {
        let mut expectations = Vec::with_capacity(docs.len());
        for (position, doc) in docs.iter().enumerate() {
            let at = at.field("expect").index(position);
            let message = doc.message.clone().map(Value::String);
            let message =
                message.map(|text| self.template(Some(&text), host, &at.field("message")));
            let severity = match &doc.severity {
                None => Some(Rule::Fixed(Severity::Fail)),
                Some(SeverityDoc::Fixed(severity)) => Some(Rule::Fixed(*severity)),
                Some(SeverityDoc::Computed(source)) => {
                    self.expr(source, &at.field("severity")).map(Rule::Computed)
                }
            };
            if let (Some(that), Some(severity)) = (self.expr(&doc.that, &at), severity) {
                expectations.push(Expectation { that, message, severity });
            }
        }
        expectations
    }

    fn retry(&mut self, doc: Option<&RetryDoc>, effect: Effect, at: &DocPath) -> Retry {
        let Some(doc) = doc else {
            let attempts = if effect.is_repeatable() { ATTEMPTS } else { 1 };
            return Retry {
                attempts,
                backoff_ms: BACKOFF,
                max_backoff_ms: MAX_BACKOFF,
                when: None,
                written: false,
            };
        };
        let at = at.field("retry");
        Retry {
            attempts: doc.attempts.unwrap_or(ATTEMPTS).max(1),
            backoff_ms: self
                .duration(doc.backoff.as_deref(), &at.field("backoff"))
                .unwrap_or(BACKOFF),
            max_backoff_ms: self
                .duration(doc.max_backoff.as_deref(), &at.field("max_backoff"))
                .unwrap_or(MAX_BACKOFF),
            when: doc.when.as_deref().and_then(|source| self.expr(source, &at.field("when"))),
            written: true,
        }
    }

    pub(super) fn repeat(&mut self, doc: &RepeatDoc, at: &DocPath) -> Repeat {
        let at = at.field("repeat");
        Repeat {
            until: self.expr(&doc.until, &at.field("until")),
            every_ms: self
                .duration(doc.every.as_deref(), &at.field("every"))
                .unwrap_or(READING_PAUSE),
            timeout_ms: self.duration(doc.timeout.as_deref(), &at.field("timeout")),
            stable: doc.stable.unwrap_or(1).max(1),
            at_least: doc.at_least.unwrap_or(1).max(1),
            at_most: doc.at_most,
            tolerate: doc
                .tolerate
                .as_deref()
                .and_then(|source| self.expr(source, &at.field("tolerate"))),
        }
    }

    /// One slot of the run and of its host for what calls an action, and what it says itself.
    pub(super) fn set_takes<'t>(
        &mut self,
        step: &mut Step,
        written: impl IntoIterator<Item = (&'t String, &'t u32)>,
        at: &DocPath,
    ) {
        if step.uses.is_some() {
            step.takes.insert("run".to_owned(), 1);
            if let Some(host) = &step.host {
                step.takes.insert(format!("host:{host}"), 1);
            }
        }
        for (name, units) in written {
            if !self.environment.pools.contains_key(name) || name.starts_with("host:") {
                let all = self.environment.pools.keys().filter(|name| !name.contains(':'));
                let problem = Problem::error(
                    codes::POOL,
                    at.field("takes").field(name),
                    format!("there is no pool `{name}`"),
                );
                self.problems.push(match nearest(name, all.map(String::as_str)) {
                    Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                    None => problem.with_help("declare it under `pools`"),
                });
                continue;
            }
            if *units > 0 {
                step.takes.insert(name.clone(), *units);
            }
        }
        for (name, units) in &step.takes {
            let Some(pool) = self.environment.pools.get(name) else { continue };
            if *units > pool.capacity {
                self.problems.push(
                    Problem::error(
                        codes::CAPACITY,
                        at.field("takes"),
                        format!(
                            "it takes {units} of pool `{name}`, which has {}: it could never \
                             start",
                            pool.capacity
                        ),
                    )
                    .with_help("take less, or enlarge the pool"),
                );
            }
        }
    }

    pub(super) fn set_estimate(
        &mut self,
        step: &mut Step,
        written: Option<&str>,
        action: Option<&(Uses, &ActionManifest)>,
        at: &DocPath,
    ) {
        let declared = self.duration(written, &at.field("estimate"));
        // How long a wait takes is written; only what it is counted from may shorten it.
        let fixed = step.sleep.as_ref().is_some_and(|sleep| sleep.since.is_none());
        let history = self.estimates.taken(&step.id).filter(|_| !fixed).map(|it| it.typical_ms);
        (step.estimate_ms, step.estimate_source) = match (declared, history, action) {
            (Some(ms), ..) => (ms, EstimateSource::Declared),
            (None, Some(ms), _) => (ms, EstimateSource::History),
            (None, None, Some((_, action))) => (action.typical_ms, EstimateSource::Typical),
            (None, None, None) => match &step.sleep {
                Some(sleep) => (sleep.for_ms, EstimateSource::Declared),
                None => (0, EstimateSource::None),
            },
        };
    }
}

pub(super) fn asked((name, doc): (&String, &InputDoc)) -> Asked {
    Asked {
        name: name.clone(),
        kind: doc.kind,
        description: doc.description.clone(),
        default: doc.default.clone(),
        choices: doc.choices.clone(),
        pattern: doc.pattern.clone(),
        secret: doc.secret,
    }
}
