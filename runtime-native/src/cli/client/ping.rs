//! `takhin ping`: whether a server answers, how quickly, and how it is.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, OutputOptions, print},
    stop::Stop,
};

/// Between two of them.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(in crate::cli) struct Ping {
    /// How often
    #[arg(short = 'n', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

impl Ping {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.connection.once()?.admin();
        let mut stop = Stop::with_output()?;
        let mut is_well = true;
        for at in 0..self.count {
            if at > 0 {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.wanted() => break,
                }
            }
            let asked = Instant::now();
            let health = admin.health().await?;
            let ms = asked.elapsed().as_secs_f64() * 1_000.0;
            is_well = health.status == "ok";
            match self.output.output {
                Output::Table => print(&format!("{} in {ms:.1} ms, storage {}\n", health.status, health.storage))?,
                Output::Plain => print(&format!("{}\t{ms:.1}\t{}\n", health.status, health.storage))?,
                Output::Json => print(&format!("{}\n", json!({"took_ms": ms, "health": health})))?,
            }
        }
        if is_well { Ok(()) } else { Err(Failure::new("the server is not well; its log says more")) }
    }
}
