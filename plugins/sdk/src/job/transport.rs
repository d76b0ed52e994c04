use async_trait::async_trait;

use super::answer::Answer;
use super::request::Request;
use crate::CallError;

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportError {
    /// Whether the other side may have received the request.
    pub sent: bool,
    /// What happened.
    pub error: CallError,
}

/// Brings a request of one job to where the job runs.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Performs `request` and gives the runner's answer. May be dropped at any time: a launch whose
    /// payload was not sent must then never happen.
    ///
    /// # Errors
    /// [`TransportError`]; a next request may be answered again.
    async fn perform(&self, request: &Request) -> Result<Answer, TransportError>;

    /// Whether a launch may have been sent already.
    fn touched(&self) -> bool;
}
