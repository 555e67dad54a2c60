//! The load tool: how fast a server is, beside what HTTP, the disk and the core allow on the same machine.
//!
//! Load is a closed loop unless a rate is given: each connection sends its next request when it has the answer to the one
//! before. So latencies are those of that many clients that never pause. At a rate they are those of clients that come
//! when they come, and count from when a request was due.

mod all;
mod bare;
mod beside;
mod body;
mod commits;
mod connection;
mod consume;
mod core_steps;
mod counting;
mod crowd;
mod curves;
mod disk;
mod figures;
mod fill;
mod instructions;
mod joins;
mod load;
mod machine;
mod pace;
mod peers;
mod produce;
mod rates;
mod raw;
mod read;
mod request;
mod server;
mod wake;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Anything that ends a measurement early, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measure Takhin.
#[derive(Debug, Parser)]
#[command(name = "takhin-bench", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a handler that does nothing: the limit of HTTP
    Bare(bare::Bare),
    /// Serve TCP with nothing read of what comes: the limit of this tool
    Raw(raw::Raw),
    /// Produce over many connections
    Produce(produce::Produce),
    /// Fill a topic and consume it in big answers, each connection in a group of its own
    Consume(consume::Consume),
    /// Fill a topic and consume it as the members of one group, with commits
    Group(consume::Group),
    /// Fill a topic and read it in another form than JSON
    Read(read::Read),
    /// Measure how soon a parked poll hears of a record, what parked polls cost, and how much memory they take
    Wake(wake::Wake),
    /// Commit over many connections
    Commits(commits::Commits),
    /// Measure how soon all hear of a record whose polls wait for the same partition
    Crowd(crowd::Crowd),
    /// Start a server with many groups, and measure what it costs that a member joins and leaves
    Joins(joins::Joins),
    /// Step the core alone: time and allocations of each kind of event
    Core(core_steps::CoreSteps),
    /// Measure what a step of the core and a request cost beside more and more of everything, as tables and a picture
    Curves(curves::Curves),
    /// Count the instructions of requests under valgrind, and hold them against what was recorded
    Instructions(instructions::Instructions),
    /// Produce at given rates, below what the server can take: how soon answers come
    Rates(rates::Rates),
    /// Append to a file and sync it: the limit of the disk
    Disk(disk::Disk),
    /// Measure producing beside other servers that keep logs, in turn; installs them
    Peers(peers::Peers),
    /// Measure a node of a cluster beside Strimzi's Kafka Bridge and beside a server without Kafka, in turn; all run already
    Beside(beside::Beside),
    /// Start the servers, run everything alternately, and print a Markdown table
    All(all::All),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bare(bare) => bare.run(),
        Command::Raw(raw) => raw.run(),
        Command::Produce(produce) => produce.run(),
        Command::Consume(consume) => consume.run(),
        Command::Group(group) => group.run(),
        Command::Rates(rates) => rates.run(),
        Command::Read(read) => read.run(),
        Command::Wake(wake) => wake.run(),
        Command::Commits(commits) => commits.run(),
        Command::Crowd(crowd) => crowd.run(),
        Command::Joins(joins) => joins.run(),
        Command::Core(steps) => steps.run(),
        Command::Curves(curves) => curves.run(),
        Command::Instructions(instructions) => instructions.run(),
        Command::Disk(disk) => disk.run(),
        Command::Peers(peers) => peers.run(),
        Command::Beside(beside) => beside.run(),
        Command::All(all) => all.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("takhin-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
