//! Whether what is left of services is expected in time for their objectives.

use std::sync::Arc;

use super::graph::Index;
use super::io::{Effect, Timer};
use super::machine::{Machine, Stand};
use super::step::Stage;
use crate::event::EventKind;
use crate::plan::{Plan, Progress, Projection, Projector};
use crate::time::Timestamp;

/// Objectives are looked at no more often than this, milliseconds: a projection passes through the
/// whole plan.
const PAUSE_MS: u64 = 1_000;
/// In a plan of many steps the pause is longer: so many steps a millisecond.
const STEPS_A_MS: u64 = 10;

/// When objectives are looked at in this session.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The plan made ready, and the plan that it was made of.
    projector: Option<(Arc<Plan>, Projector)>,
    /// When they were looked at last, milliseconds of the run.
    looked_ms: Option<u64>,
    /// When the timer goes off that is set.
    due_ms: Option<u64>,
}

impl Machine {
    /// Looks whether services are expected in time, if enough time has passed since the last look,
    /// and tells what has changed. With nothing else happening, the end of a service moves by no
    /// more than the time that passes: the next look is due when that could make it late.
    pub(super) fn watch_objectives(&mut self) {
        let has_objectives = self.graph.plan.services.iter().any(|it| it.rto_ms.is_some());
        if !has_objectives
            || self.session.stand != Stand::Running
            || self.state.cancel.is_some()
            || self.state.is_unwinding()
            || self.is_pausing()
        {
            return;
        }
        let now = self.now.elapsed_ms;
        let pause = PAUSE_MS.max(self.graph.len() as u64 / STEPS_A_MS);
        let earliest = self.session.watch.looked_ms.map_or(0, |looked| looked + pause);
        if now < earliest {
            self.look_at(earliest);
            return;
        }
        self.session.watch.looked_ms = Some(now);
        self.session.watch.due_ms = None;
        let projection = self.projection();
        let offset = self.clock_offset_ms();
        let mut spare = None;
        for position in 0..self.graph.services.len() {
            let service = &self.graph.plan.services[position];
            let Some(rto_ms) = service.rto_ms.filter(|_| !self.state.announced[position]) else {
                continue;
            };
            let end = projection.services.get(&service.name).copied().flatten();
            let Some(expected_ms) = end.map(|end| projection.on_clock(end, offset)) else {
                continue;
            };
            let service = service.name.clone();
            match (self.state.at_risk[position], expected_ms > rto_ms) {
                (false, true) => self.emit(EventKind::RtoAtRisk { service, rto_ms, expected_ms }),
                (true, false) => self.emit(EventKind::RtoOnTrack { service, rto_ms, expected_ms }),
                _ => {}
            }
            if expected_ms <= rto_ms {
                let left = rto_ms - expected_ms;
                spare = Some(spare.map_or(left, |least: u64| least.min(left)));
            }
        }
        // Before an incident that is still to come no time passes on the clock: its end is an event.
        if let Some(spare) = spare.filter(|_| projection.clock_start_ms.is_none()) {
            self.look_at(now + (spare + 1).max(pause));
        }
    }

    /// Looks again at this time of the run, unless an earlier look is due.
    fn look_at(&mut self, at_ms: u64) {
        if self.session.watch.due_ms.is_some_and(|due| due <= at_ms) {
            return;
        }
        self.session.watch.due_ms = Some(at_ms);
        let at = self.after_ms(at_ms.saturating_sub(self.now.elapsed_ms));
        self.ask(Effect::SetTimer { timer: Timer::Objectives, at });
    }

    /// The timer went off.
    pub(super) fn look_is_due(&mut self) {
        self.session.watch.due_ms = None;
    }

    /// When what is left will be done. People are not predicted: an open gate counts as answered
    /// now.
    fn projection(&mut self) -> Projection {
        let mut progress = Progress { elapsed_ms: self.now.elapsed_ms, ..Progress::default() };
        for step in 0..self.graph.len() as Index {
            let record = self.state.record(step);
            let id = || self.graph.id(step);
            match record.stage {
                Stage::Over(_) if !self.state.is_met(&self.graph, step) => {
                    progress.dropped.push(id());
                }
                Stage::Over(_) => {
                    let ended = record.over.map_or(0, |(_, ms)| ms);
                    progress.finished.insert(id(), ended);
                }
                Stage::Idle | Stage::Gate => {}
                Stage::Sleep(until) => {
                    let expected = self.graph.step(step).expected_ms();
                    let start = self.ms_at(until).saturating_sub(expected);
                    progress.started.insert(id(), start);
                }
                Stage::Relaunch { at: Some(at), .. } => {
                    progress.started.insert(id(), self.ms_at(at));
                }
                _ => {
                    let started = record.started.map_or(self.now.elapsed_ms, |(_, ms)| ms);
                    progress.started.insert(id(), started);
                }
            }
        }
        let plan = &self.graph.plan;
        let known = self.session.watch.projector.take().filter(|(of, _)| Arc::ptr_eq(of, plan));
        let (of, projector) = known.unwrap_or_else(|| (Arc::clone(plan), Projector::new(plan)));
        let projection = projector.project(&progress);
        self.session.watch.projector = Some((of, projector));
        projection
    }

    /// A moment in milliseconds of the run.
    fn ms_at(&self, at: Timestamp) -> u64 {
        let ahead = at.as_millisecond() - self.now.at.as_millisecond();
        u64::try_from(ahead.saturating_add(self.now.elapsed_ms as i64)).unwrap_or(0)
    }

    /// What the RTA clock showed at the start of the run, milliseconds.
    fn clock_offset_ms(&self) -> i64 {
        let (Some(started), Some((began, shown))) = (&self.state.started, self.state.began) else {
            return 0;
        };
        began.as_millisecond() - shown as i64 - started.declared_at.as_millisecond()
    }
}
