mod frame;
mod live;
mod show;

use super::{Json, Lines, Reporter};
use crate::event::{Record, Volatile};
use crate::time::Now;
use crate::view::View;
use crate::view::fixture::{self, at, plan};

pub(super) fn now(ms: u64) -> Now {
    Now { at: at(ms), elapsed_ms: ms }
}

pub(super) fn folded(records: &[Record]) -> View {
    let mut view = View::new(&plan());
    for record in records {
        view.apply_record(record);
    }
    view
}

fn lines(records: &[Record]) -> String {
    let mut view = View::new(&plan());
    let mut out = Vec::new();
    let mut reporter = Lines::new(&mut out);
    for record in records {
        view.apply_record(record);
        reporter.record(&view, record).expect("kept for now");
    }
    reporter.end(&view, now(view.elapsed_ms())).expect("kept for now");
    reporter.flush().expect("a vector takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn lines_of_a_run_that_fails_and_is_resumed() {
    insta::assert_snapshot!(lines(&fixture::resumed()));
}

#[test]
fn lines_of_a_run_that_does_not_know() {
    let text = lines(&fixture::unknown());
    let tail: Vec<&str> = text.lines().rev().take(5).collect();
    insta::assert_snapshot!(tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
}

#[test]
fn hostile_text_stays_on_its_line() {
    let (_, records) = fixture::hostile();
    let text = lines(&records);
    assert!(!text.contains('\u{1b}'));
    assert!(text.lines().all(|line| line.starts_with("2026-11-20T03:12:07Z +")), "{text}");
}

#[test]
fn json_is_one_event_a_line() {
    let records = fixture::failed();
    let mut view = View::new(&plan());
    let mut out = Vec::new();
    let mut reporter = Json::new(&mut out);
    for record in &records {
        view.apply_record(record);
        reporter.record(&view, record).expect("a vector takes everything");
        let volatile = Volatile::Progress {
            step: "promote".into(),
            message: "half\ndone".to_owned(),
            share: Some(0.5),
        };
        reporter.volatile(&view, now(record.event.elapsed_ms), &volatile).expect("written");
    }
    let text = String::from_utf8(out).expect("UTF-8");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2 * records.len());
    for (pair, record) in lines.chunks(2).zip(&records) {
        let back: Record = serde_json::from_value(pair[0].clone()).expect("a record");
        assert_eq!(&back, record);
        assert!(pair[0].get("volatile").is_none());
        assert_eq!(pair[1]["volatile"], true);
        assert_eq!(pair[1]["seq"], record.seq);
        assert_eq!(pair[1]["type"], "progress");
    }
    let last = &lines[lines.len() - 2];
    assert_eq!(last["type"], "run_finished");
    assert_eq!(last["services"][1]["met_rto"], false);
    for field in ["seq", "at", "elapsed_ms", "verdict"] {
        assert!(last.get(field).is_some(), "{field}");
    }
}
