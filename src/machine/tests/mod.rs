//! Tests of the machine: `rules_*` are tables, `bench` drives a machine by hand, `world` plays a
//! whole run against a model of the world, `crash` ends it everywhere.

mod bench;
mod build;
mod crash;
mod groups;
mod judge;
mod play;
mod random;
mod rules_attempts;
mod rules_end;
mod rules_flow;
mod rules_groups;
mod rules_people;
mod rules_risk;
mod rules_rounds;
mod rules_scopes;
mod rules_stop;
mod rules_under_way;
mod rules_undo;
mod rules_values;
mod rules_waits;
mod speed;
mod world;

pub(crate) use judge::check_played;
pub(crate) use play::{Left, Pick, Played, Setting, ended_everywhere};
pub(crate) use world::{Says, Weather, World};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Event, StepState};
use crate::plan::Plan;

/// A plan, what a run of it wrote, and where each of its steps stood at the end.
pub(crate) type Told = (Arc<Plan>, Vec<Event>, BTreeMap<String, StepState>);

/// A run of a random plan that goes back and begins anew, ended once at `point` if that is given:
/// its journal, and where the machine says that each step stands. Nothing if it has no such point.
pub(crate) fn played(seed: u64, point: Option<u64>) -> Option<Told> {
    let plan = Arc::new(random::random_plan(seed, random::Family::Ending, 8));
    let crashes: Vec<u64> = point.into_iter().collect();
    let played = play::play_anew(&plan, seed, &crashes);
    let reached = point.is_none_or(|point| played.points[0] >= point);
    reached.then_some((plan, played.journal, played.states))
}
