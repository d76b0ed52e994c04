use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{StepView, View};
use crate::event::{Purpose, Question, StepState};
use crate::id::StepId;
use crate::time::{Millis, Timestamp};

/// What a step that is not over and not under way waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitingFor {
    /// Other steps: needs that are not met yet, and steps that must be over first.
    Steps(Vec<(StepId, StepState)>),
    /// Room in pools.
    Room(Vec<PoolWait>),
    /// People's approval.
    Approval {
        /// Approvals so far.
        have: usize,
        /// Approvals needed.
        of: u32,
        /// When it is rejected by itself.
        deadline: Option<Timestamp>,
    },
    /// A person's answer.
    Answer(Question),
    /// The moment of its next attempt.
    Moment {
        /// When.
        at: Timestamp,
        /// How many attempts there were.
        attempts: u32,
    },
    /// The end of a wait that its runbook wants.
    Sleep {
        /// When.
        until: Timestamp,
    },
    /// Steps that the plan lets start first, so that they find what they need.
    Others(Vec<StepId>),
    /// Nothing but its turn: it is about to start.
    Turn,
    /// Nothing new is started: somebody asked the run to stop.
    Stopping,
}

/// A pool without room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolWait {
    /// Its name: `run`, `host:NAME`, or the runbook's own.
    pub pool: String,
    /// What the step takes.
    pub takes: u32,
    /// What is taken now.
    pub taken: u32,
    /// What there is.
    pub capacity: u32,
}

impl View {
    /// What is taken of each pool by the steps under way.
    #[must_use]
    pub fn taken(&self) -> BTreeMap<&str, u32> {
        let mut taken = BTreeMap::new();
        for step in self.steps().iter().filter(|step| step.state == StepState::Running) {
            let Some(planned) = self.planned(step.id.as_str()) else { continue };
            for (pool, units) in &planned.takes {
                *taken.entry(pool.as_str()).or_default() += units;
            }
        }
        taken
    }

    /// What a step waits for; `None` if it is under way or over.
    #[must_use]
    pub fn waiting_for(&self, step: &StepView, taken: &BTreeMap<&str, u32>) -> Option<WaitingFor> {
        match step.state {
            StepState::Pending => {}
            StepState::Ready => return Some(WaitingFor::Turn),
            // It was left under way: whoever goes on with the run asks about it.
            StepState::Unknown if step.open_question().is_none() => return None,
            StepState::Waiting | StepState::Unknown => {
                let planned = self.planned(step.id.as_str());
                let sleeps = planned.is_some_and(|planned| planned.sleep.is_some());
                return Some(waits_at(step, sleeps));
            }
            _ => return None,
        }
        if self.cancel().is_some() {
            return Some(WaitingFor::Stopping);
        }
        let Some(planned) = self.planned(step.id.as_str()) else { return Some(WaitingFor::Turn) };
        let mut steps: Vec<(StepId, StepState)> = Vec::new();
        for (ids, is_need) in [(&planned.needs, true), (&planned.after, false)] {
            for id in ids {
                let Some(other) = self.step(id.as_str()) else { continue };
                let holds = if is_need { !other.meets_needs() } else { !other.state.is_over() };
                if holds && steps.iter().all(|(known, _)| known != id) {
                    steps.push((id.clone(), self.state(other)));
                }
            }
        }
        if !steps.is_empty() {
            return Some(WaitingFor::Steps(steps));
        }
        let full: Vec<PoolWait> = planned
            .takes
            .iter()
            .filter_map(|(name, &takes)| {
                let capacity = self.plan().pools.get(name)?.capacity;
                let taken = taken.get(name.as_str()).copied().unwrap_or(0);
                (taken.saturating_add(takes) > capacity).then(|| PoolWait {
                    pool: name.clone(),
                    takes,
                    taken,
                    capacity,
                })
            })
            .collect();
        if !full.is_empty() {
            return Some(WaitingFor::Room(full));
        }
        let first = planned.yields_to.iter().filter(|id| {
            self.step(id.as_str()).is_some_and(|other| other.state == StepState::Pending)
        });
        let first: Vec<StepId> = first.cloned().collect();
        Some(if first.is_empty() { WaitingFor::Turn } else { WaitingFor::Others(first) })
    }
}

fn waits_at(step: &StepView, sleeps: bool) -> WaitingFor {
    if let Some(question) = step.open_question() {
        return WaitingFor::Answer(question.question);
    }
    if let Some(gate) = step.open_gate() {
        return WaitingFor::Approval {
            have: gate.approvals(),
            of: gate.approvers,
            deadline: gate.deadline,
        };
    }
    match step.next_at {
        Some(until) if sleeps => WaitingFor::Sleep { until },
        Some(at) => WaitingFor::Moment { at, attempts: step.attempts_of(Purpose::Apply) },
        None => WaitingFor::Turn,
    }
}

impl WaitingFor {
    /// In words, as what follows "waits for". `now`: the wall clock, for what is left of a wait.
    #[must_use]
    pub fn describe(&self, now: Option<Timestamp>) -> String {
        match self {
            Self::Steps(steps) => {
                let mut text = String::new();
                for (position, (id, state)) in steps.iter().take(3).enumerate() {
                    if position > 0 {
                        text.push_str(", ");
                    }
                    text.push_str(id.as_str());
                    if !matches!(state, StepState::Pending | StepState::Ready) {
                        text.push_str(" (");
                        text.push_str(&state.as_str().replace('_', " "));
                        text.push(')');
                    }
                }
                if steps.len() > 3 {
                    let _ = write!(text, " and {} more", steps.len() - 3);
                }
                text
            }
            Self::Room(pools) => {
                let pools: Vec<String> = pools
                    .iter()
                    .map(|pool| {
                        let name = match pool.pool.strip_prefix("host:") {
                            Some(host) => format!("host {host}"),
                            None if pool.pool == "run" => "the run's parallelism".to_owned(),
                            None => format!("pool {}", pool.pool),
                        };
                        format!("room in {name} ({} of {} taken)", pool.taken, pool.capacity)
                    })
                    .collect();
                pools.join(", ")
            }
            Self::Approval { have, of, deadline } => {
                let mut text = "approval".to_owned();
                if *of > 1 {
                    let _ = write!(text, " ({have} of {of})");
                }
                if let Some(left) = left(now, *deadline) {
                    let _ = write!(text, ", {left}");
                }
                text
            }
            Self::Answer(Question::OutcomeUnknown) => {
                "an answer: nobody can tell whether it was done".to_owned()
            }
            Self::Answer(Question::Failed) => "an answer: it failed".to_owned(),
            Self::Moment { at, attempts } => match ahead(now, Some(*at)) {
                Some(ms) => format!("attempt {} in {}", attempts + 1, Millis(ms).short()),
                None => format!("attempt {}", attempts + 1),
            },
            Self::Sleep { until } => match ahead(now, Some(*until)) {
                Some(ms) => format!("the end of its wait, in {}", Millis(ms).short()),
                None => "the end of its wait".to_owned(),
            },
            Self::Others(first) => {
                let names: Vec<&str> = first.iter().take(3).map(StepId::as_str).collect();
                let more = match first.len().saturating_sub(3) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("its turn after {}{more}", names.join(", "))
            }
            Self::Turn => "its turn".to_owned(),
            Self::Stopping => "nothing: the run is stopping".to_owned(),
        }
    }
}

/// What is left until `deadline`, in words.
pub(super) fn left(now: Option<Timestamp>, deadline: Option<Timestamp>) -> Option<String> {
    let (now, deadline) = (now?, deadline?);
    Some(match ahead(Some(now), Some(deadline)) {
        Some(ms) => format!("{} left", Millis(ms).short()),
        None => "time is up".to_owned(),
    })
}

fn ahead(now: Option<Timestamp>, then: Option<Timestamp>) -> Option<u64> {
    u64::try_from(then?.as_millisecond() - now?.as_millisecond()).ok().filter(|ms| *ms > 0)
}
