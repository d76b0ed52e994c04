use serde_json::{Value, json};

use super::{Plan, Progress, Projector, digest, project};
use crate::id::{ServiceId, StepId};

fn step(id: &str, needs: &[&str], estimate_ms: u64, order: u32) -> Value {
    json!({
        "id": id, "service": "database", "phase": "failover", "uses": "ssh.command",
        "with": { "argv": ["true"] }, "host": "db", "needs": needs, "after": [],
        "because": {}, "effect": "idempotent", "keyed": "job", "on_unknown": "ask",
        "on_failure": "halt", "timeout_ms": 60000,
        "retry": { "attempts": 3, "backoff_ms": 1000, "max_backoff_ms": 30000, "written": false },
        "takes": { "run": 1, "host:db": 1 },
        "urgency": { "class": "critical", "latest_start_ms": 0, "order": order },
        "estimate_ms": estimate_ms, "estimate_source": "declared",
        "start_ms": 0, "finish_ms": 0, "slack_ms": 0, "critical": false,
        "place": { "file": "r.yaml", "line": 1 },
    })
}

fn sample() -> Value {
    let mut promote = step("promote", &["fence"], 10_000, 1);
    for (field, value) in [
        ("description", json!("promotes")),
        ("when", json!("run.mode == 'live'")),
        (
            "approve",
            json!({ "message": "ok?", "approvers": 1, "timeout_ms": null, "on_reject": "fail" }),
        ),
        ("outputs", json!([{ "name": "at", "value": "result.at" }])),
        ("expect", json!([{ "that": "result.ok", "severity": { "fixed": "fail" } }])),
        ("recovery_point", json!("outputs.at")),
        ("point_of_no_return", json!(true)),
        ("action_effect", json!("once")),
        ("check", json!({ "uses": "ssh.command", "done": "result.done", "timeout_ms": 30000 })),
        (
            "repeat",
            json!({ "until": "result.ok", "every_ms": 1, "timeout_ms": 9, "stable": 1, "at_least": 1, "at_most": null }),
        ),
        ("because", json!({ "fence": "order" })),
    ] {
        promote[field] = value;
    }
    json!({
        "format": 1, "runbook": "shop", "description": "d", "owner": "o",
        "environment": "default", "protected": false, "mode": "live", "style": "graceful",
        "phases": ["failover"], "digest": "sha256:0", "makespan_ms": 1, "lower_bound_ms": 1,
        "critical_path": ["fence"], "inputs": { "a": 1 }, "values": { "b": { "y": 1, "x": 2 } },
        "hosts": { "db": { "name": "db", "address": "db1" } },
        "secrets": { "pw": [{ "env": "PW" }] },
        "plugins": { "ssh": { "version": "0.1.0", "manifest": "sha256:1", "settings": {} } },
        "pools": { "run": { "capacity": 2 }, "host:db": { "capacity": 1 } },
        "services": [{
            "name": "database", "kind": "database", "priority": "critical",
            "priority_number": 13, "rto_ms": 60000, "rpo_ms": 1000, "depends_on": [],
            "validated": false, "predicted_ms": 1, "p50_ms": null, "p90_ms": null,
            "p95_ms": null, "lower_bound_ms": 1, "meets_rto": true,
        }],
        "files": [{ "step": "fence", "path": "a.sh", "sha256": "sha256:2" }],
        "seal": { "id": "5ea1", "created_at": "2026-11-20T12:00:00Z", "by": "a@b",
            "expires": "2026-11-21T12:00:00Z", "sources": [{ "path": "r", "sha256": "sha256:3" }] },
        "steps": [step("fence", &[], 5_000, 0), promote, step("aside", &[], 4_000, 2)],
        "notices": [{ "code": "DR2001", "message": "m" }],
    })
}

fn plan(json: Value) -> Plan {
    serde_json::from_value(json).expect("a plan")
}

#[test]
fn the_digest_covers_what_would_be_done_and_nothing_else() {
    let before = digest(&plan(sample()));
    assert!(before.as_str().starts_with("sha256:") && before.as_str().len() == 71);
    let changed = |pointer: &str, value: &Value| {
        let mut json = sample();
        if let Some(place) = json.pointer_mut(pointer) {
            *place = value.clone();
        } else {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            json.pointer_mut(parent).expect(pointer)[key] = value.clone();
        }
        assert_ne!(json, sample(), "{pointer} is set to what it was");
        digest(&plan(json)) != before
    };
    for (pointer, value) in [
        ("/runbook", json!("other")),
        ("/environment", json!("drill")),
        ("/protected", json!(true)),
        ("/mode", json!("drill")),
        ("/style", json!("ungraceful")),
        ("/phases", json!([])),
        ("/inputs/a", json!(2)),
        ("/values/b/x", json!(3)),
        ("/hosts/db/address", json!("db2")),
        ("/secrets/pw/0", json!({ "file": "pw" })),
        ("/plugins/ssh/version", json!("0.2.0")),
        ("/plugins/ssh/manifest", json!("sha256:2")),
        ("/plugins/ssh/settings", json!({ "port": 22 })),
        ("/pools/run/capacity", json!(3)),
        ("/services/0/rto_ms", json!(1)),
        ("/services/0/rpo_ms", json!(1)),
        ("/services/0/priority", json!("high")),
        ("/services/0/depends_on", json!(["web"])),
        ("/services/0/validated", json!(true)),
        ("/steps/1/id", json!("demote")),
        ("/steps/1/service", json!(null)),
        ("/steps/1/phase", json!("restore")),
        ("/steps/1/validates", json!("v")),
        ("/steps/1/uses", json!("ssh.script")),
        ("/steps/1/tally", json!({ "of": ["fence"], "threshold": 0.5 })),
        ("/steps/1/with/argv/0", json!("false")),
        ("/steps/1/host", json!("other")),
        ("/steps/1/needs", json!([])),
        ("/steps/1/after", json!(["fence"])),
        ("/steps/1/when", json!("true")),
        ("/steps/1/skip", json!("when")),
        ("/steps/1/approve/message", json!("really?")),
        ("/steps/1/approve/approvers", json!(2)),
        ("/steps/1/approve/timeout_ms", json!(2)),
        ("/steps/1/approve/on_reject", json!("skip")),
        ("/steps/1/outputs/0/value", json!("result.b")),
        ("/steps/1/expect/0/that", json!("result.b")),
        ("/steps/1/expect/0/severity", json!({ "fixed": "warn" })),
        ("/steps/1/expect/0/message", json!("m")),
        ("/steps/1/recovery_point", json!("outputs.b")),
        ("/steps/1/point_of_no_return", json!(false)),
        ("/steps/1/effect", json!("once")),
        ("/steps/1/action_effect", json!("pure")),
        ("/steps/1/keyed", json!("never")),
        ("/steps/1/action_checks", json!(true)),
        ("/steps/1/check/done", json!("result.b")),
        ("/steps/1/check/running", json!("result.b")),
        ("/steps/1/check/timeout_ms", json!(1)),
        ("/steps/1/on_unknown", json!("fail")),
        ("/steps/1/on_failure", json!("warn")),
        ("/steps/1/timeout_ms", json!(1)),
        ("/steps/1/retry/attempts", json!(1)),
        ("/steps/1/retry/backoff_ms", json!(1)),
        ("/steps/1/repeat/until", json!("result.b")),
        ("/steps/1/repeat/stable", json!(2)),
        ("/steps/1/takes/run", json!(2)),
        ("/files/0/sha256", json!("sha256:4")),
        ("/files", json!([])),
    ] {
        assert!(changed(pointer, &value), "{pointer} is not covered");
    }
    for (pointer, value) in [
        ("/description", json!("x")),
        ("/owner", json!("x")),
        ("/digest", json!("sha256:9")),
        ("/makespan_ms", json!(9)),
        ("/lower_bound_ms", json!(9)),
        ("/critical_path", json!([])),
        ("/notices", json!([])),
        ("/seal/id", json!("0")),
        ("/seal/expires", json!("2027-11-21T12:00:00Z")),
        ("/services/0/kind", json!("filesystem")),
        ("/services/0/predicted_ms", json!(9)),
        ("/services/0/p50_ms", json!(9)),
        ("/services/0/p90_ms", json!(9)),
        ("/services/0/p95_ms", json!(9)),
        ("/services/0/lower_bound_ms", json!(9)),
        ("/services/0/meets_rto", json!(false)),
        ("/steps/1/description", json!("x")),
        ("/steps/1/because", json!({})),
        ("/steps/1/urgency/latest_start_ms", json!(9)),
        ("/steps/1/estimate_ms", json!(9)),
        ("/steps/1/estimate_source", json!("history")),
        ("/steps/1/start_ms", json!(9)),
        ("/steps/1/finish_ms", json!(9)),
        ("/steps/1/slack_ms", json!(9)),
        ("/steps/1/critical", json!(true)),
        ("/steps/1/place/line", json!(9)),
    ] {
        assert!(!changed(pointer, &value), "{pointer} is covered");
    }
}

/// Every scalar of a value, as a pointer.
fn scalars(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                scalars(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                scalars(item, &format!("{at}/{position}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// Another value of the same kind.
fn another(value: &Value, salt: u64) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_u64().unwrap_or_default() + 1 + salt),
        Value::String(text) => json!(format!("{text}{salt}")),
        _ => json!(salt),
    }
}

/// Whether a place says nothing about what would be done.
fn is_aside(pointer: &str) -> bool {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    match parts[..] {
        ["steps", _, field, ..] => [
            "because",
            "critical",
            "description",
            "estimate_ms",
            "estimate_source",
            "finish_ms",
            "place",
            "slack_ms",
            "start_ms",
            "urgency",
        ]
        .contains(&field),
        ["services", _, field, ..] => {
            ["kind", "lower_bound_ms", "meets_rto", "p50_ms", "p90_ms", "p95_ms", "predicted_ms"]
                .contains(&field)
        }
        [field, ..] => [
            "critical_path",
            "description",
            "digest",
            "lower_bound_ms",
            "makespan_ms",
            "notices",
            "owner",
            "seal",
        ]
        .contains(&field),
        [] => false,
    }
}

#[test]
fn every_place_of_a_plan_is_covered_or_listed_as_aside() {
    let mut places = Vec::new();
    scalars(&sample(), "", &mut places);
    let before = digest(&plan(sample()));
    let mut changed = 0;
    for pointer in places {
        for salt in 0..3 {
            let mut json = sample();
            let place = json.pointer_mut(&pointer).expect("a place");
            *place = another(place, salt);
            // Another word of a closed list is seldom one.
            let Ok(other) = serde_json::from_value::<Plan>(json) else { continue };
            changed += 1;
            assert_eq!(digest(&other) == before, is_aside(&pointer), "{pointer}");
        }
    }
    assert!(changed > 200, "{changed} places");
}

#[test]
fn the_digest_does_not_depend_on_the_order_of_keys() {
    let mut json = sample();
    json["values"]["b"] = json!({ "x": 2, "y": 1 });
    assert_eq!(digest(&plan(json)), digest(&plan(sample())));
}

#[test]
fn a_projection_goes_on_from_where_the_run_stands() {
    let plan = plan(sample());
    let database = ServiceId::from("database");
    let id = |name: &str| StepId::from(name);
    // One slot on the host: fence 5 s, promote 10 s, aside 4 s.
    let fresh = project(&plan, &Progress::default());
    assert_eq!((fresh.finish_ms, fresh.services[&database]), (19_000, Some(19_000)));

    let projector = Projector::new(&plan);
    let mut progress = Progress { elapsed_ms: 7_000, ..Progress::default() };
    progress.finished.insert(id("fence"), 6_000);
    progress.started.insert(id("promote"), 6_500);
    assert_eq!(projector.project(&progress).finish_ms, 20_500);

    // It takes longer than it should: its end is now, at the earliest.
    progress.elapsed_ms = 30_000;
    assert_eq!(projector.project(&progress).finish_ms, 34_000);

    progress.dropped.push(id("aside"));
    let projection = projector.project(&progress);
    assert_eq!((projection.finish_ms, projection.services[&database]), (30_000, None));
}
