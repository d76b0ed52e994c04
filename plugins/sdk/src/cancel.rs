use tokio::sync::watch;

/// How urgently a call is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelLevel {
    /// Go on.
    None,
    /// End what runs (the process group, the request) and report.
    Stop,
    /// `dr` is going away: leave a job running on its own, return at once.
    Detach,
}

/// The receiving end of a stop request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancel {
    level: watch::Receiver<CancelLevel>,
}

impl Cancel {
    /// A sender for the engine and the matching receiver.
    #[must_use]
    pub fn new() -> (watch::Sender<CancelLevel>, Self) {
        let (sender, level) = watch::channel(CancelLevel::None);
        (sender, Self { level })
    }

    /// One that is never triggered; for tests and simple calls.
    #[must_use]
    pub fn never() -> Self {
        Self::new().1
    }

    /// What is asked right now.
    #[must_use]
    pub fn level(&self) -> CancelLevel {
        *self.level.borrow()
    }

    /// Whether anything is asked right now; for blocking code that polls.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.level() != CancelLevel::None
    }

    /// Completes once a stop is asked, and says which. Never completes if the sender is gone.
    pub async fn cancelled(&mut self) -> CancelLevel {
        if self.level.wait_for(|level| *level != CancelLevel::None).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.level()
    }
}
