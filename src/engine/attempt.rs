use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dr_plugin::{
    Call, CallError, CallKey, Cancel, CancelLevel, Checked, Context, Plugin, SHORTEST_SECRET,
    Secret,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::output::{Attempt, Output as Spills};
use super::panic::caught;
use crate::event::Volatile;
use crate::id::{RunId, StepId};
use crate::journal::{Masker, RunDir};
use crate::machine::{AttemptResult, Launch, LaunchKind};
use crate::plan::{ANY, Output, Plan, Step, Uses};
use crate::plugin::{Registry, SecretStore};
use crate::text::MapNames;

/// How long a plugin is waited for beyond what was asked of it.
const PATIENCE: Patience = Patience {
    overtime: Duration::from_secs(15),
    stop: Duration::from_secs(15),
    detach: Duration::from_secs(2),
};

/// What all attempts of a session share.
pub(super) struct Shared {
    pub(super) run: RunId,
    pub(super) dir: RunDir,
    pub(super) registry: Arc<Registry>,
    pub(super) secrets: Arc<SecretStore>,
    pub(super) masker: Masker,
    /// Rendered settings by plugin.
    pub(super) settings: BTreeMap<String, Value>,
    /// Schemas of the input of actions: where they want text, numbers are given as text.
    pub(super) inputs: BTreeMap<Uses, schemars::Schema>,
    /// Secrets that steps capture, by step: how each is computed.
    pub(super) captures: BTreeMap<StepId, Vec<Output>>,
    pub(super) volatile: mpsc::Sender<Volatile>,
}

/// Performs a launch to its end, whatever its plugin does, and gives the call that was made, if
/// it came to that.
pub(super) async fn perform(
    shared: &Shared,
    launch: Launch,
    level: watch::Sender<CancelLevel>,
    cancel: Cancel,
) -> (AttemptResult, Option<Arc<Call>>) {
    let kind = launch.kind;
    let (timeout_ms, step) = (launch.timeout_ms, launch.step.clone());
    let (purpose, attempt) = (launch.purpose, launch.attempt);
    let (plugin, call) = match prepare(shared, launch, cancel.clone()).await {
        Ok(prepared) => prepared,
        Err(error) => return (failed(kind, error), None),
    };
    let Shared { dir, masker, volatile, .. } = shared;
    let captures = shared.captures_of(&step);
    let of = Attempt { step: step.clone(), purpose, number: attempt, silent: !captures.is_empty() };
    let output = Arc::new(Spills::new(of, dir, masker, volatile.clone()));
    let context = Context { cancel: cancel.clone(), progress: output.clone() };
    let limit = Backstop { timeout_ms, level, cancel, patience: PATIENCE };
    let result = match kind {
        LaunchKind::Apply => {
            AttemptResult::Applied(limit.hold(plugin.apply(&call, &context)).await)
        }
        LaunchKind::Undo => AttemptResult::Applied(limit.hold(plugin.undo(&call, &context)).await),
        LaunchKind::Check => {
            AttemptResult::Checked(limit.hold(plugin.check(&call, &context)).await)
        }
    };
    output.finish();
    let result = match result {
        AttemptResult::Applied(Ok(result)) => {
            AttemptResult::Applied(captured(shared, &step, captures, result))
        }
        AttemptResult::Checked(Ok(Checked::Done(Some(result)))) => AttemptResult::Checked(
            captured(shared, &step, captures, result).map(|it| Checked::Done(Some(it))),
        ),
        other => other,
    };
    (result, Some(call))
}

/// The secrets that steps of the plan capture, those of loops by the ids of their templates.
pub(super) fn captures(plan: &Plan) -> BTreeMap<StepId, Vec<Output>> {
    let mut found = BTreeMap::new();
    let mut open: Vec<&Step> = plan.steps.iter().collect();
    while let Some(step) = open.pop() {
        let secrets: Vec<Output> = step.outputs.iter().filter(|it| it.secret).cloned().collect();
        if !secrets.is_empty() {
            found.insert(step.id.clone(), secrets);
        }
        open.extend(step.template());
    }
    found
}

/// The id that a step of a loop has in the loop's template.
fn template_of(step: &StepId) -> StepId {
    let parts = step.as_str().split('/').map(|part| match part.split_once('@') {
        Some((name, _)) => format!("{name}@{ANY}"),
        None => part.to_owned(),
    });
    StepId::from(parts.collect::<Vec<_>>().join("/"))
}

impl Shared {
    /// The secrets that a step captures; of a step of a loop, those that the plan declares once.
    fn captures_of(&self, step: &StepId) -> &[Output] {
        if self.captures.is_empty() {
            return &[];
        }
        let of_template = || self.captures.get(&template_of(step));
        self.captures.get(step).or_else(of_template).map_or(&[], Vec::as_slice)
    }
}

/// Keeps the secrets in what an action gave, and gives the rest: the machine sees none of them.
fn captured(
    shared: &Shared,
    step: &StepId,
    captures: &[Output],
    result: Value,
) -> Result<Value, CallError> {
    if captures.is_empty() {
        return Ok(result);
    }
    let names = MapNames::new(json!({ "result": result }));
    for Output { name, value, .. } in captures {
        let refused = |why: String| {
            let message = format!("it was done, but the secret `{name}` was not captured: {why}");
            CallError::permanent("secret_not_captured", message)
        };
        let found = value.evaluate(&names).map_err(|error| refused(error.to_string()))?;
        let text = match found {
            Value::String(text) => Zeroizing::new(text),
            Value::Number(number) => Zeroizing::new(number.to_string()),
            _ => return Err(refused("it is no text".to_owned())),
        };
        let secret = Secret::new(text.as_str());
        if !secret.can_be_masked() {
            let why =
                format!("it is shorter than {SHORTEST_SECRET} bytes, and could not be masked");
            return Err(refused(why));
        }
        shared.secrets.capture(&format!("{step}.{name}"), secret)?;
    }
    let mut rest = names.0.get("result").cloned().unwrap_or_default();
    shared.masker.value(&mut rest);
    Ok(rest)
}

fn failed(kind: LaunchKind, error: CallError) -> AttemptResult {
    match kind {
        LaunchKind::Apply | LaunchKind::Undo => AttemptResult::Applied(Err(error)),
        LaunchKind::Check => AttemptResult::Checked(Err(error)),
    }
}

/// Finds the plugin and fetches the secrets. Whatever fails here, nothing was applied.
async fn prepare(
    shared: &Shared,
    launch: Launch,
    mut cancel: Cancel,
) -> Result<(Arc<dyn Plugin>, Arc<Call>), CallError> {
    let name = &launch.uses.plugin;
    let plugin = shared.registry.get(name).ok_or_else(|| {
        CallError::permanent("plugin_missing", format!("there is no plugin `{name}`"))
    })?;
    let settings = shared.settings.get(&launch.settings).cloned().unwrap_or_default();
    let texts = [&launch.input, &settings];
    let secrets = tokio::select! {
        biased;
        secrets = shared.secrets.referred_by(&texts) => secrets?,
        _ = cancel.cancelled() => {
            return Err(CallError::cancelled("stopped before it was started"));
        }
    };
    let input = match shared.inputs.get(&launch.uses) {
        Some(schema) => dr_plugin::coerce(schema, launch.input),
        None => launch.input,
    };
    let call = Call {
        action: launch.uses.action,
        input,
        settings,
        host: launch.host,
        secrets,
        key: CallKey {
            run: shared.run.to_string(),
            step: launch.step.to_string(),
            purpose: launch.purpose.as_str().to_owned(),
            attempt: launch.attempt,
        },
        timeout_ms: launch.timeout_ms,
        effect: launch.effect,
    };
    Ok((Arc::clone(plugin), Arc::new(call)))
}

#[derive(Debug, Clone, Copy)]
struct Patience {
    /// A plugin ends an attempt at its limit by itself, and may need this long to end what runs;
    /// then the attempt is told to stop.
    overtime: Duration,
    /// An attempt that was told to stop has this long to come back.
    stop: Duration,
    /// An attempt that was told to let go of what it does has this long.
    detach: Duration,
}

/// Ends the waiting for a plugin that does not end by itself.
struct Backstop {
    patience: Patience,
    timeout_ms: Option<u64>,
    level: watch::Sender<CancelLevel>,
    cancel: Cancel,
}

impl Backstop {
    /// The result of `call`, or an unknown outcome if it panics, or hangs beyond its limit or a
    /// stop.
    async fn hold<T>(
        self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        tokio::select! {
            biased;
            result = caught(call) => result.unwrap_or_else(|message| {
                Err(CallError::unknown("plugin_panicked", "the plugin broke down")
                    .with_help("this is a defect of the plugin; please report it")
                    .with_cause(&message))
            }),
            error = self.given_up() => Err(error),
        }
    }

    /// Completes when it is time to give up.
    async fn given_up(mut self) -> CallError {
        let limit = self.timeout_ms.map(|ms| Duration::from_millis(ms) + self.patience.overtime);
        let overtime = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let is_late = tokio::select! {
            () = overtime => true,
            _ = self.cancel.cancelled() => false,
        };
        if is_late {
            self.level.send_replace(CancelLevel::Stop);
        }
        let mut grace = Box::pin(tokio::time::sleep(self.patience.stop));
        // A stop may turn into letting go while it is waited for.
        let mut level = self.level.subscribe();
        loop {
            if *level.borrow_and_update() == CancelLevel::Detach {
                tokio::time::sleep(self.patience.detach).await;
                break;
            }
            tokio::select! {
                () = &mut grace => break,
                changed = level.changed() => if changed.is_err() { break },
            }
        }
        if is_late {
            let limit = self.timeout_ms.unwrap_or_default();
            return CallError::unknown(
                "timeout",
                format!("the plugin neither ended within {limit} ms nor stopped when told to"),
            );
        }
        CallError::unknown("stop_unconfirmed", "the plugin did not stop when told to")
    }
}

#[cfg(test)]
mod tests {
    use dr_plugin::ErrorClass;

    use super::*;

    fn backstop(timeout_ms: Option<u64>) -> (Backstop, watch::Sender<CancelLevel>) {
        let (level, cancel) = Cancel::new();
        let short = Duration::from_millis(5);
        let long = Duration::from_secs(3_600);
        // Only the patience that the case is about ever runs out.
        let patience = match timeout_ms {
            Some(_) => Patience { overtime: short, stop: short, detach: long },
            None => Patience { overtime: long, stop: long, detach: short },
        };
        (Backstop { timeout_ms, level: level.clone(), cancel, patience }, level)
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_leaves_an_unknown_outcome() {
        let (backstop, level) = backstop(Some(5));
        let error = backstop.hold(std::future::pending::<Result<(), _>>()).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "timeout"));
        assert_eq!(*level.borrow(), CancelLevel::Stop, "it was told before it was given up");
    }

    #[tokio::test]
    async fn a_plugin_that_does_not_let_go_is_left() {
        let (backstop, level) = backstop(None);
        level.send_replace(CancelLevel::Stop);
        let hold = backstop.hold(std::future::pending::<Result<(), _>>());
        let detach = async {
            tokio::task::yield_now().await;
            level.send_replace(CancelLevel::Detach);
        };
        let (result, ()) = tokio::join!(hold, detach);
        let error = result.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "stop_unconfirmed"));
    }
}
