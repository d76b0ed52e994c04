use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::job::{
    CommandOutput, JobOrder, Task, check_job, folder_name, forget_job, refuse_secrets, run_job,
    script_argv,
};
use dr_plugin::{
    ActionManifest, Call, CallError, Checked, Context, Effect, Manifest, Plugin, Preview,
    PreviewStatus,
};
use serde_json::Value;

use crate::direct;
use crate::input::{CommandInput, ScriptInput, Settings};
use crate::job::LocalJob;
use crate::left_over::{LeftOvers, mark};
use crate::program::Programs;

/// The plugin `local`.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Local::default())
}

#[derive(Default)]
struct Local {
    /// Folders of jobs that a check found started.
    joined: Mutex<HashSet<String>>,
    programs: Programs,
    left_overs: LeftOvers,
    /// Whether what ended processes left was looked for.
    swept: AtomicBool,
}

/// A call of this plugin, read.
struct Work {
    task: Task,
    exit_codes: Vec<i32>,
    as_job: bool,
}

#[async_trait]
impl Plugin for Local {
    fn manifest(&self) -> Manifest {
        let with_preview = |mut action: ActionManifest| {
            action.has_preview = true;
            action
        };
        Manifest::new::<Settings>(
            "local",
            env!("CARGO_PKG_VERSION"),
            "Commands and scripts on the machine that runs dr.",
        )
        .with(
            "command",
            with_preview(ActionManifest::action::<CommandInput, CommandOutput>(
                "Executes a command, given as a list of arguments; no shell is involved.",
                Effect::Once,
            ))
            .as_job()
            .typically_ms(500),
        )
        .with(
            "script",
            with_preview(ActionManifest::action::<ScriptInput, CommandOutput>(
                "Runs a script with an interpreter; values reach it as environment variables.",
                Effect::Once,
            ))
            .as_job()
            .typically_ms(500),
        )
    }

    /// Looks whether the command is there; a job also needs a folder.
    async fn preview(&self, call: &Call, _: &Context) -> Result<Preview, CallError> {
        let work = read(call)?;
        self.programs.look(&work.task)?;
        if work.as_job {
            job(call)?;
        }
        Ok(Preview::of(PreviewStatus::Ok))
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let work = read(call)?;
        let limit = call.timeout_ms.map(Duration::from_millis);
        let output = if work.as_job {
            let job = job(call)?;
            let joined = self.joined().contains(&folder_name(&call.key));
            run_job(&job, &order(&work, limit, joined), context).await?
        } else {
            self.left_overs.end(&call.key).await?;
            let program = self.programs.located(&work.task);
            let mark = mark(&call.key);
            direct::run(&work.task, program, &mark, &work.exit_codes, limit, context).await?
        };
        serde_json::to_value(output)
            .map_err(|error| CallError::unknown("bad_result", error.to_string()))
    }

    async fn check(&self, call: &Call, _: &Context) -> Result<Checked, CallError> {
        let work = read(call)?;
        if !work.as_job {
            return Ok(Checked::CannotTell("it did not run as a job".to_owned()));
        }
        let checked = check_job(&job(call)?, &order(&work, None, false)).await?;
        if checked == Checked::Running {
            self.joined().insert(folder_name(&call.key));
        }
        Ok(checked)
    }

    async fn forget(&self, call: &Call) {
        // Most commands that may be repeated were none: that is seen without reading all of it.
        if call.effect.is_repeatable() && call.input.get("detach").is_none_or(Value::is_null) {
            return;
        }
        if let (Ok(Work { as_job: true, .. }), Ok(job)) = (read(call), job(call)) {
            self.joined().remove(&folder_name(&call.key));
            if job.is_kept() {
                forget_job(&job).await;
            } else if !self.swept.swap(true, Ordering::Relaxed) {
                // Removed before, perhaps by a process that did not come to its end.
                job.sweep();
            }
        }
    }
}

impl Local {
    fn joined(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn job(call: &Call) -> Result<LocalJob, CallError> {
    let settings: Settings = call.settings()?;
    LocalJob::new(folder_name(&call.key), settings.job_dir.as_deref())
}

fn order(work: &Work, timeout: Option<Duration>, joined: bool) -> JobOrder<'_> {
    JobOrder { task: &work.task, exit_codes: &work.exit_codes, timeout, joined }
}

fn read(call: &Call) -> Result<Work, CallError> {
    refuse_secrets(&call.input, &["argv", "script", "interpreter", "cwd"])?;
    let (task, exit_codes, detach) = match call.action.as_str() {
        "command" => {
            let CommandInput { argv, cwd, env, stdin, exit_codes, detach } = call.input()?;
            (Task { argv, env, stdin, cwd }, exit_codes, detach)
        }
        "script" => {
            let ScriptInput { script, interpreter, cwd, env, stdin, exit_codes, detach } =
                call.input()?;
            let argv = script_argv(&interpreter, &script)?;
            (Task { argv, env, stdin, cwd }, exit_codes, detach)
        }
        other => {
            return Err(CallError::permanent(
                "no_action",
                format!("the plugin `local` has no action `{other}`"),
            ));
        }
    };
    task.validate()?;
    Ok(Work { task, exit_codes, as_job: detach.unwrap_or(!call.effect.is_repeatable()) })
}
