use std::sync::Arc;

use async_trait::async_trait;
use dr_plugin::{
    ActionManifest, Call, CallError, Context, Effect, Manifest, Plugin, Preview, PreviewStatus,
};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::client::{CONNECT, Clients};
use crate::input::{CheckInput, CheckResult, RequestInput, RequestResult, Settings};
use crate::{check, request};

/// The plugin, for linking into `dr` or serving as an executable.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Http::default())
}

#[derive(Default)]
struct Http {
    clients: Clients,
}

#[async_trait]
impl Plugin for Http {
    fn manifest(&self) -> Manifest {
        let request = ActionManifest::action::<RequestInput, RequestResult>(
            "Makes one HTTP request. GET and HEAD only read; any other method is `once` unless the \
             step says otherwise.",
            Effect::Once,
        )
        .with_effect_when(
            "method",
            [Value::Null, Value::from("GET"), Value::from("HEAD")],
            Effect::Pure,
        )
        .with_preview()
        .typically_ms(300);
        let check = ActionManifest::probe::<CheckInput, CheckResult>(
            "Reads a URL several times and gives the share of good answers and their latency \
             percentiles.",
        )
        .with_preview()
        .typically_ms(2_000);
        Manifest::new::<Settings>(
            "http",
            env!("CARGO_PKG_VERSION"),
            "Requests and latency checks over HTTP and HTTPS.",
        )
        .with("request", request)
        .with("check", check)
    }

    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let settings: Settings = call.settings()?;
        let input = dr_plugin::resolve_secrets(&call.input, &call.secrets)?;
        let url = input.get("url").and_then(Value::as_str).unwrap_or_default();
        let url = request::absolute(url, &settings)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let limit = settings.connect_timeout.map_or(CONNECT, |it| it.0);
        // An address in brackets is written so in URLs only.
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let connecting = tokio::time::timeout(limit, TcpStream::connect((name, port)));
        let mut cancel = context.cancel.clone();
        let reason = tokio::select! {
            connected = connecting => match connected {
                Ok(Ok(_)) => return Ok(Preview::of(PreviewStatus::Ok)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            },
            _ = cancel.cancelled() => "no answer yet".to_owned(),
        };
        let changes = vec![format!("{host}:{port}: {reason}")];
        Ok(Preview { status: PreviewStatus::Unreachable, changes })
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let result = match call.action.as_str() {
            "request" => {
                serde_json::to_value(request::perform(&self.clients, call, context).await?)
            }
            "check" => serde_json::to_value(check::perform(&self.clients, call, context).await?),
            other => {
                return Err(CallError::permanent("no_such_action", format!("no `http.{other}`")));
            }
        };
        result.map_err(|error| CallError::permanent("bad_result", error.to_string()))
    }
}
