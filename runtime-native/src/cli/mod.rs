//! The command line: what can be said to `takhin`, and what it says back.

mod banner;
mod listen;
mod replay;
mod serve;
mod simulate;

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
    /// Run the broker's core in a simulated world full of faults, and look for broken promises
    Simulate(simulate::Simulate),
    /// Replay a trace, and show the first step that differs from what was recorded
    Replay(replay::Replay),
}

/// Runs what the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Replay(replay) => replay.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("takhin: {message}");
            ExitCode::FAILURE
        }
    }
}
