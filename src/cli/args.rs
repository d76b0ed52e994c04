//! The command line, as clap reads it. `--help` is written for somebody who has not used `dr` before.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::words::{Mode, Phase, Rival, Style};

/// Heading of the options that every verb takes.
const ALL: &str = "Options of every command";

/// What follows the options of `dr rehearse`.
const REHEARSE: &str = "\
A script says how steps go, by their ids; every key may be left out:

  people: 2m                             # how long people take to answer
  steps:
    check_lag: { outputs: { lag: 90s } }
    promote:   { takes: 4m, fails: { how: transient, times: 1 } }
    switch:    { gate: reject }          # approve, reject, silence
    create_vm: { fails: { how: unknown_done }, question: done }

`how` is transient, permanent, denied, timeout, hang, unknown_done or unknown_not_done.

Exit codes: 0 it succeeded · 3 the runbook is invalid, or a fault has no defined way on · 5 the
rehearsed run failed · 6 it missed an objective · 7 it waits for people";

/// Disaster recovery from reviewed text: check, plan, execute and prove a runbook.
#[derive(Debug, Parser)]
#[command(
    name = "dr",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 done · 1 internal error · 2 usage · 3 the runbook or plan is invalid · 4 not ready\n\
5 the run failed or was cancelled · 6 it succeeded but missed an objective · 7 paused for a decision\n\
8 evidence does not verify · 9 locked by another run\n\n\
State is kept in `.dr` at the top of the runbook's git repository, else beside the runbook."
)]
pub struct Cli {
    /// Where runs are kept.
    #[arg(long, global = true, env = "DR_STATE_DIR", value_name = "DIR", help_heading = ALL)]
    pub state_dir: Option<PathBuf>,
    /// Say more on stderr: once for what happens, twice for why (`DR_LOG` sets a filter).
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = ALL)]
    pub verbose: u8,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN", help_heading = ALL)]
    pub color: Colour,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a runbook to begin with, which runs as it is
    Init(Init),
    /// Find every problem of runbooks, without running anything
    Check(Check),
    /// Show what would be done, when, and whether it meets the objectives
    ///
    /// Touches nothing, contacts nothing, starts no process; with `--observe` it asks the targets,
    /// read-only.
    Plan(Plan),
    /// Run a runbook on simulated systems and simulated time
    ///
    /// Touches nothing and starts nothing; hours pass in milliseconds. Actions take as long as
    /// planned and give something plausible, so that outputs can be computed and expectations
    /// hold; people answer after a minute. What cannot be made up is asked for.
    ///
    /// With `--faults` every step in turn fails, times out, hangs, loses its answer, and is
    /// interrupted; what has no defined way on then is reported.
    #[command(after_help = REHEARSE)]
    Rehearse(Rehearse),
    /// What a change to a runbook does to the plan
    ///
    /// Compares effects, not text: steps, dependencies, gates, guards, recovery times. Starts no
    /// process: git's files are read directly.
    Diff(Diff),
    /// Carry a runbook out
    ///
    /// Writes a journal ahead of everything it does: after a crash, a lost connection or Ctrl-C,
    /// `dr resume` goes on where it stopped. The first Ctrl-C starts nothing new and lets running
    /// steps finish; the second stops them.
    Execute(Execute),
    /// Go on with a run that was interrupted, paused, cancelled or has failed
    ///
    /// From whatever folder it is typed, the run goes on in the one that it was started in. On a run
    /// that is still alive the options are handed to it.
    Resume(Resume),
    /// Open a gate that waits for a decision, or reject it
    Approve(Approve),
    /// Stop a run: nothing new starts, running steps finish
    Cancel(Cancel),
    /// Pause a run: nothing new starts, running steps finish, `dr resume` goes on
    Pause(Pause),
    /// List the runs
    Runs(Runs),
    /// Follow a run from another terminal
    Watch(Watch),
    /// What a run is doing, what went wrong, what to do now
    Show(Show),
    /// Output of a run's commands
    Logs(Logs),
    /// The report of a run
    Report(Report),
    /// Whether the evidence of a run holds: sums, chain, close record
    Verify(Verify),
    /// JSON Schemas of what `dr` reads and writes
    Schema(Schema),
    /// What plugins there are; of one, its actions with what they take and give
    Plugins(Plugins),
    /// Completions for a shell
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What selects and parametrizes a plan.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Environment to plan for. Default: the runbook's default environment.
    #[arg(long, short = 'e', value_name = "NAME")]
    pub env: Option<String>,
    /// An input of the runbook; of a secret one the file that holds it, `NAME=@FILE`.
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE", value_parser = key_value)]
    pub inputs: Vec<(String, String)>,
    /// Take exactly these phases, and the steps without a phase that they need.
    #[arg(long = "phase", value_name = "PHASE", value_delimiter = ',')]
    pub phases: Vec<Phase>,
    /// `live`, the real thing, or a `drill` on systems of its own. Default: live.
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Whether the primary answers (graceful) or is gone (ungraceful).
    #[arg(long, value_name = "STYLE")]
    pub style: Option<Style>,
    /// Steps at once, whole run.
    #[arg(long, value_name = "N")]
    pub parallelism: Option<u32>,
}

/// `dr init`
#[derive(Debug, Args)]
pub struct Init {
    /// Where to; made if it is not there. What exists is never overwritten.
    #[arg(default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,
    /// What kind of recovery. Default: the smallest runbook that shows how one is made.
    #[arg(long, value_enum, value_name = "TEMPLATE")]
    pub template: Option<TemplateName>,
}

/// Kinds of starters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TemplateName {
    /// Move a service to its standby site.
    Failover,
    /// Restore from a backup.
    Restore,
    /// Take a backup and prove it.
    Backup,
    /// Break something on purpose in an environment of its own, and recover.
    GameDay,
}

/// `dr check`
#[derive(Debug, Args)]
pub struct Check {
    /// Runbooks, or folders in which every `*.yaml` and `*.yml` is one.
    #[arg(default_value = ".", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Warnings are errors.
    #[arg(long)]
    pub strict: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
}

/// Formats of `dr check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// A list of problems.
    Json,
    /// Annotations of a pull request on GitHub.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// `dr plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// The runbook; or a sealed plan, which is shown as it was sealed.
    pub runbook: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of --help")]
    pub selection: Selection,
    /// Exit with 4 if the plan misses an RTO.
    #[arg(long)]
    pub require_rto: bool,
    /// Take estimates from past runs (`.dr` by default), from another state folder, or not at all.
    #[arg(long, value_name = "none|DIR")]
    pub history: Option<String>,
    /// Ask the targets as well, read-only, what would change and whether it could be done. Takes 15 s
    /// at most; exits with 4 if one refuses us.
    #[arg(long)]
    pub observe: bool,
    /// Seal the plan: save it for review, to be executed exactly as it is by `dr execute FILE`.
    #[arg(long = "out", short = 'o', value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The sealed plan is not executed after this time, such as `24h`. Default: it does not expire.
    #[arg(long, value_name = "DURATION", requires = "out")]
    pub expires: Option<String>,
    /// Schedules to try for a better one. 0: no search. Default: 5,000, fewer for large runbooks.
    #[arg(long, value_name = "N")]
    pub effort: Option<usize>,
    /// Runs to simulate for the forecast. 0: none. Default: 10,000, fewer above 200 steps, none above
    /// 2,000.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Show beside it what a simpler way to run the same steps would take.
    #[arg(long, value_name = "waves|fifo")]
    pub compare: Option<Rival>,
    /// Only tell why this step starts when it does.
    #[arg(long, value_name = "STEP", conflicts_with = "compare")]
    pub why: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub format: PlanFormat,
}

/// Formats of `dr plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// The whole plan as data.
    Json,
    /// For a ticket or a comment.
    Markdown,
    /// The graph, as wikis draw it.
    Mermaid,
    /// The graph, for Graphviz.
    Dot,
    /// A page that stands on its own, with a picture of the timeline.
    Html,
}

/// `dr diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// Before: a runbook or sealed plan, as a file or as `REV:PATH` in git. A file that the revision
    /// does not have makes the runbook a new one.
    pub old: String,
    /// After: likewise.
    pub new: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of --help")]
    pub selection: Selection,
    /// How to print.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,
}

/// Formats of `dr diff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people.
    Text,
    /// For a comment of a pull request.
    Markdown,
    /// All of it, as data.
    Json,
}

/// `dr verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The run: its id, a unique beginning of it, `last`, or the folder of a run or of a copy.
    #[arg(default_value = "last", value_name = "RUN|BUNDLE")]
    pub run: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// `dr rehearse`
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The runbook.
    pub runbook: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of --help")]
    pub selection: Selection,
    /// What a step gives: one of its outputs, or with `STEP.result` all of what its action gives.
    #[arg(long = "set", value_name = "STEP.OUTPUT=VALUE", value_parser = key_value)]
    pub sets: Vec<(String, String)>,
    /// A file that says how steps go, how long they take, and what people answer.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Play everything that can happen to every step, and report what has no defined way on.
    #[arg(long)]
    pub faults: bool,
}

/// `dr execute`
#[derive(Debug, Args)]
pub struct Execute {
    /// The runbook, or a sealed plan (`dr plan -o`), which is carried out exactly as it was sealed.
    pub runbook: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of --help")]
    pub selection: Selection,
    /// When the disaster was declared: the RTA clock starts here. `14:05`, `-25m` or RFC 3339.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub declared_at: Option<String>,
    /// When the incident happened: the loss is measured from here. Default: the declaration.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub incident_at: Option<String>,
    /// Pass a step over. What needs it goes on. A gate, guard or point of no return needs `--reason`.
    #[arg(long = "skip", value_name = "STEP")]
    pub skips: Vec<String>,
    /// Count a step as done without running it. Needs `--reason`.
    #[arg(long = "assume", value_name = "STEP=done", value_parser = key_value)]
    pub assumes: Vec<(String, String)>,
    /// Why steps are skipped or assumed done.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Carry a sealed plan out although that was done before, and why.
    #[arg(long, value_name = "REASON")]
    pub again: Option<String>,
    /// Start without asking the targets whether they answer.
    #[arg(long)]
    pub skip_preflight: bool,
    /// Confirm a protected environment. Never answers a gate.
    #[arg(long, short = 'y')]
    pub yes: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of --help")]
    pub terminal: Terminal,
    /// How to show the run: live or plain text, plain lines, or one event a line.
    #[arg(long, value_enum, default_value_t = RunFormat::Text)]
    pub format: RunFormat,
}

/// Whether a run stays with the terminal that it was started from.
#[derive(Debug, Args)]
pub struct Terminal {
    /// Let the run go on by itself once it has started, without this terminal.
    #[arg(long, conflicts_with = "format")]
    pub detach: bool,
    /// What `--detach` turns into for the process that goes on.
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// Live on a terminal, plain lines elsewhere.
    Text,
    /// Plain lines.
    Lines,
    /// One event a line on stdout.
    Json,
}

/// `dr resume`
#[derive(Debug, Args)]
pub struct Resume {
    /// The run: its id, a unique beginning of it, or `last`.
    pub run: String,
    /// Go on at the part of a step that failed.
    #[arg(long = "retry", value_name = "STEP")]
    pub retries: Vec<String>,
    /// The file that holds a secret input, where it was not kept or is another one now.
    #[arg(long = "input", short = 'i', value_name = "NAME=@FILE", value_parser = key_value)]
    pub inputs: Vec<(String, String)>,
    /// Run a step's action again.
    #[arg(long = "redo", value_name = "STEP")]
    pub redos: Vec<String>,
    /// Pass a step over. What needs a failed step stays blocked. A gate, guard or point of no return
    /// needs `--reason`.
    #[arg(long = "skip", value_name = "STEP")]
    pub skips: Vec<String>,
    /// Say what became of a step whose outcome is unknown, or that a failed one was done by hand.
    #[arg(long = "assume", value_name = "STEP=done|not-done", value_parser = key_value)]
    pub assumes: Vec<(String, String)>,
    /// Why. Needed for `--assume STEP=done`, and to skip a gate, guard or point of no return.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Go on although the journal is damaged: what is not certain becomes unknown.
    #[arg(long)]
    pub accept_loss: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of --help")]
    pub terminal: Terminal,
    /// How to show the run.
    #[arg(long, value_enum, default_value_t = RunFormat::Text)]
    pub format: RunFormat,
}

/// `dr approve`
#[derive(Debug, Args)]
pub struct Approve {
    /// The run: its id, a unique beginning of it, or `last`.
    pub run: String,
    /// The step whose gate it is.
    pub step: String,
    /// What the gate asks for. On a terminal, what is missing is asked.
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE", value_parser = key_value)]
    pub inputs: Vec<(String, String)>,
    /// Print the line that a person whose key the gate knows has to sign, and do nothing else.
    ///
    /// They sign it anywhere: `ssh-keygen -Y sign -n dr-approve@v1 -f KEY FILE`.
    #[arg(long, conflicts_with_all = ["reject", "signature"])]
    pub challenge: bool,
    /// Approve with this signature over the challenge.
    #[arg(long, value_name = "FILE", conflicts_with = "reject")]
    pub signature: Option<PathBuf>,
    /// Keep the gate shut, and why.
    #[arg(long, value_name = "REASON")]
    pub reject: Option<String>,
}

/// `dr cancel`
#[derive(Debug, Args)]
pub struct Cancel {
    /// The run: its id, a unique beginning of it, or `last`.
    pub run: String,
    /// Stop running steps as well.
    #[arg(long)]
    pub now: bool,
    /// Take back what was done: running steps finish, then every step that was started and says how
    /// is undone, in reverse. Also the answer to whether to go back past a point of no return.
    #[arg(long, conflicts_with = "now")]
    pub undo: bool,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `dr pause`
#[derive(Debug, Args)]
pub struct Pause {
    /// The run: its id, a unique beginning of it, or `last`.
    pub run: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `dr runs`
#[derive(Debug, Args)]
pub struct Runs {
    /// How to print.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// Formats of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people.
    Text,
    /// Data.
    Json,
}

/// `dr watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// The run: its id, a unique beginning of it, or `last`.
    #[arg(default_value = "last")]
    pub run: String,
    /// How to show the run.
    #[arg(long, value_enum, default_value_t = RunFormat::Text)]
    pub format: RunFormat,
}

/// `dr show`
#[derive(Debug, Args)]
pub struct Show {
    /// The run: its id, a unique beginning of it, or `last`.
    #[arg(default_value = "last")]
    pub run: String,
    /// One step of it, in detail.
    pub step: Option<String>,
}

/// `dr logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// The run: its id, a unique beginning of it, or `last`.
    #[arg(default_value = "last")]
    pub run: String,
    /// Only this step.
    pub step: Option<String>,
    /// Go on as output arrives, until the run is over.
    #[arg(long, short = 'f')]
    pub follow: bool,
}

/// `dr report`
#[derive(Debug, Args)]
pub struct Report {
    /// The run: its id, a unique beginning of it, or `last`.
    #[arg(default_value = "last")]
    pub run: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
    pub format: ReportFormat,
}

/// Formats of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Markdown,
    /// A page that stands on its own, with pictures.
    Html,
    /// `JUnit` XML: objectives and steps as cases.
    Junit,
    /// The evidence as data.
    Json,
}

/// `dr schema`
#[derive(Debug, Args)]
pub struct Schema {
    /// Which one.
    #[arg(value_enum, default_value_t = SchemaName::Runbook)]
    pub name: SchemaName,
    /// Write all of them, and the plugins' manifests, into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub all: Option<PathBuf>,
    /// Write the reference pages of the language and of every action into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub reference: Option<PathBuf>,
}

/// `dr plugins`
#[derive(Debug, Args)]
pub struct Plugins {
    /// One plugin, in detail.
    pub name: Option<String>,
    /// Check that an executable keeps the plugin protocol. Changes nothing.
    #[arg(long, value_name = "EXECUTABLE", conflicts_with = "name")]
    pub conformance: Option<PathBuf>,
    /// Calls of your own that it must answer too: a JSON list, see the reference.
    #[arg(long, value_name = "FILE", requires = "conformance")]
    pub cases: Option<PathBuf>,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaName {
    /// The language.
    Runbook,
    /// `dr plan --format json` and `plan.json`.
    Plan,
    /// The lines of a journal.
    Event,
    /// `evidence.json`.
    Evidence,
    /// `dr diff --format json`.
    Diff,
    /// The frames of the plugin protocol, and manifests.
    Plugin,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
