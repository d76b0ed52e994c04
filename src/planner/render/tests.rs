use std::fmt::Write as _;

use dr_plugin::{ActionManifest, Effect, HostNeed, Manifest};
use serde_json::Value;

use super::{Look, comparison, dot, html, markdown, mermaid, text, why};
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
        assert!(crate::markup::width(line) <= columns, "{line}");
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

const FAILOVER: &str = "
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
";

#[test]
fn a_failover() {
    let plan = planned(FAILOVER);
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

/// The digest depends on the versions of plugins.
fn masked(plan: &Plan, text: &str) -> String {
    text.replace(plan.digest.as_str(), "[a digest]")
}

#[test]
fn a_failover_in_every_form() {
    let plan = planned(FAILOVER);
    insta::assert_snapshot!("failover_markdown", masked(&plan, &markdown(&plan)));
    insta::assert_snapshot!("failover_mermaid", mermaid(&plan));
    insta::assert_snapshot!("failover_dot", dot(&plan));
    insta::assert_snapshot!("failover_html", masked(&plan, &html(&plan)));
}

/// Steps with long names, next to each other or one after the other.
fn many(count: usize, chain: bool) -> Plan {
    let mut source = String::from("runbook: many\nparallelism: 16\nsteps:\n");
    let name = |i: usize| format!("restart_the_front_end_of_the_shop_in_the_standby_region_{i}");
    for i in 0..count {
        let needs = if chain && i > 0 { name(i - 1) } else { String::new() };
        let _ = writeln!(
            source,
            "  - {{ id: {}, needs: [{needs}], uses: ssh.command, estimate: {}s }}",
            name(i),
            2 + i % 5
        );
    }
    planned(&source)
}

#[test]
fn a_wide_and_a_deep_plan() {
    insta::assert_snapshot!("wide", drawn(&many(40, false), 80));
    insta::assert_snapshot!("deep", drawn(&many(40, true), 80));
    let deep = many(40, true);
    insta::assert_snapshot!("deep_mermaid", mermaid(&deep));
}

#[test]
fn pictures_of_large_plans_stay_small() {
    let mut source =
        String::from("runbook: large\nservices: { db: {}, web: { depends_on: [db] } }\nsteps:\n");
    for i in 0..500 {
        let service = if i % 2 == 0 { "db" } else { "web" };
        let phase = if i % 3 == 0 { "failover" } else { "restore" };
        let needs = if i < 20 { String::new() } else { format!("a_step_of_{}", i - 20) };
        let _ = writeln!(
            source,
            "  - {{ id: a_step_of_{i}, service: {service}, phase: {phase}, needs: [{needs}], uses: ssh.command }}",
        );
    }
    let plan = planned(&source);
    for picture in [mermaid(&plan), dot(&plan)] {
        assert!(picture.lines().count() < 40, "{picture}");
    }
    insta::assert_snapshot!("large_mermaid", mermaid(&plan));
    let page = html(&plan);
    assert!(page.matches("<rect").count() < 140);
    assert!(page.len() < 300_000, "{} bytes", page.len());
    assert!(markdown(&plan).lines().count() < 140);
}

/// Opens and closes its tags in order.
fn is_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a closed tag");
        let name = tag.split([' ', '\n']).next().expect("a name");
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if tag.ends_with('/') || matches!(name, "!doctype" | "meta" | "br") => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_a_runbook_says_is_text_in_every_form() {
    let mut plan = planned(FAILOVER);
    let hostile = "\"><script>alert(1)</script>`]; click | [x](http://evil) & \u{1b}[31m";
    plan.description = Some(hostile.to_owned());
    plan.owner = Some(hostile.to_owned());
    plan.runbook = hostile.to_owned();
    plan.environment = hostile.to_owned();
    for step in &mut plan.steps {
        step.description = Some(hostile.to_owned());
        step.host = Some(hostile.to_owned());
    }
    for notice in &mut plan.notices {
        notice.message = hostile.to_owned();
    }
    let page = html(&plan);
    is_well_formed(&page);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    let text = markdown(&plan);
    assert!(!text.contains("<script") && !text.contains("[x](") && !text.contains('\u{1b}'));
    let picture = mermaid(&plan);
    assert!(!picture.contains("<script") && !picture.contains("\"]; click"), "{picture}");
    assert!(!dot(&plan).contains("label=\"\""), "a quote ends no label");
    is_well_formed(&html(&planned(FAILOVER)));
}

/// A terminal obeys nothing that a runbook says, wherever in a plan it stands.
#[test]
fn what_a_runbook_says_is_text() {
    let hostile = "a \\e[2J\\a\\u202e b";
    let plan = planned(&format!(
        "runbook: r\ndescription: \"{hostile}\"\nservices: {{ s: {{ rto: 1s }} }}\nsteps:\n  - {{ id: each, \
         service: s, needs: [], for_each: {{ \"{hostile}\": 1, \"x \\e]0;y\\a\": 2 }}, steps: [{{ id: one, uses: ssh.read }}] }}\n"
    ));
    assert!(plan.steps.iter().any(|step| step.id.as_str().contains('\u{1b}')), "ids have it");
    let mut shown = drawn(&plan, 80);
    assert!(shown.contains("\na b\n"), "{shown}");
    for step in &plan.steps {
        let told = crate::planner::why(&plan, step.id.as_str()).expect("a step");
        shown.push_str(&why(&told, Look::default()));
    }
    shown.push_str(&comparison(&plan, &compare(&plan, Rival::Fifo), Look::default()));
    let obeyed = |char: char| char != '\n' && (char.is_control() || char == '\u{202e}');
    assert!(!shown.contains(obeyed), "{shown:?}");
}

/// The name is what is shortened; a verdict that has no room stands below.
#[test]
fn long_names_leave_verdicts_whole() {
    let name = "a_service_with_a_name_of_more_than_thirty_characters";
    let plan = planned(&format!(
        "runbook: r\nservices: {{ {name}: {{ rto: 1m }}, {name}_2: {{ rto: 20m }} }}\nsteps:\n  \
         - {{ id: a, service: {name}, needs: [], uses: ssh.read, estimate: 15m }}\n  \
         - {{ id: b, service: {name}_2, needs: [], uses: ssh.read, estimate: 15m }}\n"
    ));
    for columns in [60, 72, 80, 100] {
        let shown = drawn(&plan, columns);
        for verdict in ["impossible, 14m00s late", "met, 5m00s to spare"] {
            assert!(shown.contains(verdict), "{columns}: {shown}");
        }
        let other = compare(&plan, Rival::Fifo);
        let other = comparison(&plan, &other, Look { columns, colour: false });
        assert!(other.lines().all(|line| line.chars().count() <= columns), "{other}");
    }
}

#[test]
fn wide_characters_take_two_columns() {
    let words = "東京の本番データベースを大阪の待機系に切り替えて、利用者への影響がないことを確かめるための手順書です。";
    let plan = planned(&format!(
        "runbook: r\ndescription: \"{words} Then some more in English, which has blanks.\"\nsteps:\n  \
         - {{ id: each, needs: [], for_each: {{ 東京: 1, a: 2 }}, steps: [{{ id: one, uses: ssh.read }}] }}\n"
    ));
    let shown = drawn(&plan, 60);
    let told: String = shown.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    assert!(told.starts_with(words), "nothing of it is cut: {shown}");
    let starts = |item: &str| {
        let row = shown.lines().find(|line| line.contains(item)).expect("a row");
        crate::markup::width(row.split(" ssh.read").next().expect("an id"))
    };
    assert_eq!(starts("each@東京/one"), starts("each@a/one"), "{shown}");
}
