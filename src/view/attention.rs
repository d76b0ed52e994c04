use super::advice::{half_done_steps, input_options, quote};
use super::{Open, Phase, View};
use crate::event::Verdict;
use crate::id::RunId;

/// What of a run nobody but a person can move on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Attention {
    /// Why, one reason each.
    pub why: Vec<String>,
    /// The commands that go on, in their order, ready to be pasted into a shell.
    pub commands: Vec<String>,
}

impl View {
    /// Whether somebody should look at the run `run` now, which is this one: it waits for people,
    /// stands still without an end, left something half done, or holds something open. `alive`:
    /// whether a process works on it.
    #[must_use]
    pub fn attention(&self, alive: bool, run: &RunId) -> Option<Attention> {
        if let Some(damage) = self.damage() {
            let why = vec![format!("{damage}: what it did from there on is not known")];
            let commands = self.past_damage(damage).filter(|_| !alive).into_iter().collect();
            return Some(Attention { why, commands });
        }
        if self.verdict().is_some_and(Verdict::is_final) {
            return None;
        }
        let run = self.spoken_as(run);
        let show = || format!("dr show {run}");
        let mut why = Vec::new();
        let mut commands = Vec::new();
        for open in self.open() {
            let (reason, command) = match open {
                Open::Gate(step, _) => {
                    let planned = self.planned(step.id.as_str());
                    let gate = planned.and_then(|planned| planned.approve.as_ref());
                    let inputs = gate.map(input_options).unwrap_or_default();
                    let id = quote(step.id.as_str());
                    let command = format!("dr approve {run} {id}{inputs}");
                    (format!("{} waits for approval", step.id), command)
                }
                Open::Question(step, _) => (format!("{} waits for an answer", step.id), show()),
                Open::Unwinding(_) => ("whether to go back waits for an answer".to_owned(), show()),
            };
            why.push(reason);
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
        let resume = format!("dr resume {run}");
        match self.phase() {
            Phase::Paused(_) if !alive => {
                if why.is_empty() {
                    why.push("paused".to_owned());
                }
                commands.push(resume.clone());
            }
            Phase::New | Phase::Open if !alive => {
                why.insert(0, "no process works on it".to_owned());
                commands.insert(0, resume.clone());
            }
            Phase::Finished(finished) if finished.verdict == Verdict::Stuck => {
                let first = half_done_steps(self).first().map(|(step, left)| {
                    format!(": {} {}", step.id, if *left { "was left out" } else { "failed" })
                });
                why.push(format!("something is half done{}", first.unwrap_or_default()));
                commands.push(show());
            }
            _ => {}
        }
        for (opener, closing) in self.left_open(alive) {
            why.push(format!("{} stays open until {closing}", opener.id));
            if commands.is_empty() {
                commands.push(resume.clone());
            }
        }
        (!why.is_empty()).then_some(Attention { why, commands })
    }
}
