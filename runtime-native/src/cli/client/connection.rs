//! Where the server is, and with which key it is spoken to: the options that all commands share.

use std::time::Duration;

use clap::Args;
use takhin_client::{Client, Error};

use super::failure::Failure;

const DEFAULT_SERVER: &str = "http://localhost:8080";

#[derive(Debug, Args)]
pub(super) struct Connection {
    /// Where the server is
    #[arg(long, env = "TAKHIN_SERVER", default_value = DEFAULT_SERVER, value_name = "URL", help_heading = "Server")]
    server: String,

    /// The API key, where the server wants one
    #[arg(long, env = "TAKHIN_API_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Server")]
    api_key: Option<String>,
}

impl Connection {
    /// A client for a command that asks and ends: it does not try again.
    pub(super) fn once(&self) -> Result<Client, Failure> {
        self.client(Duration::ZERO)
    }

    /// A client for a command that goes on for long, and over restarts of the server; but one that can't be reached at
    /// all is said so at once.
    pub(super) async fn lasting(&self) -> Result<Client, Failure> {
        match self.once()?.admin().health().await {
            Err(error @ (Error::Connection { .. } | Error::UnexpectedAnswer(_))) => Err(error.into()),
            // Whatever it says, it is there.
            Ok(_) | Err(_) => self.client(Duration::from_mins(2)),
        }
    }

    fn client(&self, give_up_after: Duration) -> Result<Client, Failure> {
        // A variable that is empty counts as unset.
        let server = if self.server.is_empty() { DEFAULT_SERVER } else { &self.server };
        let mut client = Client::builder(server).give_up_after(give_up_after);
        if let Some(key) = self.api_key.as_ref().filter(|key| !key.is_empty()) {
            client = client.api_key(key);
        }
        Ok(client.build()?)
    }
}
