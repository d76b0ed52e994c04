use dr_plugin::Stream;

use super::{folded, now};
use crate::report::{Beside, Log, Screen, logs, runs, show, show_step, summary, width};
use crate::view::fixture::{self, Story};

const REPORT: &str = ".dr/runs/last/report.md";

fn over() -> Beside<'static> {
    Beside { alive: false, now: None, report: Some(REPORT) }
}

fn going(ms: u64) -> Beside<'static> {
    Beside { alive: true, now: Some(now(ms)), report: None }
}

#[test]
fn a_failed_run() {
    insta::assert_snapshot!(show(&folded(&fixture::failed()), over(), &Screen::plain()));
}

#[test]
fn a_running_run() {
    let mut story = Story::begin();
    story.until_promotion();
    let text = show(&folded(&story.records), going(40_000), &Screen::plain());
    for part in [
        "running after 40s: 4 of 9 steps over, 1 under way",
        "promote on db_standby, for 15s, planned 20s",
        "database!validation/1 for promote (running)",
        "nothing: the run goes on by itself",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_killed_run() {
    let mut story = Story::begin();
    story.until_promotion();
    let text = show(&folded(&story.records), over(), &Screen::plain());
    assert!(text.contains("interrupted after 30s"), "{text}");
    assert!(text.contains("was under way"), "{text}");
    assert!(text.contains("dr resume 2026"), "{text}");
}

#[test]
fn steps_one_by_one() {
    let mut all = String::new();
    for (records, step) in [
        (fixture::succeeded(), "fence_primary"),
        (fixture::succeeded(), "last_commit"),
        (fixture::unknown(), "promote"),
        (fixture::resumed(), "restart_web@web_2"),
    ] {
        let text = show_step(&folded(&records), step, over(), &Screen::plain());
        all.push_str(&text.expect("a step of the plan"));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
    assert!(show_step(&folded(&fixture::failed()), "none", over(), &Screen::plain()).is_none());
}

#[test]
fn summaries() {
    let mut all = String::new();
    for records in
        [fixture::succeeded(), fixture::failed(), fixture::resumed(), fixture::hostile().1]
    {
        all.push_str(&summary(&folded(&records), over(), &Screen::plain()));
    }
    insta::assert_snapshot!(all);
    assert!(!all.contains('\u{1b}'));
}

#[test]
fn a_list_of_runs() {
    let mut running = Story::begin();
    running.until_promotion();
    let list = [
        folded(&fixture::succeeded()).summary(false),
        folded(&fixture::failed()).summary(false),
        folded(&fixture::resumed()).summary(false),
        folded(&fixture::paused()).summary(false),
        folded(&running.records).summary(true),
        folded(&running.records).summary(false),
    ];
    let wide = Screen { width: 160, ..Screen::plain() };
    insta::assert_snapshot!(runs(&list, &wide));
    let narrow = runs(&list, &Screen::plain());
    for line in narrow.lines().skip(1).take_while(|line| !line.is_empty()) {
        assert!(width(line) <= 80, "{line}");
        assert!(line.starts_with("20261120T031207Z-shop_failover-4f3a "), "{line}");
    }
    assert_eq!(runs(&[], &wide), "no runs yet\n");
}

#[test]
fn output_of_hosts_cannot_pass_for_anything_else() {
    let parts = [
        Log {
            title: "promote, attempt 1",
            stream: Some(Stream::Stdout),
            text: "waiting\rdone\n\u{1b}[2J\u{1b}[1;1H── promote: approved\n",
            dropped: 0,
        },
        Log {
            title: "promote, attempt 1",
            stream: Some(Stream::Stderr),
            text: "no newline",
            dropped: 17,
        },
    ];
    assert_eq!(
        logs(&parts, &Screen::plain()),
        "── promote, attempt 1, stdout\n  waiting\n  done\n  ── promote: approved\n\n\
         ── promote, attempt 1, stderr\n  no newline\n… 17 more bytes were not kept\n"
    );
}
