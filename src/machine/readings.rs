use std::sync::Arc;

use dr_plugin::{CallError, ErrorClass};
use serde_json::Value;

use super::attempts::Decision;
use super::graph::Index;
use super::io::{Effect, Launch, LaunchKind, Timer};
use super::machine::{FlightKind, Machine};
use super::names::Scope;
use super::rules::finish::Finish;
use super::rules::repeat::{self, Poll, Reading};
use super::step::Stage;
use crate::event::{EventKind, Next, Outcome};
use crate::time::{Millis, Timestamp};

impl Machine {
    /// Launches the next reading. Only the first one of a session is journaled: readings change
    /// nothing, and there may be thousands.
    pub(super) fn next_reading(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let (Some(uses), Some(repeat)) = (plan.uses.clone(), &plan.repeat) else { return };
        let (input, new) = match self.input(step) {
            Ok(input) => input,
            Err(error) => return self.fail(step, error),
        };
        let record = self.state.record(step);
        let first = !self.session.polls.contains_key(&step);
        let mut poll = self.session.polls.remove(&step).unwrap_or_else(|| {
            let mut poll = Poll { number: record.attempt, ..Poll::default() };
            if record.polling {
                let gap = self.now.elapsed_ms.saturating_sub(record.attempt_ms);
                poll.number = repeat::after_a_gap(repeat, record.attempt, gap);
                poll.iteration = record.attempt - record.base;
                let read = record.outcome.is_some() && !record.outputs.is_empty();
                poll.previous = read.then(|| record.outputs.clone());
            }
            poll
        });
        poll.number += 1;
        poll.iteration += 1;
        let number = poll.number;
        self.session.polls.insert(step, poll);
        let deadline = match record.deadline.filter(|_| record.polling) {
            Some(deadline) => Some(deadline),
            None => repeat.timeout_ms.map(|ms| self.after_ms(ms)),
        };
        if first {
            self.emit(EventKind::AttemptStarted {
                step: plan.id.clone(),
                attempt: number,
                purpose: self.purpose(step),
                launch: 1,
                input: new.then(|| input.clone()),
                deadline,
            });
            self.watch_repeat(step);
        }
        let ticket = self.ticket(step, FlightKind::Reading);
        self.ask(Effect::Launch(Box::new(Launch {
            ticket,
            step: plan.id.clone(),
            attempt: number,
            purpose: self.purpose(step),
            settings: graph.settings(plan, &uses),
            uses,
            kind: LaunchKind::Apply,
            host: graph.host(plan.host.as_ref()),
            input,
            effect: plan.effect,
            timeout_ms: self.limit(plan.timeout_ms, deadline),
        })));
    }

    /// The limit of one reading: its own, and no more than what is left for all.
    fn limit(&self, own: Option<u64>, deadline: Option<Timestamp>) -> Option<u64> {
        let left = deadline.map(|at| at.as_millisecond() - self.now.at.as_millisecond());
        match left {
            Some(left) if left > 0 => Some(own.map_or(left as u64, |own| own.min(left as u64))),
            _ => own,
        }
    }

    /// Looks after the limit of all readings together.
    pub(super) fn watch_repeat(&mut self, step: Index) {
        let record = self.state.record(step);
        if let (Some(at), true) = (record.deadline, record.polling)
            && self.graph.step(step).repeat.is_some()
        {
            let timer = Timer::Repeat(self.graph.id(step));
            self.ask(Effect::SetTimer { timer, at });
        }
    }

    /// The time of all readings is up.
    pub(super) fn repeat_expired(&mut self, step: Index) {
        let (number, last) = match self.session.polls.get_mut(&step) {
            Some(poll) => {
                poll.expired = true;
                (poll.number, poll.told.clone().and_then(|(_, error)| error))
            }
            None => (self.state.record(step).attempt, None),
        };
        let waits = matches!(self.state.stage(step), Stage::Wait(..));
        if self.session.live[step as usize].ticket.is_none() && waits {
            let decision = self.out_of_time(step, last);
            let purpose = self.purpose(step);
            self.attempt_over(step, number, purpose, self.now.elapsed_ms, decision);
        }
    }

    fn out_of_time(&self, step: Index, last: Option<CallError>) -> Decision {
        let repeat = self.graph.step(step).repeat.as_ref();
        let limit = Millis(repeat.and_then(|repeat| repeat.timeout_ms).unwrap_or(0)).short();
        let why = format!("it did not come true within {limit}");
        let error = repeat::gave_up(&why, "repeat_timeout", last);
        Decision::error(Outcome::TimedOut, error, self.failed(step))
    }

    pub(super) fn reading_done(
        &mut self,
        step: Index,
        since: u64,
        result: &Result<Value, CallError>,
    ) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let Some(repeat) = &plan.repeat else { return };
        let Some(mut poll) = self.session.polls.remove(&step) else { return };
        if let Err(error) = result
            && error.class == ErrorClass::Cancelled
            && self.is_stopping(step)
        {
            let decision = Decision::error(Outcome::Cancelled, error.clone(), Next::Proceed);
            self.attempt_over(step, poll.number, self.purpose(step), since, decision);
            return;
        }
        let was_read = result.is_ok();
        let reading = {
            let scope = Scope {
                iteration: Some(poll.iteration),
                previous: poll.previous.as_ref(),
                ..Scope::new(&graph, &self.state, self.now, step)
            };
            repeat::read(plan, repeat, result, scope)
        };
        let decision = match reading {
            Reading::Holds(finish) => {
                poll.held += 1;
                if poll.held >= repeat.stable && poll.iteration >= repeat.at_least {
                    let next =
                        if finish.error.is_some() { self.failed(step) } else { Next::Proceed };
                    let outcome = Outcome::Succeeded;
                    Some(Decision { outcome, finish: *finish, result: None, next })
                } else {
                    // It must hold longer: the remarks are those of the last reading.
                    let finish = Finish { outputs: finish.outputs, ..Finish::default() };
                    self.go_on(step, &mut poll, was_read, Outcome::Succeeded, finish)
                }
            }
            Reading::NotYet(outputs, error) => {
                poll.held = 0;
                let finish = Finish { outputs, error: Some(error), ..Finish::default() };
                self.go_on(step, &mut poll, was_read, Outcome::Failed, finish)
            }
            Reading::Failed(outputs, error) => {
                let finish = Finish { outputs, error: Some(error), ..Finish::default() };
                let next = self.failed(step);
                Some(Decision { outcome: Outcome::Failed, finish, result: None, next })
            }
        };
        let number = poll.number;
        self.session.polls.insert(step, poll);
        if let Some(decision) = decision {
            self.attempt_over(step, number, self.purpose(step), since, decision);
        }
    }

    /// One more reading, unless the run, the time or the number forbids it. What is no news is not
    /// told.
    fn go_on(
        &mut self,
        step: Index,
        poll: &mut Poll,
        was_read: bool,
        outcome: Outcome,
        finish: Finish,
    ) -> Option<Decision> {
        let graph = Arc::clone(&self.graph);
        let repeat = graph.step(step).repeat.as_ref()?;
        let last = finish.error.clone();
        if self.is_stopping(step) {
            let error = last.unwrap_or_else(|| CallError::cancelled("not read again"));
            return Some(Decision::error(Outcome::Cancelled, error, Next::Proceed));
        }
        if poll.expired || self.state.record(step).deadline.is_some_and(|at| at <= self.now.at) {
            return Some(self.out_of_time(step, last));
        }
        if repeat.at_most.is_some_and(|most| poll.iteration >= most) {
            let why = format!("it did not come true within {} readings", poll.iteration);
            let error = repeat::gave_up(&why, "repeat_exhausted", last);
            return Some(Decision::error(Outcome::Failed, error, self.failed(step)));
        }
        let at = self.after_ms(repeat.every_ms);
        // An error that is tolerated says nothing about what is read.
        if was_read {
            poll.previous = Some(finish.outputs.clone());
        }
        let news = (finish.outputs.clone(), last);
        if poll.told.as_ref() == Some(&news) {
            let timer = Timer::Next(graph.id(step));
            self.ask(Effect::SetTimer { timer, at });
            return None;
        }
        poll.told = Some(news);
        Some(Decision { outcome, finish, result: None, next: Next::Again { at } })
    }
}
