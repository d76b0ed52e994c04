//! The plan as data: what would be done for one environment, in which order, and when it would be
//! done. Owned, serializable, deterministic; it never refers back to the runbook's file.

mod digest;
mod expand;
mod forward;
mod group;
mod guard;
mod include;
mod model;
mod names;
mod order;
mod procedure;
mod project;
mod seal;
mod secret_input;
mod signed;
mod span;
mod step;
#[cfg(test)]
mod tests;
mod typed;
mod undo;

pub use digest::{covered_head, covered_step, digest};
pub use expand::{
    ANY, WINDOW, begin_of, can_name_element, elements, expand, grown_by, map_ids, windows,
};
pub use forward::{Dispatcher, Lists, Network, Stand, Yield, dispatch, list_schedule};
pub use group::{FAILED_INSIDE, Group, Items, Loop, Rounds};
pub use include::{Include, OwnNames, plugin_of, rename_secrets};
pub use model::{
    Bound, Executable, FORMAT, Forecast, Notice, Plan, PluginUse, Pool, SecretSource, Service,
};
pub use names::{PlanNames, meanings};
pub use procedure::by_source;
pub use project::{Progress, Projection, Projector, project};
pub use seal::{Seal, SealedSource, UsedFile};
pub use secret_input::{input_secret, input_sources, input_variable, secret_input};
pub use signed::{Challenge, public_key};
pub use span::{Passed, Span};
pub use step::{
    Check, EXPECTATION_FAILED, EdgeReason, EstimateSource, Expectation, Gate, OnReject, Output,
    Place, Repeat, Retry, Rule, Sleep, Step, Tally, Urgency, Uses,
};
pub use typed::{Asked, allowed, answers, from_json, from_text};
pub use undo::{UNDO, undone_by};
