use dr_plugin::ErrorClass;

use crate::plan::{FAILED_INSIDE, undone_by};

use super::{Damage, GateView, Open, Phase, QuestionView, StepView, View, clean_line};
use crate::event::{CancelRequest, RequestKind, RunFinished, SkipReason, StepState, Verdict};
use crate::plan::Gate;

/// One thing that a person can do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What, and why: one sentence.
    pub what: String,
    /// The command that does it, ready to be pasted into a shell.
    pub command: Option<String>,
}

impl Advice {
    fn say(what: impl Into<String>) -> Self {
        Self { what: what.into(), command: None }
    }

    fn run(what: impl Into<String>, command: impl Into<String>) -> Self {
        Self { what: what.into(), command: Some(command.into()) }
    }
}

/// How many failed steps are named one by one.
const NAMED: usize = 5;

/// The answer to "what do I do now?", most urgent first; never empty. `alive`: whether a process
/// works on the run, which the journal cannot tell.
#[must_use]
pub fn what_now(view: &View, alive: bool) -> Vec<Advice> {
    let run = view.spoken();
    if let Some(damage) = view.damage() {
        return past_damage(view, damage, alive);
    }
    match view.phase() {
        Phase::New => vec![Advice::say("nothing has been recorded yet: no step was started")],
        Phase::Finished(finished) => {
            let mut advice = after_verdict(view, finished, &run);
            advice.extend(view.left_open(alive).into_iter().map(|(opener, closing)| {
                let what = format!(
                    "{} stays open until {closing} has run. To close it and leave the rest",
                    opener.id
                );
                Advice::run(what, format!("dr cancel {run} --reason 'REASON' && dr resume {run}"))
            }));
            advice
        }
        Phase::Paused(_) => {
            let mut advice = open(view, &run);
            for (opener, closing) in view.held_open() {
                advice.push(Advice::say(format!(
                    "{} stays open meanwhile: {closing} closes it, at the end of the run",
                    opener.id
                )));
            }
            let go_on = if view.open().is_empty() {
                "go on: the run was paused and keeps its place"
            } else {
                "then go on: the run is paused and keeps its place"
            };
            advice.push(Advice::run(go_on, format!("dr resume {run}")));
            advice
        }
        Phase::Open if alive => alive_now(view, &run),
        Phase::Open => {
            let mut advice = vec![Advice::run(
                "no process works on this run: it was killed, or its machine stopped. Go on where \
                 it was; what was under way is looked up, repeated only if it may be, else asked \
                 about",
                format!("dr resume {run}"),
            )];
            advice.extend(open(view, &run));
            advice
        }
    }
}

/// What the journal no longer tells may have been done.
fn past_damage(view: &View, damage: &Damage, alive: bool) -> Vec<Advice> {
    let mut advice = vec![Advice::say(format!(
        "put journal.jsonl back from a copy, if there is one: {damage}, and what the run did from \
         there on is not known"
    ))];
    advice.extend(view.past_damage(damage).filter(|_| !alive).map(|command| {
        Advice::run(
            "or, once you have looked at what it had done, go on without what follows: steps that \
             were not over by then are looked up, repeated only if they may be, else asked about",
            command,
        )
    }));
    advice
}

fn alive_now(view: &View, run: &str) -> Vec<Advice> {
    let mut advice = open(view, run);
    match view.cancel().map(|cancel| cancel.level) {
        Some(CancelRequest::Drain) => advice.push(Advice::run(
            "wait: the run is stopping and lets running steps finish. To stop these as well, \
             cancel once more",
            format!("dr cancel {run}"),
        )),
        Some(CancelRequest::Stop) => {
            advice.push(Advice::say("wait: the run is stopping its running steps"));
        }
        None if view.pause().is_some() => advice.push(Advice::say(
            "wait: the run is pausing and lets running steps finish; then go on with `dr resume`",
        )),
        None if advice.is_empty() => advice.push(Advice::run(
            "nothing: the run goes on by itself. To look on",
            format!("dr watch {run}"),
        )),
        None => {}
    }
    advice
}

fn after_verdict(view: &View, finished: &RunFinished, run: &str) -> Vec<Advice> {
    let quoted = run;
    match finished.verdict {
        Verdict::Succeeded => {
            let warned = view.steps().iter().filter(|step| step.state == StepState::Warned).count();
            let mut advice = vec![Advice::run(
                "nothing: the run is done. Its report",
                format!("dr report {quoted}"),
            )];
            if warned > 0 {
                let steps = if warned == 1 { "one step" } else { "some steps" };
                advice.push(Advice::run(
                    format!("read the warnings of {steps}"),
                    format!("dr show {quoted}"),
                ));
            }
            advice
        }
        Verdict::ObjectiveMissed => {
            let missed: Vec<&str> = finished
                .services
                .iter()
                .filter(|service| service.met_rto == Some(false) || service.met_rpo == Some(false))
                .map(|service| service.name.as_str())
                .chain(
                    finished
                        .spans
                        .iter()
                        .filter(|span| span.met == Some(false))
                        .map(|span| span.name.as_str()),
                )
                .collect();
            vec![Advice::run(
                format!(
                    "nothing to repair: everything was done, but not within the objectives of {}. \
                     The report says where the time went",
                    list(&missed)
                ),
                format!("dr report {quoted}"),
            )]
        }
        Verdict::Failed => {
            let mut advice = failures(view, run);
            advice.extend(passed_over(view, run));
            advice.extend(open(view, run));
            if advice.is_empty() {
                advice.push(Advice::run(
                    "go on where the run stopped",
                    format!("dr resume {quoted}"),
                ));
            }
            advice
        }
        Verdict::Stuck => {
            let mut advice = vec![Advice::say(
                "something is half done: a step that should have closed, cleaned up or taken back \
                 what another had done did not succeed",
            )];
            advice.extend(half_done(view, run));
            advice
        }
        Verdict::Cancelled => {
            let mut advice =
                vec![Advice::run("to go on where it was stopped", format!("dr resume {quoted}"))];
            advice.extend(failures(view, run));
            advice
        }
        Verdict::Unwound => {
            let plan = view.plan();
            let mut advice = vec![Advice::say(
                "what could be taken back was: mend the cause, then start a new run, or let this \
                 one begin anew",
            )];
            advice.extend(view.steps().iter().filter(|step| step.has_failed()).take(1).map(
                |step| {
                    Advice::run(
                        "what failed",
                        format!("dr show {quoted} {}", quote(step.id.as_str())),
                    )
                },
            ));
            advice.push(Advice::say(format!(
                "a new run of {} in {} starts from the beginning",
                plan.runbook, plan.environment
            )));
            let failed = view.steps().iter().find(|step| step.has_failed());
            advice.push(Advice::run(
                "this run does again what was taken back, and keeps its clock",
                match failed {
                    Some(step) => {
                        format!("dr resume {quoted} --retry {}", quote(step.id.as_str()))
                    }
                    None => format!("dr resume {quoted}"),
                },
            ));
            advice
        }
    }
}

/// What waits for people, oldest first.
fn open(view: &View, run: &str) -> Vec<Advice> {
    let mut advice = Vec::new();
    for open in view.open() {
        match open {
            Open::Gate(step, gate) => {
                let planned = view.planned(step.id.as_str());
                let asked = planned.and_then(|step| step.approve.as_ref());
                let inputs = asked.map(input_options).unwrap_or_default();
                gate_advice(step, gate, run, &inputs, &mut advice);
            }
            Open::Question(step, question) => {
                question_advice(view, step, question, run, &mut advice);
            }
            Open::Unwinding(unwinding) => {
                advice.push(Advice::run(
                    format!("{} To take everything back", unwinding.question()),
                    format!("dr cancel {run} --undo --reason 'REASON'"),
                ));
                advice.push(Advice::run(
                    "or leave it as it is",
                    format!("dr cancel {run} --reason 'REASON'"),
                ));
            }
        }
    }
    advice
}

/// What must be given to approve a gate, as options of `dr approve`.
#[must_use]
pub fn input_options(gate: &Gate) -> String {
    let asked = gate.inputs.iter().filter(|asked| asked.default.is_none());
    asked.fold(String::new(), |options, asked| options + " --input " + &asked.name + "=VALUE")
}

fn gate_advice(
    step: &StepView,
    gate: &GateView,
    run: &str,
    inputs: &str,
    advice: &mut Vec<Advice>,
) {
    let id = quote(step.id.as_str());
    let people = match gate.approvers {
        0 | 1 => String::new(),
        of => format!(" ({} of {of} people have approved)", gate.approvals()),
    };
    advice.push(Advice::run(
        format!("{} asks{people}: {}", step.id, clean_line(&gate.message)),
        format!("dr approve {run} {id}{inputs}"),
    ));
    advice.push(Advice::run("or refuse", format!("dr approve {run} {id} --reject 'REASON'")));
}

fn question_advice(
    view: &View,
    step: &StepView,
    question: &QuestionView,
    run: &str,
    advice: &mut Vec<Advice>,
) {
    advice.push(Advice::run(
        format!("{} waits for an answer: {}", step.id, clean_line(&question.message)),
        format!("dr logs {run} {}", quote(step.id.as_str())),
    ));
    for option in &question.options {
        advice.extend(answer(view, step, *option, run));
    }
}

fn answer(view: &View, step: &StepView, option: RequestKind, run: &str) -> Option<Advice> {
    let id = quote(step.id.as_str());
    Some(match option {
        RequestKind::Retry if step.state == StepState::Unknown => Advice::run(
            "look again: ask its check once more",
            format!("dr resume {run} --retry {id}"),
        ),
        RequestKind::Retry => Advice::run("go on at the part that failed", retry(view, step, run)),
        RequestKind::Redo => {
            Advice::run("run its action again", format!("dr resume {run} --redo {id}"))
        }
        RequestKind::Skip => Advice::run(
            "pass it over; what needs it stays blocked if it failed",
            format!("dr resume {run} --skip {id} --reason 'REASON'"),
        ),
        RequestKind::AssumeDone => Advice::run(
            "it was done: you have looked",
            format!("dr resume {run} --assume {id}=done --reason 'REASON'"),
        ),
        RequestKind::AssumeNotDone => Advice::run(
            "it was not done: you have looked, and it is launched again",
            format!("dr resume {run} --assume {id}=not-done --reason 'REASON'"),
        ),
        RequestKind::Fail | RequestKind::Reject => {
            Advice::run("count it as failed", format!("dr approve {run} {id} --reject 'REASON'"))
        }
        RequestKind::Approve => Advice::run("approve", format!("dr approve {run} {id}")),
        RequestKind::Cancel => Advice::run("stop the run", format!("dr cancel {run}")),
        // Asked by cancelling twice; a command of its own would only repeat the line above.
        RequestKind::CancelNow | RequestKind::Pause => return None,
        RequestKind::Undo | RequestKind::CancelUndo => {
            Advice::run("take back what was done", format!("dr cancel {run} --undo"))
        }
    })
}

/// The command that tries a step once more, together with what it read.
fn retry(view: &View, step: &StepView, run: &str) -> String {
    let measured = view.measured(step);
    let redo = measured.iter().map(|step| format!(" --redo {}", quote(step.as_str())));
    format!("dr resume {run}{} --retry {}", redo.collect::<String>(), quote(step.id.as_str()))
}

/// What can be done about each step that failed, in the order in which they failed.
fn failures(view: &View, run: &str) -> Vec<Advice> {
    // What failed inside a group is what can be mended.
    let is_group =
        |step: &StepView| step.error.as_ref().is_some_and(|error| error.code == FAILED_INSIDE);
    let failed = view.steps().iter().filter(|step| step.has_failed() && !is_group(step));
    let mut failed: Vec<&StepView> = failed.collect();
    failed.sort_by_key(|step| step.finished_ms);
    let quoted = run;
    let mut advice = Vec::new();
    for step in failed.iter().take(NAMED) {
        let id = quote(step.id.as_str());
        let cause = step.error.as_ref().map(|error| clean_line(&error.message));
        let what = match cause {
            Some(cause) => format!("{} failed: {cause}", step.id),
            None => format!("{} failed", step.id),
        };
        advice.push(Advice::run(what, format!("dr show {quoted} {id}")));
        if let Some(help) = step.error.as_ref().and_then(|error| error.help.as_deref()) {
            advice.push(Advice::say(clean_line(help)));
        }
        let mend = match step.error.as_ref().map(|error| error.class) {
            Some(ErrorClass::Denied) => "once it is permitted",
            Some(ErrorClass::Transient) => "once the target answers again",
            _ => "once the cause is mended",
        };
        let measured = view.measured(step);
        let mend = if measured.is_empty() {
            mend.to_owned()
        } else {
            let names: Vec<&str> = measured.iter().map(|step| step.as_str()).collect();
            format!("{mend}: {} tells anew what {} reads", list(&names), step.id)
        };
        advice.push(Advice::run(mend, retry(view, step, run)));
        advice.push(Advice::run(
            "or, if you have done by hand what it should do",
            format!("dr resume {quoted} --assume {id}=done --reason 'REASON'"),
        ));
    }
    if failed.len() > NAMED {
        advice.push(Advice::run(
            format!("{} more steps failed", failed.len() - NAMED),
            format!("dr show {quoted}"),
        ));
    }
    advice
}

/// What can be done about each step that left something half done: not about the step that it
/// should have taken back, nor about why that was wanted.
fn half_done(view: &View, run: &str) -> Vec<Advice> {
    let mut advice = Vec::new();
    for (step, left) in half_done_steps(view) {
        let id = quote(step.id.as_str());
        let cause = step.error.as_ref().map(|error| clean_line(&error.message));
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        let how = if left { "was left out" } else { "failed" };
        let what = format!("{} {how}{cause}", step.id);
        advice.push(Advice::run(what, format!("dr show {run} {id}")));
        if !left {
            advice.push(Advice::run(
                "once the cause is mended",
                format!("dr resume {run} --retry {id}"),
            ));
        }
        advice.push(Advice::run(
            "or, if you have done by hand what it should do",
            format!("dr resume {run} --assume {id}=done --reason 'REASON'"),
        ));
    }
    advice
}

/// The steps that left something half done, and whether each was left out instead of failing.
pub(super) fn half_done_steps(view: &View) -> Vec<(&StepView, bool)> {
    let closes = |step: &StepView| {
        let planned = view.planned(step.id.as_str());
        planned.is_some_and(|planned| {
            planned.closes.is_some() || planned.phase == Some(crate::words::Phase::Cleanup)
        })
    };
    let undoes = |step: &StepView| undone_by(step.id.as_str()).is_some();
    let left = |step: &StepView| {
        undoes(step) && step.skipped.as_ref().is_some_and(|it| it.reason == SkipReason::Person)
    };
    let wrong =
        |step: &StepView| (step.has_failed() && (undoes(step) || closes(step))) || left(step);
    // Where several steps take one back, those that did not tell more than the end of them.
    let told_by_a_part = |end: &StepView| {
        let group = view.planned(end.id.as_str()).and_then(|step| step.group.as_ref());
        let mut parts = group.into_iter().flat_map(|group| &group.undoing);
        parts.any(|part| view.step(part.id.as_str()).is_some_and(StepView::has_failed))
    };
    let steps = view.steps().iter().filter(|step| wrong(step) && !told_by_a_part(step));
    steps.map(|step| (step, left(step))).collect()
}

/// Steps that failed and were passed over then: the run cannot succeed without them.
fn passed_over(view: &View, run: &str) -> Vec<Advice> {
    let failed = |step: &&StepView| step.state == StepState::Skipped && step.failed_before_skip;
    let steps = view.steps().iter().filter(failed).take(NAMED);
    steps
        .flat_map(|step| {
            let id = quote(step.id.as_str());
            [
                Advice::run(
                    format!(
                        "{} failed and was passed over, so the run has failed. To run it again",
                        step.id
                    ),
                    format!("dr resume {run} --redo {id}"),
                ),
                Advice::run(
                    "or, if what it should do is done",
                    format!("dr resume {run} --assume {id}=done --reason 'REASON'"),
                ),
            ]
        })
        .collect()
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "no service".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `text` as one word of a POSIX shell.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
