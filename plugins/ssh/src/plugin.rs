use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::job::{
    CommandOutput, JobOrder, Request, Task, Transport as _, check_job, folder_name, forget_job,
    job_dir, refuse_secrets, run_job, script_argv,
};
use dr_plugin::{
    ActionManifest, Call, CallError, Checked, Context, Effect, ErrorClass, HostNeed, Manifest,
    Plugin, Preview, PreviewStatus,
};
use serde_json::Value;

use crate::config::resolve;
use crate::direct::Direct;
use crate::files;
use crate::input::{CommandInput, DownloadInput, ScriptInput, Settings, Transferred, UploadInput};
use crate::job::Remote;
use crate::pool::Pool;
use crate::preview;
use crate::target::{Target, plain_word};

/// The plugin `ssh`.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Ssh::default())
}

#[derive(Default)]
struct Ssh {
    pool: Pool,
    /// Folders of jobs that a check found started.
    joined: Mutex<HashSet<String>>,
}

/// A call of this plugin, read.
enum Work {
    Command { task: Task, exit_codes: Vec<i32>, as_job: bool },
    Upload(UploadInput),
    Download(DownloadInput),
}

#[async_trait]
impl Plugin for Ssh {
    fn manifest(&self) -> Manifest {
        let with_preview = |action: ActionManifest| {
            let mut action = action.on_host(HostNeed::Required);
            action.has_preview = true;
            action
        };
        Manifest::new::<Settings>(
            "ssh",
            env!("CARGO_PKG_VERSION"),
            "Commands, scripts and files on hosts that are reached by SSH.",
        )
        .with(
            "command",
            with_preview(ActionManifest::action::<CommandInput, CommandOutput>(
                "Executes a command on the host, given as a list of arguments; no shell sees them.",
                Effect::Once,
            ))
            .as_job()
            .typically_ms(2_000),
        )
        .with(
            "script",
            with_preview(ActionManifest::action::<ScriptInput, CommandOutput>(
                "Runs a script on the host; values reach it as environment variables.",
                Effect::Once,
            ))
            .as_job()
            .typically_ms(2_000),
        )
        .with(
            "upload",
            with_preview(ActionManifest::action::<UploadInput, Transferred>(
                "Sends a file to the host; it replaces the one there in one step.",
                Effect::Idempotent,
            ))
            .typically_ms(2_000),
        )
        .with(
            "download",
            with_preview(ActionManifest::action::<DownloadInput, Transferred>(
                "Fetches a file from the host; it replaces the one here in one step.",
                Effect::Idempotent,
            ))
            .typically_ms(2_000),
        )
    }

    /// Connects, logs in, asks the host for the job of this call, which it cannot have, and looks
    /// whether what the call needs is there. Only reads.
    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let (work, becomes) = read(call)?;
        let target = target(call)?;
        let remote = self.remote(call, &target, becomes)?;
        let looked = match remote.perform(&POLL).await {
            Ok(_) => match &work {
                Work::Command { task, .. } => preview::command(&remote, task, context).await,
                Work::Upload(input) => preview::upload(&remote, input, context).await,
                Work::Download(input) => preview::download(&remote, input, context).await,
            },
            Err(error) => Err(error.error),
        };
        let error = match looked {
            Ok(preview) => return Ok(preview),
            Err(error) => error,
        };
        let status = match error.class {
            ErrorClass::Transient | ErrorClass::Unknown => PreviewStatus::Unreachable,
            ErrorClass::Denied => PreviewStatus::Denied,
            ErrorClass::Permanent | ErrorClass::Cancelled => return Err(error),
        };
        let mut changes = vec![error.message];
        changes.extend(error.help);
        Ok(Preview { status, changes })
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let (work, becomes) = read(call)?;
        let target = target(call)?;
        let remote = self.remote(call, &target, becomes)?;
        let limit = call.timeout_ms.map(Duration::from_millis);
        match work {
            Work::Command { task, exit_codes, as_job } => {
                let output = if as_job {
                    let joined = self.joined().contains(&remote.folder);
                    let order =
                        JobOrder { task: &task, exit_codes: &exit_codes, timeout: limit, joined };
                    run_job(&remote, &order, context).await?
                } else {
                    let direct = Direct {
                        remote: &remote,
                        task: &task,
                        exit_codes: &exit_codes,
                        limit,
                        context,
                    };
                    direct.run().await?
                };
                value(output)
            }
            Work::Upload(input) => value(files::upload(&remote, &input, call, context).await?),
            Work::Download(input) => value(files::download(&remote, &input, call, context).await?),
        }
    }

    async fn check(&self, call: &Call, _: &Context) -> Result<Checked, CallError> {
        let (work, becomes) = read(call)?;
        let Work::Command { task, exit_codes, as_job: true } = work else {
            return Ok(Checked::CannotTell("it did not run as a job".to_owned()));
        };
        let target = target(call)?;
        let remote = self.remote(call, &target, becomes)?;
        let order = JobOrder { task: &task, exit_codes: &exit_codes, timeout: None, joined: false };
        let checked = check_job(&remote, &order).await?;
        if checked == Checked::Running {
            self.joined().insert(remote.folder);
        }
        Ok(checked)
    }

    async fn forget(&self, call: &Call) {
        let Ok((Work::Command { as_job: true, .. }, becomes)) = read(call) else { return };
        let Ok(target) = target(call) else { return };
        if let Ok(remote) = self.remote(call, &target, becomes) {
            self.joined().remove(&remote.folder);
            forget_job(&remote).await;
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

const POLL: Request = Request::Poll { wait: Duration::ZERO, out: 0, err: 0 };

impl Ssh {
    fn joined(&self) -> MutexGuard<'_, HashSet<String>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remote<'a>(
        &'a self,
        call: &Call,
        target: &'a Target,
        becomes: Option<String>,
    ) -> Result<Remote<'a>, CallError> {
        let settings: Settings = call.settings()?;
        let host = call.host()?;
        let jobs = job_dir(host.job_dir.as_deref().or(settings.job_dir.as_deref()))?;
        let becomes = becomes.or_else(|| host.becomes.as_ref().map(|other| other.user.clone()));
        if let Some(user) = &becomes {
            plain_word("the user to become", user)?;
        }
        Ok(Remote::new(&self.pool, target, folder_name(&call.key), jobs, becomes))
    }
}

fn target(call: &Call) -> Result<Target, CallError> {
    resolve(call.host()?, &call.settings()?)
}

fn value(output: impl serde::Serialize) -> Result<Value, CallError> {
    serde_json::to_value(output)
        .map_err(|error| CallError::unknown("bad_result", error.to_string()))
}

/// The call's own input, and whom it says to become.
fn read(call: &Call) -> Result<(Work, Option<String>), CallError> {
    refuse_secrets(&call.input, &["argv", "script", "interpreter", "cwd", "become"])?;
    let (task, exit_codes, detach, becomes) = match call.action.as_str() {
        "command" => {
            let CommandInput { argv, cwd, env, stdin, exit_codes, detach, becomes } =
                call.input()?;
            (Task { argv, env, stdin, cwd }, exit_codes, detach, becomes)
        }
        "script" => {
            let ScriptInput { script, interpreter, cwd, env, stdin, exit_codes, detach, becomes } =
                call.input()?;
            let argv = script_argv(&interpreter, &script)?;
            (Task { argv, env, stdin, cwd }, exit_codes, detach, becomes)
        }
        "upload" => {
            let input: UploadInput = call.input()?;
            let becomes = input.becomes.clone();
            return Ok((Work::Upload(input), becomes));
        }
        "download" => {
            let input: DownloadInput = call.input()?;
            let becomes = input.becomes.clone();
            return Ok((Work::Download(input), becomes));
        }
        other => {
            return Err(CallError::permanent(
                "no_action",
                format!("the plugin `ssh` has no action `{other}`"),
            ));
        }
    };
    task.validate()?;
    let as_job = detach.unwrap_or(!call.effect.is_repeatable());
    Ok((Work::Command { task, exit_codes, as_job }, becomes))
}
