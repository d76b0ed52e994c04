//! Commands that outlive whoever started them.
//!
//! One POSIX sh text (`runner.sh`) starts, watches and ends a command, on this machine and on any
//! other. A job is a folder that its [`CallKey`](crate::CallKey) names, claimed by `mkdir`; the
//! command runs in a session of its own, writes to files, and its end is written aside, synced and
//! renamed. So whoever asks again with the same key, after whatever happened to itself or to its
//! connection, finds the same job.
//!
//! A plugin brings a [`Transport`], which runs one [`Request`] of the text somewhere; [`run_job`]
//! does the rest.

mod answer;
mod capture;
mod follow;
mod marker;
mod outcome;
mod quote;
mod request;
mod script;
mod task;
mod transport;

pub use answer::{Answer, JobState, Report};
pub use capture::{Capture, KEPT};
pub use follow::{JobOrder, check_job, forget_job, run_job};
pub use marker::{Marker, MarkerFilter};
pub use outcome::{CommandOutput, Ended, finish, not_executed};
pub use quote::{any_shell_line, quote};
pub use request::{Request, folder_name, job_dir, shell_args};
pub use script::{default_interpreter, refuse_secrets, script_argv};
pub use task::{Payload, Task};
pub use transport::{Transport, TransportError};
