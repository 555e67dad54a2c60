//! The command line: what can be said to `takhin`, and what it says back.

mod access;
mod backup;
mod banner;
mod client;
mod kafka_rest;
mod key;
mod listen;
mod replay;
mod serve;
mod simulate;

use std::{env, ffi::OsStr, process::ExitCode};

use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

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
    /// Make, list and revoke API keys
    Key(key::KeyArguments),
    /// Run the broker's core in a simulated world full of faults, and look for broken promises
    Simulate(simulate::Simulate),
    /// Take a backup of a server that runs, or of a data directory that no server has
    Backup(backup::Backup),
    /// Make a data directory of a backup, or look whether the backup is good
    Restore(backup::Restore),
    /// Replay a trace, and show the first step that differs from what was recorded
    Replay(replay::Replay),
    #[command(flatten)]
    Client(client::ClientCommand),
}

/// The command line as clap knows it, but for one thing: a variable of the environment that is empty counts as unset.
fn clap_command() -> clap::Command {
    fn without_empty(command: clap::Command) -> clap::Command {
        let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
        let unset = move |arg: Arg| if arg.get_env().is_some_and(is_empty) { arg.env(None) } else { arg };
        command.mut_args(unset).mut_subcommands(without_empty)
    }
    without_empty(Arguments::command())
}

/// Runs what the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let matches = clap_command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let result = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Key(key) => key.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Replay(replay) => replay.run(),
        Command::Client(client) => return client.run(clap_command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("takhin: {message}");
            ExitCode::FAILURE
        }
    }
}
