//! What the AWS plugins share: settings and sessions, what errors mean, sending a request until its
//! fate is known, and waiting for what was promised.

mod errors;
mod patience;
mod sessions;
mod settings;
mod tags;
mod worker;

pub use errors::{Failure, Fate, failure};
pub use patience::{Patience, Stopped};
pub use sessions::{ENVIRONMENT, Sessions};
pub use settings::Settings;
pub use tags::{KEY_TAG, RUN_TAG, STEP_TAG, client_token, marks, marks_of_step};
pub use worker::{Look, Sending, Worker};
