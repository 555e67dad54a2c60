//! The command line: what can be said to `takhin`, and what it says back.

mod backup;
mod banner;
mod client;
mod config;
mod key;
mod listen;
#[cfg(feature = "kafka")]
mod migrate;
mod observers;
mod reload;
mod replay;
mod running;
mod serve;
mod settings;
mod simulate;

use std::{
    env,
    ffi::OsStr,
    path::PathBuf,
    process::{self, ExitCode},
};

use clap::{
    Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    error::{ContextKind, ContextValue},
};
use settings::{Problem, SettingsFile};

/// The log you can talk to with curl.
#[derive(Debug, Parser)]
#[command(name = "takhin", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// One of these lives once.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker until it is told to stop (SIGTERM or Ctrl-C)
    Serve(serve::Serve),
    /// Look at what a server would be set to
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Run the broker's core in a simulated world full of faults, and look for broken promises
    Simulate(simulate::Simulate),
    /// Take a backup of a server that runs, or of a data directory that no server has
    Backup(backup::Backup),
    /// Make a data directory of a backup, or look whether the backup is good
    Restore(backup::Restore),
    /// Move what a data directory has to a cluster on Kafka: topics, records, groups and their offsets
    #[cfg(feature = "kafka")]
    Migrate(migrate::Migrate),
    /// Replay a trace, and show the first step that differs from what was recorded
    Replay(replay::Replay),
    #[command(flatten)]
    Client(client::ClientCommand),
}

/// What was asked for: what clap found, and the file of settings that was named.
struct Asked {
    matches: ArgMatches,
    file: Option<SettingsFile>,
}

/// Runs what the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let result = asked().and_then(|asked| {
        let arguments = Arguments::from_arg_matches(&asked.matches).unwrap_or_else(|error| error.exit());
        match arguments.command {
            Command::Serve(serve) => serve.run(),
            Command::Config(config) => config.run(leaf(&asked.matches), asked.file.as_ref()),
            Command::Key(key) => return Ok(client::exit_code(client::run(key.run(leaf(&asked.matches))))),
            Command::Simulate(simulate) => simulate.run(),
            Command::Backup(backup) => return Ok(client::exit_code(backup.run(leaf(&asked.matches)))),
            Command::Restore(restore) => return Ok(client::exit_code(restore.run())),
            #[cfg(feature = "kafka")]
            Command::Migrate(migrate) => return Ok(client::exit_code(migrate.run())),
            Command::Replay(replay) => replay.run(),
            Command::Client(client) => return Ok(client::exit_code(client.run(clap_command()))),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    match result {
        Ok(code) => code,
        Err(message) => {
            for line in message.split('\n') {
                // What is indented goes on about what stands above it.
                let whose = if line.starts_with(' ') { "" } else { "takhin: " };
                eprintln!("{whose}{line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The command line as clap knows it, but for two things: a variable of the environment that is empty counts as unset,
/// and the help of a number tells its bounds.
fn clap_command() -> clap::Command {
    fn without_empty(command: clap::Command) -> clap::Command {
        let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
        let unset = move |arg: Arg| if arg.get_env().is_some_and(is_empty) { arg.env(None) } else { arg };
        command.mut_args(unset).mut_subcommands(without_empty)
    }
    let command = Arguments::command().mut_subcommand("key", key::with_own_words);
    with_settings(without_empty(command), &|command| command.mut_args(settings::with_bounds))
}

/// Changes each command that takes settings.
fn with_settings(command: clap::Command, change: &dyn Fn(clap::Command) -> clap::Command) -> clap::Command {
    command
        .mut_subcommand("serve", change)
        .mut_subcommand("config", |command| command.mut_subcommand("check", change).mut_subcommand("show", change))
}

/// Reads the command line, and then once more with what the file that it names says in place of the defaults.
fn asked() -> Result<Asked, String> {
    let matches = matches(clap_command());
    let named = leaf(&matches).try_get_one::<PathBuf>("config").ok().flatten();
    let Some(path) = named else { return Ok(Asked { matches, file: None }) };
    let together = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let file = SettingsFile::read(path).map_err(together)?;
    let command = with_settings(clap_command(), &|command| file.as_defaults_of(command));
    Ok(Asked { matches: self::matches(command), file: Some(file) })
}

/// Ends the process if the command line can't be understood.
fn matches(command: clap::Command) -> ArgMatches {
    command.try_get_matches().unwrap_or_else(|error| {
        // Whether anybody reads it is no reason to go on.
        let _ = error.print();
        if let Some(variable) = variable_of(&error) {
            eprintln!("\nThe value is that of the environment variable {variable}.");
        }
        process::exit(error.exit_code());
    })
}

/// Which variable of the environment a value that was refused comes from, if it comes from there.
fn variable_of(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let arg = settings::table().into_iter().find(|arg| {
        let name = arg.get_long().map(|long| format!("--{long}"));
        name.is_some_and(|name| flag.split(['=', ' ', '[']).next() == Some(&*name))
    })?;
    let given = format!("--{}", arg.get_long()?);
    let is_given = env::args().any(|argument| argument.split('=').next() == Some(&*given));
    let variable = arg.get_env().filter(|name| !is_given && env::var_os(name).is_some())?;
    Some(variable.to_string_lossy().into_owned())
}

/// The innermost command's part.
fn leaf(mut matches: &ArgMatches) -> &ArgMatches {
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}
