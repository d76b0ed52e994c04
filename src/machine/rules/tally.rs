//! A share of other steps decides.

use dr_plugin::CallError;

use crate::event::{SkipReason, StepState};
use crate::machine::graph::Graph;
use crate::machine::state::State;
use crate::machine::step::Stage;
use crate::plan::Tally;

/// Counts; an error if too few of the steps have succeeded. Those that decided by their own `when`
/// not to run are not counted.
pub(in crate::machine) fn tally(
    graph: &Graph,
    state: &State,
    tally: &Tally,
) -> Result<(), CallError> {
    let (mut passed, mut all, mut missing) = (0_u32, 0_u32, Vec::new());
    for id in &tally.of {
        let Some(step) = graph.find(id.as_str()) else { continue };
        let record = state.record(step);
        let by_itself = matches!(record.skip, Some(SkipReason::When | SkipReason::Phase));
        match record.stage {
            Stage::Over(StepState::Skipped) if by_itself => continue,
            // A check that failed is warned, with its error: that is how its failure passes.
            Stage::Over(StepState::Succeeded | StepState::Warned) if record.error.is_none() => {
                passed += 1;
            }
            _ => {
                let why = record.error.as_ref().map_or("it did not run", |e| e.message.as_str());
                missing.push(format!("{id}: {why}"));
            }
        }
        all += 1;
    }
    let enough = all > 0 && f64::from(passed) + 1e-9 >= tally.threshold * f64::from(all);
    if enough {
        return Ok(());
    }
    let percent = tally.threshold * 100.0;
    let message = format!("{passed} of {all} checks passed; {percent:.0} % must");
    let mut error = CallError::permanent("too_few_checks", message);
    error.causes = missing;
    Err(error)
}
