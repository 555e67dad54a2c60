//! The commands that talk to a server, each in a file of its own, on top of the client library.

mod bench;
mod completions;
mod connection;
mod consume;
mod failure;
mod format;
mod group;
mod lag;
mod messages;
mod output;
mod ping;
mod produce;
mod produce_input;
mod reset;
mod sources;
mod start_at;
mod stop;
mod topic;

use std::process::ExitCode;

use clap::Subcommand;

pub(super) use self::{
    connection::Connection,
    failure::Failure,
    output::{OutputOptions, Table, print},
};
#[cfg(feature = "kafka")]
pub(super) use self::{output::Output, stop::Stop};

/// A command that talks to a server.
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Make, list, look at, change and delete topics
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Send lines, JSON or whole files to a topic
    Produce(produce::Produce),
    /// Print the records of topics as they come, alone or as a member of a group
    Consume(consume::Consume),
    /// Look at groups, and set or delete their offsets
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Look at some records of a partition
    Messages(messages::Messages),
    /// See whether a server answers, and how quickly
    Ping(ping::Ping),
    /// Measure how much a server takes and gives, and how soon
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Print what makes a shell complete takhin's commands and options
    Completions(completions::Completions),
}

impl ClientCommand {
    /// Runs it to its end. `whole` is the command line that completions are made of.
    pub(super) fn run(self, whole: clap::Command) -> Result<(), Failure> {
        if let Self::Completions(completions) = &self {
            return completions.run(whole);
        }
        run(async {
            match self {
                Self::Topic(topic) => topic.run().await,
                Self::Produce(produce) => produce.run().await,
                Self::Consume(consume) => consume.run().await,
                Self::Group(group) => group.run().await,
                Self::Messages(messages) => messages.run().await,
                Self::Ping(ping) => ping.run().await,
                Self::Bench(bench) => bench.run().await,
                Self::Completions(_) => Ok(()),
            }
        })
    }
}

/// Runs what talks to a server.
pub(super) fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // What still reads from a terminal would else be waited for.
    runtime.shutdown_background();
    result
}

/// What a command of this kind exits with; a failure is told on stderr.
pub(super) fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
