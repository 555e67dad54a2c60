//! Where the server is, and as whom it is spoken to: the options of every command that talks to one.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use takhin_client::{Client, Error};

use super::failure::Failure;

const DEFAULT_SERVER: &str = "http://localhost:8080";

#[derive(Debug, Args)]
pub(in crate::cli) struct Connection {
    /// Where the server is, as in <https://log.example.com>; <http://localhost:8080> if nothing is said
    #[arg(long, env = "TAKHIN_SERVER", value_name = "URL", help_heading = "Server")]
    server: Option<String>,

    /// The API key, where the server wants one
    #[arg(long, env = "TAKHIN_API_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Server")]
    api_key: Option<String>,

    /// Certificates to trust, in PEM, instead of those that the system trusts
    #[arg(long, env = "TAKHIN_TLS_CA", value_name = "FILE", help_heading = "Server")]
    tls_ca: Option<PathBuf>,

    /// The certificate to show, in PEM, where the server wants one
    #[arg(
        long,
        env = "TAKHIN_TLS_CLIENT_CERT",
        value_name = "FILE",
        requires = "tls_client_key",
        help_heading = "Server"
    )]
    tls_client_cert: Option<PathBuf>,

    /// Its private key, in PEM
    #[arg(
        long,
        env = "TAKHIN_TLS_CLIENT_KEY",
        value_name = "FILE",
        requires = "tls_client_cert",
        help_heading = "Server"
    )]
    tls_client_key: Option<PathBuf>,
}

impl Connection {
    /// Whether a server was named, here or in the environment.
    pub(in crate::cli) fn is_named(&self) -> bool {
        self.server.is_some()
    }

    /// A client for a command that asks and ends: it does not try again.
    pub(in crate::cli) fn once(&self) -> Result<Client, Failure> {
        self.client(Duration::ZERO)
    }

    /// A client for a command that goes on for long, and over restarts of the server; but one that can't be reached at
    /// all is said so at once.
    pub(in crate::cli) async fn lasting(&self) -> Result<Client, Failure> {
        match self.once()?.admin().health().await {
            Err(error @ (Error::Connection { .. } | Error::UnexpectedAnswer(_))) => Err(error.into()),
            // Whatever it says, it is there.
            Ok(_) | Err(_) => self.client(Duration::from_mins(2)),
        }
    }

    fn client(&self, give_up_after: Duration) -> Result<Client, Failure> {
        let server = self.server.as_deref().unwrap_or(DEFAULT_SERVER);
        let mut client = Client::builder(server).give_up_after(give_up_after);
        if let Some(key) = &self.api_key {
            client = client.api_key(key);
        }
        if let Some(path) = &self.tls_ca {
            client = client.trust(read(path)?);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_client_cert, &self.tls_client_key) {
            client = client.identity(read(certificate)?, read(key)?);
        }
        Ok(client.build()?)
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::WrongUsage(format!("{}: {error}", path.display())))
}
