//! Plans as schedules: checked for precedence and capacity by what is written here, from the project
//! that the runbook was made of, and with nothing of the planner.

use std::fmt::Write as _;

use dr_testkit::cases;
use serde_json::Value;

use crate::dr;

/// A project in the manner of the public instances: layers of steps, four pools.
struct Project {
    durations: Vec<u64>,
    needs: Vec<Vec<usize>>,
    takes: Vec<[u64; 4]>,
    capacities: [u64; 4],
}

/// A small reproducible generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

impl Project {
    fn random(seed: u64, steps: usize) -> Self {
        let mut random = Random(seed * 2 + 1);
        let capacities = [(); 4].map(|()| 10 + random.below(15));
        let mut project = Self { durations: vec![], needs: vec![], takes: vec![], capacities };
        for step in 0..steps {
            project.durations.push(1 + random.below(10));
            let mut needs: Vec<usize> = (0..random.below(4))
                .filter_map(|_| step.checked_sub(1 + random.below(9) as usize))
                .collect();
            needs.sort_unstable();
            needs.dedup();
            project.needs.push(needs);
            project.takes.push([(); 4].map(|()| random.below(2) * random.below(10)));
        }
        project
    }

    fn runbook(&self) -> String {
        let mut text = String::from("runbook: project\nparallelism: 100000\npools:\n");
        for (pool, capacity) in self.capacities.iter().enumerate() {
            let _ = writeln!(text, "  r{pool}: {{ capacity: {capacity} }}");
        }
        text.push_str("steps:\n");
        for (step, duration) in self.durations.iter().enumerate() {
            let needs: Vec<String> =
                self.needs[step].iter().map(|need| format!("s{need}")).collect();
            let takes = self.takes[step].iter().enumerate().filter(|(_, units)| **units > 0);
            let takes: Vec<String> =
                takes.map(|(pool, units)| format!("r{pool}: {units}")).collect();
            let _ = writeln!(
                text,
                "  - {{ id: s{step}, needs: [{}], takes: {{ {} }}, estimate: {duration}s, \
                 uses: local.command, effect: idempotent, with: {{ argv: ['true'] }} }}",
                needs.join(", "),
                takes.join(", "),
            );
        }
        text
    }

    /// Checks a schedule in seconds and gives its end.
    fn check(&self, starts: &[u64]) -> u64 {
        let end = |step: usize| starts[step] + self.durations[step];
        for (step, needs) in self.needs.iter().enumerate() {
            for need in needs {
                assert!(end(*need) <= starts[step], "s{step} starts before s{need} has ended");
            }
        }
        let last = (0..starts.len()).map(end).max().unwrap_or(0);
        for moment in 0..last {
            for (pool, capacity) in self.capacities.iter().enumerate() {
                let running =
                    (0..starts.len()).filter(|step| starts[*step] <= moment && moment < end(*step));
                let taken: u64 = running.map(|step| self.takes[step][pool]).sum();
                assert!(taken <= *capacity, "{taken} of {capacity} r{pool} at {moment}");
            }
        }
        last
    }
}

fn planned(project: &Project, options: &[&str]) -> (u64, Value, String) {
    let dr = dr().runbook(&project.runbook());
    let mut args = vec!["plan", "runbook.yaml", "--history", "none", "--format", "json"];
    args.extend(options);
    let ended = dr.args(args).run().code(0);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let starts: Vec<u64> =
        steps.iter().map(|step| step["start_ms"].as_u64().unwrap() / 1_000).collect();
    let last = project.check(&starts);
    assert_eq!(plan["makespan_ms"], last * 1_000);
    assert!(plan["lower_bound_ms"].as_u64().unwrap() <= last * 1_000);
    (last, plan, ended.stdout)
}

#[test]
fn schedules_respect_edges_and_pools_and_are_reproducible() {
    for seed in 0..cases(2, 24) as u64 {
        let project = Project::random(seed, 25);
        let (with_search, _, text) = planned(&project, &["--effort", "1000"]);
        let (without, plan, _) = planned(&project, &["--effort", "0", "--compare", "waves"]);
        let waves = plan["comparison"]["makespan_ms"].as_u64().unwrap() / 1_000;
        assert!(without <= waves && with_search <= waves, "{with_search} {without} {waves}");
        assert_eq!(planned(&project, &["--effort", "1000"]).2, text, "the same plan again");
    }
}

#[test]
fn a_start_is_explained_and_a_step_that_is_not_there_is_refused() {
    let dr = dr().runbook(
        "
runbook: r
pools: { api: { capacity: 1 } }
services: { shop: { priority: critical, rto: 10s } }
steps:
  - { id: first, service: shop, needs: [], uses: local.command, with: { argv: ['true'] }, estimate: 20s, takes: { api: 1 } }
  - { id: second, needs: [], uses: local.command, with: { argv: ['true'] }, estimate: 5s, takes: { api: 1 } }
",
    );
    let plan = |more: &[&str]| {
        let mut args = vec!["plan", "runbook.yaml", "--history", "none"];
        args.extend(more);
        dr.args(args).run()
    };
    let said = "second starts 20s: waited 20s for pool api (1 of 1 taken by first, which";
    plan(&["--why", "second"]).code(0).prints(said);
    let json = plan(&["--why", "second", "--format", "json"]).code(0);
    let why: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(why["pools"][0]["holders"][0], "first");
    plan(&["--why", "secnd"]).code(2);
    // The chain that proves that the objective cannot be met is named.
    plan(&[]).code(0).prints("impossible");
    let json = plan(&["--format", "json"]).code(0);
    let shown: Value = serde_json::from_str(&json.stdout).unwrap();
    let service = &shown["services"][0];
    assert_eq!(
        (&service["lower_bound_ms"], &service["bound"]["by"]),
        (&20_000.into(), &"chain".into())
    );
    assert_eq!(service["bound"]["steps"][0], "first");
}

const LATE: &str = "
runbook: late
pools: { storage: { capacity: 1 } }
services: { s: { rto: 14m } }
steps:
  - { id: h, service: s, needs: [], uses: sim.probe, estimate: 5m }
  - { id: a, service: s, needs: [h], uses: sim.probe, estimate: 5m, takes: { storage: 1 } }
  - { id: b, service: s, needs: [h], uses: sim.probe, estimate: 5m, takes: { storage: 1 } }
";

#[test]
fn what_binds_is_named_and_adds_up() {
    let dr = dr().file("pool.yaml", LATE).file(
        "chain.yaml",
        &LATE
            .replace("[h], uses", "[h, a], uses")
            .replace("id: a, service: s, needs: [h, a]", "id: a, service: s, needs: [h]")
            .replace(", takes: { storage: 1 }", ""),
    );
    let plan = |file: &str, more: &[&str]| dr.args(["plan", file].iter().chain(more)).run();
    let json = plan("pool.yaml", &["--format", "json"]).code(0).json();
    let bound = &json["services"][0]["bound"];
    assert_eq!((&bound["before_ms"], &bound["work_ms"]), (&300_000.into(), &600_000.into()));
    let message = "5m00s before it can begin, then 10m00s through pool `storage` (1 at once) take 15m0s at least";
    assert!(json["notices"][0]["message"].as_str().unwrap().ends_with(message), "{json}");
    let late = plan("pool.yaml", &["--require-rto"])
        .code(4)
        .says("pool `storage` (1 at once) is what binds");
    assert!(!late.stderr.contains("critical path"), "{late}");
    plan("chain.yaml", &["--require-rto", "--format", "json"]).code(4).says("h → a → b");
}

#[test]
fn what_a_format_does_not_have_is_refused() {
    let dr = dr().runbook(LATE);
    for format in ["markdown", "mermaid", "dot", "html"] {
        for asked in [&["--compare", "waves"], &["--why", "a"]] {
            let ended =
                dr.args(["plan", "runbook.yaml", "--format", format].iter().chain(asked)).run();
            let ended = ended.code(2).says(format).says("--format json");
            assert_eq!(ended.stdout, "");
        }
    }
    for asked in [&["--compare", "waves"], &["--why", "a"]] {
        dr.args(["plan", "runbook.yaml", "--format", "json"].iter().chain(asked)).run().code(0);
    }
}

#[test]
fn a_history_that_is_named_must_be_there() {
    let dr = dr().runbook(LATE);
    let plan = |history: &str| dr.args(["plan", "runbook.yaml", "--history", history]).run();
    for history in ["not_there", "runbook.yaml"] {
        plan(history).code(2).says("DR2221 (docs/errors/DR2221.md)").says(history);
    }
    plan("none").code(0);
    plan(".").code(0);
}

/// Also what is said of a runbook that is refused.
#[test]
fn nothing_that_a_runbook_says_reaches_the_terminal_as_an_order() {
    let dr = dr()
        .file("a.yaml", "runbook: r\ndescription: \"a \\e[2J b\\a\"\nsteps: [{ id: a, uses: sim.probe, with: { \"\\e[31mx\\a\": 1 } }]\n")
        .file("b.yaml", "runbook: r\nhosts: { h: { address: \"x\\e[31m\\a\" } }\nsteps: [{ id: a, uses: sim.probe, when: \"'\\e[2J' == inputs.none\" }]\n")
        .file("raw.yaml", "runbook: r\ndescription: a \u{1b}[2J b\nsteps: [{ id: a, uses: sim.probe }]\n")
        .file("key.yaml", "runbook: r\n\"\\e[2Jstep\\a\": []\nsteps: [{ id: \"a\\e[2J\", uses: \"s\\e[1m.x\" }]\n");
    for file in ["a.yaml", "b.yaml", "raw.yaml", "key.yaml"] {
        for verb in [
            &["check", file][..],
            &["plan", file],
            &["plan", file, "--why", "\u{1b}[2J"],
            &["diff", "a.yaml", file],
        ] {
            let ended = dr.args(verb.iter().chain(&["--color", "never"])).run();
            for text in [&ended.stdout, &ended.stderr] {
                assert!(!text.contains(['\u{1b}', '\u{7}']), "{verb:?}: {text:?}");
            }
        }
    }
}
