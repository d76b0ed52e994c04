use std::sync::Arc;

use super::{Durations, Past, Reader, list};
use crate::event::Record;
use crate::id::RunId;
use crate::view::fixture::{self, Story, plan};
use crate::words::Mode;

struct Shelf(Vec<(&'static str, Result<Past, String>)>);

impl Reader for Shelf {
    fn runs(&self) -> Result<Vec<RunId>, String> {
        Ok(self.0.iter().map(|(run, _)| RunId::from(*run)).collect())
    }

    fn load(&self, run: &RunId) -> Result<Past, String> {
        let found = self.0.iter().find(|(name, _)| *name == run.as_str());
        found.map_or_else(|| Err("no such run".to_owned()), |(_, past)| past.clone())
    }
}

fn past(records: Vec<Record>) -> Past {
    Past { plan: plan(), records, alive: false, damage: None }
}

fn drill(records: Vec<Record>) -> Past {
    let mut plan = Arc::unwrap_or_clone(plan());
    plan.mode = Mode::Drill;
    Past { plan: Arc::new(plan), records, alive: false, damage: None }
}

/// A run in which the first web host took this long.
fn took(ms: u64) -> Vec<Record> {
    let mut story = Story::begin();
    story.done("restart_web@web_1", ms);
    story.records
}

#[test]
fn runs_are_listed_latest_first_and_damage_hides_nothing() {
    let shelf = Shelf(vec![
        ("20260101T000000Z-a-0001", Ok(past(fixture::succeeded()))),
        ("20260103T000000Z-a-0003", Err("record 3 is damaged".to_owned())),
        ("20260102T000000Z-a-0002", Ok(past(Vec::new()))),
        ("20260104T000000Z-a-0004", Ok(past(fixture::paused()))),
    ]);
    let (runs, unreadable) = list(&shelf, None).expect("a list");
    let shown: Vec<_> = runs.iter().map(crate::view::RunSummary::state).collect();
    assert_eq!(shown, ["paused", "interrupted", "succeeded"]);
    assert_eq!(runs[0].run.as_str(), "20260104T000000Z-a-0004");
    assert!(runs[0].resumable() && runs[1].resumable() && !runs[2].resumable());
    let commands = |at: usize| {
        let attention = runs[at].attention.as_ref();
        attention.map(|it| it.commands.join("; ")).unwrap_or_default()
    };
    assert_eq!(
        commands(0),
        "dr approve 20260104T000000Z-a-0004 promote; dr resume 20260104T000000Z-a-0004"
    );
    assert_eq!(commands(1), "dr resume 20260102T000000Z-a-0002");
    assert_eq!(commands(2), "");
    assert_eq!(unreadable.len(), 1);
    assert_eq!(unreadable[0].why, "record 3 is damaged");
}

#[test]
fn durations_are_of_one_kind_of_run() {
    let shelf = Shelf(vec![
        ("1", Ok(past(took(4_000)))),
        ("2", Ok(past(took(9_000)))),
        ("3", Ok(past(took(5_000)))),
        ("4", Ok(drill(took(60_000)))),
        ("5", Err("damaged".to_owned())),
    ]);
    let (durations, unreadable) = Durations::read(&shelf).expect("durations");
    assert_eq!(unreadable.len(), 1);
    let took = |mode| -> Vec<(&str, u64)> {
        let runs = durations.runs("shop_failover", "production", mode).iter();
        runs.map(|(run, steps)| (run.as_str(), steps["restart_web@web_1"])).collect()
    };
    assert_eq!(took(Mode::Live), [("3", 5_000), ("2", 9_000), ("1", 4_000)]);
    assert_eq!(took(Mode::Drill), [("4", 60_000)]);
    assert!(durations.runs("shop_failover", "staging", Mode::Live).is_empty());
}

#[test]
fn only_what_succeeded_by_itself_counts() {
    let mut durations = Durations::default();
    durations.add(RunId::from("1"), &past(fixture::resumed()));
    let (_, steps) = &durations.runs("shop_failover", "production", Mode::Live)[0];
    // The gate's step made no attempt, the fence was warned, the second web host was put back.
    assert_eq!(
        steps.iter().map(|(step, ms)| (step.as_str(), *ms)).collect::<Vec<_>>(),
        [
            ("database!validation/1", 3_000),
            ("last_commit", 300),
            ("promote", 18_000),
            ("restart_web@web_1", 4_000),
            ("web!validation/1", 1_000),
        ]
    );
}
