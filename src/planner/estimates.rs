use std::collections::BTreeMap;

use super::codes;
use super::forecast::{ENOUGH, PastRun, exp, ln};
use crate::id::{RunId, StepId};
use crate::plan::{EstimateSource, Notice, Plan};
use crate::time::Millis;

/// What is known about durations from earlier runs of the same runbook in the same environment and
/// mode. The timeline, the predictions and the forecast of a plan all rest on it in the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimates {
    runs: Vec<RunId>,
    past: Vec<PastRun>,
    taken: BTreeMap<StepId, Taken>,
}

/// What one step took in earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What it typically took, milliseconds: the geometric mean, which is the median if logarithms of
    /// durations vary to both sides alike, as the forecast takes them to.
    pub typical_ms: u64,
    /// Runs in which it was measured.
    pub runs: u32,
    /// The least and the most that it took, milliseconds.
    pub range_ms: (u64, u64),
}

/// A declared duration that differs from the typical one by less than this share is as good.
const NEAR: f64 = 0.2;
/// Differences below this, in milliseconds, decide nothing that people see.
const SMALL: u64 = 1_000;
/// Steps named in a notice before the rest is only counted.
const NAMES: usize = 4;

impl Estimates {
    /// From what each run took, step by step, the latest run first.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = (RunId, PastRun)>) -> Self {
        let (runs, past): (Vec<RunId>, Vec<PastRun>) = runs.into_iter().unzip();
        let mut taken: BTreeMap<StepId, Vec<u64>> = BTreeMap::new();
        for (step, ms) in past.iter().flatten() {
            taken.entry(step.clone()).or_default().push(*ms);
        }
        let taken = taken.into_iter().map(|(step, all)| (step, Taken::of(&all))).collect();
        Self { runs, past, taken }
    }

    /// The runs, the latest first.
    #[must_use]
    pub fn runs(&self) -> &[RunId] {
        &self.runs
    }

    /// What each of them took, step by step.
    #[must_use]
    pub fn past(&self) -> &[PastRun] {
        &self.past
    }

    /// What a step took; `None` if no run tells.
    #[must_use]
    pub fn taken(&self, step: &StepId) -> Option<Taken> {
        self.taken.get(step).copied()
    }

    /// The same for an included runbook: `inner` gives its own names for its steps.
    pub(super) fn of_part(&self, inner: impl Fn(&StepId) -> Option<StepId>) -> Self {
        let taken = self.taken.iter().filter_map(|(step, taken)| Some((inner(step)?, *taken)));
        Self { runs: Vec::new(), past: Vec::new(), taken: taken.collect() }
    }

    /// Says where what is declared is not what runs took: the plan counts with the former.
    pub(super) fn contradicted(&self, plan: &Plan) -> Option<Notice> {
        let mut found: Vec<(u64, String)> = Vec::new();
        for step in plan.steps.iter().filter(|step| step.skip.is_none() && step.sleep.is_none()) {
            let declared = step.estimate_ms;
            let Some(taken) = self.taken(&step.id) else { continue };
            if step.estimate_source != EstimateSource::Declared || !taken.contradicts(declared) {
                continue;
            }
            let Taken { typical_ms, runs, .. } = taken;
            let [declared_text, typical] = [declared, typical_ms].map(|ms| Millis(ms).short());
            found.push((
                declared.abs_diff(typical_ms),
                format!("{} (declared {declared_text}, {typical} in {runs} runs)", step.id),
            ));
        }
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|(off, _)| std::cmp::Reverse(*off));
        let all = found.len();
        let mut names: Vec<String> = found.into_iter().take(NAMES).map(|(_, text)| text).collect();
        if all > NAMES {
            names.push(format!("{} more", all - NAMES));
        }
        let subject = if all == 1 { "a declared estimate is" } else { "declared estimates are" };
        Some(Notice {
            code: codes::CONTRADICTED.to_owned(),
            message: format!(
                "{subject} not what past runs took, and the plan and its forecast count with what is \
                 declared: {}",
                names.join(", ")
            ),
        })
    }
}

impl Taken {
    fn of(all: &[u64]) -> Self {
        // Shorter than the clock can tell counts as 1 ms.
        let logs: f64 = all.iter().map(|ms| ln((*ms).max(1) as f64)).sum();
        let least = all.iter().copied().min().unwrap_or(0);
        let most = all.iter().copied().max().unwrap_or(0);
        let typical_ms = (exp(logs / all.len().max(1) as f64) + 0.5) as u64;
        // The mean of equal numbers is that number, however logarithms are rounded.
        let typical_ms = typical_ms.clamp(least, most.max(least));
        Self { typical_ms, runs: all.len() as u32, range_ms: (least, most) }
    }

    /// Whether a declared duration lies beyond all of enough runs, and matters.
    fn contradicts(self, declared: u64) -> bool {
        let (least, most) = self.range_ms;
        let off = declared.abs_diff(self.typical_ms);
        self.runs as usize >= ENOUGH
            && (declared < least || declared > most)
            && off >= SMALL
            && off as f64 > NEAR * self.typical_ms.min(declared) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(all: &[u64]) -> Taken {
        Taken::of(all)
    }

    #[test]
    fn what_is_typical_lies_in_the_middle_of_logarithms() {
        assert_eq!(taken(&[5_000]).typical_ms, 5_000);
        assert_eq!(taken(&[1_000, 4_000]).typical_ms, 2_000);
        assert_eq!(taken(&[7_777; 9]).typical_ms, 7_777);
        assert_eq!(taken(&[0, 0]).typical_ms, 0);
        assert_eq!(
            taken(&[10, 1_000, 100]),
            Taken { typical_ms: 100, runs: 3, range_ms: (10, 1_000) }
        );
    }

    #[test]
    fn only_what_no_run_took_contradicts() {
        let runs = taken(&[60_000, 80_000, 70_000]);
        for (declared, contradicts) in
            [(20_000, true), (59_000, false), (65_000, false), (81_000, false), (100_000, true)]
        {
            assert_eq!(runs.contradicts(declared), contradicts, "{declared}");
        }
        assert!(!taken(&[60_000, 80_000]).contradicts(5_000), "two runs are few");
        assert!(!taken(&[5, 6, 7]).contradicts(900), "nobody sees it");
    }

    #[test]
    fn parts_have_names_of_their_own() {
        let run = |ms| {
            let steps = [(StepId::from("db/copy"), ms), (StepId::from("copy"), 1)];
            (RunId::from("r"), PastRun::from(steps))
        };
        let estimates = Estimates::of([run(5_000), run(5_000)]);
        let part = estimates.of_part(|step| step.as_str().strip_prefix("db/").map(StepId::from));
        assert_eq!(part.taken(&StepId::from("copy")).map(|it| it.typical_ms), Some(5_000));
        assert_eq!(part.taken(&StepId::from("db/copy")), None);
        assert_eq!(estimates.runs().len(), 2);
    }
}
