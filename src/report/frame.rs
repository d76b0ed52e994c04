use super::screen::{Cell, join, seconds};
use super::services::{name_width, service_line};
use super::wording::attempt_name;
use super::{Screen, Tone};
use crate::event::{CancelRequest, Purpose, StepState};
use crate::plan::Projection;
use crate::time::{Millis, Now};
use crate::view::{Open, ServiceView, StepView, View, WaitingFor, clean_line, quote};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How long each picture of the spinner stands, milliseconds.
const SPIN_MS: u64 = 100;
/// At least this many lines, however low the terminal is.
const LOWEST: usize = 6;
/// No more lines than this, however high the terminal is.
const HIGHEST: usize = 40;

/// The block that a terminal shows under the lines that have scrolled by: header, services, what
/// waits for people, what runs, what waits for what. No line is wider than the screen, and there
/// are fewer lines than it has.
#[must_use]
pub fn frame(view: &View, projection: &Projection, now: Now, screen: &Screen) -> Vec<String> {
    let room = screen.height.saturating_sub(1).clamp(LOWEST, HIGHEST);
    let mut lines = vec![header(view, projection, now)];
    let services = services(view, projection, now, screen, (room / 4).max(2));
    let asked = asked(view, now, (room / 4).max(2));
    let waiting = waiting(view, now, (room / 5).max(1));
    let left = room.saturating_sub(1 + services.len() + asked.len() + waiting.len()).max(1);
    lines.extend(services);
    lines.extend(asked);
    lines.extend(running(view, now, left));
    lines.extend(waiting);
    lines.truncate(room);
    lines.iter().map(|cells| join(screen, cells)).collect()
}

fn header(view: &View, projection: &Projection, now: Now) -> Vec<Cell> {
    let plan = view.plan();
    let counts = view.counts();
    let mut cells = vec![
        Cell::new(Tone::Strong, format!("{} in {}", plan.runbook, plan.environment)),
        format!(", {}, {}  ", plan.mode, plan.style).into(),
        Cell::new(Tone::Strong, seconds(now.elapsed_ms)),
        format!("  {}/{} steps", counts.over, counts.total).into(),
    ];
    if counts.failed > 0 {
        cells.push(Cell::new(Tone::Bad, format!(", {} failed", counts.failed)));
    }
    if counts.blocked > 0 {
        cells.push(Cell::new(Tone::Warning, format!(", {} blocked", counts.blocked)));
    }
    if counts.warned > 0 {
        cells.push(Cell::new(Tone::Warning, format!(", {} warned", counts.warned)));
    }
    match view.cancel().map(|cancel| cancel.level) {
        Some(CancelRequest::Drain) => {
            let text = ", stopping after running steps (again: stops them too)";
            cells.push(Cell::new(Tone::Warning, text));
        }
        Some(CancelRequest::Stop) => cells.push(Cell::new(Tone::Warning, ", stopping now")),
        None if counts.over < counts.total && projection.finish_ms > now.elapsed_ms => {
            let left = projection.finish_ms - now.elapsed_ms;
            cells.push(Cell::new(Tone::Faint, format!(", about {} left", Millis(left).short())));
        }
        None => {}
    }
    cells
}

fn services(
    view: &View,
    projection: &Projection,
    now: Now,
    screen: &Screen,
    room: usize,
) -> Vec<Vec<Cell>> {
    let mut services = view.services();
    if services.len() > room {
        // What still has to recover is shown, the most urgent of it first.
        services.sort_by_key(|service| (service.state.recovered == Some(true), service.priority));
    }
    let widest = name_width(&services);
    let bar = screen.width >= 70;
    let shown = if services.len() > room { room - 1 } else { services.len() };
    let mut lines: Vec<Vec<Cell>> = services[..shown]
        .iter()
        .map(|service| {
            let mut cells = vec![Cell::from("  ")];
            let live = Some((projection, now.elapsed_ms));
            cells.extend(service_line(view, service, live, widest, bar));
            cells
        })
        .collect();
    if shown < services.len() {
        lines.push(vec![Cell::new(Tone::Faint, rest_of(&services[shown..]))]);
    }
    lines
}

fn rest_of(services: &[ServiceView]) -> String {
    let recovered = services.iter().filter(|service| service.state.recovered == Some(true)).count();
    format!("  … and {} more services, {recovered} of them recovered", services.len())
}

fn asked(view: &View, now: Now, room: usize) -> Vec<Vec<Cell>> {
    let open = view.open();
    let run = view.spoken();
    let mut lines = Vec::new();
    for (position, open_one) in open.iter().enumerate() {
        if lines.len() + 2 > room && position > 0 {
            let more = open.len() - position;
            lines.push(vec![Cell::new(
                Tone::Asks,
                format!("? … and {more} more wait for a person"),
            )]);
            break;
        }
        let (step, message, deadline, command) = match open_one {
            Open::Gate(step, gate) => (step, &gate.message, gate.deadline, "approve"),
            Open::Question(step, question) => (step, &question.message, None, "show"),
            Open::Unwinding(unwinding) => {
                lines.push(vec![Cell::new(Tone::Asks, "? undo: "), unwinding.question().into()]);
                let command = format!("    dr cancel {run} --undo, or without: dr cancel {run}");
                lines.push(vec![Cell::new(Tone::Asks, command)]);
                continue;
            }
        };
        let left = deadline.map(|deadline| {
            let left = deadline.as_millisecond() - now.at.as_millisecond();
            format!(" ({} left)", Millis(left.max(0) as u64).short())
        });
        lines.push(vec![
            Cell::new(Tone::Asks, format!("? {}{}: ", step.id, left.unwrap_or_default())),
            clean_line(message).into(),
        ]);
        let id = quote(step.id.as_str());
        lines.push(vec![Cell::new(Tone::Asks, format!("    dr {command} {run} {id}"))]);
    }
    lines
}

fn running(view: &View, now: Now, room: usize) -> Vec<Vec<Cell>> {
    let running = view.running();
    let shown = if running.len() > room { room - 1 } else { running.len() };
    let widest =
        running[..shown].iter().map(|step| super::width(step.id.as_str())).max().unwrap_or(0);
    let mut lines: Vec<Vec<Cell>> =
        running[..shown].iter().map(|step| running_line(step, now, widest.min(32))).collect();
    if shown < running.len() {
        let more = running.len() - shown;
        lines.push(vec![Cell::new(Tone::Faint, format!("  … and {more} more run"))]);
    }
    lines
}

fn running_line(step: &StepView, now: Now, widest: usize) -> Vec<Cell> {
    let spin = SPINNER[(now.elapsed_ms / SPIN_MS) as usize % SPINNER.len()];
    let mut cells = vec![
        Cell::new(Tone::Good, format!("{spin} ")),
        super::screen::pad(step.id.as_str(), widest).into(),
    ];
    if let Some(host) = &step.host {
        cells.push(Cell::new(Tone::Faint, format!("  {host}")));
    }
    // Time spent at the step's gate is not its action's.
    let begun = step
        .attempts
        .iter()
        .map(|attempt| Some(attempt.started_ms))
        .find(|started| *started >= step.started_ms)
        .unwrap_or(step.started_ms);
    let took = now.elapsed_ms.saturating_sub(begun.unwrap_or(now.elapsed_ms));
    let took_text = seconds(took);
    if step.estimate_ms == 0 {
        cells.push(format!("  {took_text}").into());
    } else {
        let late = took > step.estimate_ms.saturating_mul(3) / 2;
        let text = format!("  {took_text} of {}", Millis(step.estimate_ms).short());
        cells.push(Cell::new(if late { Tone::Warning } else { Tone::Plain }, text));
    }
    if let Some(share) = step.share {
        cells.push(format!("  {:.0} %", share * 100.0).into());
    }
    if let Some(what) = on_the_way(step) {
        cells.push(Cell::new(Tone::Warning, format!("  {what}")));
    }
    if let Some(progress) = &step.progress {
        cells.push(Cell::new(Tone::Faint, format!("  {progress}")));
    }
    cells
}

/// What is not plain about a step under way.
fn on_the_way(step: &StepView) -> Option<String> {
    let last = step.attempts.last()?;
    if last.lost {
        return Some("looking up what became of it".to_owned());
    }
    match last.purpose {
        Purpose::Check => Some("checking whether it was done".to_owned()),
        Purpose::Undo => Some("taking it back".to_owned()),
        Purpose::Repeat | Purpose::Validate => match &last.error {
            Some(error) => Some(format!("not yet: {}", clean_line(&error.message))),
            None if last.outcome.is_some() && step.polling => Some("not yet".to_owned()),
            None => None,
        },
        Purpose::Apply if last.number > 1 => Some(attempt_name(last.purpose, last.number)),
        Purpose::Apply => None,
    }
}

fn waiting(view: &View, now: Now, room: usize) -> Vec<Vec<Cell>> {
    let taken = view.taken();
    let mut near = Vec::new();
    let mut far = 0;
    for step in view.steps() {
        if step.open_gate().is_some() || step.open_question().is_some() {
            continue;
        }
        let Some(waiting) = view.waiting_for(step, &taken) else { continue };
        let is_near = match &waiting {
            WaitingFor::Stopping => false,
            WaitingFor::Steps(steps) => steps
                .iter()
                .any(|(_, state)| !matches!(state, StepState::Pending | StepState::Ready)),
            _ => true,
        };
        if is_near && near.len() < room {
            near.push((step, waiting));
        } else {
            far += 1;
        }
    }
    let shown = if far > 0 && near.len() == room { room - 1 } else { near.len() };
    far += near.len() - shown;
    let mut lines: Vec<Vec<Cell>> = near[..shown]
        .iter()
        .map(|(step, waiting)| {
            vec![
                Cell::new(Tone::Faint, "· "),
                step.id.as_str().into(),
                Cell::new(Tone::Faint, format!(" waits for {}", waiting.describe(Some(now.at)))),
            ]
        })
        .collect();
    if far > 0 {
        let more = if shown > 0 { " more" } else { "" };
        let steps = if far == 1 { "step waits" } else { "steps wait" };
        lines.push(vec![Cell::new(Tone::Faint, format!("· {far}{more} {steps}"))]);
    }
    lines
}
