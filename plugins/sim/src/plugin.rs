use std::sync::Arc;

use async_trait::async_trait;
use dr_plugin::{
    ActionManifest, Call, CallError, Context, Effect, HostNeed, Manifest, Plugin, Preview,
    PreviewStatus, Stream,
};
use serde_json::Value;
use tokio::time::sleep;

use crate::script::{Script, Settings};

/// The plugin, ready to be registered.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Sim)
}

#[derive(Debug)]
struct Sim;

#[async_trait]
impl Plugin for Sim {
    fn manifest(&self) -> Manifest {
        let with_preview = |mut action: ActionManifest| {
            action.has_preview = true;
            action.on_host(HostNeed::Optional).typically_ms(10)
        };
        Manifest::new::<Settings>(
            "sim",
            env!("CARGO_PKG_VERSION"),
            "Actions and probes that touch nothing and do what the runbook scripts.",
        )
        .with(
            "action",
            with_preview(ActionManifest::action::<Script, Value>(
                "Stands for an action: takes its time, prints, gives its result or fails. It is \
                 idempotent, as it does nothing; `effect` on the step makes it what is wanted.",
                Effect::Idempotent,
            )),
        )
        .with(
            "probe",
            with_preview(ActionManifest::probe::<Script, Value>(
                "Stands for a probe: takes its time, prints, gives its result or fails.",
            )),
        )
    }

    async fn preview(&self, call: &Call, _: &Context) -> Result<Preview, CallError> {
        let script: Script = call.input()?;
        Ok(Preview::of(script.preview.map_or(PreviewStatus::Ok, PreviewStatus::from)))
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let script: Script = call.input()?;
        if let Some(output) = &script.output {
            context.progress.output(Stream::Stdout, output.as_bytes());
        }
        let mut cancel = context.cancel.clone();
        tokio::select! {
            biased;
            _ = cancel.cancelled() => return Err(CallError::cancelled("stopped before its end")),
            () = sleep(script.delay.0) => {}
        }
        match script.fail.and_then(|failure| failure.of_attempt(call.key.attempt)) {
            Some(error) => Err(error),
            None => Ok(script.result),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dr_plugin::{CallKey, Cancel, CancelLevel, ErrorClass, Secrets};
    use serde_json::json;

    use super::*;

    fn call(input: Value, attempt: u32) -> Call {
        Call {
            action: "action".into(),
            input,
            settings: Value::Null,
            host: None,
            secrets: Secrets::new(),
            key: CallKey { run: "r".into(), step: "s".into(), purpose: "apply".into(), attempt },
            timeout_ms: None,
            effect: Effect::Idempotent,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_what_is_scripted() {
        let with = json!({"result": {"n": 1}, "delay": "1h", "fail": {"times": 1}});
        let context = Context::silent();
        let error = plugin().apply(&call(with.clone(), 1), &context).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "sim_failed"));
        assert_eq!(plugin().apply(&call(with, 2), &context).await.unwrap(), json!({"n": 1}));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_ends_when_a_stop_is_asked() {
        let (stop, cancel) = Cancel::new();
        let context = Context { cancel, ..Context::silent() };
        let plugin = plugin();
        let call = call(json!({"delay": "1h"}), 1);
        let asking = async {
            sleep(Duration::from_secs(1)).await;
            stop.send_replace(CancelLevel::Stop);
        };
        let (ended, ()) = tokio::join!(plugin.apply(&call, &context), asking);
        assert_eq!(ended.unwrap_err().class, ErrorClass::Cancelled);
    }

    #[tokio::test]
    async fn a_misspelt_script_is_refused() {
        let error =
            plugin().apply(&call(json!({"resullt": 1}), 1), &Context::silent()).await.unwrap_err();
        assert_eq!(error.code, "bad_input");
    }
}
