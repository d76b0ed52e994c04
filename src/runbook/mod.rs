//! The runbook as it is written: the document with its places, how it is loaded, and every check
//! that needs no environment.

mod check;
pub mod codes;
mod document;
#[cfg(test)]
mod form_tests;
mod graph;
mod lines;
mod load;
mod loaded;
mod locks;
mod normalize;
mod outline;
#[cfg(test)]
mod pages_tests;
mod parts;
mod problem;
mod report;
#[cfg(test)]
mod report_tests;
mod rest;
mod sarif;
mod shorthand;
mod spans;
mod step_document;
#[cfg(test)]
pub(crate) mod testing;
mod undo;
mod written;
mod yaml;

pub use crate::text::nearest;
pub use crate::words::InputType;
pub use check::check;
pub use document::{
    Document, EnvironmentDoc, HostDoc, InputDoc, Named, PoolDoc, PriorityDoc, SecretSourceDoc,
    ServiceDoc, SpanDoc, TierDoc, ValidationCheckDoc, ValidationDoc,
};
pub use graph::{Edge, EdgeKind, Graph, Node, NodeKind, Reason};
pub use load::{load, read};
pub use loaded::Runbook;
pub use normalize::normalize;
pub use outline::{Declared, Outline};
pub use parts::{Found, Library, Part, Unread, include, is_path};
pub use problem::{DocPath, Level, Problem};
pub use report::{Finding, Look, findings, page, render};
pub use rest::Rest;
pub use sarif::{github, sarif};
pub use spans::Spans;
pub use step_document::{
    ApproveDoc, CheckDoc, ExpectDoc, ForEachDoc, OutputDoc, RepeatDoc, RetryDoc, SeverityDoc,
    SleepDoc, StepDoc,
};
pub use undo::UndoDoc;
pub use written::Written;
