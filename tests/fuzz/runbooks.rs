//! The loader and the checks.

use std::collections::HashSet;

use dr::app::plugins::catalog;
use dr::runbook::{Look, Problem, check, codes, findings, github, load, normalize, render, sarif};

use crate::{fuzz, mutate, seeds};

/// Every problem of a text, each with a code that has a page, and a place that is in the text.
pub(crate) fn problems(text: &str) -> Vec<Problem> {
    let problems = match load(text, "runbook.yaml") {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems
        }
        Ok(mut runbook) => {
            normalize(&mut runbook, catalog());
            check(&runbook, catalog())
        }
    };
    let known: HashSet<&str> = codes::ALL.iter().map(|(code, _)| *code).collect();
    for problem in &problems {
        assert!(known.contains(problem.code), "{problem:?}");
        assert!(!problem.message.is_empty(), "{problem:?}");
    }
    let found = findings("runbook.yaml", text, &problems);
    let read = text.strip_prefix('\u{feff}').unwrap_or(text);
    for finding in &found {
        let inside = finding.span.clone().is_none_or(|span| read.get(span).is_some());
        assert!(inside, "{finding:?}");
    }
    let _ = render(text, &found, Look::Plain, 100);
    let _ = (sarif(&found, "0"), github(&found));
    problems
}

#[test]
fn no_runbook_makes_the_loader_panic() {
    let seeds = seeds();
    fuzz("runbooks", 400, |random| {
        let seed = random.pick(&seeds).clone();
        let text = mutate::text(random, &seed, &seeds);
        let result = std::panic::catch_unwind(|| problems(&text));
        assert!(result.is_ok(), "this text:\n{text}");
    });
}
