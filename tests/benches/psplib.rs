//! Distance of schedules to the best known ones on public instances (PSPLIB, `.sm` files):
//! `DR_PSPLIB_DIR=… cargo bench --bench psplib`.
//!
//! Prints, for each set, the mean gap of dispatch order, of the candidates without search, and of the
//! default effort, and the CPU time that one default schedule takes. Every schedule is checked.

use std::collections::HashMap;
use std::path::Path;

use dr::planner::schedule::{Effort, Instance, Keys, bounds, optimise};
use dr::words::Class;

const SETS: [&str; 3] = ["j30", "j60", "j120"];
/// One unit of the instances, milliseconds.
const UNIT: u64 = 1_000;

#[expect(clippy::print_stdout, reason = "the table is the result")]
#[expect(clippy::disallowed_methods, reason = "a benchmark takes its folder from the environment")]
fn main() {
    let Ok(folder) = std::env::var("DR_PSPLIB_DIR") else {
        println!("set DR_PSPLIB_DIR to a folder with j30, j60, j120 and best_known.csv");
        return;
    };
    let best = best_known(Path::new(&folder));
    println!("set    instances  dispatch  candidates  default  CPU of one default");
    for set in SETS {
        let mut gaps = [0.0; 3];
        let (mut count, mut cpu) = (0, 0.0);
        let mut files: Vec<_> = std::fs::read_dir(Path::new(&folder).join(set))
            .expect("the folder of a set")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "sm"))
            .collect();
        files.sort();
        for file in files {
            let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
            let instance = read(&std::fs::read_to_string(&file).expect("an instance"));
            let known = (best[name] * UNIT) as f64;
            let (keys, bounds) = (Keys::new(&instance), bounds(&instance));
            let standard = Effort::standard(instance.len(), 1);
            let efforts = [
                Effort { schedules: 0, ..standard },
                Effort { search: false, ..standard },
                standard,
            ];
            for (gap, effort) in gaps.iter_mut().zip(efforts) {
                let before = cpu_ms();
                let (starts, value) = optimise(&instance, &keys, &bounds, effort);
                if effort == standard {
                    cpu += cpu_ms() - before;
                }
                assert_feasible(&instance, &starts);
                *gap += value.makespan as f64 / known - 1.0;
            }
            count += 1;
        }
        let mean = |gap: f64| gap / f64::from(count) * 100.0;
        println!(
            "{set:<6} {count:>9} {:>8.2}% {:>10.2}% {:>7.3}% {:>16.1} ms",
            mean(gaps[0]),
            mean(gaps[1]),
            mean(gaps[2]),
            cpu / f64::from(count),
        );
    }
}

fn best_known(folder: &Path) -> HashMap<String, u64> {
    let text = std::fs::read_to_string(folder.join("best_known.csv")).expect("best_known.csv");
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[3].to_owned(), fields[5].parse().expect("a makespan"))
        })
        .collect()
}

/// Reads the sections of a single-mode `.sm` file.
fn read(text: &str) -> Instance {
    let mut section = "";
    let (mut after, mut durations, mut demands, mut capacities) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        if line.starts_with("****") {
            section = "";
        } else if let Some(name) = ["PRECEDENCE", "REQUESTS", "RESOURCEAVAILABILITIES"]
            .into_iter()
            .find(|name| line.starts_with(name))
        {
            section = name;
        }
        let fields: Option<Vec<u32>> =
            line.split_whitespace().map(|field| field.parse().ok()).collect();
        let Some(fields) = fields.filter(|fields| !fields.is_empty()) else { continue };
        match section {
            "PRECEDENCE" => after.push(fields[3..].to_vec()),
            "REQUESTS" => {
                durations.push(u64::from(fields[2]) * UNIT);
                demands.push(fields[3..].to_vec());
            }
            "RESOURCEAVAILABILITIES" => capacities = fields,
            _ => {}
        }
    }
    let mut before = vec![Vec::new(); durations.len()];
    for (step, after) in after.iter().enumerate() {
        for next in after {
            before[*next as usize - 1].push(step as u32);
        }
    }
    let mut instance = Instance { capacities, durations, ..Instance::default() };
    for (before, demands) in before.into_iter().zip(demands) {
        instance.predecessors.push(before);
        let demands = demands.into_iter().enumerate().filter(|(_, units)| *units > 0);
        instance.demands.push(demands.map(|(pool, units)| (pool as u32, units)));
        instance.priorities.push((Class::Medium, Class::Medium.number()));
    }
    instance.link();
    instance
}

fn assert_feasible(instance: &Instance, starts: &[u64]) {
    let end = |step: usize| starts[step] + instance.durations[step];
    for (step, start) in starts.iter().enumerate() {
        let before = instance.predecessors.get(step);
        assert!(before.iter().all(|before| end(*before as usize) <= *start));
    }
    for moment in starts {
        let mut taken = vec![0; instance.capacities.len()];
        for (step, start) in starts.iter().enumerate() {
            if start <= moment && *moment < end(step) {
                for (pool, units) in instance.demands.get(step) {
                    taken[*pool as usize] += units;
                }
            }
        }
        assert!(taken.iter().zip(&instance.capacities).all(|(taken, all)| taken <= all));
    }
}

/// CPU time of this process, milliseconds.
fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
