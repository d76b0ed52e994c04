//! What a run proves: a pure function of its plan and its journal, so that anybody can compute it
//! again. Reads no file and no clock.
//!
//! It supports evidence for what auditors ask; it never says that a rule is complied with.

mod build;
mod changes;
mod deviations;
mod html;
mod junit;
mod markdown;
mod model;
mod procedure;
mod services;

pub use build::{Gathering, JournalHead, build};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use model::{
    Assurance, AttemptEvidence, Clocks, Decision, Deviation, DeviationKind, Evidence, FORMAT,
    JournalEvidence, Loss, Objective, Participant, PreflightEvidence, Proof, RunIdentity,
    RunResult, SealEvidence, ServiceEvidence, SessionEvidence, SpanEvidence, StepEvidence,
};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample;
