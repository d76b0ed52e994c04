use std::fmt::Write as _;

use dr_plugin::{ActionManifest, Effect, HostNeed, Manifest};
use serde_json::Value;

use super::{Look, comparison, text, why};
use crate::catalog::Catalog;
use crate::plan::Plan;
use crate::planner::{Estimates, PlanRequest, compare, plan};
use crate::runbook::load;
use crate::words::Rival;

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

/// The text of a plan, after seeing that it keeps to its width with and without colour. The digest
/// depends on the versions of plugins and is masked.
fn drawn(plan: &Plan, columns: usize) -> String {
    let bare = text(plan, Look { columns, colour: false });
    for line in bare.lines() {
        assert!(line.chars().count() <= columns, "{line}");
        assert_eq!(line.trim_end(), line);
    }
    let painted = text(plan, Look { columns, colour: true });
    let escape = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    assert!(painted.contains('\u{1b}'));
    for (painted, bare) in painted.lines().zip(bare.lines()) {
        assert_eq!(escape.replace_all(painted, "").trim_end(), bare);
    }
    let digest = &plan.digest.as_str()["sha256:".len()..][..12];
    bare.replacen(digest, "[a digest].", 1)
}

#[test]
fn one_step() {
    let plan = planned("runbook: r\nsteps: [{ id: only, uses: ssh.command, estimate: 90s }]");
    insta::assert_snapshot!(drawn(&plan, 80));
}

#[test]
fn a_failover() {
    let plan = planned(
        "
runbook: shop_region_failover
description: Move the shop to the standby site.
environments: { production: { protected: true } }
hosts: { db_primary: {}, db_standby: {}, web_1: {}, web_2: {} }
pools: { load_balancer: { capacity: 1 } }
services:
  database:
    { priority: critical, rto: 15m, validation: [{ name: writes, checks: [{ uses: ssh.read, host: db_standby }] }] }
  web: { priority: high, rto: 50s, depends_on: [database] }
  mail: { priority: low, rto: 1m }
  wiki: { priority: low }
steps:
  - { id: mute_alerts, uses: ssh.read, when: \"run.mode == 'drill'\" }
  - { id: fence_primary, service: database, uses: ssh.command, host: db_primary, estimate: 10s, on_failure: warn }
  - { id: fence_by_hand, service: database, needs: [fence_primary], when: \"steps.fence_primary.status == 'warned'\",
      approve: { message: Fenced? } }
  - { id: promote, service: database, needs: [fence_by_hand], approve: { message: Promote? }, point_of_no_return: true,
      uses: ssh.command, host: db_standby, estimate: 20s }
  - { id: dump, service: database, phase: backup, uses: ssh.command, host: db_primary }
  - { id: restart_web_1, service: web, uses: ssh.command, host: web_1, estimate: 12s, takes: { load_balancer: 1 } }
  - { id: restart_web_2, service: web, uses: ssh.command, host: web_2, estimate: 12s, takes: { load_balancer: 1 } }
  - { id: start_mail_with_a_name_that_is_much_longer_than_the_column_it_is_shown_in, service: mail,
      uses: ssh.command, host: web_2, estimate: 45s }
",
    );
    insta::assert_snapshot!(drawn(&plan, 80));
    insta::assert_snapshot!("a_failover_wide", drawn(&plan, 132));
}

#[test]
fn five_hundred_steps() {
    let mut source = String::from("runbook: wide\nparallelism: 8\nsteps:\n");
    for i in 0..500 {
        let needs = if i < 25 { String::new() } else { format!("step_{}", i - 25) };
        let _ = writeln!(
            source,
            "  - {{ id: step_{i}, needs: [{needs}], uses: ssh.command, estimate: {}s }}",
            1 + i * 7 % 13
        );
    }
    let plan = planned(&source);
    let drawn = drawn(&plan, 80);
    assert!(drawn.lines().count() < 150, "{drawn}");
    // Nothing is left out unsaid.
    let timeline = drawn.split("CRITICAL PATH").next().expect("a timeline");
    let single = timeline.lines().filter(|line| line.contains("ssh.command")).count();
    let folded: usize = timeline
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("… "))
        .map(|rest| rest.split(' ').next().and_then(|n| n.parse::<usize>().ok()).expect("a count"))
        .sum();
    assert_eq!(single + folded, 500, "{drawn}");
    insta::assert_snapshot!(drawn);
}

#[test]
fn a_step_explains_its_start() {
    let plan = planned(
        "
runbook: r
pools: { api: { capacity: 2 } }
services: { web: { priority: critical, rto: 1m } }
steps:
  - { id: a, service: web, uses: ssh.command, estimate: 30s, takes: { api: 1 } }
  - { id: b, service: web, uses: ssh.command, estimate: 20s, takes: { api: 1 } }
  - { id: prepare, uses: ssh.command, estimate: 5s }
  - { id: late, needs: [prepare], uses: ssh.command, takes: { api: 1 } }
  - { id: gone, uses: ssh.command, when: \"run.mode == 'drill'\" }
",
    );
    let why = |id: &str| crate::planner::why(&plan, id).map(|it| why(&it, Look::default()));
    insta::assert_snapshot!(why("late").expect("a step"));
    assert_eq!(why("gone").as_deref(), Some("gone does not start: its `when` is false\n"));
    assert!(why("a").expect("a step").starts_with("a starts at once: it waits for nothing\n"));
    assert_eq!(why("nobody"), None);
}

#[test]
fn a_plan_is_compared_with_simpler_ways() {
    let plan = planned(
        "
runbook: r
services: { shop: { priority: critical, rto: 40s }, wiki: { priority: low } }
steps:
  - { id: a, service: shop, uses: ssh.command, estimate: 10s }
  - { id: b, service: shop, uses: ssh.command, estimate: 20s, needs: [a] }
  - { id: slow, service: wiki, uses: ssh.command, estimate: 35s }
",
    );
    let waves = comparison(&plan, &compare(&plan, Rival::Waves), Look::default());
    insta::assert_snapshot!(waves);
    let fifo = compare(&plan, Rival::Fifo);
    assert_eq!(fifo.makespan_ms, 35_000);
}
