//! Groups and loops in plans.

use serde_json::json;

use super::tests::{ids, planned, planned_as, problems, step};
use super::{PlanRequest, Skip};
use crate::event::SkipReason;
use crate::id::{ServiceId, StepId};
use crate::plan::{ANY, Plan};
use crate::words::{OnFailure, Phase};

fn all(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.id.to_string()).collect()
}

fn edges(plan: &Plan, id: &str) -> (Vec<String>, Vec<String>) {
    let step = step(plan, id);
    (ids(&step.needs), ids(&step.after))
}

fn strings(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

#[test]
fn a_group_begins_before_its_steps_and_ends_after_them() {
    let plan = planned(
        "runbook: r
services: { web: {} }
hosts: { h: {} }
pools: { api: { capacity: 2 } }
steps:
  - { id: a, uses: t.set }
  - id: g
    service: web
    phase: failover
    host: h
    takes: { api: 1 }
    needs: [a]
    outputs: { at: steps.two.outputs.at }
    steps:
      - { id: one, uses: t.read }
      - { id: two, needs: [one], uses: t.read, outputs: { at: result.at } }
      - { id: aside, uses: t.set, needs: [a] }
  - { id: b, needs: [g], uses: t.set, with: { at: '{{ steps.g.outputs.at }}' } }
",
    );
    assert_eq!(all(&plan), ["a", "g!begin", "g/one", "g/two", "g/aside", "g", "b"]);
    assert_eq!(edges(&plan, "g!begin"), (strings(&["a"]), vec![]));
    assert_eq!(edges(&plan, "g/one"), (strings(&["g!begin"]), vec![]));
    assert_eq!(edges(&plan, "g/two"), (strings(&["g/one"]), vec![]));
    assert_eq!(edges(&plan, "g/aside"), (strings(&["a", "g!begin"]), vec![]));
    assert_eq!(edges(&plan, "g"), (strings(&["g!begin"]), strings(&["g/one", "g/two", "g/aside"])));
    assert_eq!(edges(&plan, "b"), (strings(&["g"]), vec![]));
    let one = step(&plan, "g/one");
    assert_eq!(
        (one.service.as_ref().map(ServiceId::as_str), one.phase),
        (Some("web"), Some(Phase::Failover))
    );
    assert_eq!((one.host.as_deref(), one.takes["api"], one.takes["host:h"]), (Some("h"), 1, 1));
    assert_eq!(one.inside.as_ref().map(StepId::as_str), Some("g"));
    // What it calls acts on no host.
    assert_eq!(step(&plan, "g/aside").host, None);
    assert_eq!(step(&plan, "g!begin").opens.as_ref().map(StepId::as_str), Some("g"));
    assert_eq!(
        ids(&step(&plan, "g").group.as_ref().expect("a group").of),
        ["g/one", "g/two", "g/aside"]
    );
}

#[test]
fn the_innermost_policy_that_is_written_decides() {
    let plan = planned(
        "runbook: r
on_failure: continue
steps:
  - id: g
    on_failure: warn
    steps:
      - { id: own, uses: t.set, on_failure: halt }
      - { id: up, uses: t.set }
      - { id: inner, steps: [{ id: x, uses: t.set }] }
  - { id: plain, steps: [{ id: x, uses: t.set }] }
  - { id: halts, on_failure: halt, steps: [{ id: x, uses: t.set }] }
  - { id: each, on_failure: halt, for_each: [a], uses: t.set }
",
    );
    let policy = |id| (step(&plan, id).on_failure, step(&plan, id).fails_group);
    assert_eq!(policy("g/own"), (OnFailure::Halt, false));
    assert_eq!(policy("g/up"), (OnFailure::Continue, true));
    assert_eq!(policy("g/inner/x"), (OnFailure::Continue, true));
    assert_eq!(policy("g/inner"), (OnFailure::Continue, true));
    assert_eq!(policy("g"), (OnFailure::Warn, false));
    assert_eq!(policy("plain/x"), (OnFailure::Continue, true));
    assert_eq!(policy("plain"), (OnFailure::Continue, false));
    assert_eq!(policy("halts/x"), (OnFailure::Halt, true));
    assert_eq!(policy("each@a"), (OnFailure::Continue, true));
    assert_eq!(policy("each"), (OnFailure::Halt, false));
}

const WEB: &str = "
runbook: r
hosts:
  web_1: { labels: { role: web } }
  db: { labels: { role: db } }
  web_2: { labels: { role: web } }
steps:
  - id: restart
    for_each: \"labelled('role', 'web')\"
    max_parallel: 1
    max_failures: 1
    in_order: true
    steps:
      - { id: stop, host: '{{ item }}', uses: t.on_host, with: { name: '{{ item }} {{ host.name }}' }, estimate: 2s }
      - { id: start, host: '{{ item }}', uses: t.on_host, when: \"item != 'web_2'\", estimate: 3s }
  - { id: after, needs: [restart], uses: t.set, estimate: 1s }
";

#[test]
fn a_loop_over_a_group_has_its_steps_once_for_each_element() {
    let plan = planned(WEB);
    assert_eq!(
        all(&plan),
        [
            "restart!begin",
            "restart@web_1!begin",
            "restart@web_1/stop",
            "restart@web_1/start",
            "restart@web_1",
            "restart@web_2!begin",
            "restart@web_2/stop",
            "restart@web_2/start",
            "restart@web_2",
            "restart",
            "after",
        ]
    );
    assert_eq!(edges(&plan, "restart@web_2!begin").0, ["restart!begin"]);
    assert_eq!(edges(&plan, "restart@web_2/stop").0, ["restart@web_2!begin"]);
    assert_eq!(edges(&plan, "restart@web_2/start").0, ["restart@web_2/stop"]);
    assert_eq!(
        edges(&plan, "restart"),
        (strings(&["restart!begin"]), strings(&["restart@web_1", "restart@web_2"]))
    );
    let stop = step(&plan, "restart@web_2/stop");
    assert_eq!(stop.host.as_deref(), Some("web_2"));
    assert_eq!(stop.with.as_value(), &json!({ "name": "web_2 web_2" }));
    assert_eq!(stop.bound["item"], json!("web_2"));
    assert_eq!(stop.inside.as_ref().map(StepId::as_str), Some("restart@web_2"));
    assert_eq!(step(&plan, "restart@web_2").inside.as_ref().map(StepId::as_str), Some("restart"));
    assert_eq!(step(&plan, "restart@web_2/start").skip, Some(SkipReason::When));
    assert_eq!(step(&plan, "restart@web_1/start").skip, None);
    assert_eq!(plan.pools["items:restart"].capacity, 1);
    assert_eq!(step(&plan, "restart@web_1!begin").takes["items:restart"], 1);
    // One after the other: 2 + 3, then 2, then 1.
    assert_eq!(plan.makespan_ms, 8_000);
    let each = step(&plan, "restart").group.as_ref().and_then(|group| group.each.clone());
    let each = each.expect("a loop");
    assert_eq!((each.max_parallel, each.max_failures), (Some(1), 1));
    assert!(each.items.is_none());
}

#[test]
fn a_loop_over_one_step_repeats_that_step() {
    let plan = planned(
        "runbook: r
values: { names: { one: 1, two: 2 } }
steps:
  - { id: each, for_each: values.names, as: n, max_parallel: 1, uses: t.set, estimate: 1s,
      with: { name: '{{ n.key }}', value: '{{ n.value }}' }, outputs: { at: result.at } }
  - { id: after, needs: [each], outputs: { at: \"steps.each.items['one'].outputs.at\" } }
",
    );
    assert_eq!(all(&plan), ["each!begin", "each@one", "each@two", "each", "after"]);
    assert_eq!(step(&plan, "each@two").with.as_value(), &json!({ "name": "two", "value": 2 }));
    assert_eq!(step(&plan, "each@two").takes["items:each"], 1);
    assert_eq!(edges(&plan, "each").1, ["each@one", "each@two"]);
    assert_eq!(plan.makespan_ms, 2_000);
    assert!(step(&plan, "each").outputs.is_empty());
}

#[test]
fn elements_start_in_the_order_of_the_list() {
    let text = "runbook: r\nparallelism: 2\nsteps:\n  - { id: each, for_each: [c, a, d, b], uses: t.set, estimate: 1s }\n";
    let plan = planned(text);
    let mut order: Vec<_> = plan.steps.iter().filter(|step| step.uses.is_some()).collect();
    order.sort_by_key(|step| step.urgency);
    assert_eq!(
        ids(&order.iter().map(|step| &step.id).collect::<Vec<_>>()),
        ["each@c", "each@a", "each@d", "each@b"]
    );
}

#[test]
fn a_loop_over_what_a_step_gives_is_planned_as_a_template() {
    let plan = planned(
        "runbook: r
hosts: { h1: {}, h2: {} }
steps:
  - { id: list, uses: t.read, outputs: { names: result.names } }
  - id: each
    needs: [list]
    for_each: steps.list.outputs.names
    max_items: 4
    max_parallel: 2
    steps:
      - { id: stop, uses: t.on_host, host: '{{ item }}', with: { x: '{{ item }}' }, estimate: 2s }
      - { id: deep, needs: [stop], for_each: [a, b], as: x, uses: t.set, with: { x: '{{ x }}{{ item }}' }, estimate: 1s }
",
    );
    assert_eq!(all(&plan), ["list", "each!begin", "each"]);
    let end = step(&plan, "each");
    // Two elements at a time of four that are expected: (2 + 1) twice.
    assert_eq!(end.estimate_ms, 6_000);
    let each = end.group.as_ref().and_then(|group| group.each.as_ref()).expect("a loop");
    let items = each.items.as_ref().expect("unknown elements");
    assert_eq!((items.max_items, items.estimate, items.name.as_str()), (4, 4, "item"));
    let template: Vec<_> = items.template.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(
        template,
        [
            format!("each@{ANY}!begin"),
            format!("each@{ANY}/stop"),
            format!("each@{ANY}/deep!begin"),
            format!("each@{ANY}/deep@a"),
            format!("each@{ANY}/deep@b"),
            format!("each@{ANY}/deep"),
            format!("each@{ANY}"),
        ]
    );

    let expanded = crate::plan::expand(&plan, &"each".into(), &json!(["h2", "h1"])).expect("hosts");
    assert_eq!(all(&expanded)[..3], all(&plan)[..]);
    let stop = step(&expanded, "each@h2/stop");
    assert_eq!((stop.host.as_deref(), stop.takes["host:h2"]), (Some("h2"), 1));
    assert_eq!(edges(&expanded, "each@h2/deep@a").0, ["each@h2/deep!begin"]);
    assert_eq!(edges(&expanded, "each@h2!begin").0, ["each!begin"]);
    assert_eq!(edges(&expanded, "each").1, ["each@h2", "each@h1"]);
    assert_eq!(
        step(&expanded, "each@h1/deep@b").bound,
        [("item".to_owned(), json!("h1")), ("x".to_owned(), json!("b"))].into()
    );
    for (wrong, why) in [
        (json!(["h1", "h1"]), "twice"),
        (json!(["nobody"]), "no host"),
        (json!([]), "nothing to do"),
        (json!([1, 2, 3, 4, 5]), "more than the 4"),
        (json!("h1"), "neither a list nor a map"),
    ] {
        let error = crate::plan::expand(&plan, &"each".into(), &wrong).expect_err("no");
        assert!(error.contains(why), "{error}");
    }
    assert!(crate::plan::expand(&expanded, &"each".into(), &json!(["h1"])).is_err());
}

#[test]
fn the_bounds_of_a_loop_are_in_the_digest_and_its_estimate_is_not() {
    let text = "runbook: r\nsteps:\n  - { id: list, uses: t.read, outputs: { n: result.n } }\n  - { id: each, needs: [list], for_each: steps.list.outputs.n, max_items: 20, uses: t.set, estimate: 1s }\n";
    let digest = |text: &str| planned(text).digest;
    assert_ne!(digest(text), digest(&text.replace("20", "21")));
    assert_ne!(digest(text), digest(&text.replace("uses: t.set", "uses: t.run")));
    assert_ne!(digest(text), digest(&text.replace("uses: t.set", "uses: t.set, max_failures: 1")));
    assert_eq!(digest(text), digest(&text.replace("1s", "9s")));
}

#[test]
fn what_a_loop_goes_over_must_make_sense() {
    let request = PlanRequest::default();
    let with = |what: &str| {
        format!(
            "runbook: r\nvalues: {{ none: [], same: [a, a], one: a }}\nsteps:\n  - {{ id: each, uses: t.set, for_each: {what} }}\n"
        )
    };
    assert_eq!(problems(&with("values.none"), &request), ["DR2020: `each` goes over nothing here"]);
    assert_eq!(
        problems(&with("values.same"), &request),
        ["DR2020: `each`: `a` is there twice, as number 1 and number 2"]
    );
    assert_eq!(
        problems(&with("values.one"), &request),
        ["DR2020: `each`: \"a\" is neither a list nor a map"]
    );
    let plan = planned(&with("values.none, allow_empty: true"));
    assert_eq!(all(&plan), ["each!begin", "each"]);
}

#[test]
fn a_group_that_is_left_out_leaves_out_what_is_inside() {
    let request = PlanRequest {
        skips: vec![Skip { step: "restart".into(), reason: None }],
        ..PlanRequest::default()
    };
    let plan = planned_as(WEB, &request);
    for step in plan.steps.iter().filter(|step| step.id.as_str() != "after") {
        assert!(step.skip.is_some(), "{}", step.id);
    }
    assert_eq!(step(&plan, "after").skip, None);
    let plan = planned(
        "runbook: r\nsteps:\n  - { id: g, when: \"run.mode == 'drill'\", steps: [{ id: x, uses: t.set }] }\n  - { id: b, uses: t.set }\n",
    );
    assert_eq!(step(&plan, "g/x").skip, Some(SkipReason::When));
    assert_eq!(step(&plan, "g").skip, Some(SkipReason::When));
    let plan = planned(
        "runbook: r\nsteps:\n  - { id: g, phase: backup, steps: [{ id: x, uses: t.set }] }\n  - { id: b, uses: t.set, phase: failover }\n",
    );
    assert_eq!(step(&plan, "g/x").skip, Some(SkipReason::Phase));
}
