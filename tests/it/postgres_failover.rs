//! `runbooks/postgres-failover.yaml` on a real pair of servers.

use std::thread::sleep;
use std::time::Duration;

use dr_testkit::{Ended, Running};
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::Value;

use crate::postgres_pair::{Observer, Pair, Replication, Writer};

/// How far the times that `dr` measured may be from what an outside observer sees.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

#[test]
fn the_standby_takes_over_with_every_acknowledged_row() {
    let mut pair = Pair::start(Replication::Synchronous);
    let writer = Writer::start(pair.primary.config());
    writer.has_written(50);
    let incident = pair.crash_primary();
    let rows = writer.rows();
    let observer = Observer::start(pair.standby.config());

    let dr = pair.dr();
    let ended = pair.execute(&dr, incident).arg("--format").arg("json").run().code(0);
    let recovered_at = observer.recovered_at().expect("the observer could write");

    // Every row that was acknowledged is there, and at most the one under way besides.
    let new_primary = pair.standby.connect().unwrap();
    let held: Vec<i64> = new_primary
        .run("select n from written order by n")
        .iter()
        .map(|row| row[0].as_ref().unwrap().parse().unwrap())
        .collect();
    let acknowledged: Vec<i64> =
        rows.iter().filter(|row| row.acknowledged).map(|row| row.n).collect();
    assert!(
        held.starts_with(&acknowledged),
        "held {}, acknowledged {}",
        held.len(),
        acknowledged.len()
    );

    // What was measured is what was seen from outside.
    let service = achieved(&ended, "database");
    let rta = millis(&service["rta_ms"]);
    let declared_at = time(&first(&ended, "run_started")["declared_at"]);
    close(declared_at + rta, recovered_at, "RTA");
    let rpa = millis(&service["rpa_ms"]);
    let newest_held = rows[held.len() - 1].sent_at;
    close(incident - rpa, newest_held, "RPA");
    if let Some(lost) = rows.get(held.len()) {
        assert!(rpa >= incident.duration_since(lost.sent_at), "{rpa} {lost:?} {incident}");
    }
    assert_eq!(service["met_rto"], true);
    assert_eq!(service["met_rpo"], true);

    assert_eq!(pair.calls("promote"), 1);
    assert_eq!(pair.timeline(), 2);
    pair.assert_primary_is_fenced();
}

#[test]
fn the_loss_is_that_of_the_newest_lost_row() {
    let mut pair = Pair::start(Replication::Asynchronous);
    let old = pair.primary.connect().unwrap();
    old.run("insert into written values (1)");
    let standby = pair.standby.connect().unwrap();
    dr_testkit::eventually("the first row arrives", || standby.value("select n from written"));
    pair.replication.hold();
    let lost_at = Timestamp::now();
    old.run("insert into written values (2)");
    sleep(Duration::from_secs(2));
    let incident = pair.crash_primary();

    let dr = pair.dr();
    let ended = pair.execute(&dr, incident).arg("--format").arg("json").run().code(0);
    let rpa = millis(&achieved(&ended, "database")["rpa_ms"]);
    let age = incident.duration_since(lost_at);
    assert!(rpa >= age && rpa <= age + TOLERANCE, "reported {rpa}, the lost row was {age} old");
    let new_primary = pair.standby.connect().unwrap();
    assert_eq!(
        new_primary.value("select string_agg(n::text, ',') from written").as_deref(),
        Some("1")
    );
}

#[test]
fn a_standby_too_far_behind_is_not_promoted() {
    let mut pair = Pair::start(Replication::Asynchronous);
    // The network to the standby fails; the primary goes on for longer than may be lost.
    pair.replication.hold();
    let writer = Writer::start(pair.primary.config());
    sleep(Duration::from_secs(4));
    let incident = pair.crash_primary();
    drop(writer.rows());

    let dr = pair.dr();
    let ended = pair.execute(&dr, incident).input("max_loss", "2s").run().code(5);
    let said = ended.to_string();
    for part in ["holds nothing after", "more than 2s", "larger --input max_loss"] {
        assert!(said.contains(part), "it does not say {part:?}\n{said}");
    }
    let shown = dr.args(["show", "last"]).run().code(0);
    assert!(shown.stdout.contains("check_loss"), "{shown}");
    assert!(pair.standby_is_standby());
    assert_eq!(pair.calls("promote") + pair.calls("stop"), 0);
    assert!(!pair.primary.data().join("standby.signal").exists(), "nothing was fenced");

    // The way out that the message names.
    pair.execute(&dr, incident).input("max_loss", "1h").run().code(0);
    assert!(!pair.standby_is_standby());
    assert_eq!(pair.calls("promote"), 1);
}

/// Where `dr` is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instant {
    /// The attempt is in the journal, and nothing has reached the host.
    BeforeExec,
    /// The host has claimed the job, and the command has begun.
    AfterClaim,
    /// The command has ended, and nobody has seen its exit code.
    AfterExitCode,
    /// The result is in the journal.
    AfterResult,
    /// The wait for the new primary has begun.
    DuringRepeat,
}

#[test]
fn killed_before_the_promotion_reaches_the_host() {
    promoted_once_although_killed(Instant::BeforeExec);
}

#[test]
fn killed_after_the_host_claimed_the_promotion() {
    promoted_once_although_killed(Instant::AfterClaim);
}

#[test]
fn killed_after_the_promotions_exit_code() {
    promoted_once_although_killed(Instant::AfterExitCode);
}

#[test]
fn killed_after_the_promotions_result() {
    promoted_once_although_killed(Instant::AfterResult);
}

#[test]
fn killed_while_waiting_for_the_new_primary() {
    promoted_once_although_killed(Instant::DuringRepeat);
}

fn promoted_once_although_killed(instant: Instant) {
    let mut pair = Pair::start(Replication::Synchronous);
    pair.primary.connect().unwrap().run("insert into written values (1)");
    let incident = pair.crash_primary();
    let dr = pair.dr();
    if instant == Instant::BeforeExec {
        pair.ssh.hold();
    } else {
        pair.park_promotion();
    }

    let execute = pair.execute(&dr, incident).arg("--skip-preflight").arg("--format").arg("json");
    let running = execute.spawn();
    kill_at(instant, &pair, running);
    dr.args(["resume", "last"]).run().code(0);

    assert_eq!(pair.calls("promote"), 1, "{instant:?}");
    assert_eq!(pair.timeline(), 2, "{instant:?}");
    let new_primary = pair.standby.connect().unwrap();
    assert_eq!(new_primary.value("select n from written").as_deref(), Some("1"));
    pair.assert_primary_is_fenced();
}

/// Kills `dr` exactly there: what comes next is held back until it is dead.
fn kill_at(instant: Instant, pair: &Pair, running: Running) {
    match instant {
        Instant::BeforeExec => {
            running.event(|event| is(event, "attempt_started", "promote"));
            running.kill();
            pair.ssh.cut();
            pair.ssh.release();
        }
        Instant::AfterClaim => {
            pair.promotion_is_parked();
            running.kill();
            pair.unpark_promotion();
        }
        Instant::AfterExitCode => {
            pair.promotion_is_parked();
            running.signal(Signal::STOP);
            pair.unpark_promotion();
            pair.promotion_has_exit_code();
            running.kill();
        }
        Instant::AfterResult | Instant::DuringRepeat => {
            pair.promotion_is_parked();
            pair.sql.hold();
            pair.unpark_promotion();
            running.event(|event| match instant {
                Instant::AfterResult => is(event, "attempt_finished", "promote"),
                _ => is(event, "attempt_started", "standby_writable"),
            });
            running.kill();
            pair.sql.cut();
            pair.sql.release();
        }
    }
}

fn is(event: &Value, kind: &str, step: &str) -> bool {
    event["type"] == kind && event["step"] == step
}

fn first(ended: &Ended, kind: &str) -> Value {
    let events = ended.events();
    events.into_iter().find(|event| event["type"] == kind).unwrap()
}

fn achieved(ended: &Ended, service: &str) -> Value {
    let finished = first(ended, "run_finished");
    let services = finished["services"].as_array().unwrap();
    services.iter().find(|found| found["name"] == service).unwrap().clone()
}

fn millis(value: &Value) -> SignedDuration {
    SignedDuration::from_millis(value.as_i64().unwrap_or_else(|| panic!("no number: {value}")))
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[track_caller]
fn close(measured: Timestamp, seen: Timestamp, what: &str) {
    let apart = measured.duration_since(seen).abs();
    assert!(apart <= TOLERANCE, "{what}: measured {measured}, seen {seen}, {apart} apart");
}
