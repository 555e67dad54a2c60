//! `takhin bench`: how much a server takes and gives, and how soon, as programs see it that use the client library.
//!
//! Each connection is a client of its own. The topic is made for the run and removed after it, unless one is named.

mod budget;
mod consume;
mod figures;
mod latency;
mod load;
mod pace;
mod produce;
mod topic;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BenchCommand {
    /// How many records a second are stored, and how soon a batch is acknowledged
    Produce(produce::Produce),
    /// How many records a second are read, and how soon a poll is answered
    Consume(consume::Consume),
    /// How soon a record that is produced is received by a poll that waits for it
    Latency(latency::Latency),
}

impl BenchCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Produce(produce) => produce.run().await,
            Self::Consume(consume) => consume.run().await,
            Self::Latency(latency) => latency.run().await,
        }
    }
}
