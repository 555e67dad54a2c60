//! `takhin`: the log you can talk to with curl.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
