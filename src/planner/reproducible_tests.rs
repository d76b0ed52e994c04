//! Any build, on any machine, makes the same plans: a fixed corpus against committed digests. They
//! change only on purpose: `DR_PLANS=write cargo nextest run -p dr --lib reproducible`.

use std::fmt::Write as _;
use std::path::Path;

use dr_plugin::{ActionManifest, Effect, Manifest};
use serde_json::{Value, json};

use super::forecast::{PastRun, forecast};
use super::schedule::Random;
use super::{Estimates, PlanRequest, plan, timing};
use crate::catalog::Catalog;
use crate::id::{Digest, RunId};
use crate::plan::Plan;
use crate::runbook::load;

/// Steps that wait for up to three before them and take units of pools, some for services with
/// objectives.
fn runbook(seed: u64, steps: usize, pools: usize, services: usize) -> String {
    let mut random = Random::new(seed);
    let mut text = format!("runbook: corpus_{seed}\nparallelism: {}\n", 3 + random.below(30));
    if pools > 0 {
        text.push_str("pools:\n");
        for pool in 0..pools {
            let _ = writeln!(text, "  p{pool}: {{ capacity: {} }}", 3 + random.below(3));
        }
    }
    if services > 0 {
        text.push_str("services:\n");
        for service in 0..services {
            let class = ["critical", "high", "medium", "low"][random.below(4)];
            let rto = 60 + random.below(600);
            let _ = writeln!(text, "  s{service}: {{ priority: {class}, rto: {rto}s }}");
        }
    }
    text.push_str("steps:\n");
    for step in 0..steps {
        let mut needs: Vec<String> = (0..random.below(4))
            .filter_map(|_| step.checked_sub(1 + random.below(12)))
            .map(|need| format!("a{need}"))
            .collect();
        needs.sort_unstable();
        needs.dedup();
        let service = match random.below(services + 1) {
            0 => String::new(),
            service => format!("service: s{}, ", service - 1),
        };
        let mut takes: Vec<usize> = (0..pools.min(3)).map(|_| random.below(pools)).collect();
        takes.sort_unstable();
        takes.dedup();
        let takes: Vec<String> =
            takes.iter().map(|pool| format!("p{pool}: {}", 1 + random.below(3))).collect();
        let estimate = match random.below(5) {
            0 => String::new(),
            _ => format!("estimate: {}ms, ", 500 * (1 + random.below(60))),
        };
        let _ = writeln!(
            text,
            "  - {{ id: a{step}, {service}{estimate}needs: [{}], takes: {{ {} }}, uses: t.run }}",
            needs.join(", "),
            takes.join(", "),
        );
    }
    text
}

/// Past runs of the first steps, without anything that a library could round.
fn past(runs: u64, steps: u64) -> Estimates {
    Estimates::of((0..runs).map(|run| {
        let took = |step: u64| {
            let ms = 900 + (step * 7_919 + run * 104_729 + step * run * 31) % 4_000;
            (format!("a{step}").into(), ms)
        };
        (RunId::from(format!("run_{run}")), (0..steps).map(took).collect::<PastRun>())
    }))
}

/// What a plan says of times: the rest is covered by its digest.
fn times(plan: &Plan) -> String {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|it| {
            json!([it.id, it.estimate_ms, it.start_ms, it.finish_ms, it.slack_ms, it.urgency])
        })
        .collect();
    let times = json!([
        steps,
        plan.services,
        plan.critical_path,
        plan.lower_bound_ms,
        plan.makespan_ms,
        plan.forecast
    ]);
    Digest::of(times.to_string().as_bytes()).hex()[..24].to_owned()
}

/// Schedules that are tried for each plan: unoptimized builds run this, too.
const SCHEDULES: usize = 200;

fn corpus() -> String {
    let catalog = Catalog::new([Manifest::new::<Value>("t", "1.0.0", "for tests")
        .with("run", ActionManifest::action::<Value, Value>("acts", Effect::Idempotent))]);
    let none = Estimates::default();
    let mut lines = String::new();
    let cases = [
        ("one pool", 30, 1, 0, none.clone(), SCHEDULES),
        ("four pools", 60, 4, 0, none.clone(), 0),
        ("four pools", 60, 4, 0, none.clone(), SCHEDULES),
        ("seven pools", 40, 7, 0, past(3, 30), SCHEDULES),
        ("ten pools", 40, 10, 0, none.clone(), SCHEDULES),
        ("services", 40, 2, 3, past(10, 40), SCHEDULES),
        ("services", 80, 4, 6, past(20, 55), 0),
        ("services without pools", 50, 0, 5, past(2, 50), SCHEDULES),
        ("large", 2_100, 3, 4, none, 0),
    ];
    for (number, (name, steps, pools, services, estimates, effort)) in cases.into_iter().enumerate()
    {
        let source = runbook(number as u64 + 1, steps, pools, services);
        let runbook = load(&source, "corpus.yaml").expect("a runbook");
        let request = PlanRequest { effort: Some(0), ..PlanRequest::default() };
        let mut plan = plan(&runbook, &catalog, &request, &estimates).expect("a plan");
        // The seed of the search comes from the digest, which changes whenever plans hold more.
        plan.digest = Digest::of(name.as_bytes());
        plan.critical_path.clear();
        timing::schedule_plan(&mut plan, Some(effort));
        forecast(&mut plan, &estimates, 60, None);
        let _ = writeln!(
            lines,
            "{name}, {steps} steps, effort {effort}: {} ms, {}",
            plan.makespan_ms,
            times(&plan)
        );
    }
    lines
}

#[test]
#[expect(clippy::disallowed_methods, reason = "digests are written anew on purpose only")]
fn plans_are_reproducible() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/planner/reproducible.txt");
    let made = corpus();
    if std::env::var("DR_PLANS").as_deref() == Ok("write") {
        std::fs::write(&path, &made).expect("the file");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        made, known,
        "the same runbooks are planned in another way. Unless that is meant, this build rounds, \
         hashes or iterates as another one does not. If it is meant: \
         `DR_PLANS=write cargo nextest run -p dr --lib reproducible`"
    );
}
