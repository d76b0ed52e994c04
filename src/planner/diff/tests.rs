use dr_plugin::{ActionManifest, Effect, HostNeed, Manifest};
use serde_json::Value;

use super::{WatchKind, diff, markdown, text};
use crate::catalog::Catalog;
use crate::plan::Plan;
use crate::planner::{Estimates, PlanRequest, plan};
use crate::runbook::load;

fn planned(source: &str) -> Plan {
    let act = |effect| {
        ActionManifest::action::<Value, Value>("acts", effect)
            .on_host(HostNeed::Optional)
            .typically_ms(5_000)
    };
    let catalog = Catalog::new([Manifest::new::<Value>("ssh", "1.0.0", "d")
        .with("command", act(Effect::Once))
        .with("read", act(Effect::Pure))]);
    let runbook = load(source, "r.yaml").expect("a runbook");
    plan(&runbook, &catalog, &PlanRequest::default(), &Estimates::default()).expect("a plan")
}

const OLD: &str = "
runbook: shop
environments: { production: { protected: true } }
inputs: { loss: { type: duration, default: 5m } }
hosts: { db: { address: db1 }, web: { address: w1 } }
services:
  database: { priority: critical, rto: 1m, rpo: 5m,
    validation: [{ name: writes, checks: [{ uses: ssh.read, host: db }] }] }
  web: { priority: high, rto: 2m, depends_on: [database] }
steps:
  - { id: fence, service: database, needs: [], uses: ssh.command, host: db, estimate: 10s }
  - { id: loss, service: database, needs: [], uses: ssh.read, host: db, expect: ['result.lag < 5', 'result.up'] }
  - { id: promote, service: database, needs: [fence, loss], approve: { message: Promote?, approvers: 2 },
      uses: ssh.command, host: db, estimate: 20s, description: promotes }
  - { id: old_way, service: web, needs: [], uses: ssh.read, host: web }
  - { id: restart, service: web, needs: [old_way], uses: ssh.command, host: web, timeout: 60s }
";

const NEW: &str = "
runbook: shop
environments: { production: { protected: false } }
inputs: { loss: { type: duration, default: 10m } }
hosts: { db: { address: db2 }, web: { address: w1 } }
services:
  database: { priority: critical, rto: 1m, rpo: 10m }
  web: { priority: high, rto: 2m, depends_on: [database] }
steps:
  - { id: fence, service: database, needs: [], uses: ssh.command, host: db, estimate: 70s, effect: idempotent, on_failure: warn }
  - { id: loss, service: database, needs: [], uses: ssh.read, host: db,
      expect: [{ that: 'result.lag < 5', severity: warn, message: m }] }
  - { id: promote, service: database, needs: [fence], point_of_no_return: true,
      uses: ssh.command, host: db, estimate: 20s, description: other words }
  - { id: new_way, service: web, needs: [], uses: ssh.command, host: web }
  - { id: restart, service: web, needs: [new_way], uses: ssh.command, host: web, timeout: 90s, on_unknown: retry }
";

/// Digests depend on the versions of plugins: they are not shown.
#[test]
fn a_change_and_what_to_look_at() {
    let (old, new) = (planned(OLD), planned(NEW));
    let found = diff(Some(&old), Some(&new));
    let kinds: Vec<WatchKind> = found.watch.iter().map(|watch| watch.kind).collect();
    for kind in [
        WatchKind::NewIrreversible,
        WatchKind::LaxerEffect,
        WatchKind::GateLost,
        WatchKind::GuardLost,
        WatchKind::LaxerPolicy,
        WatchKind::DependencyLost,
        WatchKind::ProtectionLost,
        WatchKind::ValidationLost,
        WatchKind::ObjectiveMissed,
        WatchKind::ObjectiveRelaxed,
        WatchKind::Slower,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}: {kinds:?}");
    }
    assert!(kinds.is_sorted());
    insta::assert_snapshot!("text", text(&found, false));
    insta::assert_snapshot!("markdown", markdown(&found));
    let painted = text(&found, true);
    let escape = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    assert_eq!(escape.replace_all(&painted, ""), text(&found, false));
    let json = serde_json::to_string(&found).expect("JSON");
    assert_eq!(serde_json::from_str::<super::PlanDiff>(&json).expect("a diff"), found);
}

#[test]
fn what_became_stricter_is_nothing_to_look_at() {
    let found = diff(Some(&planned(NEW)), Some(&planned(OLD)));
    assert_eq!(found.watch, [], "another way before `restart` is said of the steps themselves");
}

#[test]
fn words_are_no_change() {
    let other = OLD
        .replace("description: promotes", "description: does something else")
        .replace("runbook: shop", "# a comment\nrunbook: shop\nowner: somebody");
    let found = diff(Some(&planned(OLD)), Some(&planned(&other)));
    assert!(found.same && found.watch.is_empty() && found.changed.is_empty(), "{found:?}");
    assert!(found.other.is_empty() && found.services.iter().all(|service| service.same));
    assert_eq!(text(&found, false), "shop  production · does exactly the same\n");
}

#[test]
fn a_runbook_may_come_and_go() {
    let plan = planned(OLD);
    let came = diff(None, Some(&plan));
    assert!(text(&came, false).starts_with("shop  production · a new runbook, 6 steps\n"));
    assert!(came.watch.is_empty());
    let went = diff(Some(&plan), None);
    assert_eq!(went.removed.len(), 6);
    assert!(went.watch.is_empty(), "{:?}", went.watch);
}

#[test]
fn what_a_runbook_says_is_text() {
    let hostile = OLD.replace("address: w1", "address: \"<script>[x](http://e) `a` \\e[31m\"");
    let found = diff(Some(&planned(OLD)), Some(&planned(&hostile)));
    let comment = markdown(&found);
    assert!(
        !comment.contains("<script") && !comment.contains("[x](") && !comment.contains('\u{1b}')
    );
    assert!(!text(&found, false).contains('\u{1b}'));
}

#[test]
fn what_takes_a_step_back_is_compared_step_by_step() {
    let with = |steps: &str| {
        planned(&format!(
            "runbook: r\nhosts: {{ web: {{ address: w1 }} }}\nsteps:\n  - {{ id: a, needs: [], \
             uses: ssh.command, host: web, undo: {{ in_order: true, steps: [{steps}] }} }}\n"
        ))
    };
    let call = "uses: ssh.command, effect: idempotent";
    let old = with(&format!("{{ id: x, {call} }}, {{ id: y, {call}, expect: [result.up] }}"));
    let other = with(&format!(
        "{{ id: x, {call}, timeout: 5s }}, {{ id: ask, approve: {{ message: m }} }}, \
         {{ id: y, {call} }}"
    ));
    assert_ne!(old.digest, other.digest);
    let found = diff(Some(&old), Some(&other));
    let added: Vec<&str> = found.added.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(added, ["a!undo/ask"]);
    let changed: Vec<&str> = found.changed.iter().map(|step| step.id.as_str()).collect();
    assert!(changed.contains(&"a!undo/x") && changed.contains(&"a!undo/y"), "{changed:?}");
    let lost =
        found.watch.iter().find(|watch| watch.kind == WatchKind::GuardLost).expect("a guard");
    assert_eq!(lost.step.as_ref().map(crate::id::StepId::as_str), Some("a!undo/y"));
}

const CHAIN: &str = "
runbook: shop
hosts: { h: { address: h1 } }
services:
  db: { priority: critical, rto: 20m }
  web: { priority: high, rto: 30m, depends_on: [db] }
steps:
  - { id: promote, service: db, needs: [], uses: ssh.read, host: h, estimate: 10m }
  - { id: serve, service: web, needs: [], uses: ssh.read, host: h, estimate: 3m }
  - { id: open, service: web, needs: [], steps: [{ id: one, uses: ssh.read, host: h }] }
  - { id: first, needs: [], uses: ssh.read, host: h }
  - { id: last, needs: [first], uses: ssh.read, host: h }
";

fn found(old: &str, new: &str) -> Vec<String> {
    let found = diff(Some(&planned(old)), Some(&planned(new)));
    let line = |watch: &super::Watch| {
        let step = watch.step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
        format!("{}: {step}{}", watch.kind.words(), watch.text)
    };
    found.watch.iter().map(line).collect()
}

/// Each row: what of the runbook is written otherwise, and what is told of it.
#[test]
fn what_a_step_waited_for_is_missed_however_it_came_about() {
    let lost = |step: &str| format!("dependency lost: {step}: does not need any more: promote");
    let rows: [(&str, &str, Vec<String>); 7] = [
        (", depends_on: [db]", "", vec![lost("serve"), lost("open")]),
        ("id: serve,", "id: serve, early: true,", vec![lost("serve")]),
        (
            "id: last, needs: [first]",
            "id: last, needs: []",
            vec!["dependency lost: last: does not need any more: first".into()],
        ),
        (
            "id: last, needs: [first]",
            "id: last, needs: [], after: [first]",
            vec![
            "dependency lost: last: waits only for the end, not for the success any more, of: first"
                .into(),
        ],
        ),
        // The chain is longer, and still holds.
        (
            "id: last, needs: [first]",
            "id: mid, needs: [first], uses: ssh.read, host: h }\n  - { id: last, needs: [mid]",
            vec![],
        ),
        (
            "id: serve, service: web, needs: []",
            "id: warm, service: web, needs: [], uses: ssh.read, host: h }\n  - { id: serve, service: web, needs: [warm]",
            vec![],
        ),
        (
            "rto: 20m }",
            "rto: 20m, validation: [{ name: up, checks: [{ uses: ssh.read, host: h }] }] }",
            vec![],
        ),
    ];
    for (from, to, expected) in rows {
        let new = CHAIN.replace(from, to);
        assert_ne!(new, CHAIN, "{from}");
        assert_eq!(found(CHAIN, &new), expected, "{to}");
    }
    let new = CHAIN.replace(", depends_on: [db]", "");
    let shown = text(&diff(Some(&planned(CHAIN)), Some(&planned(&new))), false);
    assert!(shown.contains("~ serve\n      needs: −promote\n"), "{shown}");
    let shown = text(&diff(Some(&planned(&new)), Some(&planned(CHAIN))), false);
    assert!(shown.contains("~ serve\n      needs: +promote\n"), "{shown}");
}

#[test]
fn what_makes_a_step_or_a_service_weaker_is_told() {
    let call = "steps:\n  - { id: a, needs: [], uses: ssh.command, host: h";
    let base = format!(
        "runbook: r\nhosts: {{ h: {{ address: h1 }} }}\nservices: {{ s: {{ priority: critical }} }}\n\
         {call}, timeout: 60s, undo: {{ uses: ssh.command }} }}\n"
    );
    let another = |keys: &str| {
        format!("{base}  - {{ id: b, needs: [], uses: ssh.command, host: h{keys} }}\n")
    };
    let rows = [
        (
            base.replace("critical", "low"),
            vec!["objective relaxed: priority of `s`: critical → low"],
        ),
        (
            base.replace(", undo: { uses: ssh.command }", ""),
            vec!["undo lost: a: was taken back by ssh.command, now by nothing"],
        ),
        (
            base.replace(", timeout: 60s", ""),
            vec!["limit lost: a: an attempt ended after 1m00s, now has no limit"],
        ),
        (
            another(""),
            vec![
                "no way back: b: is new and done at most once; nothing takes it back or tells whether \
             it was done",
            ],
        ),
        (another(", undo: { uses: ssh.command }"), vec![]),
        (
            another(", check: { uses: ssh.read, done: result.up }"),
            vec!["laxer effect: b: its action is once, the runbook says checkable"],
        ),
    ];
    for (new, expected) in rows {
        assert_eq!(found(&base, &new), expected, "{new}");
        let stricter = found(&new, &base);
        assert!(stricter.is_empty(), "{stricter:?}");
    }
}

#[test]
fn another_order_is_named() {
    let source = |steps: &str| {
        planned(&format!("runbook: r\nhosts: {{ h: {{ address: h1 }} }}\nsteps:\n{steps}"))
    };
    let [a, b] =
        ["a", "b"].map(|id| format!("  - {{ id: {id}, needs: [], uses: ssh.read, host: h }}\n"));
    let found = diff(Some(&source(&format!("{a}{b}"))), Some(&source(&format!("{b}{a}"))));
    assert!(found.reordered && !found.same && found.changed.is_empty(), "{found:?}");
    assert_eq!(
        text(&found, false),
        "r  default · no step changes, but their order, which settles ties\n"
    );
}

/// P90 is that of a sample: alone, a small difference of it is none.
#[test]
fn a_p90_that_only_another_sample_gives_is_no_change() {
    let with = |p90: u64, predicted: u64| {
        let mut plan = planned(OLD);
        plan.services[1].p90_ms = Some(p90);
        plan.services[1].predicted_ms = Some(predicted);
        plan
    };
    let shown = |new: &Plan| text(&diff(Some(&with(350_000, 300_000)), Some(new)), false);
    assert!(!shown(&with(352_000, 300_000)).contains("P90"));
    assert!(shown(&with(400_000, 300_000)).contains("P90 5m50s → 6m40s"));
    let slower = shown(&with(352_000, 301_000));
    assert!(slower.contains("does exactly the same, predicted otherwise"), "{slower}");
    assert!(slower.contains("P90 5m50s → 5m52s"), "{slower}");
}
