//! `takhin group lag GROUP`: how far behind a group is, once or again and again.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::Args;
use takhin_client::Group;

use super::{
    connection::Connection,
    failure::Failure,
    group::partitions,
    output::{Output, OutputOptions, print},
    stop::Stop,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Lag {
    group: String,

    /// Show it again and again
    #[arg(short, long)]
    watch: bool,

    /// How often, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

impl Lag {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if !self.watch {
            let group = self.connection.once()?.admin().group(&self.group).await?;
            return self.show(&group);
        }
        let mut stop = Stop::with_output()?;
        // It goes on over a restart of the server.
        let admin = self.connection.lasting().await?.admin();
        loop {
            let group = tokio::select! {
                group = admin.group(&self.group) => group?,
                () = stop.wanted() => return Ok(()),
            };
            if io::stdout().is_terminal() && self.output.output == Output::Table {
                print("\x1b[H\x1b[2J")?;
            }
            self.show(&group)?;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.every)) => {}
                () = stop.wanted() => return Ok(()),
            }
        }
    }

    fn show(&self, group: &Group) -> Result<(), Failure> {
        self.output.output.print(&group.partitions, &partitions(group))?;
        if self.output.output == Output::Table {
            let total: u64 = group.partitions.iter().filter_map(|one| one.lag).sum();
            print(&format!("{total} records behind in all\n"))?;
        }
        Ok(())
    }
}
