//! `dr plan`: what would be done, and when.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use serde::Serialize;

use super::args::{Plan as PlanArgs, PlanFormat, Selection};
use super::check::show;
use super::exit::Exit;
use super::out::Out;
use super::secret_input::{self, is_secret};
use super::{observe, sealed};
use crate::app;
use crate::app::request::random;
use crate::app::source::Examined;
use crate::app::state::StateDir;
use crate::app::who;
use crate::app::{archive, files};
use crate::id::{Digest, SealId, StepId};
use crate::plan::{Plan, Seal};
use crate::planner::render::{self, Look};
use crate::planner::{self, Comparison, Estimates, InputValue, PlanRequest, Skip};
use crate::report;
use crate::runbook::nearest;
use crate::time::{Clock as _, Millis, SystemClock};
use crate::words::Mode;

pub(super) fn run(args: &PlanArgs, state_dir: Option<&Path>, out: &Out) -> Exit {
    if let Some((message, help)) = unsupported(args) {
        return out.refuse(&message, help, Exit::Usage);
    }
    // The process ends with it: taking a large one apart first would be a tenth of the time.
    let plan = match planned(args, state_dir, out) {
        Ok(plan) => ManuallyDrop::new(plan),
        Err(exit) => return exit,
    };
    if !args.observe {
        return show_plan(&plan, args, out).err().unwrap_or(Exit::Done);
    }
    let given =
        match secret_input::files(&args.selection.inputs, |name| is_secret(&plan, name), out) {
            Ok(given) => given,
            Err(exit) => return exit,
        };
    let found = match observe::ask(&plan, &given, out) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    if args.format == PlanFormat::Json {
        let comparison = args.compare.map(|rival| planner::compare(&plan, rival));
        let shown = Shown { plan: &plan, comparison };
        let mut json = serde_json::to_value(&shown).unwrap_or_default();
        json["observed"] = observe::as_json(&found);
        out.result(&serde_json::to_string_pretty(&json).unwrap_or_default());
    } else {
        if let Err(exit) = show_plan(&plan, args, out) {
            return exit;
        }
        let found = |screen| report::preflight(&found.looked, &found.unseen, &screen);
        match args.format {
            PlanFormat::Text => out.result(&format!("\n{}", found(out.screen()))),
            // The graph and the page are of the plan alone.
            _ => out.remark(&found(out.error_screen())),
        }
    }
    observe::remark_slow(&found, out);
    if !found.is_ready() {
        return observe::refuse(&found, out);
    }
    // Planning does without; a run would not start.
    match app::identity::require(&plan) {
        Ok(()) => Exit::Done,
        Err(error) => out.fail(&error, Exit::NotReady),
    }
}

/// What is asked for beside the plan and has no such form.
fn unsupported(args: &PlanArgs) -> Option<(String, &'static str)> {
    let asked = match (&args.why, args.compare) {
        (Some(_), _) => "--why",
        (None, Some(_)) => "--compare",
        (None, None) => return None,
    };
    let format = args.format.to_possible_value()?;
    let has = matches!(args.format, PlanFormat::Text | PlanFormat::Json);
    (!has).then(|| {
        let message = format!("`{asked}` cannot be shown as {}", format.get_name());
        (message, "`--format text` and `--format json` show it")
    })
}

/// The plan that is asked for: that of a runbook, or one that was sealed.
fn planned(args: &PlanArgs, state_dir: Option<&Path>, out: &Out) -> Result<Plan, Exit> {
    if let Some(plan) = sealed::open(&args.runbook, out)? {
        let clash = match &args.out {
            Some(_) => Some("it is sealed already".to_owned()),
            None if args.effort.is_some() || args.samples.is_some() => {
                Some("its schedule and forecast are made already".to_owned())
            }
            None => sealed::contradiction(&plan, &args.selection),
        };
        if let Some(clash) = clash {
            let message = format!("{} is a sealed plan: {clash}", args.runbook.display());
            return Err(out.refuse(&message, "plan the runbook instead", Exit::Usage));
        }
        if let Some(seal) = &plan.seal {
            sealed::say_changed(&app::sealed::sources(seal, &args.runbook), out);
        }
        return require(&plan, args, out).map(|()| plan);
    }
    let state = StateDir::resolve(state_dir, &args.runbook);
    let past = match args.history.as_deref() {
        None => Some(state.path().to_owned()),
        Some("none") => None,
        Some(folder) => {
            let folder = PathBuf::from(folder);
            archive::require(&folder).map_err(|error| out.fail(&error, Exit::Usage))?;
            Some(folder)
        }
    };
    let lasts = match &args.out {
        Some(file) => {
            may_write(file, out)?;
            lasts(args.expires.as_deref(), out)?
        }
        None => None,
    };
    let effort = Effort { schedules: args.effort, samples: args.samples, like: None };
    let (mut plan, examined) =
        make(&args.runbook, &args.selection, &[], effort, past.as_deref(), out)?;
    if let (false, Err(error)) = (args.observe, app::identity::require(&plan)) {
        out.remark(&format!("note: to be carried out here, this plan lacks something: {error}"));
    }
    let examined = ManuallyDrop::new(examined);
    require(&plan, args, out)?;
    if let Some(file) = &args.out {
        seal(&mut plan, &examined, file, lasts, out)?;
    }
    Ok(plan)
}

/// Shows a plan that misses an objective which it must meet, and refuses it.
fn require(plan: &Plan, args: &PlanArgs, out: &Out) -> Result<(), Exit> {
    let missed = plan.services.iter().filter(|service| service.meets_rto == Some(false));
    let late = plan.spans.iter().filter(|span| span.meets == Some(false));
    let missed: Vec<&str> = missed
        .map(|service| service.name.as_str())
        .chain(late.map(|span| span.name.as_str()))
        .collect();
    if !args.require_rto || missed.is_empty() {
        return Ok(());
    }
    show_plan(plan, args, out)?;
    let message = format!("the plan misses the objective of {}", missed.join(", "));
    Err(out.refuse(&message, &render::what_binds(plan), Exit::NotReady))
}

fn show_plan(plan: &Plan, args: &PlanArgs, out: &Out) -> Result<(), Exit> {
    let screen = out.screen();
    let look = Look { columns: screen.width.clamp(60, 160), colour: screen.colour };
    if let Some(step) = &args.why {
        return explain(plan, step, args.format, look, out);
    }
    let comparison = args.compare.map(|rival| planner::compare(plan, rival));
    match args.format {
        PlanFormat::Json => {
            let shown = Shown { plan, comparison };
            out.result(&serde_json::to_string_pretty(&shown).unwrap_or_default());
        }
        PlanFormat::Markdown => out.result(&render::markdown(plan)),
        PlanFormat::Mermaid => out.result(&render::mermaid(plan)),
        PlanFormat::Dot => out.result(&render::dot(plan)),
        PlanFormat::Html => out.result(&render::html(plan)),
        PlanFormat::Text => {
            let mut text = render::text(plan, look);
            if let Some(comparison) = &comparison {
                text.push_str(&render::comparison(plan, comparison, look));
            }
            out.result(&text);
        }
    }
    Ok(())
}

/// The plan as data, and beside it what was asked for.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// Why one step starts when it does.
fn explain(plan: &Plan, step: &str, format: PlanFormat, look: Look, out: &Out) -> Result<(), Exit> {
    let Some(why) = planner::why(plan, step) else {
        let message = format!("the plan has no step `{step}`");
        let near = nearest(step, plan.steps.iter().map(|step| step.id.as_str()));
        let help = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
        return Err(out.refuse(&message, &help, Exit::Usage));
    };
    out.result(&match format {
        PlanFormat::Json => serde_json::to_string_pretty(&why).unwrap_or_default(),
        _ => render::why(&why, look),
    });
    Ok(())
}

/// Whether `-o` may write this file: a runbook named by mistake is not overwritten, nor anything
/// else but a sealed plan.
fn may_write(file: &Path, out: &Out) -> Result<(), Exit> {
    if app::sealed::may_replace(file) {
        return Ok(());
    }
    let message =
        format!("{} is there and is no sealed plan: it is not overwritten", file.display());
    let help = "name another file, such as `-o plan.json`, or remove this one first";
    Err(out.refuse(&message, help, Exit::Usage))
}

/// `--expires`.
fn lasts(given: Option<&str>, out: &Out) -> Result<Option<Millis>, Exit> {
    let lasts = match given.map(str::parse::<Millis>).transpose() {
        Ok(Some(Millis(0))) => Err("a seal that expires at once is never executed".to_owned()),
        other => other,
    };
    lasts.map_err(|message| {
        out.refuse(&format!("--expires: {message}"), "such as `--expires 24h`", Exit::Usage)
    })
}

/// `-o FILE`.
fn seal(
    plan: &mut Plan,
    examined: &Examined,
    file: &Path,
    lasts: Option<Millis>,
    out: &Out,
) -> Result<(), Exit> {
    let created_at = SystemClock.wall();
    let seal = Seal {
        id: SealId::from(format!("{:016x}", random())),
        created_at,
        by: who::actor("command line").to_string(),
        expires: lasts.map(|Millis(ms)| created_at + jiff::SignedDuration::from_millis(ms as i64)),
        sources: Vec::new(),
    };
    let saved = app::sealed::save(plan, file, seal, &examined.sources());
    saved.map_err(|error| out.fail(&error, sealed::exit(&error)))?;
    let shown = file.display();
    out.remark(&format!("sealed in {shown}: carry it out with `dr execute {shown}`"));
    Ok(())
}

/// How much is tried; absent: as much as the size of the plan allows.
#[derive(Debug, Clone, Default)]
pub(super) struct Effort {
    /// Schedules.
    schedules: Option<usize>,
    /// Simulated runs.
    samples: Option<usize>,
    /// The plan whose luck the simulated runs share.
    like: Option<Digest>,
}

impl Effort {
    /// The same schedule as by default, without a forecast: for who is about to run the plan,
    /// and looks at the projection of the run from then on.
    pub(super) const NO_FORECAST: Self = Self { schedules: None, samples: Some(0), like: None };

    /// As much as by default, with the luck of another plan: what differs then is the plans.
    pub(super) fn like(plan: Option<Digest>) -> Self {
        Self { like: plan, ..Self::default() }
    }
}

/// Reads, checks and plans a runbook. What is wrong is shown.
pub(super) fn make(
    runbook: &Path,
    selection: &Selection,
    skips: &[(String, Option<String>)],
    effort: Effort,
    past: Option<&Path>,
    out: &Out,
) -> Result<(Plan, Examined), Exit> {
    let examined = Examined::read(runbook).map_err(|error| out.fail(&error, Exit::NotReady))?;
    let (mut plan, examined) = plan_of(examined, selection, skips, effort, past, out)?;
    if let Some((_, catalog)) = &examined.runbook {
        files::add(&mut plan, catalog);
    }
    Ok((plan, examined))
}

/// Plans a runbook that was read. What is wrong is shown.
pub(super) fn plan_of(
    examined: Examined,
    selection: &Selection,
    skips: &[(String, Option<String>)],
    effort: Effort,
    past: Option<&Path>,
    out: &Out,
) -> Result<(Plan, Examined), Exit> {
    let Effort { schedules, samples, like } = effort;
    let Some((read, catalog)) = examined.runbook.as_ref().filter(|_| examined.errors() == 0) else {
        show(&examined.errors_only(), out);
        return Err(Exit::Invalid);
    };
    let is_secret = |name: &str| read.document.inputs.get(name).is_some_and(|it| it.secret);
    secret_input::files(&selection.inputs, is_secret, out)?;
    let request = PlanRequest {
        environment: selection.env.clone(),
        inputs: inputs(&selection.inputs, is_secret),
        phases: selection.phases.clone(),
        mode: selection.mode.unwrap_or(Mode::Live),
        style: selection.style,
        skips: skips
            .iter()
            .map(|(step, reason)| Skip {
                step: StepId::from(step.as_str()),
                reason: reason.clone(),
            })
            .collect(),
        parallelism: selection.parallelism,
        effort: schedules,
    };
    let estimates = past.map_or_else(Estimates::default, |folder| {
        let environment = archive::environment(&read.document, selection.env.as_deref());
        let mode = selection.mode.unwrap_or(Mode::Live);
        archive::estimates(folder, &read.document.runbook.value, environment, mode)
    });
    match planner::plan(read, catalog, &request, &estimates) {
        Ok(mut plan) => {
            let standard = planner::forecast::standard_samples(plan.steps.len());
            let samples = samples.unwrap_or(standard);
            planner::forecast::forecast(&mut plan, &estimates, samples, like.as_ref());
            Ok((plan, examined))
        }
        Err(problems) => {
            show(&examined.with_problems(&problems), out);
            Err(Exit::Invalid)
        }
    }
}

/// What is given of the inputs, but the secret ones: a plan does without.
fn inputs(
    given: &[(String, String)],
    is_secret: impl Fn(&str) -> bool,
) -> BTreeMap<String, InputValue> {
    let told = given.iter().filter(|(name, _)| !is_secret(name));
    told.map(|(name, value)| (name.clone(), InputValue::Text(value.clone()))).collect()
}
