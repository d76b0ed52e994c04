//! Runs on simulated systems and simulated time: machine + memory journal. Nothing is touched, and
//! hours pass in milliseconds.
//!
//! `world` performs what the machine launches: it takes as long as planned, and gives what
//! `guess` makes up, so that outputs can be computed and expectations hold. `script` says
//! otherwise. `simulation` is the driver of one run, its people included; `faults` plays many, each
//! with one thing going wrong, and says where nothing in the runbook tells how to go on.

mod faults;
mod guess;
#[cfg(test)]
mod imagined;
mod results;
mod run;
mod sample;
mod script;
mod shape;
mod simulation;
mod slots;
mod world;

pub use faults::{Fault, Faults, Trouble, Undefined, faults};
#[cfg(test)]
pub(crate) use imagined::Imagined;
pub use run::{Rehearsed, Wanted, rehearse};
pub use script::{
    Duration, Failure, GateAnswer, How, QuestionAnswer, Script, ScriptError, Scripted,
};
pub use simulation::{End, RehearseError, START};
