//! What a developer of Takhin runs: `cargo xtask <task>`.

mod javascript;
mod place;
mod python;
mod step;
mod test;

use std::{env, process::ExitCode};

const HELP: &str = "\
What a developer of Takhin runs.

Usage: cargo xtask <task>

Tasks:
  test    Everything that has to pass before a change is merged, in this order:
          formatting, lints, the core without std, the server, all tests, the documentation, the Python client.
          Stops at the first step that fails, with exit code 1.
  help    This text.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => step::run_all(test::steps()),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}
