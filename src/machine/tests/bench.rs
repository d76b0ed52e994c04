use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::{CallError, Checked};
use serde_json::Value;

use super::build::{actor, now, run_started};
use crate::event::{
    CancelRequest, Event, EventKind, LossAccepted, Request, RequestKind, StepState, Verdict,
};
use crate::id::{RequestId, StepId};
use crate::machine::{
    AttemptResult, Effect, Ending, Input, Launch, LaunchKind, Machine, Session, Ticket, Timer,
};
use crate::plan::Plan;

/// Drives a machine by hand, on a clock of its own. After every input it checks what must always
/// hold: living through a run and replaying its journal give the same state, and what is launched
/// was announced before.
pub(super) struct Bench {
    pub(super) plan: Arc<Plan>,
    pub(super) machine: Machine,
    shadow: Machine,
    pub(super) ms: u64,
    pub(super) journal: Vec<Event>,
    pub(super) flying: Vec<Launch>,
    pub(super) timers: BTreeMap<Timer, u64>,
    pub(super) stopped: Vec<Ticket>,
    pub(super) ending: Option<Ending>,
    requests: u32,
}

impl Bench {
    pub(super) fn new(plan: Plan) -> Self {
        Self::on(Arc::new(plan), Vec::new(), 0)
    }

    /// A machine that has replayed `journal`.
    pub(super) fn on(plan: Arc<Plan>, journal: Vec<Event>, ms: u64) -> Self {
        let mut bench = Self {
            machine: Machine::new(Arc::clone(&plan)).expect("a plan"),
            shadow: Machine::new(Arc::clone(&plan)).expect("a plan"),
            plan,
            ms,
            journal: Vec::new(),
            flying: Vec::new(),
            timers: BTreeMap::new(),
            stopped: Vec::new(),
            ending: None,
            requests: 0,
        };
        for event in journal {
            let replayed = Input::Replayed(Box::new(event.clone()));
            assert!(bench.machine.handle(now(ms), replayed.clone()).is_empty());
            assert!(bench.shadow.handle(now(ms), replayed).is_empty());
            bench.journal.push(event);
        }
        bench
    }

    pub(super) fn start(plan: Plan) -> Self {
        Self::new(plan).begin(true, Vec::new())
    }

    pub(super) fn unattended(plan: Plan) -> Self {
        Self::new(plan).begin(false, Vec::new())
    }

    pub(super) fn begin(self, attended: bool, requests: Vec<Request>) -> Self {
        self.begin_with(attended, requests, None)
    }

    fn begin_with(
        mut self,
        attended: bool,
        requests: Vec<Request>,
        lost: Option<LossAccepted>,
    ) -> Self {
        let started = run_started(&self.plan, attended);
        self.feed(Input::Start(Box::new(Session {
            started,
            reason: None,
            requests,
            refused: Vec::new(),
            lost,
        })));
        self
    }

    /// The run dies here, and of its journal all but the first `kept` records is damaged; somebody
    /// goes on all the same.
    pub(super) fn lose(mut self, kept: usize) -> Self {
        let at = self.ms + 10_000;
        self.journal.truncate(kept);
        let by = run_started(&self.plan, true).by;
        let lost = LossAccepted { record: kept as u64 + 1, bytes: 1, by };
        Self::on(self.plan, self.journal, at).begin_with(true, Vec::new(), Some(lost))
    }

    /// How much of the journal there is once the end of a step is written.
    pub(super) fn at_end_of(&self, id: &str) -> usize {
        let ends = |event: &Event| matches!(&event.kind, EventKind::StepFinished(finished) if finished.step.as_str() == id);
        self.journal.iter().position(ends).expect("its end") + 1
    }

    /// The run dies here; another session begins.
    pub(super) fn crash(self, requests: Vec<Request>) -> Self {
        let at = self.ms + 10_000;
        Self::on(self.plan, self.journal, at).begin(true, requests)
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.machine.handle(now(self.ms), input);
        for effect in &effects {
            assert!(self.ending.is_none(), "nothing follows the end: {effect:?}");
            match effect {
                Effect::Append(event) => {
                    let text = serde_json::to_string(event).expect("json");
                    let back: Event = serde_json::from_str(&text).expect(&text);
                    assert_eq!(back, **event, "an event survives the journal");
                    let replayed = Input::Replayed(event.clone());
                    assert!(self.shadow.handle(now(self.ms), replayed).is_empty());
                    self.journal.push((**event).clone());
                }
                Effect::Launch(launch) => {
                    assert!(
                        self.journal.iter().any(|event| matches!(
                            &event.kind,
                            EventKind::AttemptStarted { step, .. } if *step == launch.step
                        )),
                        "{launch:?} was not announced"
                    );
                    self.flying.push((**launch).clone());
                }
                Effect::SetTimer { timer, at } => {
                    let at = at.as_millisecond() - super::build::START_S * 1_000;
                    self.timers.insert(timer.clone(), at.max(0) as u64);
                }
                Effect::StopAttempt(ticket) => self.stopped.push(*ticket),
                Effect::Finish(ending) => self.ending = Some(ending.clone()),
            }
        }
        assert_eq!(self.machine.state, self.shadow.state, "replaying is living");
        effects
    }

    pub(super) fn fly(&mut self, id: &str) -> Launch {
        let at = self.flying.iter().position(|launch| launch.step.as_str() == id);
        let names: Vec<_> = self.flying.iter().map(|launch| launch.step.as_str()).collect();
        self.flying.remove(at.unwrap_or_else(|| panic!("{id} does not fly, but {names:?} do")))
    }

    pub(super) fn ok(&mut self, id: &str, result: Value) -> &mut Self {
        let launch = self.fly(id);
        let result = AttemptResult::Applied(Ok(result));
        self.feed(Input::AttemptDone { ticket: launch.ticket, result });
        self
    }

    pub(super) fn err(&mut self, id: &str, error: CallError) -> &mut Self {
        let launch = self.fly(id);
        let result = AttemptResult::Applied(Err(error));
        self.feed(Input::AttemptDone { ticket: launch.ticket, result });
        self
    }

    pub(super) fn checked(&mut self, id: &str, checked: Checked) -> &mut Self {
        let launch = self.fly(id);
        assert_eq!(launch.kind, LaunchKind::Check);
        let result = AttemptResult::Checked(Ok(checked));
        self.feed(Input::AttemptDone { ticket: launch.ticket, result });
        self
    }

    /// Lets time pass, timers going off on the way.
    pub(super) fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.ms + ms;
        loop {
            let next = self.timers.iter().min_by_key(|&(_, &at)| at);
            let Some((timer, &at)) = next.filter(|&(_, &at)| at <= end) else { break };
            let timer = timer.clone();
            self.timers.remove(&timer);
            self.ms = self.ms.max(at);
            self.feed(Input::TimerFired(timer));
        }
        self.ms = end;
        self
    }

    pub(super) fn request(&mut self, user: &str, ask: RequestKind, id: &str) -> Request {
        self.requests += 1;
        Request {
            id: RequestId::from(format!("q{}-{}", self.ms, self.requests)),
            step: Some(StepId::from(id)),
            ask,
            by: actor(user),
            reason: Some("because".to_owned()),
            inputs: std::collections::BTreeMap::new(),
            signed: None,
        }
    }

    pub(super) fn answer(&mut self, user: &str, ask: RequestKind, id: &str) -> &mut Self {
        let request = self.request(user, ask, id);
        self.feed(Input::Answer(request));
        self
    }

    pub(super) fn cancel(&mut self, level: CancelRequest) -> &mut Self {
        self.feed(Input::Cancel { by: actor("bob"), level, reason: None });
        self
    }

    pub(super) fn flies(&self) -> Vec<&str> {
        self.flying.iter().map(|launch| launch.step.as_str()).collect()
    }

    pub(super) fn state(&self, id: &str) -> StepState {
        self.machine.step_state(id).expect("a step")
    }

    pub(super) fn states(&self) -> String {
        let states = self.plan.steps.iter().map(|step| {
            let id = step.id.as_str();
            format!("{id} {}", self.state(id).as_str())
        });
        states.collect::<Vec<_>>().join(", ")
    }

    #[track_caller]
    pub(super) fn ends(&self, verdict: Verdict, states: &str) {
        assert_eq!(self.states(), states);
        assert_eq!(self.ending, Some(Ending::Verdict(verdict)));
        let last = self.journal.last().map(|event| &event.kind);
        let Some(EventKind::RunFinished(finished)) = last else { panic!("{last:?}") };
        assert_eq!(finished.count, self.journal.len() as u64);
    }

    /// What the journal says last about why the step failed.
    pub(super) fn last_error(&self, id: &str) -> String {
        let errors = self.journal.iter().rev().filter_map(|event| match &event.kind {
            EventKind::StepFinished(finished) if finished.step.as_str() == id => {
                finished.error.as_ref().map(|error| error.message.clone())
            }
            _ => None,
        });
        errors.into_iter().next().unwrap_or_default()
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        match &self.ending {
            Some(Ending::Verdict(verdict)) => Some(*verdict),
            _ => None,
        }
    }

    /// Names of the events, for tests of what is written.
    pub(super) fn told(&self, from: usize) -> Vec<String> {
        self.journal[from..].iter().map(|event| tell(&event.kind)).collect()
    }

    pub(super) fn refusal(&self) -> Option<&str> {
        match &self.journal.last()?.kind {
            EventKind::RequestRefused { why, .. } => Some(why),
            _ => None,
        }
    }
}

fn tell(kind: &EventKind) -> String {
    let json = serde_json::to_value(kind).expect("json");
    let name = json["type"].as_str().unwrap_or_default();
    match super::super::state::step_of(kind) {
        Some(step) => format!("{name} {step}"),
        None => name.to_owned(),
    }
}
