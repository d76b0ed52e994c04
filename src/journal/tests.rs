use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};

use dr_plugin::Secret;
use serde_json::json;

use super::adversary::{Adversary, Fault, Op, Trace};
use super::*;
use crate::event::{
    AttemptFinished, Event, EventKind, Next, Outcome, Purpose, Record, RunFinished, StepFinished,
    StepState, Verdict,
};
use crate::id::{RunId, StepId};
use crate::time::Timestamp;

fn at() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn event(kind: EventKind) -> Event {
    Event { at: at(), elapsed_ms: 1_234, kind }
}

fn moved(by_ms: i64) -> Event {
    event(EventKind::ClockMoved { by_ms })
}

fn started(step: &str, input: serde_json::Value) -> Event {
    event(EventKind::AttemptStarted {
        step: StepId::from(step),
        attempt: 1,
        purpose: Purpose::Apply,
        launch: 1,
        input: Some(input),
        deadline: Some(at()),
    })
}

/// What a simple step leaves.
fn step(id: &str) -> Vec<Event> {
    let outputs = BTreeMap::from([("at".to_owned(), json!({"$time": "2026-01-02T03:04:05Z"}))]);
    vec![
        started(id, json!({"argv": ["true"]})),
        event(EventKind::AttemptFinished(AttemptFinished {
            step: StepId::from(id),
            attempt: 1,
            purpose: Purpose::Apply,
            outcome: Outcome::Succeeded,
            duration_ms: 12,
            error: None,
            expected: None,
            outputs: None,
            result: None,
            warnings: Vec::new(),
            recovery_point: None,
            next: Next::Proceed,
        })),
        event(EventKind::StepFinished(StepFinished {
            step: StepId::from(id),
            state: StepState::Succeeded,
            duration_ms: 13,
            gate_ms: 0,
            outputs,
            warnings: Vec::new(),
            error: None,
            recovery_point: None,
            by: None,
            reason: None,
        })),
    ]
}

fn finished(verdict: Verdict) -> Event {
    event(EventKind::RunFinished(RunFinished {
        session: 1,
        verdict,
        reason: "r".to_owned(),
        services: Vec::new(),
        spans: Vec::new(),
        count: 1,
    }))
}

/// The bytes of a journal of these batches.
fn journal(batches: Vec<Vec<Event>>) -> Vec<u8> {
    let storage = MemoryStorage::default();
    let mut writer = Writer::new(storage.clone(), Head::default(), Masker::default());
    for batch in batches {
        writer.append(batch).unwrap();
    }
    storage.bytes()
}

fn small() -> Vec<u8> {
    journal(vec![vec![moved(1)], step("promote"), vec![moved(2)]])
}

/// A hundred records in batches.
fn hundred() -> Vec<u8> {
    let mut batches = vec![vec![moved(1)]];
    batches.extend((0..33).map(|number| step(&format!("step_{number}"))));
    journal(batches)
}

#[test]
fn what_is_written_is_read_back() {
    let mut expected = vec![moved(1)];
    expected.extend(step("a"));
    let bytes = journal(vec![vec![expected[0].clone()], expected[1..].to_vec()]);
    let replay = decode(&bytes, false).unwrap();
    let events: Vec<_> = replay.records.iter().map(|record| record.event.clone()).collect();
    assert_eq!(events, expected);
    assert_eq!(replay.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((replay.head.seq, replay.head.batch), (4, 2));
    assert_eq!((replay.torn, replay.length), (None, bytes.len() as u64));
    // A line is a record for everybody who only knows the vocabulary.
    let line = bytes.split(|byte| *byte == b'\n').nth(2).unwrap();
    assert_eq!(serde_json::from_slice::<Record>(line).unwrap(), replay.records[2]);
}

#[test]
fn it_goes_on_where_it_ended() {
    let first = journal(vec![vec![moved(1)]]);
    let replay = decode(&first, false).unwrap();
    let storage = MemoryStorage::default();
    let mut writer = Writer::new(storage.clone(), replay.head, Masker::default());
    writer.append(vec![moved(2), moved(3)]).unwrap();
    let whole = [first, storage.bytes()].concat();
    assert_eq!(whole, journal(vec![vec![moved(1)], vec![moved(2), moved(3)]]));
    assert_eq!(writer.head(), decode(&whole, false).unwrap().head);
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is what is asked for")]
fn every_changed_byte_is_found() {
    let bytes = hundred();
    let mut changed = bytes.clone();
    let mut start = 0;
    for (line, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // What comes before the line holds: it is not read again for each byte of it.
        let before = decode(&bytes[..start], false).unwrap();
        for at in start..start + text.len() {
            changed[at] ^= [1_u8, 0x20, 0x80][at % 3];
            let mut replay =
                Replay { head: before.head, length: start as u64, ..Replay::default() };
            match replay.extend(&changed[start..]) {
                Err(JournalError::Damaged { record, offset, .. }) => {
                    assert_eq!((record as usize, offset as usize), (line + 1, start), "byte {at}");
                }
                // Only the last newline can turn a whole line into an unfinished one.
                Ok(()) => assert!(at == bytes.len() - 1, "byte {at} was not noticed"),
                Err(other) => panic!("byte {at}: {other}"),
            }
            changed[at] = bytes[at];
        }
        start += text.len();
    }
    assert_eq!(decode(&bytes, false).unwrap().records.len(), 100);
    println!("{} changed bytes of 100 records: all found", bytes.len());
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is what is asked for")]
fn every_cut_is_a_torn_line_or_a_shorter_journal() {
    let bytes = small();
    let whole = decode(&bytes, false).unwrap().records;
    println!("{} cuts of {} records: all found", bytes.len(), whole.len());
    for length in 0..bytes.len() {
        for padding in [0, 7] {
            let cut = [&bytes[..length], &vec![0; padding]].concat();
            let replay = decode(&cut, false).unwrap();
            assert!(whole.starts_with(&replay.records));
            let lines = bytes[..length].split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(replay.records.len(), lines);
            assert_eq!(replay.length + replay.torn.map_or(0, |torn| torn.bytes), cut.len() as u64);
        }
    }
}

#[test]
fn lines_cannot_be_removed_swapped_or_repeated() {
    let bytes = small();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let refused = |order: &[usize]| {
        let changed: Vec<u8> = order.iter().flat_map(|at| lines[*at]).copied().collect();
        matches!(decode(&changed, false), Err(JournalError::Damaged { .. }))
    };
    assert!(refused(&[1, 2, 3, 4]), "without the first");
    assert!(refused(&[0, 2, 3, 4]), "without the second");
    assert!(refused(&[0, 2, 1, 3, 4]), "swapped");
    assert!(refused(&[0, 1, 1, 2, 3, 4]), "repeated");
}

#[test]
fn damage_can_be_accepted() {
    let mut bytes = small();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 20] ^= 1;
    let error = decode(&bytes, false).unwrap_err();
    assert!(error.to_string().starts_with("the journal is damaged at record 2 (byte "), "{error}");
    let replay = decode(&bytes, true).unwrap();
    assert_eq!(replay.records.len(), 1);
    let lost = replay.lost.unwrap();
    assert_eq!((lost.record, lost.offset), (2, second as u64));
    assert_eq!(lost.offset + lost.bytes, bytes.len() as u64);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    std::fs::write(&path, &bytes).unwrap();
    assert!(reopen(&path, Replay::default(), false, Masker::default()).is_err());
    let (_, mut writer) = reopen(&path, Replay::default(), true, Masker::default()).unwrap();
    writer.append(vec![moved(9)]).unwrap();
    assert_eq!(read(&path, false).unwrap().records.len(), 2);
    assert_eq!(std::fs::read(folder.path().join("journal.jsonl.lost-2")).unwrap(), bytes);
}

#[test]
fn a_torn_line_is_cut_when_the_journal_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut writer = create(&path, Masker::default()).unwrap();
    writer.append(vec![moved(1)]).unwrap();
    writer.append(vec![moved(2)]).unwrap();
    drop(writer);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let (replay, mut writer) = reopen(&path, Replay::default(), false, Masker::default()).unwrap();
    assert!(replay.torn.unwrap().to_string().contains("cut off by a crash"));
    writer.append(vec![moved(2)]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(create(&path, Masker::default()).is_err(), "an existing journal is never replaced");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_journal_that_was_read_before_is_read_on_or_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let write = |numbers: &[i64]| {
        let _ = std::fs::remove_file(&path);
        let mut writer = create(&path, Masker::default()).unwrap();
        for number in numbers {
            writer.append(vec![moved(*number)]).unwrap();
        }
    };
    let known = |numbers: &[i64]| {
        write(numbers);
        read(&path, false).unwrap()
    };
    // Unchanged, written on by another process, cut by one, and cut and written on differently.
    for (before, now) in [
        (&[1, 2][..], &[1, 2][..]),
        (&[1, 2], &[1, 2, 3, 4]),
        (&[1, 2, 3], &[1]),
        (&[1, 2, 3], &[1, 9, 3, 4]),
        (&[], &[1]),
    ] {
        let known = known(before);
        write(now);
        let (replay, mut writer) = reopen(&path, known, false, Masker::default()).unwrap();
        let fresh = read(&path, false).unwrap();
        assert_eq!(replay.records, fresh.records, "{before:?} {now:?}");
        assert_eq!((replay.head, replay.length), (fresh.head, fresh.length));
        writer.append(vec![moved(7)]).unwrap();
        assert_eq!(read(&path, false).unwrap().records.len(), now.len() + 1);
    }
    let known = known(&[1, 2, 3]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"seq\":4,");
    std::fs::write(&path, &bytes).unwrap();
    let (replay, _) = reopen(&path, known, false, Masker::default()).unwrap();
    assert_eq!(replay.torn.map(|torn| torn.bytes), Some(9));
}

#[test]
fn kinds_of_a_newer_version_are_kept_for_views_and_refused_for_runs() {
    let mut head = Head::default();
    let mut bytes = Vec::new();
    for (batch, kind) in [(1, "clock_moved\",\"by_ms\":1,\"x\":\"y"), (2, "teleported")] {
        let json = format!(r#"{{"at":"2026-01-02T03:04:05Z","elapsed_ms":1,"type":"{kind}"}}"#);
        head.encode(batch, json.as_bytes(), &mut bytes);
    }
    let replay = decode(&bytes, false).unwrap();
    assert_eq!(replay.records.len(), 1, "unknown fields of known kinds are passed over");
    assert_eq!((replay.unknown[0].seq, replay.unknown[0].kind.as_str()), (2, "teleported"));
    let error = replay.for_resume().unwrap_err();
    assert!(matches!(error, JournalError::Newer { record: 2, .. }), "{error}");
}

#[test]
fn a_run_with_a_final_verdict_does_not_go_on() {
    for (verdict, over) in [
        (Verdict::Succeeded, true),
        (Verdict::ObjectiveMissed, true),
        (Verdict::Failed, false),
        (Verdict::Cancelled, false),
        (Verdict::Stuck, false),
    ] {
        let replay = decode(&journal(vec![vec![finished(verdict)]]), false).unwrap();
        assert_eq!(replay.for_resume().is_err(), over, "{verdict:?}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is what is asked for")]
fn after_the_first_error_nothing_is_written() {
    let mut refused = 0;
    let faults = [
        Fault::Write(0, libc::EIO),
        Fault::Write(50, libc::ENOSPC),
        Fault::Write(usize::MAX, libc::EIO),
        Fault::Sync(libc::EIO),
    ];
    for fault in faults {
        for failing in 1..=3 {
            let trace = Trace::default();
            let adversary = Adversary::new(trace.clone(), Some((failing, fault)));
            let mut writer = Writer::new(adversary, Head::default(), Masker::default());
            for batch in 1..failing {
                writer.append(vec![moved(batch as i64)]).unwrap();
            }
            let error = writer.append(vec![moved(7)]).unwrap_err();
            assert!(matches!(error, JournalError::Write { .. }));
            let ops = trace.ops().len();
            let again = writer.append(vec![moved(8)]).unwrap_err();
            assert!(matches!(again, JournalError::Dead));
            assert_eq!(trace.ops().len(), ops, "the storage was used after its error");
            let durable = decode(&trace.durable(), false).unwrap();
            assert_eq!(durable.records.len(), failing - 1);
            refused += 1;
        }
    }
    println!("{refused} writes and syncs refused: nothing was written after them");
}

#[test]
fn a_batch_is_one_write_and_one_sync() {
    let trace = Trace::default();
    let adversary = Adversary::new(trace.clone(), None);
    let mut writer = Writer::new(adversary, Head::default(), Masker::default());
    writer.append(step("a")).unwrap();
    writer.append(Vec::new()).unwrap();
    writer.append(step("b")).unwrap();
    let ops = trace.ops();
    assert!(
        matches!(ops[..], [Op::Append(_), Op::Sync, Op::Append(_), Op::Sync]),
        "{} operations",
        ops.len()
    );
}

#[test]
fn secrets_are_masked_before_the_sums_and_words_stay() {
    let masker = Masker::default();
    for secret in ["promote", "succeeded", "s3cr\"et", "type", "apply"] {
        masker.add(&Secret::new(secret));
    }
    let storage = MemoryStorage::default();
    let mut writer = Writer::new(storage.clone(), Head::default(), masker);
    let input = json!({"sql": "set password 's3cr\"et'", "nested": {"s3cr\"et": ["s3cr\"et"]}});
    let mut events = vec![started("promote", input)];
    events.extend(step("promote"));
    let written = writer.append(events).unwrap();
    let text = String::from_utf8(storage.bytes()).unwrap();
    assert!(!text.contains("s3cr"), "{text}");
    let read = decode(&storage.bytes(), false).unwrap();
    assert!(read.unknown.is_empty());
    assert!(written.iter().map(|record| &**record).eq(&read.records), "what is shown is masked");
    let EventKind::AttemptStarted { step, input, .. } = &read.records[0].event.kind else {
        panic!("not an attempt");
    };
    assert_eq!(step.as_str(), "promote");
    assert_eq!(
        input.as_ref().unwrap(),
        &json!({
            "sql": {"$masked": "set password '***'"},
            "nested": {"$masked": {"***": ["***"]}},
        })
    );
}

#[test]
fn a_tail_follows_a_growing_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut tail = Tail::new(&path);
    assert!(tail.poll().unwrap().is_empty());
    let bytes = small();
    let mut seen = 0;
    for length in (0..=bytes.len()).step_by(97).chain([bytes.len()]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        seen += tail.poll().unwrap().len();
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_third_party_verifies_it_with_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    std::fs::write(&path, small()).unwrap();
    // The very text of the reference.
    let reference = include_str!("../../docs/reference/journal.md");
    let script = reference
        .split_once("```sh\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(script, _)| script)
        .unwrap();
    let verify = || run_sh(script, folder.path());
    assert!(verify(), "the journal as written");
    let bytes = std::fs::read(&path).unwrap();
    for at in (10..bytes.len() - 1).step_by(61) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert!(!verify(), "byte {at}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the test plays the third party")]
fn run_sh(script: &str, folder: &std::path::Path) -> bool {
    let mut sh = Command::new("sh");
    sh.arg("-c").arg(script).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    sh.status().unwrap().success()
}

#[test]
fn a_step_costs_at_most_a_kibibyte() {
    let batches = (0..100).map(|number| step(&format!("restart_web_{number}"))).collect();
    let bytes = journal(batches).len() / 100;
    assert!(bytes <= 1_024, "{bytes} bytes a step");
}

#[test]
fn one_of_many_gets_the_lock_and_the_others_are_told_who() {
    let folder = tempfile::tempdir().unwrap();
    let state = RunStore::new(folder.path().join(".dr"));
    state.prepare().unwrap();
    let holder = |pid| Holder {
        run: RunId::from("r1"),
        user: "alice".to_owned(),
        host: "h1".to_owned(),
        pid,
        since: at(),
    };
    let start = Arc::new(Barrier::new(8));
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|pid| {
                let (state, start) = (&state, Arc::clone(&start));
                scope.spawn(move || {
                    start.wait();
                    state.lock("shop", "production", &holder(pid))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let held = results.iter().flatten().count();
    assert_eq!(held, 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        let LockError::Held { what, holder } = error else { panic!("{error}") };
        assert_eq!(what, "shop@production");
        assert_eq!(holder.as_ref().unwrap().user, "alice");
        assert!(error.to_string().contains("run r1 by alice@h1 (process "), "{error}");
    }
    assert!(state.lock("shop", "drill", &holder(9)).is_ok(), "another environment is free");
    drop(results);
    assert!(state.lock("shop", "production", &holder(9)).is_ok(), "it went with its holder");
}

#[test]
fn a_lock_held_by_another_process_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let dir = RunDir::new(folder.path());
    std::fs::write(dir.lock(), "").unwrap();
    assert!(!dir.is_live());
    #[expect(clippy::disallowed_methods, reason = "the test needs a second process")]
    let mut other = Command::new("flock")
        .arg(dir.lock())
        .args(["sh", "-c", "echo held; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(other.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    assert!(dir.is_live());
    drop(other.stdin.take());
    other.wait().unwrap();
    assert!(!dir.is_live());
}

#[test]
fn a_run_folder_is_made_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let state = RunStore::new(folder.path().join("deep/.dr"));
    let new = NewRun { plan: b"{}", runbook: vec![("sub/shop.yaml".into(), b"runbook: shop")] };
    let id = RunId::from("20260102T030405Z-shop-4f3a");
    let dir = state.create_run(&id, &new).unwrap();
    assert_eq!((dir.id(), dir.path()), (id.clone(), state.run(&id).path()));
    assert_eq!(std::fs::read(dir.plan()).unwrap(), b"{}");
    assert!(dir.runbook().join("sub/shop.yaml").exists());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(dir.path()) & 0o777, 0o700);
    assert_eq!(mode(&dir.inbox()) & 0o777, 0o700);
    assert_eq!(mode(&dir.plan()) & 0o777, 0o600);
    assert_eq!(std::fs::read(state.root().join(".gitignore")).unwrap(), b"*\n");

    assert!(state.create_run(&id, &new).is_err(), "never twice");
    let outside = NewRun { plan: b"{}", runbook: vec![("../x".into(), b"")] };
    let second = RunId::from("20260102T030406Z-shop-0000");
    assert!(state.create_run(&second, &outside).is_err());
    let left: Vec<_> = std::fs::read_dir(state.runs()).unwrap().collect();
    assert_eq!(left.len(), 1, "no half-made run stays: {left:?}");

    state.create_run(&second, &new).unwrap();
}

#[test]
fn state_that_cannot_be_written_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = RunStore::new(folder.path().join("file/.dr")).prepare().unwrap_err();
    assert!(matches!(error, StateError::NotWritable { .. }), "{error}");
    let error = RunStore::new("/proc/dr-state").prepare().unwrap_err();
    assert!(matches!(error, StateError::NotWritable { .. }), "{error}");
}

#[test]
fn no_field_of_an_event_is_named_like_a_field_of_the_line() {
    let schema = serde_json::to_value(schemars::schema_for!(EventKind)).unwrap();
    let mut names = String::new();
    for variant in schema["oneOf"].as_array().unwrap() {
        for name in variant["properties"].as_object().into_iter().flat_map(|map| map.keys()) {
            let _ = write!(names, "{name} ");
            assert!(!["seq", "at", "elapsed_ms", "batch", "prev", "sum"].contains(&name.as_str()));
        }
    }
    assert!(names.contains("verdict") || names.contains("step "), "the schema was understood");
}
