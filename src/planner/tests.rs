use dr_plugin::{ActionManifest, Effect, HostNeed, Keyed, Manifest};
use serde_json::{Value, json};

use super::{Estimates, InputValue, PlanRequest, Skip, codes, plan};
use crate::catalog::Catalog;
use crate::event::SkipReason;
use crate::plan::{EdgeReason, EstimateSource, Plan, SecretSource, Step};
use crate::runbook::{Problem, load};
use crate::words::{Class, Mode, OnFailure, Phase, Style};

fn catalog() -> Catalog {
    let act = |effect| ActionManifest::action::<Value, Value>("acts", effect);
    Catalog::new([
        Manifest::new::<Value>("t", "1.2.3", "for tests")
            .with("run", act(Effect::Once).as_job().on_host(HostNeed::Optional).typically_ms(2_000))
            .with("set", act(Effect::Idempotent))
            .with("on_host", act(Effect::Checkable).on_host(HostNeed::Required))
            .with(
                "read",
                ActionManifest::probe::<Value, Value>("reads").on_host(HostNeed::Optional),
            ),
        Manifest::new::<Value>("other", "1.0.0", "not used").with("x", act(Effect::Once)),
    ])
}

fn try_plan(text: &str, request: &PlanRequest) -> Result<Plan, Vec<Problem>> {
    let runbook = load(text, "folder/r.yaml").expect("a runbook of good form");
    plan(&runbook, &catalog(), request, &Estimates::default())
}

pub(super) fn planned(text: &str) -> Plan {
    planned_as(text, &PlanRequest::default())
}

pub(super) fn planned_as(text: &str, request: &PlanRequest) -> Plan {
    try_plan(text, request).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// `code: message` of everything that is wrong.
pub(super) fn problems(text: &str, request: &PlanRequest) -> Vec<String> {
    try_plan(text, request)
        .expect_err("problems")
        .into_iter()
        .map(|problem| format!("{}: {}", problem.code, problem.message))
        .collect()
}

pub(super) fn step<'a>(plan: &'a Plan, id: &str) -> &'a Step {
    plan.step(id).unwrap_or_else(|| panic!("no step `{id}`"))
}

pub(super) fn ids<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_runbook_has_defaults_for_everything() {
    let plan = planned("runbook: r\nsteps:\n  - { id: a, uses: t.run }\n");
    assert_eq!((plan.environment.as_str(), plan.protected), ("default", false));
    assert_eq!((plan.mode, plan.style), (Mode::Live, Style::Graceful));
    assert_eq!(plan.pools["run"].capacity, 32);
    assert_eq!((plan.makespan_ms, plan.lower_bound_ms), (2_000, 2_000));
    assert_eq!(ids(&plan.critical_path), ["a"]);
    assert!(plan.digest.as_str().starts_with("sha256:"));
    assert_eq!(plan.plugins.keys().collect::<Vec<_>>(), ["t"]);
    assert_eq!(plan.plugins["t"].version, "1.2.3");
    let a = step(&plan, "a");
    assert_eq!((a.effect, a.action_effect, a.keyed), (Effect::Once, None, Keyed::Job));
    assert!(a.action_checks);
    assert_eq!(a.on_failure, OnFailure::Halt);
    assert_eq!((a.retry.attempts, a.retry.written), (1, false));
    assert_eq!((a.estimate_ms, a.estimate_source), (2_000, EstimateSource::Typical));
    assert_eq!(a.urgency.class, Class::Low);
    assert_eq!(a.with.as_value(), &json!({}));
    assert_eq!(
        a.takes.iter().map(|(pool, n)| (pool.as_str(), *n)).collect::<Vec<_>>(),
        [("run", 1)]
    );
    let place = a.place.as_ref().expect("a place");
    assert_eq!((place.file.as_str(), place.line), ("r.yaml", 3));
    assert_eq!(plan.notices.iter().map(|n| n.code.as_str()).collect::<Vec<_>>(), [codes::GUESSED]);
}

const SHOP: &str = r#"
runbook: shop
parallelism: 4
on_failure: continue
inputs:
  loss: { type: duration, default: 5m }
  name: { type: string, enum: [east, west], default: west }
values: { zone: "{{ inputs.name }}.example.com", url: "https://{{ values.zone }}" }
environments:
  production: { default: true, protected: true }
  drill:
    parallelism: 2
    values: { zone: drill.example.com }
    hosts: { db: { address: db.drill, parallel: 1 }, extra: {} }
    secrets: { pw: [{ file: pw.txt }] }
    plugins: { t: { region: "{{ inputs.name }}" } }
    pools: { api: { capacity: 1 } }
secrets: { pw: [{ env: PW }, { command: [get, pw] }], unused: [{ env: X }] }
plugins: { t: { password: "{{ secrets.pw }}", region: none } }
pools: { api: { capacity: 3 } }
hosts:
  db: { address: "db.{{ values.zone }}", user: postgres, labels: { role: db } }
tiers: { gold: { priority: critical, rto: 60, rpo: 5m } }
services:
  database: { tier: gold, rto: 10m, validation: [{ name: up, checks: [{ uses: t.read, expect: [result.ok] }] }] }
  web: { priority: 55, depends_on: [database] }
steps:
  - { id: mute, needs: [], when: "run.mode == 'live'", uses: t.set, with: { url: "{{ values.url }}/mute" } }
  - { id: fence, service: database, needs: [mute], uses: t.on_host, host: db, estimate: 10s, timeout: 60s,
      with: { to: "{{ host.user }}@{{ hosts.db.address }}", run: "{{ run.id }}" }, takes: { api: 2 } }
  - { id: promote, service: database, phase: failover, needs: [fence], uses: t.run, host: db, estimate: 20s,
      effect: idempotent, on_failure: halt, point_of_no_return: true,
      approve: { message: "Go for {{ values.zone }}?", timeout: 10m } }
  - { id: start, service: web, phase: failover, uses: t.run, estimate: 30s,
      check: { uses: t.read, done: "result.ok" }, when: "steps.fence.status == 'succeeded'" }
  - { id: tidy, phase: cleanup, uses: t.set }
"#;

#[test]
fn an_environment_is_resolved() {
    let live = planned(SHOP);
    assert_eq!((live.environment.as_str(), live.protected), ("production", true));
    assert_eq!(live.values["zone"], json!("west.example.com"));
    assert_eq!(live.values["url"], json!("https://west.example.com"));
    assert_eq!(live.inputs["loss"], json!({ "$duration": 300_000 }));
    assert_eq!(live.hosts["db"].address, "db.west.example.com");
    assert_eq!(live.secrets.keys().collect::<Vec<_>>(), ["pw"]);
    assert_eq!(live.phases, [Phase::Failover]);
    let pools: Vec<_> =
        live.pools.iter().map(|(name, pool)| (name.as_str(), pool.capacity)).collect();
    assert_eq!(pools, [("api", 3), ("host:db", 8), ("run", 4)]);

    let drill = PlanRequest {
        environment: Some("drill".into()),
        mode: Mode::Drill,
        inputs: [("name".to_owned(), InputValue::from("east"))].into(),
        ..PlanRequest::default()
    };
    // Two units of a pool of one.
    assert_eq!(
        problems(SHOP, &drill),
        ["DR2010: it takes 2 of pool `api`, which has 1: it could never start"]
    );
    let drill = planned_as(&SHOP.replace("takes: { api: 2 }", "takes: { api: 1 }"), &drill);
    assert!(!drill.protected);
    assert_eq!(drill.values["zone"], json!("drill.example.com"));
    assert_eq!(drill.values["url"], json!("https://drill.example.com"));
    let db = &drill.hosts["db"];
    assert_eq!((db.address.as_str(), db.user.as_deref()), ("db.drill", Some("postgres")));
    assert_eq!(db.labels["role"], "db");
    assert_eq!(drill.hosts["extra"].address, "extra");
    assert_eq!(drill.secrets["pw"], [SecretSource::File("pw.txt".into())]);
    assert_eq!(
        drill.plugins["t"].settings.as_value(),
        &json!({ "password": { "$text": [{ "$secret": "pw" }] }, "region": "east" })
    );
    let pools: Vec<_> =
        drill.pools.iter().map(|(name, pool)| (name.as_str(), pool.capacity)).collect();
    assert_eq!(pools, [("api", 1), ("host:db", 1), ("host:extra", 8), ("run", 2)]);
    assert_ne!(live.digest, drill.digest);
    assert_eq!(step(&drill, "mute").skip, Some(SkipReason::When));
    assert_eq!(drill.phases, [Phase::Failover, Phase::Cleanup]);
    let tidy = step(&drill, "tidy");
    assert_eq!(ids(&tidy.after), ["start"]);
    assert!(tidy.because.values().all(|reason| *reason == EdgeReason::Cleanup));
}

#[test]
fn steps_get_what_they_say_and_what_their_action_says() {
    let plan = planned(SHOP);
    let fence = step(&plan, "fence");
    assert_eq!(
        fence.with.as_value(),
        &json!({ "to": "postgres@db.west.example.com", "run": { "$template": "{{ run.id }}" } })
    );
    assert_eq!((fence.effect, fence.on_failure), (Effect::Checkable, OnFailure::Continue));
    assert_eq!(fence.timeout_ms, Some(60_000));
    let takes: Vec<_> = fence.takes.iter().map(|(pool, n)| (pool.as_str(), *n)).collect();
    assert_eq!(takes, [("api", 2), ("host:db", 1), ("run", 1)]);

    let promote = step(&plan, "promote");
    assert_eq!((promote.effect, promote.action_effect), (Effect::Idempotent, Some(Effect::Once)));
    assert_eq!((promote.retry.attempts, promote.on_failure), (3, OnFailure::Halt));
    let gate = promote.approve.as_ref().expect("a gate");
    assert_eq!(gate.message.as_value(), &json!("Go for west.example.com?"));
    assert_eq!((gate.approvers, gate.timeout_ms), (1, Some(600_000)));

    let start = step(&plan, "start");
    assert_eq!((start.effect, start.action_effect), (Effect::Checkable, Some(Effect::Once)));
    assert_eq!(start.check.as_ref().map(|check| check.timeout_ms), Some(30_000));
    assert!(start.when.is_some() && start.skip.is_none());
    assert_eq!(ids(&start.needs), ["database!validation/1"]);
    assert_eq!(start.because.values().collect::<Vec<_>>(), [&EdgeReason::Service]);

    let check = step(&plan, "database!validation/1");
    assert_eq!((check.validates.as_deref(), check.phase), (Some("up"), Some(Phase::Validate)));
    let repeat = check.repeat.as_ref().expect("a repeat");
    assert_eq!(
        (repeat.until.clone(), repeat.every_ms, repeat.timeout_ms),
        (None, 1_000, Some(60_000))
    );
}

#[test]
fn services_have_objectives_and_a_prediction() {
    let plan = planned(SHOP);
    let database = plan.service("database").expect("a service");
    assert_eq!((database.priority, database.priority_number), (Class::Critical, 13));
    assert_eq!((database.rto_ms, database.rpo_ms), (Some(600_000), Some(300_000)));
    assert_eq!((database.predicted_ms, database.meets_rto), (Some(32_000), Some(true)));
    assert_eq!((database.lower_bound_ms, database.validated), (Some(32_000), true));
    let web = plan.service("web").expect("a service");
    assert_eq!((web.priority, web.priority_number, web.rto_ms), (Class::Medium, 55, None));
    assert_eq!((web.predicted_ms, web.meets_rto), (Some(62_000), None));
    assert_eq!(plan.makespan_ms, 62_000);
    assert_eq!(
        ids(&plan.critical_path),
        ["mute", "fence", "promote", "database!validation/1", "start"]
    );
    let starts: Vec<_> = plan.steps.iter().map(|step| (step.id.as_str(), step.start_ms)).collect();
    assert_eq!(
        starts,
        [
            ("mute", 0),
            ("fence", 1_000),
            ("promote", 11_000),
            ("database!validation/1", 31_000),
            ("start", 32_000),
            ("tidy", 0)
        ]
    );
    // It serves a critical service, though it belongs to none.
    assert_eq!(step(&plan, "mute").urgency.class, Class::Critical);
    assert_eq!(step(&plan, "tidy").skip, Some(SkipReason::Phase));
}

#[test]
fn an_impossible_objective_is_proved() {
    let plan = planned(&SHOP.replace("rto: 10m", "rto: 25s"));
    assert_eq!(plan.service("database").expect("a service").meets_rto, Some(false));
    let notice = plan.notices.iter().find(|n| n.code == codes::IMPOSSIBLE).expect("a notice");
    assert_eq!(
        notice.message,
        "service `database` cannot meet its RTO of 25s with this runbook: the chain mute (1.0s) -> \
         fence (10s) -> promote (20s) -> database!validation/1 (1.0s) takes 32s at least"
    );
}

#[test]
fn a_pool_delays_the_less_urgent() {
    let plan = planned(
        "
runbook: r
parallelism: 1
services: { low: { priority: low }, top: { priority: critical, rto: 1 } }
steps:
  - { id: a, service: low, uses: t.set, estimate: 30s }
  - { id: b, service: top, uses: t.set, estimate: 50s }
  - { id: c, service: top, uses: t.set, estimate: 20s }
",
    );
    let starts: Vec<_> = plan.steps.iter().map(|step| step.start_ms).collect();
    assert_eq!(starts, [70_000, 0, 50_000]);
    assert_eq!(plan.service("top").expect("a service").meets_rto, Some(false));
    let codes: Vec<_> = plan.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert_eq!(codes, [codes::IMPOSSIBLE]);
    assert!(
        plan.notices[0].message.ends_with(
            "what must pass through pool `run` (1 at once) before it takes 1m10s at least"
        ),
        "{}",
        plan.notices[0].message
    );
}

#[test]
fn timeline_predictions_and_forecast_rest_on_the_same_estimates() {
    let runbook = load(
        "
runbook: r
services: { db: { rto: 20s } }
steps:
  - { id: a, service: db, uses: t.set }
  - { id: b, service: db, needs: [a], uses: t.set, estimate: 1s }
",
        "r.yaml",
    )
    .expect("a runbook");
    let run = |number: u64| {
        let steps = [("a".into(), 6_900 + number * 50), ("b".into(), 60_000 + number)];
        (format!("run_{number}").into(), super::forecast::PastRun::from(steps))
    };
    let plan_from = |estimates: &Estimates| {
        let mut plan =
            plan(&runbook, &catalog(), &PlanRequest::default(), estimates).expect("a plan");
        super::forecast::forecast(&mut plan, estimates, 500, None);
        plan
    };
    let planned = plan_from(&Estimates::of((0..5).map(run)));
    let found: Vec<_> =
        planned.steps.iter().map(|step| (step.estimate_ms, step.estimate_source)).collect();
    assert_eq!(found, [(7_000, EstimateSource::History), (1_000, EstimateSource::Declared)]);
    let runs: Vec<&str> = planned.history.iter().map(crate::id::RunId::as_str).collect();
    assert_eq!(runs, ["run_0", "run_1", "run_2", "run_3", "run_4"]);
    // Runs are alike: what is simulated is what the timeline says, with what is declared.
    let made = planned.forecast.as_ref().expect("a forecast");
    assert!(made.p50_ms.abs_diff(planned.makespan_ms) < 200, "{made:?}");
    assert!((0.2..0.8).contains(&made.makespan_chance), "{made:?}");
    let service = &planned.services[0];
    assert!(service.p50_ms.unwrap_or(0).abs_diff(service.predicted_ms.unwrap_or(0)) < 200);
    assert_eq!(
        planned.notices.iter().map(|it| it.message.as_str()).collect::<Vec<_>>(),
        [
            "a declared estimate is not what past runs took, and the plan and its forecast count with \
          what is declared: b (declared 1.0s, 1m00s in 5 runs)"
        ]
    );
    // The same history gives the same plan; another one the same digest.
    assert_eq!(planned, plan_from(&Estimates::of((0..5).map(run))));
    let without = plan_from(&Estimates::default());
    assert_eq!(planned.digest, without.digest);
    assert_eq!(without.steps[0].estimate_source, EstimateSource::Typical);
    assert!(without.history.is_empty());
}

#[test]
fn a_threshold_is_counted() {
    let plan = planned(
        "
runbook: r
services:
  web:
    validation:
      - { name: most, threshold: 0.5, timeout: 2m, every: 3s, checks: [{ uses: t.read }, { uses: t.read }] }
      - { name: all, checks: [{ uses: t.read }, { uses: t.read }] }
steps:
  - { id: a, service: web, uses: t.set }
",
    );
    let order: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        order,
        [
            "a",
            "web!validation/1/1",
            "web!validation/1/2",
            "web!validation/1",
            "web!validation/2/1",
            "web!validation/2/2"
        ]
    );
    let tally = step(&plan, "web!validation/1");
    assert_eq!(ids(&tally.after), ["web!validation/1/1", "web!validation/1/2"]);
    let counted = tally.tally.as_ref().expect("a tally");
    assert_eq!((ids(&counted.of), counted.threshold), (ids(&tally.after), 0.5));
    assert!(tally.uses.is_none());
    let check = step(&plan, "web!validation/1/2");
    assert_eq!(check.on_failure, OnFailure::Warn);
    assert_eq!(
        check.repeat.as_ref().map(|r| (r.every_ms, r.timeout_ms)),
        Some((3_000, Some(120_000)))
    );
    assert_eq!(step(&plan, "web!validation/2/1").on_failure, OnFailure::Halt);
}

const PHASES: &str = "
runbook: r
services: { db: { validation: [{ name: v, checks: [{ uses: t.read }] }] } }
steps:
  - { id: dump, service: db, phase: backup, uses: t.set, outputs: { at: result.at } }
  - { id: shared, uses: t.set }
  - { id: other, uses: t.set }
  - { id: fail_over, service: db, phase: failover, needs: [dump, shared], uses: t.set }
  - { id: confirm, service: db, phase: failover, needs: [fail_over], approve: { message: ok? } }
  - { id: go_home, service: db, phase: failback, needs: [confirm], uses: t.set }
";

fn phases(names: &[Phase]) -> PlanRequest {
    PlanRequest { phases: names.to_vec(), ..PlanRequest::default() }
}

fn taken(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().filter(|step| step.skip.is_none()).map(|step| step.id.as_str()).collect()
}

#[test]
fn phases_select() {
    let plan = planned(PHASES);
    assert_eq!(plan.phases, [Phase::Failover]);
    assert_eq!(taken(&plan), ["shared", "other", "fail_over", "confirm", "db!validation/1"]);
    assert_eq!(
        plan.notices[0].message,
        "`dump` (phase backup) is not taken: it counts as done for `fail_over`"
    );
    let plan = planned_as(PHASES, &phases(&[Phase::Failover]));
    assert_eq!(taken(&plan), ["shared", "fail_over", "confirm", "db!validation/1"]);
    let plan = planned_as(PHASES, &phases(&[Phase::Backup]));
    assert_eq!(taken(&plan), ["dump"]);
    assert_eq!(plan.service("db").expect("a service").predicted_ms, None);
    let plan = planned_as(PHASES, &phases(&[Phase::Validate]));
    assert_eq!(taken(&plan), ["db!validation/1"]);

    assert_eq!(
        problems(PHASES, &phases(&[Phase::Failback])),
        ["DR2013: `go_home` relies on `confirm`, whose phase (failover) is not taken"]
    );
    let mut request = phases(&[Phase::Failback]);
    request.skips.push(Skip { step: "confirm".into(), reason: Some("was done".into()) });
    let plan = planned_as(PHASES, &request);
    assert_eq!(taken(&plan), ["go_home"]);
    assert_eq!(step(&plan, "confirm").skip, Some(SkipReason::Person));
    assert_eq!(plan.notices[0].message, "`confirm` is skipped on request: was done");
    assert_eq!(
        problems(PHASES, &phases(&[Phase::Restore, Phase::Cleanup])),
        [
            "DR2015: `--phase restore`: no step has this phase",
            "DR2017: cleanup steps run at the end of a drill, never in a live run"
        ]
    );
    let backup = "runbook: r\nsteps: [{ id: a, phase: backup, uses: t.set }]";
    assert_eq!(taken(&planned(backup)), ["a"]);
    let written = PHASES.replace("runbook: r", "runbook: r\ndefault_phases: [backup]");
    assert_eq!(taken(&planned(&written)), ["dump", "shared", "other"]);
    let reads = PHASES.replace(
        "needs: [dump, shared], uses: t.set",
        "needs: [dump, shared], uses: t.set, with: { at: '{{ steps.dump.outputs.at }}' }",
    );
    assert_eq!(
        problems(&reads, &PlanRequest::default()),
        ["DR2014: `steps.dump.outputs.at` is read, but `dump` (phase backup) is not taken"]
    );
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = r#"
runbook: r
inputs:
  a: { type: integer }
  b: { type: string, pattern: "x+" }
environments: { one: {}, two: {} }
steps:
  - { id: s, uses: t.run }
"#;
    let request = PlanRequest {
        environment: Some("one".into()),
        inputs: [("b".to_owned(), "y".into()), ("c".to_owned(), "z".into())].into(),
        ..PlanRequest::default()
    };
    assert_eq!(
        problems(text, &request),
        [
            "DR2003: the runbook has no input `c`",
            "DR2002: input `a` is missing",
            "DR2004: input `b`: `y` does not match `x+`",
        ]
    );
    assert_eq!(
        problems(text, &PlanRequest { environment: Some("tow".into()), ..PlanRequest::default() }),
        ["DR2001: there is no environment `tow`"]
    );
    assert_eq!(
        problems(text, &PlanRequest::default()),
        ["DR2001: no environment was chosen, and none is the default"]
    );

    let text = r#"
runbook: r
hosts: { db: {} }
pools: { api: { capacity: 2 } }
services: { s: { tier: none, validation: [{ name: v, checks: [{ uses: t.set, effect: once }] }] } }
steps:
  - { id: a, uses: t.rnu }
  - { id: b, uses: tt.run }
  - { id: c, uses: t.on_host }
  - { id: d, uses: t.set, host: db }
  - { id: e, uses: t.run, host: bd }
  - { id: f, uses: t.set, takes: { app: 1 } }
  - { id: g, uses: t.set, takes: { api: 3 } }
  - { id: h, uses: t.set, when: "inputs.x" }
  - { id: i, uses: t.set, when: "run.mode" }
"#;
    let found = problems(text, &PlanRequest::default());
    let codes: Vec<_> = found.iter().map(|problem| &problem[..6]).collect();
    assert_eq!(
        codes,
        [
            "DR2019", "DR2008", "DR2008", "DR2007", "DR2007", "DR2007", "DR2009", "DR2010",
            "DR2011", "DR2011", "DR2018"
        ],
        "{found:#?}"
    );
}

#[test]
fn a_protected_environment_refuses_a_drill_and_style_must_be_said() {
    let drill = PlanRequest { mode: Mode::Drill, ..PlanRequest::default() };
    assert_eq!(
        problems(SHOP, &drill),
        ["DR2017: environment `production` is protected: no drill runs in it"]
    );
    let text = "
runbook: r
steps:
  - { id: a, uses: t.set, when: \"run.style == 'graceful'\" }
";
    assert_eq!(
        problems(text, &PlanRequest::default()),
        ["DR2016: this depends on the style of the failover"]
    );
    let given = PlanRequest { style: Some(Style::Ungraceful), ..PlanRequest::default() };
    assert_eq!(step(&planned_as(text, &given), "a").skip, Some(SkipReason::When));
    assert!(try_plan(text, &drill).is_ok());
}

#[test]
fn a_skipped_step_keeps_its_place_but_takes_no_time() {
    let mut request = PlanRequest::default();
    request.skips.push(Skip { step: "fence".into(), reason: None });
    let plan = planned_as(SHOP, &request);
    let fence = step(&plan, "fence");
    assert_eq!(fence.skip, Some(SkipReason::Person));
    assert_eq!((fence.start_ms, fence.finish_ms), (1_000, 1_000));
    assert_eq!(step(&plan, "promote").start_ms, 1_000);
    assert!(!fence.critical);
    request.skips[0].step = "fenec".into();
    assert_eq!(problems(SHOP, &request), ["DR2015: `--skip fenec`: there is no step `fenec`"]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let json = || serde_json::to_string(&planned(SHOP)).expect("json");
    assert_eq!(json(), json());
    let plan: Plan = serde_json::from_str(&json()).expect("a plan");
    assert_eq!(plan, planned(SHOP));
}

#[test]
fn a_wait_takes_its_time_less_what_runs_meanwhile() {
    let plan = planned(
        "
runbook: r
steps:
  - { id: a, uses: t.set, estimate: 3s }
  - { id: b, uses: t.set, needs: [a], estimate: 4s }
  - { id: wait, needs: [b], sleep: { for: 10s, since: a } }
  - { id: over, needs: [b], sleep: { for: 3s, since: a } }
  - { id: rest, needs: [wait], sleep: { for: 2s } }
  - { id: own, needs: [b], sleep: { for: 10s, since: a }, estimate: 9s }
",
    );
    let times = |id: &str| (step(&plan, id).start_ms, step(&plan, id).finish_ms);
    assert_eq!(times("wait"), (7_000, 13_000));
    assert_eq!(times("over"), (7_000, 7_000));
    assert_eq!(times("rest"), (13_000, 15_000));
    assert_eq!(times("own"), (7_000, 16_000));
    assert!(step(&plan, "wait").takes.is_empty());
    // An estimate is none of what is agreed.
    let json = serde_json::to_value(step(&plan, "wait")).expect("json");
    assert_eq!(json["sleep"], json!({ "for_ms": 10_000, "since": "a" }));
}

#[test]
fn objectives_count_from_the_incident_that_the_run_makes() {
    let text = "
runbook: r
services: { db: { rto: 5s } }
steps:
  - { id: load, uses: t.set, estimate: 1m }
  - { id: strike, uses: t.set, needs: [load], incident: true, estimate: 10s }
  - { id: recover, service: db, uses: t.set, needs: [strike], estimate: 4s }
";
    let plan = planned(text);
    let db = &plan.services[0];
    assert_eq!(plan.clock_start_ms(), 70_000);
    assert_eq!(
        (db.predicted_ms, db.meets_rto, db.lower_bound_ms),
        (Some(4_000), Some(true), Some(4_000))
    );
    assert!(plan.notices.iter().all(|notice| notice.code == codes::GUESSED), "{:?}", plan.notices);
    let late = planned(&text.replace("rto: 5s", "rto: 3s"));
    assert_eq!(late.services[0].meets_rto, Some(false));
    assert!(late.notices.iter().any(|notice| notice.code == codes::MISSED));
    // Where it is passed over, the clock starts with the run.
    let mut request = PlanRequest::default();
    request.skips.push(Skip { step: "strike".into(), reason: None });
    assert_eq!(planned_as(text, &request).services[0].predicted_ms, Some(64_000));
}

#[test]
fn times_between_steps_are_predicted() {
    let text = "
runbook: r
spans: { read_only: { from: close, to: open, objective: 8s }, all: { from: close, to: open } }
steps:
  - { id: before, uses: t.set, estimate: 5s }
  - { id: close, uses: t.set, needs: [before], estimate: 1s }
  - { id: copy, uses: t.set, needs: [close], estimate: 6s }
  - { id: open, uses: t.set, needs: [copy], estimate: 1s }
";
    let plan = planned(text);
    assert_eq!((plan.spans[0].predicted_ms, plan.spans[0].meets), (Some(8_000), Some(true)));
    assert_eq!((plan.spans[1].predicted_ms, plan.spans[1].meets), (Some(8_000), None));
    let late = planned(&text.replace("8s", "7s"));
    let said: Vec<_> = late.notices.iter().map(|notice| notice.message.as_str()).collect();
    assert_eq!(said[0], "span `read_only` is predicted to take 8s, 1s more than it may");
    assert_ne!(late.digest, plan.digest);
    let slower = planned(&text.replace("6s", "7s"));
    assert_eq!(slower.digest, plan.digest);
}
