//! The command line: arguments, one file per verb, exit codes. Nothing below prints.

pub mod args;
pub mod exit;

mod act;
mod check;
mod detach;
mod diff;
mod execute;
mod init;
mod inputs;
mod log;
mod look;
mod observe;
mod out;
mod plan;
mod plugins;
mod prompt;
mod rehearse;
mod resume;
mod schema;
mod sealed;
mod secret_input;
mod verify;
mod zone;

use clap::Parser as _;

use args::{Cli, Command};
use exit::Exit;
use out::Out;

/// Runs the program.
#[must_use]
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Clap's own exit code is 2 for usage, 0 for --help and --version.
            let _ = error.print();
            return if error.exit_code() == 0 { Exit::Done } else { Exit::Usage };
        }
    };
    let out = Out::new(cli.color);
    out.start_log(cli.verbose);
    let state_dir = cli.state_dir.as_deref();
    if let Some(name) = inputs::twice(&cli.command) {
        let message = format!("input `{name}` is given twice");
        return out.refuse(&message, "give it once: only one value could count", Exit::Usage);
    }
    match &cli.command {
        Command::Init(args) => init::run(args, &out),
        Command::Check(args) => check::run(args, &out),
        Command::Plan(args) => plan::run(args, state_dir, &out),
        Command::Rehearse(args) => rehearse::run(args, &out),
        Command::Diff(args) => diff::run(args, &out),
        Command::Execute(args) => execute::run(args, state_dir, &out),
        Command::Resume(args) => resume::run(args, state_dir, &out),
        Command::Approve(args) => act::approve(args, state_dir, &out),
        Command::Cancel(args) => act::cancel(args, state_dir, &out),
        Command::Pause(args) => act::pause(args, state_dir, &out),
        Command::Runs(args) => look::runs(args, state_dir, &out),
        Command::Watch(args) => look::watch(args, state_dir, &out),
        Command::Show(args) => look::show(args, state_dir, &out),
        Command::Logs(args) => look::logs(args, state_dir, &out),
        Command::Report(args) => look::report(args, state_dir, &out),
        Command::Verify(args) => verify::run(args, state_dir, &out),
        Command::Plugins(args) => plugins::run(args, &out),
        Command::Schema(args) => schema::run(args, &out),
        Command::Completions { shell } => schema::completions(*shell, &out),
    }
}
