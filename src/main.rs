//! The `dr` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    dr::cli::main().into()
}
