//! What became of each place of the written procedure that the steps come from.

use super::model::{Evidence, StepEvidence};
use crate::plan::by_source;

/// A place of the procedure, and its steps with what became of them.
pub(super) type Place<'a> = (&'a str, Vec<&'a StepEvidence>);

/// Every place that a step names, in the order of the procedure.
pub(super) fn places(evidence: &Evidence) -> Vec<Place<'_>> {
    by_source(evidence.steps.iter().map(|step| (&step.source[..], step)))
}
