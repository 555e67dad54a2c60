//! Consuming what a topic holds: in big answers, or as a group that commits.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::{
    Failure,
    connection::Connection,
    figures::Figures,
    fill::fill,
    load::{Load, Round, Step, Worth},
    request::{self, Url},
};

/// How many times members poll before each must have its partitions.
const MOST_ROUNDS_TO_SETTLE: usize = 100;

#[derive(Clone, Debug, Args)]
pub(crate) struct Consume {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// How many consumers, each in a group of its own
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// How much to fill the topic with; a consumer that has all of it begins anew
    #[arg(long, default_value_t = 64)]
    pub(crate) megabytes: usize,
    /// Bytes of each record's value
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// How long to measure
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Threads of the load tool
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Get `/` instead of consuming, as `bare` answers it
    #[arg(long)]
    pub(crate) bare: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Group {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// Members of the group; the topic has a partition for each
    #[arg(long, default_value_t = 4)]
    pub(crate) members: usize,
    /// Records of one poll at most
    #[arg(long, default_value_t = 500)]
    pub(crate) batch: usize,
    /// Leave it to the server to commit, instead of committing after each poll
    #[arg(long)]
    pub(crate) auto_commit: bool,
    /// How much to fill each partition with; a member that has all of it begins anew
    #[arg(long, default_value_t = 64)]
    pub(crate) megabytes: usize,
    /// Bytes of each record's value
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// How long to measure
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Threads of the load tool
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
}

impl Consume {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", self.measure()?);
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let duration = Duration::from_secs(self.seconds);
        let load = Load { address: self.url.0, duration, threads: self.threads, rate: None };
        if self.bare {
            let step = Step { request: request::get("/").into(), worth: Worth::Body };
            return load.run(vec![Round { steps: vec![step], rewind: None }; self.connections]);
        }
        let topic = format!("consume-{}", std::process::id());
        fill(self.url, &topic, 1, self.megabytes << 20, self.record_bytes)?;
        let mut rounds = Vec::new();
        for number in 0..self.connections {
            let consumer = request::consumer_id(number);
            let subscribe = request::subscribe(&consumer, &format!("{topic}-{number}"), &topic, true);
            Connection::open(self.url.0)?.ask(&subscribe)?;
            rounds.push(Round {
                steps: vec![Step { request: request::poll(&consumer, 10_000, 0).into(), worth: Worth::Polled }],
                rewind: Some(request::rewind(&consumer, &topic, &["0".to_owned()]).into()),
            });
        }
        load.run(rounds)
    }
}

impl Group {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", self.measure()?);
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let topic = format!("group-{}", std::process::id());
        fill(self.url, &topic, u32::try_from(self.members)?, self.megabytes << 20, self.record_bytes)?;
        let consumers: Vec<_> = (0..self.members).map(request::consumer_id).collect();
        let mut rounds = Vec::new();
        for (consumer, partitions) in consumers.iter().zip(self.settle(&topic, &consumers)?) {
            let mut steps = vec![Step { request: request::poll(consumer, self.batch, 0).into(), worth: Worth::Polled }];
            if !self.auto_commit {
                steps.push(Step { request: request::commit(consumer).into(), worth: Worth::Nothing });
            }
            rounds.push(Round { steps, rewind: Some(request::rewind(consumer, &topic, &partitions).into()) });
        }
        let duration = Duration::from_secs(self.seconds);
        Load { address: self.url.0, duration, threads: self.threads, rate: None }.run(rounds)
    }

    /// Has every member join, and poll until each has as many partitions as the others. Gives them.
    fn settle(&self, topic: &str, consumers: &[String]) -> Result<Vec<Vec<String>>, Failure> {
        let mut connection = Connection::open(self.url.0)?;
        for consumer in consumers {
            connection.ask(&request::subscribe(consumer, topic, topic, self.auto_commit))?;
        }
        for _ in 0..MOST_ROUNDS_TO_SETTLE {
            let mut all = Vec::new();
            for consumer in consumers {
                let answer = connection.ask(&request::poll(consumer, 1, 0))?;
                all.push(partitions_of(answer.as_bytes()));
            }
            if all.iter().all(|partitions| partitions.len() == 1) {
                return Ok(all);
            }
        }
        Err("the group did not settle".into())
    }
}

/// What a poll says after its records, as an object.
fn after_records(tail: &[u8]) -> Option<Value> {
    const MARK: &[u8] = b"],\"timestamp\"";
    let at = tail.windows(MARK.len()).rposition(|window| window == MARK)?;
    let mut object = b"{".to_vec();
    object.extend_from_slice(&tail[at + 2..]);
    serde_json::from_slice(&object).ok()
}

fn positions(after: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let topics = after["positions"].as_object().into_iter().flatten();
    topics.flat_map(|(_, partitions)| partitions.as_object().into_iter().flatten())
}

/// How many records lie before the positions that a poll's answer ends with, over all partitions.
pub(crate) fn records_before(tail: &[u8]) -> u64 {
    after_records(tail).map_or(0, |after| positions(&after).filter_map(|(_, offset)| offset.as_u64()).sum())
}

/// The partitions whose positions a poll's answer ends with.
pub(crate) fn partitions_of(tail: &[u8]) -> Vec<String> {
    after_records(tail)
        .map_or_else(Vec::new, |after| positions(&after).map(|(partition, _)| partition.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stand_at_the_end_of_an_answer() {
        let tail = br#"1","headers":{}}],"timestamp":5,"batch_id":1,"generation":2,"positions":{"t":{"0":7,"3":5}},"lag":{"t":{"0":0}}}"#;
        assert_eq!(records_before(tail), 12);
        assert_eq!(partitions_of(tail), ["0", "3"]);
    }
}
