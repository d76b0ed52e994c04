//! The runbook as it is written: the document with its places, how it is loaded, and every check
//! that needs no environment.

mod document;
mod loaded;
mod problem;
mod shorthand;

pub use document::{
    ApproveDoc, CheckDoc, Document, EnvironmentDoc, ExpectDoc, HostDoc, InputDoc, InputType, Named,
    OutputDoc, PoolDoc, PriorityDoc, RepeatDoc, RetryDoc, SecretSourceDoc, ServiceDoc, SeverityDoc,
    StepDoc, TierDoc, ValidationCheckDoc, ValidationDoc,
};
pub use loaded::Runbook;
pub use problem::{DocPath, Level, Problem};
