//! Nonsense for everything that reads: no input makes it panic, and what it takes it has understood.
//!
//! By default a few hundred inputs each; `DR_FUZZ_SECONDS` bounds each target by time instead, and
//! `DR_FUZZ_SEED` begins elsewhere. A failure prints the input, which belongs into a table of cases.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "its length is chosen from outside, the counts are the result, and a failing helper \
              is a failing test"
)]

mod documents;
mod expressions;
mod journal;
mod mutate;
mod random;
mod runbooks;

use std::time::{Duration, Instant};

use random::Random;

/// Tries one input after the other.
fn fuzz(name: &str, few: usize, mut one: impl FnMut(&mut Random)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("DR_FUZZ_SEED").unwrap_or(1);
    let until = number("DR_FUZZ_SECONDS").map(|it| Instant::now() + Duration::from_secs(it));
    let cases = dr_testkit::cases(few, few * 20);
    let mut tried = 0_u64;
    loop {
        match until {
            Some(until) if Instant::now() >= until => break,
            None if tried >= cases as u64 => break,
            _ => {}
        }
        one(&mut Random::new(seed.wrapping_mul(1_000_003).wrapping_add(tried)));
        tried += 1;
    }
    println!("{name}: {tried} inputs from seed {seed}");
}

/// Runbooks to begin with: those that are shipped, and those of the error pages.
fn seeds() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in ["runbooks", "src/app/templates"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "yaml") {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for entry in std::fs::read_dir(root.join("docs/errors")).unwrap() {
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let blocks = page.split("```yaml").skip(1);
        let blocks = blocks.filter_map(|rest| rest.split_once('\n')?.1.split_once("```"));
        texts.extend(blocks.map(|(block, _)| block.to_owned()));
    }
    texts.sort();
    texts
}
