use super::wording::{
    attempt_name, error_text, lost_text, paused_for, request_word, skip_reason, state_tone,
    verdict_tone,
};
use crate::event::{
    AttemptFinished, CancelRequest, Event, EventKind, Next, Outcome, Purpose, Reopening, Request,
    RunFinished, RunStarted, StepFinished, StepState,
};
use crate::time::{Millis, ToSecond};
use crate::view::{StepView, View, clean_line, quote, value_text};

/// How a fact is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// What was hoped for.
    Good,
    /// Worth a look.
    Warning,
    /// Not what was hoped for.
    Bad,
    /// Somebody must act.
    Asks,
    /// Detail.
    Faint,
    /// A heading.
    Strong,
}

/// One line about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about: `run`, `service database`, `step promote`.
    pub subject: String,
    /// What is said of it: one line without escapes.
    pub text: String,
    /// How it is to be taken.
    pub tone: Tone,
    /// Whether it is a step on the way, of interest only to one who reads every line.
    pub detail: bool,
}

impl Fact {
    fn new(subject: impl Into<String>, tone: Tone, text: impl AsRef<str>) -> Self {
        Self { subject: subject.into(), text: clean_line(text.as_ref()), tone, detail: false }
    }

    fn detail(subject: impl Into<String>, text: impl AsRef<str>) -> Self {
        Self { detail: true, ..Self::new(subject, Tone::Faint, text) }
    }
}

/// What an event says, one line a fact. `view` has taken the event in.
#[must_use]
pub fn facts(view: &View, event: &Event) -> Vec<Fact> {
    match &event.kind {
        EventKind::RunStarted(started) => run_started(started, event),
        EventKind::RunResumed { session, by, reason, .. } => {
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            vec![Fact::new("run", Tone::Strong, format!("resumed by {by}, session {session}{why}"))]
        }
        EventKind::LossAccepted(lost) => vec![Fact::new(
            "run",
            Tone::Warning,
            format!(
                "goes on without what followed record {} ({} bytes), as {} decided: steps that may \
                 have been started in it are looked up before they start",
                lost.record.saturating_sub(1),
                lost.bytes,
                lost.by
            ),
        )],
        EventKind::RunPaused { waiting } => {
            let mut facts =
                vec![Fact::new("run", Tone::Asks, format!("paused: {}", paused_for(waiting)))];
            facts.extend(held_open(view));
            facts
        }
        EventKind::PauseRequested { by, reason } => {
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let text = format!("asked to pause by {by}{why}; starts nothing new");
            vec![Fact::new("run", Tone::Warning, text)]
        }
        EventKind::PreflightFinished { findings } => findings
            .iter()
            .flat_map(|finding| {
                let tone = match finding.status.as_str() {
                    "unreachable" | "denied" => Tone::Bad,
                    _ => Tone::Plain,
                };
                let status = finding.status.replace('_', " ");
                let subject = format!("preflight {}", finding.step);
                if finding.lines.is_empty() {
                    return vec![Fact::new(subject, tone, status)];
                }
                finding
                    .lines
                    .iter()
                    .map(|line| Fact::new(&*subject, tone, format!("{status}: {line}")))
                    .collect()
            })
            .collect(),
        EventKind::StepSkipped { step, reason, by, note } => {
            let who = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            let text = format!("skipped{who}, {}{note}", skip_reason(*reason));
            vec![Fact::new(of_step(step), Tone::Faint, text)]
        }
        EventKind::StepBlocked { step, by } => {
            let by: Vec<&str> = by.iter().map(crate::id::StepId::as_str).collect();
            vec![Fact::new(of_step(step), Tone::Warning, format!("blocked by {}", by.join(", ")))]
        }
        EventKind::StepCancelled { step } => {
            vec![Fact::new(of_step(step), Tone::Warning, "cancelled before it started")]
        }
        EventKind::ApprovalRequested { step, message, approvers, deadline, .. } => {
            let people =
                if *approvers > 1 { format!(" of {approvers} people") } else { String::new() };
            let until = deadline.map_or_else(String::new, |deadline| {
                let left = deadline.as_millisecond() - event.at.as_millisecond();
                format!(", rejected by itself in {}", Millis(left.max(0) as u64).short())
            });
            vec![
                Fact::new(
                    of_step(step),
                    Tone::Asks,
                    format!("asks for approval{people}{until}: {message}"),
                ),
                Fact::new(of_step(step), Tone::Asks, approve_with(view, step.as_str())),
            ]
        }
        EventKind::ApprovalReminded { step, .. } => {
            let gate = view.step(step.as_str()).and_then(StepView::open_gate);
            let since = gate.map_or(0, |gate| event.elapsed_ms.saturating_sub(gate.asked_ms));
            let message = gate.map_or("", |gate| gate.message.as_str());
            let text = format!("still asks for approval, for {}: {message}", Millis(since).short());
            vec![
                Fact::new(of_step(step), Tone::Asks, text),
                Fact::new(of_step(step), Tone::Asks, approve_with(view, step.as_str())),
            ]
        }
        EventKind::ApprovalAnswered { step, approved, by, reason, settled, inputs, .. } => {
            let word = if *approved { "approved" } else { "rejected" };
            let who = by
                .as_ref()
                .map_or_else(|| " by itself: its time was up".to_owned(), |by| format!(" by {by}"));
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let more = if *settled { "" } else { " (more people must answer)" };
            let tone = if *approved { Tone::Good } else { Tone::Bad };
            let told: Vec<String> = inputs
                .iter()
                .map(|(name, value)| format!("{name} = {}", value_text(value)))
                .collect();
            let told =
                if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
            vec![Fact::new(of_step(step), tone, format!("{word}{who}{told}{why}{more}"))]
        }
        EventKind::QuestionAsked { step, message, options, .. } => {
            let options: Vec<&str> = options.iter().copied().map(request_word).collect();
            vec![Fact::new(
                of_step(step),
                Tone::Asks,
                format!("waits for an answer ({}): {message}", options.join(", ")),
            )]
        }
        EventKind::RequestAccepted { request } => {
            vec![Fact::new(request_subject(request), Tone::Plain, request_text(request))]
        }
        EventKind::RequestRefused { request, why } => {
            let text = format!("{}: refused: {why}", request_text(request));
            vec![Fact::new(request_subject(request), Tone::Warning, text)]
        }
        EventKind::StepSleeping { step, until } => {
            let left = until.as_millisecond() - event.at.as_millisecond();
            let left = Millis(left.max(0) as u64).short();
            let until = until.strftime("%H:%M:%SZ");
            vec![Fact::new(of_step(step), Tone::Plain, format!("waits for {left}, until {until}"))]
        }
        EventKind::AttemptStarted { step, attempt, purpose, launch, .. } => {
            let what = attempt_name(*purpose, *attempt);
            let shown = view.step(step.as_str());
            let how = match *launch {
                0 | 1 => "started".to_owned(),
                _ if shown.is_some_and(|step| step.joins) => "goes on".to_owned(),
                launch => format!("started, launch {launch} with the same key"),
            };
            let uses = shown
                .and_then(|step| step.uses.as_deref())
                .map(|uses| format!(": {uses}"))
                .unwrap_or_default();
            let host = shown
                .and_then(|step| step.host.as_deref())
                .map(|host| format!(" on {host}"))
                .unwrap_or_default();
            vec![Fact::detail(of_step(step), format!("{what} {how}{uses}{host}"))]
        }
        EventKind::AttemptFinished(finished) => attempt_finished(finished, event),
        // That a group begins says what begins inside it.
        EventKind::StepFinished(finished)
            if finished.state == StepState::Succeeded && begins(view, &finished.step) =>
        {
            Vec::new()
        }
        EventKind::StepFinished(finished) => step_finished(finished),
        EventKind::StepReset { step, redo, by, reason } => {
            let what =
                if *redo { "put back, from its action on" } else { "put back, where it failed" };
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            vec![Fact::new(of_step(step), Tone::Plain, format!("{what}, by {by}{why}"))]
        }
        EventKind::ServiceFinished { service, recovered, rta_ms } => {
            let rto = view.plan().service(service.as_str()).and_then(|service| service.rto_ms);
            let subject = format!("service {service}");
            if !recovered {
                return vec![Fact::new(subject, Tone::Bad, "not recovered")];
            }
            let after = rta_ms.map_or_else(String::new, |rta| {
                format!(" {} after the declaration", Millis(rta).short())
            });
            let (tone, objective) = match (rta_ms, rto) {
                (Some(rta), Some(rto)) if *rta > rto => (
                    Tone::Bad,
                    format!(
                        " (RTO {}: missed by {})",
                        Millis(rto).short(),
                        Millis(rta - rto).short()
                    ),
                ),
                (Some(_), Some(rto)) => {
                    (Tone::Good, format!(" (RTO {}: met)", Millis(rto).short()))
                }
                _ => (Tone::Good, String::new()),
            };
            vec![Fact::new(subject, tone, format!("recovered{after}{objective}"))]
        }
        EventKind::RtoAtRisk { service, rto_ms, expected_ms } => {
            let late = Millis(expected_ms.saturating_sub(*rto_ms)).short();
            let text = format!(
                "RTO at risk: expected {} after the declaration, {late} later than its RTO of {}",
                Millis(*expected_ms).short(),
                Millis(*rto_ms).short()
            );
            vec![Fact::new(format!("service {service}"), Tone::Warning, text)]
        }
        EventKind::RtoOnTrack { service, rto_ms, expected_ms } => {
            let spare = Millis(rto_ms.saturating_sub(*expected_ms)).short();
            let text = format!(
                "RTO on track again: expected {} after the declaration, {spare} to spare",
                Millis(*expected_ms).short()
            );
            vec![Fact::new(format!("service {service}"), Tone::Good, text)]
        }
        EventKind::CancelRequested { by, level, reason } => {
            let what = match level {
                CancelRequest::Drain => "starts nothing new, lets running steps finish",
                CancelRequest::Stop => "stops running steps now",
            };
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            vec![Fact::new("run", Tone::Warning, format!("cancelled by {by}{why}; {what}"))]
        }
        EventKind::UnwindingStarted { cause, by, reason } => {
            let because = match (cause, by) {
                (Some(cause), _) => format!(" because {cause} failed"),
                (None, Some(by)) => format!(" on request of {by}"),
                (None, None) => String::new(),
            };
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let text = format!("takes back what was done{because}{why}");
            vec![Fact::new("run", Tone::Warning, text)]
        }
        EventKind::UnwindingAsked { past } => {
            let past: Vec<_> = past.iter().map(crate::id::StepId::as_str).collect();
            let run = view.spoken();
            let text = format!(
                "asks: taking back what was done goes back past the point of no return ({})",
                past.join(", ")
            );
            vec![
                Fact::new("run", Tone::Asks, text),
                Fact::new("run", Tone::Asks, format!("take it back with: dr cancel {run} --undo")),
                Fact::new("run", Tone::Asks, format!("leave it as it is with: dr cancel {run}")),
            ]
        }
        EventKind::StepsReopened { steps, because } => {
            let steps: Vec<&str> = steps.iter().map(crate::id::StepId::as_str).collect();
            let why = match because {
                Reopening::Closed => "opens again what was closed",
                Reopening::TakenBack => "begins anew what was taken back",
            };
            vec![Fact::new("run", Tone::Plain, format!("{why}: {}", steps.join(", ")))]
        }
        EventKind::UnwindingAnswered { go_on, by, reason, .. } => {
            let what = if *go_on { "undo" } else { "leave it as it is" };
            let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            vec![Fact::new("run", Tone::Warning, format!("{by} says: {what}{why}"))]
        }
        EventKind::Expanded { step, items } => {
            let names: Vec<String> = crate::plan::elements(items)
                .unwrap_or_default()
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            let text = format!("goes over {}: {}", names.len(), names.join(", "));
            vec![Fact::new(format!("step {step}"), Tone::Plain, text)]
        }
        EventKind::RoundStarted { step, round, held } => {
            let so_far = match held {
                0 => String::new(),
                1 => "; its condition held after the last one".to_owned(),
                held => format!("; its condition held after the last {held}"),
            };
            let text = format!("round {round}{so_far}");
            vec![Fact::new(format!("step {step}"), Tone::Plain, text)]
        }
        EventKind::ClockMoved { by_ms } => {
            let way = if *by_ms < 0 { "back" } else { "forward" };
            let by = Millis(by_ms.unsigned_abs());
            vec![Fact::new("run", Tone::Warning, format!("the wall clock was moved {way} by {by}"))]
        }
        EventKind::RunFinished(finished) => {
            let mut facts = run_finished(finished);
            facts.extend(held_open(view));
            facts
        }
    }
}

fn run_started(started: &RunStarted, event: &Event) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new(
            "run",
            Tone::Strong,
            format!(
                "{} of {} in {}, {}, {}, by {}",
                started.run,
                started.runbook,
                started.environment,
                started.mode,
                started.style,
                started.by
            ),
        ),
        Fact::detail("run", format!("plan {}, dr {}", started.plan_digest, started.version)),
    ];
    let since = event.at.as_millisecond() - started.declared_at.as_millisecond();
    if since > 0 {
        let text = format!(
            "declared at {}, {} ago: the RTA clock runs since then",
            ToSecond(started.declared_at),
            Millis(since as u64).short()
        );
        facts.push(Fact::new("run", Tone::Plain, text));
    }
    if started.incident_at != started.declared_at {
        let at = ToSecond(started.incident_at);
        facts.push(Fact::new("run", Tone::Plain, format!("incident at {at}")));
    }
    facts
}

fn attempt_finished(finished: &AttemptFinished, event: &Event) -> Vec<Fact> {
    let what = attempt_name(finished.purpose, finished.attempt);
    let subject = of_step(&finished.step);
    let took = Millis(finished.duration_ms).short();
    let then = match &finished.next {
        Next::Proceed => "",
        Next::Launch { joins: true, .. } => "; its end is waited for",
        Next::Launch { at, fresh, .. } => {
            let key = if *fresh { "" } else { " with the same key" };
            let wait = at.map_or(0, |at| at.as_millisecond() - event.at.as_millisecond());
            match u64::try_from(wait) {
                Ok(wait) if wait > 0 => {
                    &format!("; launched again{key} in {}", Millis(wait).short())
                }
                _ => &format!("; launched again{key}"),
            }
        }
        Next::Again { at } => {
            let wait = at.as_millisecond() - event.at.as_millisecond();
            let wait = Millis(wait.max(0) as u64).short();
            if matches!(finished.purpose, Purpose::Repeat | Purpose::Validate) {
                let text = match &finished.error {
                    Some(error) => {
                        format!("{what}: not yet ({}), read again every {wait}", error_text(error))
                    }
                    None => format!("{what}: not yet, next in {wait}"),
                };
                return vec![Fact::detail(subject, text)];
            }
            &format!("; again in {wait}")
        }
        Next::Check => "; its outcome is checked",
        Next::Ask if finished.outcome == Outcome::Unknown || finished.purpose == Purpose::Check => {
            "; somebody must say whether it was done"
        }
        Next::Ask => "; somebody must choose how to go on",
    };
    let error =
        finished.error.as_ref().map(|error| format!(": {}", error_text(error))).unwrap_or_default();
    match finished.outcome {
        Outcome::Succeeded if finished.error.is_some() => vec![Fact::new(
            subject,
            Tone::Warning,
            format!("{what} is done after {took}, but{error}{then}"),
        )],
        Outcome::Succeeded => {
            if let Some(expected) = &finished.expected {
                let text = format!("{what} failed as it must: {}{then}", error_text(expected));
                return vec![Fact::new(subject, Tone::Plain, text)];
            }
            vec![Fact::detail(subject, format!("{what} succeeded after {took}{then}"))]
        }
        // The check has answered; the error is that of the attempt that it was about.
        Outcome::Failed
            if finished.purpose == Purpose::Check
                && matches!(finished.next, Next::Launch { .. }) =>
        {
            let joins = matches!(finished.next, Next::Launch { joins: true, .. });
            let found = if joins { "it still runs" } else { "it is not done yet" };
            let text = format!("{what} after {took}: {found}{then}");
            vec![Fact::new(subject, Tone::Plain, text)]
        }
        Outcome::Failed => vec![Fact {
            // The step's own end says it again.
            detail: matches!(finished.next, Next::Proceed),
            ..Fact::new(subject, Tone::Warning, format!("{what} failed after {took}{error}{then}"))
        }],
        Outcome::TimedOut => vec![Fact::new(
            subject,
            Tone::Warning,
            format!("{what} was given up after {took}: its time was up{then}"),
        )],
        Outcome::Cancelled => {
            vec![Fact::new(
                subject,
                Tone::Warning,
                format!("{what} was stopped after {took}{then}"),
            )]
        }
        Outcome::Unknown => vec![Fact::new(
            subject,
            Tone::Warning,
            format!("{what} may or may not have been applied{error}{then}"),
        )],
    }
}

fn step_finished(finished: &StepFinished) -> Vec<Fact> {
    let subject = of_step(&finished.step);
    let mut facts = Vec::new();
    let took = Millis(finished.duration_ms).short();
    let people = match finished.gate_ms {
        0 => String::new(),
        gate => format!(", {} of it waiting for people", Millis(gate).short()),
    };
    let who = match (&finished.by, &finished.reason) {
        (Some(by), Some(reason)) => format!(", as {by} says: {reason}"),
        (Some(by), None) => format!(", as {by} says"),
        (None, Some(reason)) => format!(" ({reason})"),
        (None, None) => String::new(),
    };
    let error =
        finished.error.as_ref().map(|error| format!(": {}", error_text(error))).unwrap_or_default();
    let word = finished.state.as_str().replace('_', " ");
    facts.push(Fact::new(
        &*subject,
        state_tone(finished.state),
        format!("{word} in {took}{people}{who}{error}"),
    ));
    if let Some(help) = finished.error.as_ref().and_then(|error| error.help.as_deref()) {
        facts.push(Fact::new(&*subject, Tone::Plain, format!("help: {help}")));
    }
    for warning in &finished.warnings {
        facts.push(Fact::new(&*subject, Tone::Warning, format!("warning: {warning}")));
    }
    if let Some(point) = finished.recovery_point {
        facts.push(Fact::new(&*subject, Tone::Plain, format!("recovery point {point}")));
    }
    for (name, value) in &finished.outputs {
        facts.push(Fact::detail(&*subject, format!("output {name} = {}", value_text(value))));
    }
    facts
}

/// What nothing closes before the run goes on.
fn held_open(view: &View) -> Vec<Fact> {
    let open = view.left_open(false).into_iter().map(|(opener, closing)| {
        let text = format!("held open: {}, until {closing} has run", opener.id);
        Fact::new("run", Tone::Warning, text)
    });
    open.collect()
}

fn run_finished(finished: &RunFinished) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    for service in &finished.services {
        let subject = format!("service {}", service.name);
        let ms =
            |value: Option<u64>| value.map_or_else(|| "none".to_owned(), |ms| Millis(ms).short());
        let met = |objective: Option<u64>, met: Option<bool>| match (objective, met) {
            (_, Some(true)) => "met",
            (_, Some(false)) => "missed",
            (Some(_), None) => "not measured",
            (None, None) => "no objective",
        };
        let lost = service.rpa_ms.map_or_else(|| "none".to_owned(), lost_text);
        let why = service.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let bad = service.met_rto == Some(false) || service.met_rpo == Some(false);
        // On a screen the summary that follows says it.
        facts.push(Fact {
            tone: if bad { Tone::Bad } else { Tone::Good },
            ..Fact::detail(
                subject,
                format!(
                    "RTO {}, RTA {}, {}; RPO {}, RPA {lost}, {}{why}",
                    ms(service.rto_ms),
                    ms(service.rta_ms),
                    met(service.rto_ms, service.met_rto),
                    ms(service.rpo_ms),
                    met(service.rpo_ms, service.met_rpo),
                ),
            )
        });
    }
    facts.extend(finished.spans.iter().map(|span| {
        let (tone, text) = super::spans::standing(span);
        Fact::new(format!("span {}", span.name), tone, text)
    }));
    let tone = verdict_tone(finished.verdict);
    let word = finished.verdict.as_str().replace('_', " ");
    facts.push(Fact::new("run", tone, format!("{word}: {}", finished.reason)));
    facts
}

fn of_step(step: &crate::id::StepId) -> String {
    format!("step {step}")
}

fn request_subject(request: &Request) -> String {
    request.step.as_ref().map_or_else(|| "run".to_owned(), of_step)
}

fn request_text(request: &Request) -> String {
    let why = request.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} asks: {}{why}", request.by, request_word(request.ask))
}

fn approve_with(view: &View, step: &str) -> String {
    let asked = view.planned(step).and_then(|step| step.approve.as_ref());
    let inputs = asked.map(crate::view::input_options).unwrap_or_default();
    format!("approve with: dr approve {} {}{inputs}", view.spoken(), quote(step))
}

fn begins(view: &View, step: &crate::id::StepId) -> bool {
    view.planned(step.as_str()).is_some_and(|step| step.opens.is_some() && step.is_joint())
}
