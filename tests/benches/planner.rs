//! Speed of planning. `cargo bench --bench planner`.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use dr::catalog::Catalog;
use dr::plan::list_schedule;
use dr::planner::schedule::{Instance, Keys};
use dr::planner::{Estimates, PlanRequest, plan};
use dr::runbook::{Runbook, load};
use dr_plugin::{ActionManifest, Effect, Manifest};
use serde_json::Value;

/// Steps in 20 layers, each needing three of the layer before.
fn layered(steps: usize) -> Vec<Vec<usize>> {
    let width = steps.div_ceil(20);
    (0..steps)
        .map(|step| {
            let (layer, place) = (step / width, step % width);
            if layer == 0 {
                return Vec::new();
            }
            [0, 7, 13].map(|shift| (layer - 1) * width + (place + shift) % width).to_vec()
        })
        .map(|mut needs| {
            needs.sort_unstable();
            needs.dedup();
            needs
        })
        .collect()
}

fn instance(steps: usize) -> Instance {
    let mut instance = Instance { capacities: vec![32], ..Instance::default() };
    for (step, needs) in layered(steps).into_iter().enumerate() {
        instance.durations.push(1_000 + (step as u64 * 7919) % 30_000);
        instance.predecessors.push(needs.into_iter().map(|need| need as u32));
        instance.demands.push([(0, 1)]);
        instance.priorities.push((dr::words::Class::Medium, 63));
    }
    instance.link();
    instance
}

fn text(steps: usize) -> String {
    let mut text = String::from("runbook: layered\nsteps:\n");
    for (step, needs) in layered(steps).into_iter().enumerate() {
        let needs: Vec<String> = needs.into_iter().map(|need| format!("step_{need}")).collect();
        let _ = writeln!(
            text,
            "  - id: step_{step}\n    needs: [{}]\n    uses: sim.act\n    estimate: {}ms\n    \
             timeout: 60s\n    effect: idempotent\n    with: {{ name: step_{step}, value: {step} }}",
            needs.join(", "),
            1_000 + (step * 7919) % 30_000
        );
    }
    text
}

fn catalog() -> Catalog {
    Catalog::new([Manifest::new::<Value>("sim", "1.0.0", "simulated")
        .with("act", ActionManifest::action::<Value, Value>("acts", Effect::Once))])
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("list_schedule");
    for steps in [1_000, 10_000, 100_000] {
        let instance = instance(steps);
        let network = instance.network(&Keys::new(&instance).ranks);
        group.throughput(Throughput::Elements(steps as u64));
        group.bench_function(BenchmarkId::from_parameter(steps), |bench| {
            bench.iter(|| black_box(list_schedule(&network)));
        });
    }
    group.finish();
    let catalog = catalog();
    let make = |runbook: &Runbook| {
        plan(runbook, &catalog, &PlanRequest::default(), &Estimates::default()).expect("a plan")
    };
    for steps in [1_000, 10_000, 100_000] {
        let text = text(steps);
        criterion.bench_function(&format!("load/{steps}"), |bench| {
            bench.iter(|| black_box(load(&text, "r.yaml").expect("a runbook")));
        });
        let runbook = load(&text, "r.yaml").expect("a runbook");
        criterion.bench_function(&format!("plan/{steps}"), |bench| {
            bench.iter(|| black_box(make(&runbook)));
        });
        let plan = make(&runbook);
        criterion.bench_function(&format!("serialize/{steps}"), |bench| {
            bench.iter(|| black_box(serde_json::to_string(&plan).expect("json")));
        });
    }
    criterion.final_summary();
}
