use std::sync::Arc;

use super::play::{Played, check_played, play, play_on};
use super::random::{Family, random_plan};
use crate::event::Verdict;

/// How much is tried: `DR_TEST_CASES` is `few` (default), `ci` or `full`.
#[expect(clippy::disallowed_methods, reason = "the size of a test is chosen from outside")]
pub(super) fn size(few: u64, many: u64) -> u64 {
    match std::env::var("DR_TEST_CASES").as_deref() {
        Ok("ci") => many,
        Ok("full") => many * 10,
        _ => few,
    }
}

#[expect(clippy::print_stderr, reason = "the counts are the result")]
fn tell(what: &str, plans: u64, points: u64) {
    eprintln!("{what}: {plans} plans, ended {points} times, nothing lost or repeated");
}

fn same_end(seed: u64, crashes: &[u64], whole: &Played, played: &Played) {
    let differs = |id: &&String| whole.states[*id] != played.states[*id];
    if let Some(id) = whole.states.keys().find(differs) {
        panic!(
            "seed {seed}, ended at {crashes:?}: `{id}` differs\n  whole: {}\n  ended: {}",
            whole.story(id),
            played.story(id)
        );
    }
    assert_eq!(played.verdict, whole.verdict, "seed {seed}, ended at {crashes:?}");
}

#[test]
fn a_run_ended_anywhere_ends_as_if_it_had_not_been() {
    let plans = size(16, 200);
    let mut points = 0;
    for seed in 0..plans {
        let plan = Arc::new(random_plan(seed, Family::Timeless, 12));
        let whole = play(&plan, seed, &[]);
        check_played(&whole);
        for point in 1..=whole.points[0] {
            let played = play(&plan, seed, &[point]);
            check_played(&played);
            same_end(seed, &[point], &whole, &played);
            points += 1;
        }
    }
    tell("once", plans, points);
}

#[test]
fn a_run_with_halts_ended_anywhere_repeats_nothing() {
    let plans = size(16, 200);
    let mut points = 0;
    for seed in 1_000..1_000 + plans {
        let plan = Arc::new(random_plan(seed, Family::Halting, 12));
        let whole = play(&plan, seed, &[]);
        check_played(&whole);
        for point in 1..=whole.points[0] {
            check_played(&play(&plan, seed, &[point]));
            points += 1;
        }
    }
    tell("with halts", plans, points);
}

#[test]
fn an_end_ended_anywhere_takes_back_and_closes_what_it_must() {
    let plans = size(24, 200);
    let mut points = 0;
    let mut ends = [0_u64; 3];
    for seed in 3_000..3_000 + plans {
        let plan = Arc::new(random_plan(seed, Family::Ending, 10));
        let whole = play(&plan, seed, &[]);
        check_played(&whole);
        match whole.verdict {
            Verdict::Unwound => ends[0] += 1,
            Verdict::Stuck => ends[1] += 1,
            _ => ends[2] += 1,
        }
        for point in 1..=whole.points[0] {
            check_played(&play(&plan, seed, &[point]));
            points += 1;
        }
    }
    let [unwound, stuck, other] = ends;
    assert!(unwound > 0 && stuck > 0 && other > 0, "the plans must go every way: {ends:?}");
    tell("with undo and closing", plans, points);
}

#[test]
fn what_was_taken_back_begins_anew_wherever_it_is_ended() {
    let plans = size(24, 200);
    let (mut points, mut anew) = (0, 0);
    for seed in 4_000..4_000 + plans {
        let plan = Arc::new(random_plan(seed, Family::Ending, 8));
        let whole = play_on(&plan, seed, &[], true);
        check_played(&whole);
        // The second session is the one that begins anew.
        if let Some(last) = whole.points.get(1) {
            anew += 1;
            for point in 1..=*last {
                let never = u64::MAX;
                check_played(&play_on(&plan, seed, &[never, point], true));
                points += 1;
            }
        }
    }
    assert!(anew > 0, "the plans must go this way");
    tell("begun anew", anew, points);
}

#[test]
fn an_end_ended_twice_takes_back_and_closes_what_it_must() {
    let plans = size(1, 3);
    let mut points = 0;
    let mut seen = 0;
    for seed in 5_000.. {
        let plan = Arc::new(random_plan(seed, Family::Ending, 7));
        let whole = play(&plan, seed, &[]);
        if whole.verdict != Verdict::Unwound {
            continue;
        }
        for first in 1..=whole.points[0] {
            let once = play(&plan, seed, &[first]);
            check_played(&once);
            for second in 1..=once.points[1] {
                check_played(&play(&plan, seed, &[first, second]));
                points += 1;
            }
        }
        seen += 1;
        if seen == plans {
            break;
        }
    }
    tell("twice, with undo and closing", plans, points);
}

#[test]
fn a_resume_ended_anywhere_can_be_resumed() {
    let plans = size(1, 12);
    let mut points = 0;
    for seed in 2_000..2_000 + plans {
        let plan = Arc::new(random_plan(seed, Family::Timeless, 7));
        let whole = play(&plan, seed, &[]);
        for first in 1..=whole.points[0] {
            let once = play(&plan, seed, &[first]);
            for second in 1..=once.points[1] {
                let played = play(&plan, seed, &[first, second]);
                check_played(&played);
                same_end(seed, &[first, second], &whole, &played);
                points += 1;
            }
        }
    }
    tell("twice", plans, points);
}
