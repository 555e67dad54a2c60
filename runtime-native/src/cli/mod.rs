//! The command line: what can be said to `takhin`, and what it says back.

mod banner;
mod listen;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The log you can talk to with curl.
#[derive(Debug, Parser)]
#[command(name = "takhin", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker until it is told to stop (SIGTERM or Ctrl-C)
    Serve(serve::Serve),
}

/// Runs what the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(serve) => serve.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("takhin: {message}");
            ExitCode::FAILURE
        }
    }
}
