use std::sync::Arc;
use std::time::Duration;

use super::case::Case;
use crate::protocol::{Method, ResultFrame};
use crate::serve::answer_call;
use crate::{Call, CallKey, Cancel, CancelLevel, Context, Effect, Manifest, Plugin, Secrets};

/// How long a call may take that is refused or only looks.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a call may take to end after it was told to stop.
pub(super) const STOP: Duration = Duration::from_secs(2);

/// Something that answers calls.
pub(super) trait Subject {
    /// Makes one call; `stop_after` tells it to stop then, and it must end within [`STOP`].
    fn call(&mut self, call: &Call, method: Method, stop_after: Option<Duration>) -> Answer;
}

/// The end of a call, or why there is none.
pub(super) type Answer = Result<ResultFrame, String>;

/// A call of the kit's own.
pub(super) fn call(action: &str, case: Option<&Case>) -> Call {
    Call {
        action: action.to_owned(),
        input: case.map(|case| case.input.clone()).unwrap_or_default(),
        settings: case.map(|case| case.settings.clone()).unwrap_or_default(),
        host: case.and_then(|case| case.host.clone()),
        secrets: Secrets::new(),
        key: CallKey {
            run: "conformance".to_owned(),
            step: "conformance".to_owned(),
            purpose: "apply".to_owned(),
            attempt: 1,
        },
        timeout_ms: Some(PATIENCE.as_millis() as u64),
        effect: Effect::Once,
    }
}

/// A plugin in this process.
pub(super) struct Linked {
    plugin: Arc<dyn Plugin>,
    runtime: tokio::runtime::Runtime,
}

impl Linked {
    pub(super) fn new(plugin: Arc<dyn Plugin>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { plugin, runtime })
    }

    pub(super) fn manifest(&self) -> Manifest {
        self.plugin.manifest()
    }
}

impl Subject for Linked {
    fn call(&mut self, call: &Call, method: Method, stop_after: Option<Duration>) -> Answer {
        let (stop, cancel) = Cancel::new();
        let context = Context { cancel, ..Context::silent() };
        self.runtime.block_on(async {
            let answering = answer_call(self.plugin.as_ref(), call, method, &context);
            let stopping = async {
                match stop_after {
                    Some(after) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
                stop.send_replace(CancelLevel::Stop);
                tokio::time::sleep(STOP).await;
            };
            tokio::select! {
                result = answering => Ok(result),
                () = stopping => Err(format!("it did not end within {} s", STOP.as_secs())),
                () = tokio::time::sleep(PATIENCE) => {
                    Err(format!("it did not answer within {} s", PATIENCE.as_secs()))
                }
            }
        })
    }
}
