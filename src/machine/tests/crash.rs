use std::sync::Arc;

use super::judge::check_played;
use super::play::{Left, Pick, Played, Setting, ended_everywhere};
use super::random::{Family, random_plan};
use super::world::World;
use crate::event::{Event, Verdict};
use crate::plan::Plan;

/// How much is tried: `DR_TEST_CASES` is `few` (default), `ci` or `full`.
#[expect(clippy::disallowed_methods, reason = "the size of a test is chosen from outside")]
pub(super) fn size(few: u64, many: u64) -> u64 {
    match std::env::var("DR_TEST_CASES").as_deref() {
        Ok("ci") => many,
        Ok("full") => many * 10,
        _ => few,
    }
}

/// What was played.
#[derive(Default)]
struct Counts {
    plans: u64,
    /// Instants at which the runs as they go could have been ended.
    instants: u64,
    /// Runs that were ended and went on.
    resumed: u64,
}

impl Counts {
    #[expect(clippy::print_stderr, reason = "the counts are the result")]
    fn tell(&self, what: &str) {
        let Self { plans, instants, resumed } = self;
        eprintln!("{what}: {plans} plans, {instants} instants, {resumed} resumed, 0 violations");
    }

    /// Plays a plan, ended everywhere as deep as `picks`.
    fn play(
        &mut self,
        (seed, plan): (u64, &Arc<Plan>),
        left: Left,
        picks: &[Pick],
        look: &mut dyn FnMut(&[u64], &Played),
    ) {
        let name = format!("seed {seed}");
        let setting = Setting { name: &name, plan, reread: &<[Event]>::to_vec };
        let played = ended_everywhere(&setting, left, picks, &mut |crashes, played| {
            check_played(played);
            if crashes.is_empty() {
                self.instants += played.points.iter().sum::<u64>();
            }
            look(crashes, played);
        });
        self.plans += 1;
        self.resumed += played - 1;
    }
}

fn nothing(seed: u64) -> Left {
    Left::nothing(World::new(seed))
}

/// Compares every end with that of the run as it goes.
fn same_end(seed: u64) -> impl FnMut(&[u64], &Played) {
    let mut first: Option<Played> = None;
    move |crashes, played| {
        let whole = first.get_or_insert_with(|| played.clone());
        let differs = |id: &&String| whole.states[*id] != played.states[*id];
        if let Some(id) = whole.states.keys().find(differs) {
            panic!(
                "seed {seed}, ended at {crashes:?}: `{id}` differs\n  whole: {}\n  ended: {}",
                whole.story(""),
                played.story("")
            );
        }
        assert_eq!(played.verdict, whole.verdict, "seed {seed}, ended at {crashes:?}");
    }
}

#[test]
fn a_run_ended_anywhere_ends_as_if_it_had_not_been() {
    let mut counts = Counts::default();
    for seed in 0..size(10, 200) {
        let plan = Arc::new(random_plan(seed, Family::Timeless, 12));
        counts.play((seed, &plan), nothing(seed), &[Pick::ALL], &mut same_end(seed));
    }
    counts.tell("once");
}

#[test]
fn a_run_with_halts_ended_anywhere_repeats_nothing() {
    let mut counts = Counts::default();
    for seed in 1_000..1_000 + size(10, 200) {
        let plan = Arc::new(random_plan(seed, Family::Halting, 12));
        counts.play((seed, &plan), nothing(seed), &[Pick::ALL], &mut |_, _| {});
    }
    counts.tell("with halts");
}

#[test]
fn an_end_ended_anywhere_takes_back_and_closes_what_it_must() {
    let mut counts = Counts::default();
    let mut ends = [0_u64; 3];
    for seed in 3_000..3_000 + size(14, 200) {
        let plan = Arc::new(random_plan(seed, Family::Ending, 10));
        counts.play((seed, &plan), nothing(seed), &[Pick::ALL], &mut |crashes, played| {
            if crashes.is_empty() {
                match played.verdict {
                    Verdict::Unwound => ends[0] += 1,
                    Verdict::Stuck => ends[1] += 1,
                    _ => ends[2] += 1,
                }
            }
        });
    }
    let [unwound, stuck, other] = ends;
    assert!(unwound > 0 && stuck > 0 && other > 0, "the plans must go every way: {ends:?}");
    counts.tell("with undo and closing");
}

#[test]
fn what_was_taken_back_begins_anew_wherever_it_is_ended() {
    let mut counts = Counts::default();
    let mut anew = 0;
    for seed in 4_000..4_000 + size(14, 200) {
        let plan = Arc::new(random_plan(seed, Family::Ending, 8));
        let left = nothing(seed).begun_anew();
        counts.play((seed, &plan), left, &[Pick::ALL], &mut |crashes, played| {
            anew += u64::from(crashes.is_empty() && played.points.len() > 1);
        });
    }
    assert!(anew > 0, "the plans must go this way");
    counts.tell(&format!("begun anew ({anew} of them)"));
}

#[test]
fn an_end_ended_twice_takes_back_and_closes_what_it_must() {
    let mut counts = Counts::default();
    let unwinds = |seed: &u64| {
        let plan = Arc::new(random_plan(*seed, Family::Ending, 7));
        super::play::play(&plan, *seed, &[]).verdict == Verdict::Unwound
    };
    for seed in (5_000..).filter(unwinds).take(size(1, 3) as usize) {
        let plan = Arc::new(random_plan(seed, Family::Ending, 7));
        counts.play((seed, &plan), nothing(seed), &[Pick::ALL; 2], &mut |_, _| {});
    }
    counts.tell("twice, with undo and closing");
}

#[test]
fn a_resume_ended_anywhere_can_be_resumed() {
    let mut counts = Counts::default();
    for seed in 2_000..2_000 + size(1, 12) {
        let plan = Arc::new(random_plan(seed, Family::Timeless, 7));
        counts.play((seed, &plan), nothing(seed), &[Pick::ALL; 2], &mut same_end(seed));
    }
    counts.tell("twice");
}
