//! The runbook as it is written: the document with its places, how it is loaded, and every check
//! that needs no environment.

mod document;
mod graph;
mod loaded;
mod nearest;
mod problem;
mod shorthand;

pub use document::{
    ApproveDoc, CheckDoc, Document, EnvironmentDoc, ExpectDoc, HostDoc, InputDoc, InputType, Named,
    OutputDoc, PoolDoc, PriorityDoc, RepeatDoc, RetryDoc, SecretSourceDoc, ServiceDoc, SeverityDoc,
    StepDoc, TierDoc, ValidationCheckDoc, ValidationDoc,
};
pub use graph::{Edge, EdgeKind, Graph, Node, NodeKind, Reason, codes as graph_codes};
pub use loaded::Runbook;
pub use nearest::nearest;
pub use problem::{DocPath, Level, Problem};
