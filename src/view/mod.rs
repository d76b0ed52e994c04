//! Where a run stands: a fold over its events, and what a screen, a report or a person asks of it.
//!
//! The view needs the plan and the events, nothing else: no clock, no file, no engine. A reader
//! that joins late catches up by folding the journal; see [`View`] for what it tolerates.

mod advice;
mod attention;
mod fold;
mod fold_step;
mod measured;
mod model;
mod progress;
mod spans;
mod step;
mod waiting;

pub use crate::markup::{clean, clean_line, value_text};
pub use advice::{Advice, input_options, quote, what_now};
pub use attention::Attention;
pub use model::{CancelView, Damage, Open, PauseView, Phase, SessionView, UnwindingView, View};
pub use progress::{Counts, RiskView, RunSummary, ServiceState, ServiceView};
pub use spans::SpanView;
pub use step::{Answered, AttemptView, GateView, QuestionView, ResetView, SkipView, StepView};
pub use waiting::{PoolWait, WaitingFor};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
