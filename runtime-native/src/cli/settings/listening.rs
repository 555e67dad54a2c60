//! Settings of where the server listens.

use clap::Args;

use crate::cli::listen::Address;

#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(in crate::cli) struct Listening {
    /// Address to listen on, host:port; can be given several times
    #[arg(long, env = "TAKHIN_LISTEN", value_delimiter = ',', default_value = "localhost:8080", value_name = "ADDR")]
    pub(in crate::cli) listen: Vec<Address>,
}

impl Listening {
    pub(super) fn conflicts(&self) -> Vec<String> {
        Vec::new()
    }
}
