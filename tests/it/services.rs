//! Runbooks in the shape of real ones, against plain dispatch by class and latest start, which is
//! written here once more, without anything of the planner.

use std::collections::HashMap;
use std::fmt::Write as _;

use dr::time::Millis;
use dr_testkit::cases;
use serde_json::Value;

use crate::dr;
use crate::plans::Random;

const CLASSES: [&str; 4] = ["critical", "high", "medium", "low"];

/// Services of all classes: volumes are restored from one array, machines started through one API,
/// the configuration changed by few people, and each service proves itself. Some depend on others.
fn runbook(seed: u64) -> String {
    let mut random = Random(seed * 2 + 1);
    let services = 4 + random.below(5);
    let mut text = format!(
        "runbook: recovery_{seed}\nparallelism: {}\npools:\n  storage: {{ capacity: {} }}\n  api: {{ \
         capacity: {} }}\n  people: {{ capacity: {} }}\nservices:\n",
        4 + random.below(8),
        2 + random.below(2),
        2 + random.below(3),
        1 + random.below(2),
    );
    let mut steps = String::from("steps:\n");
    for service in 0..services {
        let class = CLASSES[random.below(4) as usize];
        let depends = match random.below(3) {
            0 if service > 0 => format!("s{}", random.below(service)),
            _ => String::new(),
        };
        let act = "uses: local.command, effect: idempotent, with: { argv: ['true'] }";
        let mut step = |id: &str, needs: &str, minutes: u64, takes: &str| {
            let _ = writeln!(
                steps,
                "  - {{ id: {id}_{service}, service: s{service}, needs: [{needs}], {act}, estimate: \
                 {}s, takes: {{ {takes} }} }}",
                minutes * 60 + 7
            );
            minutes
        };
        let mut chain = step("fence", "", 1 + random.below(3), "people: 1");
        let volumes = 1 + random.below(4);
        let mut longest = 0;
        let mut restored = Vec::new();
        for volume in 0..volumes {
            let minutes = 3 + random.below(18);
            let units = 1 + random.below(2);
            let id = format!("restore_{volume}");
            let needs = format!("fence_{service}");
            longest = longest.max(step(&id, &needs, minutes, &format!("storage: {units}")));
            restored.push(format!("{id}_{service}"));
        }
        chain += longest;
        chain += step("start", &restored.join(", "), 2 + random.below(6), "api: 1");
        chain += step("configure", &format!("start_{service}"), 1 + random.below(8), "people: 1");
        chain += step("prove", &format!("configure_{service}"), 1, "api: 1");
        let rto = chain * (11 + random.below(20)) / 10;
        let _ = writeln!(
            text,
            "  s{service}: {{ priority: {class}, rto: {rto}m, depends_on: [{depends}] }}"
        );
    }
    text + &steps
}

/// Lateness by class, the end, the sum of recoveries: the less the better.
type Worth = ([u64; 4], u64, u64);

struct Plan {
    durations: Vec<u64>,
    before: Vec<Vec<usize>>,
    takes: Vec<Vec<(String, u64)>>,
    capacities: HashMap<String, u64>,
    /// Class, objective, steps of each service.
    services: Vec<(usize, u64, Vec<usize>)>,
    starts: Vec<u64>,
}

fn read(plan: &Value) -> Plan {
    let steps = plan["steps"].as_array().unwrap();
    let places: HashMap<&str, usize> =
        steps.iter().enumerate().map(|(at, step)| (step["id"].as_str().unwrap(), at)).collect();
    let number = |value: &Value| value.as_u64().unwrap();
    let names = |step: &Value, field: &str| -> Vec<usize> {
        step[field].as_array().unwrap().iter().map(|id| places[id.as_str().unwrap()]).collect()
    };
    let services = plan["services"].as_array().unwrap().iter().map(|service| {
        let class = CLASSES.iter().position(|class| service["priority"] == *class).unwrap();
        let own = (0..steps.len()).filter(|at| steps[*at]["service"] == service["name"]);
        (class, number(&service["rto_ms"]), own.collect())
    });
    Plan {
        durations: steps.iter().map(|step| number(&step["estimate_ms"])).collect(),
        before: steps
            .iter()
            .map(|step| [names(step, "needs"), names(step, "after")].concat())
            .collect(),
        takes: steps
            .iter()
            .map(|step| {
                let takes = step["takes"].as_object().unwrap();
                takes.iter().map(|(pool, units)| (pool.clone(), number(units))).collect()
            })
            .collect(),
        capacities: plan["pools"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, pool)| (name.clone(), number(&pool["capacity"])))
            .collect(),
        services: services.collect(),
        starts: steps.iter().map(|step| number(&step["start_ms"])).collect(),
    }
}

impl Plan {
    fn worth(&self, starts: &[u64]) -> Worth {
        let end = |step: usize| starts[step] + self.durations[step];
        let mut worth = ([0; 4], (0..starts.len()).map(end).max().unwrap_or(0), 0);
        for (class, rto, steps) in &self.services {
            let reached = steps.iter().map(|step| end(*step)).max().unwrap_or(0);
            worth.0[*class] += reached.saturating_sub(*rto);
            worth.2 += reached;
        }
        worth
    }

    /// Class (inherited) and latest start of each step, then declaration.
    fn keys(&self) -> Vec<(usize, i64, usize)> {
        let steps = self.durations.len();
        let mut due = vec![[i64::MAX; 4]; steps];
        for (class, rto, own) in &self.services {
            for step in own {
                due[*step][*class] = due[*step][*class].min(*rto as i64);
            }
        }
        // Until nothing changes: the graphs are small.
        let mut changed = true;
        while changed {
            changed = false;
            for step in 0..steps {
                for &before in &self.before[step] {
                    for (class, at) in due[step].into_iter().enumerate() {
                        let latest =
                            if at == i64::MAX { at } else { at - self.durations[step] as i64 };
                        if latest < due[before][class] {
                            due[before][class] = latest;
                            changed = true;
                        }
                    }
                }
            }
        }
        due.iter()
            .enumerate()
            .map(|(step, due)| {
                let class = due.iter().position(|due| *due != i64::MAX).unwrap_or(3);
                (class, due[class].saturating_sub(self.durations[step] as i64), step)
            })
            .collect()
    }

    /// At every end, the first by key of what is ready and fits.
    fn dispatched(&self) -> Vec<u64> {
        let keys = self.keys();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|step| keys[*step]);
        let mut starts: Vec<Option<u64>> = vec![None; keys.len()];
        let mut now = 0;
        while starts.iter().any(Option::is_none) {
            let ended = |step: usize, starts: &[Option<u64>]| {
                starts[step].is_some_and(|start| start + self.durations[step] <= now)
            };
            for &step in &order {
                let ready = self.before[step].iter().all(|before| ended(*before, &starts));
                if starts[step].is_some() || !ready {
                    continue;
                }
                let fits = self.takes[step].iter().all(|(pool, units)| {
                    let running = (0..starts.len())
                        .filter(|other| starts[*other].is_some() && !ended(*other, &starts));
                    let taken: u64 = running
                        .flat_map(|other| &self.takes[other])
                        .filter(|(name, _)| name == pool)
                        .map(|(_, units)| units)
                        .sum();
                    taken + units <= self.capacities[pool]
                });
                if fits {
                    starts[step] = Some(now);
                }
            }
            let ends = (0..starts.len())
                .filter_map(|step| starts[step].map(|start| start + self.durations[step]));
            now = ends.filter(|end| *end > now).min().unwrap_or(now + 1);
        }
        starts.into_iter().flatten().collect()
    }
}

/// `DR_TEST_CASES=ci` takes all 60.
#[test]
fn plans_are_never_worse_than_dispatch_and_often_better() {
    let all = cases(12, 60).min(60);
    let (mut better, mut sooner, mut late) = (0, 0, [0_u64; 2]);
    for seed in 0..all as u64 {
        let dr = dr().runbook(&runbook(seed));
        let ended = dr
            .args(["plan", "runbook.yaml", "--history", "none", "--format", "json"])
            .run()
            .code(0);
        let plan = read(&serde_json::from_str(&ended.stdout).unwrap());
        let (ours, theirs) = (plan.worth(&plan.starts), plan.worth(&plan.dispatched()));
        assert!(ours <= theirs, "{seed}: {ours:?} {theirs:?}");
        better += usize::from(ours < theirs);
        sooner += usize::from(ours.1 < theirs.1);
        late[0] += ours.0.iter().sum::<u64>();
        late[1] += theirs.0.iter().sum::<u64>();
    }
    let late = late.map(|ms| ms / 60_000);
    eprintln!(
        "{better} of {all} better, {sooner} end sooner; late {} min against {}",
        late[0], late[1]
    );
    assert!(better * 4 >= all, "{better} of {all} better");
}

/// If every step takes as long as estimated, a run recovers each service when its plan says, also where
/// the plan leaves room unused for a step to come.
#[test]
fn a_run_does_what_its_plan_shows() {
    let mut yielding = 0;
    for seed in 0..cases(6, 60).min(60) as u64 {
        let dr = dr().runbook(&runbook(seed));
        let plan = ["plan", "runbook.yaml", "--history", "none", "--format", "json"];
        let plan: Value = serde_json::from_str(&dr.args(plan).run().code(0).stdout).unwrap();
        let rehearsed = dr.args(["rehearse", "runbook.yaml"]).run();
        for service in plan["services"].as_array().unwrap() {
            let name = service["name"].as_str().unwrap();
            let ms = service["predicted_ms"].as_u64().unwrap();
            let took = format!("service {name}: recovered {} after", Millis(ms).short());
            assert!(rehearsed.stdout.contains(&took), "{seed}: {took}\n{rehearsed}");
        }
        let steps = plan["steps"].as_array().unwrap();
        yielding += steps.iter().filter(|step| step["yields_to"].is_array()).count();
    }
    assert!(yielding > 0, "in none of them was anything held back");
}

/// What was told of an objective while it ran is in every form of output.
#[test]
fn an_objective_at_risk_is_told() {
    let dr = dr().runbook(
        "runbook: slow
services: { shop: { rto: 100ms } }
steps:
  - { id: wait, service: shop, needs: [], sleep: { for: 400ms } }
  - { id: act, service: shop, needs: [wait], uses: sim.action, effect: idempotent, with: {} }
",
    );
    let ended = dr.args(["execute", "runbook.yaml", "--format", "json"]).run().code(6);
    let events: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let risks: Vec<&Value> = events.iter().filter(|it| it["type"] == "rto_at_risk").collect();
    assert_eq!(risks.len(), 1, "{ended}");
    assert_eq!((&risks[0]["service"], &risks[0]["rto_ms"]), (&"shop".into(), &100.into()));
    assert!(risks[0]["expected_ms"].as_u64() >= Some(400), "{risks:?}");
    dr.args(["watch", "last"]).run().code(6).says("service shop: RTO at risk: expected ");
    dr.args(["report", "last", "--format", "markdown"])
        .run()
        .code(0)
        .prints("| objective at risk | service shop | expected ");
    dr.args(["rehearse", "runbook.yaml"]).run().prints("service shop: RTO at risk");
}
