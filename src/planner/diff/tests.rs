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
  - { id: old_way, service: web, needs: [], uses: ssh.command, host: web }
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
