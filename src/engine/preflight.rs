use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use dr_plugin::{
    Call, CallError, CallKey, Cancel, CancelLevel, Context, ErrorClass, Plugin, Preview,
    PreviewStatus, Progress, Stream,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::at_once::at_once;
use super::panic::caught;
use crate::event::Finding;
use crate::id::StepId;
use crate::journal::Masker;
use crate::plan::{Plan, PlanNames, Step};
use crate::plugin::{Registry, SecretError, SecretStore};

/// So many previews run at once: hosts refuse what looks like a flood.
const AT_ONCE: usize = 16;

/// What can be known before the first step. It never refuses a disaster: only what is denied, or a
/// secret that is not to be had, makes a run not ready.
#[derive(Debug, Default)]
pub struct Preflight {
    /// What was found about every step that was looked at, in the order of the plan; `ok` where it
    /// could be done now and nothing more is known. Secrets are masked.
    pub looked: Vec<Finding>,
    /// Steps that would act and could not be looked at: their action has no preview, or they read
    /// what only the run will know.
    pub unseen: Vec<StepId>,
    /// Secrets that no source gives.
    pub missing: Vec<SecretError>,
    /// Secrets whose sources had not answered at the deadline. They never block: a step that needs one asks
    /// again.
    pub slow: Vec<String>,
    /// Steps whose target refuses us.
    pub denied: Vec<StepId>,
    /// Steps whose target did not answer. They never block.
    pub unreachable: Vec<StepId>,
}

impl Preflight {
    /// What is not plainly ok.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.looked.iter().filter(|finding| finding.status != "ok").cloned().collect()
    }

    /// Whether the run can start (exit code 4 otherwise).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty() && self.denied.is_empty()
    }
}

/// Asks the plugins, read-only and all at once, what the steps would change and whether they could;
/// and every secret's sources for its value. `is_open` says which steps have not been started.
/// Looks only at steps that can be rendered by now and whose action has a preview, and takes no
/// longer than `limit`.
pub async fn preflight(
    plan: &Plan,
    is_open: impl Fn(&StepId) -> bool,
    registry: &Registry,
    secrets: &Arc<SecretStore>,
    masker: &Masker,
    limit: Duration,
) -> Preflight {
    let until = after(limit);
    let mut tried = JoinSet::new();
    for name in secrets.names().map(str::to_owned).collect::<Vec<_>>() {
        let secrets = Arc::clone(secrets);
        tried.spawn(async move { (timeout_at(until, secrets.get(&name)).await, name) });
    }
    let mut asked: Vec<(&Step, Answer)> = Vec::new();
    let mut unseen = Vec::new();
    let mut previews = JoinSet::new();
    for step in plan.steps.iter().filter(|step| step.skip.is_none() && is_open(&step.id)) {
        let Some((plugin, call)) = prepare(plan, step, registry) else {
            unseen.extend(step.uses.is_some().then(|| step.id.clone()));
            continue;
        };
        if previews.len() >= AT_ONCE {
            keep_next(&mut previews, &mut asked).await;
        }
        let secrets = Arc::clone(secrets);
        let mut look = Box::pin(async move { preview(plugin, call, &secrets).await });
        if let Poll::Ready(given) = at_once(&mut look) {
            asked.push((step, Answer::of(given)));
            continue;
        }
        let position = asked.len();
        asked.push((step, Answer::None));
        previews.spawn(async move {
            let asked = timeout_at(until, look).await;
            (position, asked.map_or(Answer::None, Answer::of))
        });
    }
    while keep_next(&mut previews, &mut asked).await {}
    let mut found = Preflight { unseen, ..Preflight::default() };
    while let Some(joined) = tried.join_next().await {
        match joined {
            Ok((Ok(Err(error)), _)) => found.missing.push(error),
            Ok((Err(_), name)) => found.slow.push(name),
            Ok((Ok(Ok(_)), _)) | Err(_) => {}
        }
    }
    found.slow.sort();
    found.missing.sort_by(|one, other| one.name.cmp(&other.name));
    let answers: Vec<_> =
        asked.into_iter().map(|(step, answer)| (step, answer.finding(limit))).collect();
    let ready = Readied::new(plan, &answers);
    for (step, (mut status, mut lines)) in answers {
        if status == "unreachable"
            && let Some(by) = ready.by(step)
        {
            status = "not_yet";
            lines.push(format!("`{by}` comes before it and acts there"));
        }
        match status {
            "denied" => found.denied.push(step.id.clone()),
            "unreachable" => found.unreachable.push(step.id.clone()),
            _ => {}
        }
        for line in &mut lines {
            *line = masker.text(line).into_owned();
        }
        let (step, status) = (step.id.clone(), status.to_owned());
        found.looked.push(Finding { step, status, lines });
    }
    found
}

#[expect(
    clippy::disallowed_methods,
    reason = "one deadline of the runtime's timers for all that is asked"
)]
fn after(limit: Duration) -> Instant {
    Instant::now() + limit
}

/// Waits for one of the previews and keeps its answer. False: none was left.
async fn keep_next(previews: &mut JoinSet<(usize, Answer)>, asked: &mut [(&Step, Answer)]) -> bool {
    let Some(joined) = previews.join_next().await else { return false };
    // A plugin that panicked gave no answer.
    if let Ok((position, answer)) = joined {
        asked[position].1 = answer;
    }
    true
}

/// What a plugin said about a step.
enum Answer {
    /// Nothing, in the time it had.
    None,
    /// A preview.
    Preview(Preview),
    /// It failed.
    Error(CallError),
}

impl Answer {
    fn of(result: Result<Preview, CallError>) -> Self {
        result.map_or_else(Self::Error, Self::Preview)
    }

    /// Status and lines.
    fn finding(self, limit: Duration) -> (&'static str, Vec<String>) {
        match self {
            Self::None => ("unreachable", vec![format!("no answer within {} s", limit.as_secs())]),
            Self::Preview(Preview { status, changes }) => {
                let status = match status {
                    PreviewStatus::Ok if changes.is_empty() => "ok",
                    PreviewStatus::Ok | PreviewStatus::WouldChange => "would_change",
                    PreviewStatus::AlreadySo => "already_so",
                    PreviewStatus::Unreachable => "unreachable",
                    PreviewStatus::Denied => "denied",
                    PreviewStatus::NotYet => "not_yet",
                };
                (status, changes)
            }
            // Reported where secrets are: it is about the source, not the target.
            Self::Error(error) if error.code == "secret_unavailable" => {
                ("failed", vec!["a secret that it needs is not to be had".to_owned()])
            }
            Self::Error(error) => {
                let status = match error.class {
                    ErrorClass::Denied => "denied",
                    ErrorClass::Permanent => "failed",
                    ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::Cancelled => {
                        "unreachable"
                    }
                };
                let help = error.help.map(|help| format!("help: {help}"));
                let lines = std::iter::once(error.message).chain(error.causes).chain(help);
                (status, lines.collect())
            }
        }
    }
}

/// What comes before a step and makes its target ready: a step that changes something on the same
/// host by other means, and can be reached itself.
struct Readied<'a> {
    steps: HashMap<&'a str, &'a Step>,
    cut_off: HashSet<&'a str>,
}

impl<'a> Readied<'a> {
    fn new(plan: &'a Plan, answers: &[(&'a Step, (&'static str, Vec<String>))]) -> Self {
        let cut_off = answers
            .iter()
            .filter(|(_, (status, _))| matches!(*status, "unreachable" | "denied" | "failed"));
        Self {
            steps: plan.steps.iter().map(|step| (step.id.as_str(), step)).collect(),
            cut_off: cut_off.map(|(step, _)| step.id.as_str()).collect(),
        }
    }

    fn by(&self, step: &'a Step) -> Option<&'a StepId> {
        let (host, uses) = (step.host.as_deref()?, step.uses.as_ref()?);
        let mut seen = HashSet::new();
        let mut open: Vec<&StepId> = step.needs.iter().chain(&step.after).collect();
        while let Some(id) = open.pop() {
            let Some(before) = self.steps.get(id.as_str()).filter(|_| seen.insert(id)) else {
                continue;
            };
            let acts = before.skip.is_none()
                && before.effect != dr_plugin::Effect::Pure
                && before.host.as_deref() == Some(host)
                && before.uses.as_ref().is_some_and(|other| other.plugin != uses.plugin);
            if acts && !self.cut_off.contains(id.as_str()) {
                return Some(&before.id);
            }
            open.extend(before.needs.iter().chain(&before.after));
        }
        None
    }
}

/// The call of a step that can be rendered by now, without its secrets.
fn prepare(plan: &Plan, step: &Step, registry: &Registry) -> Option<(Arc<dyn Plugin>, Call)> {
    let uses = step.uses.as_ref()?;
    let plugin = registry.get(&uses.plugin)?;
    let action = registry.manifest(&uses.plugin)?.actions.get(&uses.action)?;
    if !action.has_preview {
        return None;
    }
    let names = PlanNames { plan, host: step.host.as_deref() };
    if !step.with.paths().ok()?.iter().all(PlanNames::knows) {
        return None;
    }
    let settings = plan.settings_name(step.include.as_ref(), &uses.plugin);
    let settings = plan.plugins.get(settings)?.settings.render(&names).ok()?;
    let mut input = step.with.render(&names).ok()?;
    plan.name_secrets(step.include.as_ref(), &mut input);
    let call = Call {
        action: uses.action.clone(),
        input: dr_plugin::coerce(&action.input, input),
        settings,
        host: step.host.as_ref().and_then(|name| plan.hosts.get(name)).cloned(),
        secrets: dr_plugin::Secrets::new(),
        key: CallKey {
            run: "preflight".to_owned(),
            step: step.id.to_string(),
            purpose: "preview".to_owned(),
            attempt: 1,
        },
        timeout_ms: None,
        effect: step.effect,
    };
    Some((Arc::clone(plugin), call))
}

async fn preview(
    plugin: Arc<dyn Plugin>,
    mut call: Call,
    secrets: &SecretStore,
) -> Result<Preview, CallError> {
    call.secrets = secrets.referred_by(&[&call.input, &call.settings]).await?;
    let (level, cancel) = Cancel::new();
    let context = Context { cancel, progress: Arc::new(Silence) };
    // Dropped at the deadline, with the sender: a plugin that only looks at `cancel` sees it.
    let _stop = StopOnDrop(level);
    caught(plugin.preview(&call, &context)).await.unwrap_or_else(|message| {
        Err(CallError::permanent("plugin_panicked", "the plugin broke down").with_cause(&message))
    })
}

struct StopOnDrop(tokio::sync::watch::Sender<CancelLevel>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(CancelLevel::Stop);
    }
}

struct Silence;

impl Progress for Silence {
    fn progress(&self, _: &str, _: Option<f32>) {}
    fn output(&self, _: Stream, _: &[u8]) {}
}
