use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{SpanAchieved, StepState};
use crate::id::StepId;

/// A time that is measured: from the moment that one step begins to act to the end of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// What it measures, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The step that opens it.
    pub from: StepId,
    /// The step that closes it.
    pub to: StepId,
    /// How long it may take, milliseconds.
    pub objective_ms: Option<u64>,
    /// How long it is predicted to take, milliseconds; absent if one of its steps is not taken.
    pub predicted_ms: Option<u64>,
    /// Whether the prediction meets the objective; absent without one.
    pub meets: Option<bool>,
}

/// What became of a step, as far as a span needs it. Milliseconds count from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Its state.
    pub state: StepState,
    /// When its first attempt began; absent for a step that makes none.
    pub acted_ms: Option<u64>,
    /// When it was over.
    pub over_ms: Option<u64>,
}

impl Span {
    /// The span without what follows from estimates.
    #[must_use]
    pub fn without_prediction(&self) -> Self {
        Self { description: None, predicted_ms: None, meets: None, ..self.clone() }
    }

    /// When it was opened, in milliseconds since the start of the run.
    #[must_use]
    pub fn opened_ms(from: &Passed) -> Option<u64> {
        let passed = from.state == StepState::Skipped;
        from.acted_ms.or(from.over_ms.filter(|_| from.state.is_met())).filter(|_| !passed)
    }

    /// What was measured. `None` stands for a step that the run does not have.
    #[must_use]
    pub fn measure(&self, from: Option<&Passed>, to: Option<&Passed>) -> SpanAchieved {
        let mut achieved = SpanAchieved {
            name: self.name.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            objective_ms: self.objective_ms,
            took_ms: None,
            met: None,
            reason: None,
        };
        let passed_over =
            |step: Option<&Passed>| step.is_none_or(|step| step.state == StepState::Skipped);
        for (id, step) in [(&self.from, from), (&self.to, to)] {
            if passed_over(step) {
                achieved.reason = Some(format!("`{id}` was passed over"));
                return achieved;
            }
        }
        let Some(opened) = from.and_then(Self::opened_ms) else {
            achieved.reason = Some(format!("`{}` has not begun", self.from));
            return achieved;
        };
        if let Some(closed) = to.filter(|to| to.state.is_met()).and_then(|to| to.over_ms) {
            let took = closed.saturating_sub(opened);
            achieved.took_ms = Some(took);
            achieved.met = self.objective_ms.map(|objective| took <= objective);
        } else {
            achieved.met = self.objective_ms.map(|_| false);
            let state = to.map_or(StepState::Pending, |to| to.state);
            let state = state.as_str().replace('_', " ");
            achieved.reason = Some(format!("it was never closed: `{}` is {state}", self.to));
        }
        achieved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> Span {
        Span {
            name: "read_only".to_owned(),
            description: None,
            from: StepId::from("close"),
            to: StepId::from("open"),
            objective_ms: Some(1_000),
            predicted_ms: None,
            meets: None,
        }
    }

    fn passed(state: StepState, acted_ms: Option<u64>, over_ms: Option<u64>) -> Passed {
        Passed { state, acted_ms, over_ms }
    }

    #[test]
    fn it_is_measured_from_the_first_attempt_to_the_end() {
        use StepState::{Failed, Pending, Skipped, Succeeded, Warned};
        let done = passed(Succeeded, Some(100), Some(300));
        let gate = passed(Succeeded, None, Some(300));
        let skipped = passed(Skipped, None, Some(5));
        for (from, to, took, met) in [
            (done, passed(Succeeded, Some(900), Some(1_100)), Some(1_000), Some(true)),
            (done, passed(Warned, Some(900), Some(1_101)), Some(1_001), Some(false)),
            (gate, passed(Succeeded, None, Some(400)), Some(100), Some(true)),
            (done, passed(Failed, Some(900), Some(950)), None, Some(false)),
            (done, passed(Pending, None, None), None, Some(false)),
            (skipped, passed(Succeeded, Some(1), Some(2)), None, None),
            (done, skipped, None, None),
            (passed(Pending, None, None), passed(Pending, None, None), None, None),
        ] {
            let measured = span().measure(Some(&from), Some(&to));
            assert_eq!((measured.took_ms, measured.met), (took, met), "{from:?} {to:?}");
            assert_eq!(measured.reason.is_none(), took.is_some());
        }
        assert!(span().measure(None, Some(&done)).reason.is_some());
    }
}
