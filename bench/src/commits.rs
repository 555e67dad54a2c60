//! Committing over many connections, each of a consumer in a group of its own.

use std::time::Duration;

use clap::Args;

use crate::{
    Failure,
    connection::Connection,
    consume::partitions_of,
    figures::Figures,
    load::{Load, Round, Step, Worth},
    request::{self, Url},
};

/// How often a consumer polls before it must have its partition.
const MOST_POLLS: usize = 10;

#[derive(Clone, Debug, Args)]
pub(crate) struct Commits {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// How many consumers
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// How long to measure
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Threads of the load tool
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
}

impl Commits {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", self.measure()?);
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let topic = format!("commits-{}", std::process::id());
        let mut connection = Connection::open(self.url.0)?;
        connection.ask(&request::create_topic(&topic, 1))?;
        connection.ask(&request::produce(&topic, &request::records(2, 16)))?;
        let mut rounds = Vec::new();
        for number in 0..self.connections {
            let consumer = request::consumer_id(number);
            connection.ask(&request::subscribe(&consumer, &format!("{topic}-{number}"), &topic, false))?;
            join(&mut connection, &consumer)?;
            // By turns, so that each has something to be kept.
            let commit = |offset| request::commit_to(&consumer, &topic, offset).into();
            let steps = [1, 2].map(|offset| Step { request: commit(offset), worth: Worth::Nothing }).to_vec();
            rounds.push(Round { steps, rewind: None });
        }
        let duration = Duration::from_secs(self.seconds);
        Load { address: self.url.0, duration, threads: self.threads, rate: None }.run(rounds)
    }
}

/// Polls until the consumer has a partition.
fn join(connection: &mut Connection, consumer: &str) -> Result<(), Failure> {
    for _ in 0..MOST_POLLS {
        let answer = connection.ask(&request::poll(consumer, 2, 0))?;
        if !partitions_of(answer.as_bytes()).is_empty() {
            return Ok(());
        }
    }
    Err("a consumer got no partition".into())
}
