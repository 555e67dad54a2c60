//! Producing over many connections.

use std::time::Duration;

use clap::Args;

use crate::{
    Failure,
    connection::Connection,
    figures::Figures,
    load::{Load, Round, Step, Worth},
    request::{self, Url},
};

#[derive(Clone, Debug, Args)]
pub(crate) struct Produce {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// How many clients
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Records in each request
    #[arg(long, default_value_t = 1)]
    pub(crate) records_per_request: usize,
    /// Bytes of each record's value
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Partitions of the topic
    #[arg(long, default_value_t = 1)]
    pub(crate) partitions: u32,
    /// How long to measure
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Threads of the load tool
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// How many requests a second come, however soon they are answered; latencies count from when each was due. Without
    /// it each client sends its next one when it has the answer to the one before
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Post to `/` instead of to a topic, as `bare` expects it
    #[arg(long)]
    pub(crate) bare: bool,
}

impl Produce {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", self.measure()?);
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let body = request::records(self.records_per_request, self.record_bytes);
        let request = if self.bare {
            request::post("/", &body)
        } else {
            let topic = format!("produce-{}", std::process::id());
            // It is there already if this is not the first run.
            let _ = Connection::open(self.url.0)?.ask(&request::create_topic(&topic, self.partitions));
            request::produce(&topic, &body)
        };
        let records = self.records_per_request as u64;
        let worth = Worth::Sent { records, bytes: records * self.record_bytes as u64 };
        let round = Round { steps: vec![Step { request: request.into(), worth }], rewind: None };
        let (address, duration) = (self.url.0, Duration::from_secs(self.seconds));
        let load = Load { address, duration, threads: self.threads, rate: self.rate.map(f64::from) };
        load.run(vec![round; self.connections])
    }
}
