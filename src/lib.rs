//! `dr` executes disaster recovery from reviewed text. See `docs/ARCHITECTURE.md` for the way
//! through the code: text → runbook → plan → run → events → views.

pub mod app;
pub mod bundle;
pub mod catalog;
pub mod cli;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod history;
pub mod id;
pub mod journal;
pub mod machine;
pub mod markup;
pub mod plan;
pub mod planner;
pub mod plugin;
pub mod reference;
pub mod rehearse;
pub mod report;
pub mod runbook;
pub mod schemas;
pub mod text;
pub mod time;
pub mod view;
pub mod words;
