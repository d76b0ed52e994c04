use std::collections::BTreeMap;

use super::{folded, now};
use crate::event::{EventKind, Purpose, Record, Volatile};
use crate::plan::Projection;
use crate::report::{Screen, frame, width};
use crate::view::View;
use crate::view::fixture::{self, Story, actor};

fn projection(database: Option<u64>, web: Option<u64>) -> Projection {
    Projection {
        finish_ms: web.or(database).unwrap_or(0),
        services: BTreeMap::from([("database".into(), database), ("web".into(), web)]),
        clock_start_ms: None,
    }
}

fn screen(width: usize, height: usize) -> Screen {
    Screen { width, height, ..Screen::plain() }
}

fn drawn(records: &[Record], ms: u64, screen: &Screen) -> String {
    frame(&folded(records), &projection(Some(70_000), Some(190_000)), now(ms), screen).join("\n")
}

#[test]
fn a_run_as_it_goes_on() {
    let mut story = Story::begin();
    let mut all = String::new();
    let mut show = |name: &str, story: &Story, ms: u64| {
        let text = drawn(&story.records, ms, &screen(100, 24));
        all.extend(["== ", name, "\n", &text, "\n\n"]);
    };
    show("at the start", &story, 0);
    story.launch("fence_primary", 1, Purpose::Apply);
    show("a step runs", &story, 1_234);
    let mut story = Story::begin();
    story.until_gate();
    show("somebody is asked", &story, 30_000);
    let mut story = Story::begin();
    story.until_promotion();
    show("it takes longer than planned", &story, 64_200);
    let mut story = Story::begin();
    story.until_database().launch("restart_web@web_1", 1, Purpose::Apply);
    show("the first service is back", &story, 53_000);
    story.tell(EventKind::CancelRequested {
        by: actor("bob"),
        level: crate::event::CancelRequest::Drain,
        reason: None,
    });
    show("it is stopping", &story, 54_000);
    insta::assert_snapshot!(all);
}

#[test]
fn narrow_terminals_lose_the_ends_of_lines_only() {
    let mut story = Story::begin();
    story.until_promotion();
    insta::assert_snapshot!(drawn(&story.records, 40_000, &screen(40, 10)));
}

#[test]
fn no_line_is_wider_and_no_block_is_higher_than_the_screen() {
    let (plan, records) = fixture::wide(1_000);
    let mut view = View::new(&plan);
    for record in &records {
        view.apply_record(record);
    }
    for number in 0..1_000 {
        view.apply_volatile(&Volatile::Progress {
            step: format!("copy@{number}").into(),
            message: format!("日本語 {number} {}", "x".repeat(200)),
            share: Some(0.5),
        });
    }
    let projection = projection(None, Some(10_000));
    for columns in [1, 10, 20, 40, 80, 200] {
        for rows in [1, 5, 10, 24, 100] {
            for colour in [false, true] {
                let screen = Screen { colour, ..screen(columns, rows) };
                let lines = frame(&view, &projection, now(5_000), &screen);
                assert!(lines.len() < rows.max(7), "{columns}x{rows}: {}", lines.len());
                for line in &lines {
                    let bare = crate::view::clean(line);
                    assert!(width(&bare) <= columns, "{columns}x{rows}: {bare:?}");
                }
            }
        }
    }
    let lines = frame(&view, &projection, now(5_000), &screen(80, 24)).join("\n");
    assert!(lines.contains("more run"), "{lines}");
}

#[test]
fn without_colours_there_is_no_escape() {
    for records in [fixture::unknown(), fixture::failed(), fixture::paused()] {
        let plain = drawn(&records, 60_000, &screen(100, 24));
        assert!(!plain.contains('\u{1b}'));
        let screen = Screen { colour: true, ..screen(100, 24) };
        let coloured = drawn(&records, 60_000, &screen);
        assert!(coloured.contains("\u{1b}["));
        assert_eq!(crate::view::clean(&coloured), plain);
    }
}
