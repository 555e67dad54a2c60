//! Settings of where the server listens, and of who may ask there.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use takhin::http::{Cors, CorsOrigin, Network, ProxyHeader, Tls, TlsFiles, TrustedProxies};

use crate::cli::listen::Address;

#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(in crate::cli) struct Listening {
    /// Address to listen on: host:port, or https://host:port for TLS; can be given several times
    #[arg(long, env = "TAKHIN_LISTEN", value_delimiter = ',', default_value = "localhost:8080", value_name = "ADDR")]
    pub(in crate::cli) listen: Vec<Address>,

    /// The server's certificate for https, in PEM, with those that lead to an authority after it
    #[arg(long, env = "TAKHIN_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The private key of the server's certificate, in PEM
    #[arg(long, env = "TAKHIN_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Authorities, in PEM, of which a client must have a certificate to be served over https
    #[arg(long, env = "TAKHIN_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,

    /// How long a TLS handshake may take; then the connection is closed
    #[arg(
        long,
        env = "TAKHIN_TLS_HANDSHAKE_TIMEOUT_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=600_000)
    )]
    tls_handshake_timeout_ms: u64,

    /// How often to look whether the files of TLS were changed; SIGHUP makes the server look at once
    #[arg(
        long,
        env = "TAKHIN_TLS_CHECK_INTERVAL_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=86_400_000)
    )]
    tls_check_interval_ms: u64,

    /// Origin of pages that browsers may let read answers (CORS), as in `https://app.example.com`, or * for all; can be
    /// given several times. None: only pages that were served from here
    #[arg(long, env = "TAKHIN_CORS_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    cors_origin: Vec<CorsOrigin>,

    /// How long a browser may remember that a page may ask
    #[arg(
        long,
        env = "TAKHIN_CORS_MAX_AGE_SECONDS",
        default_value_t = 600,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(0..=86_400)
    )]
    cors_max_age_seconds: u64,

    /// Address or network of proxies that are believed when they say who asks, as in 10.0.0.0/8; can be given several
    /// times
    #[arg(long, env = "TAKHIN_TRUSTED_PROXY", value_delimiter = ',', value_name = "CIDR")]
    trusted_proxy: Vec<Network>,

    /// The header in which those proxies say it; others are not believed
    #[arg(
        long,
        env = "TAKHIN_PROXY_HEADER",
        default_value = "x-forwarded-for",
        value_name = "x-forwarded-for|forwarded|x-real-ip"
    )]
    proxy_header: ProxyHeader,
}

impl Listening {
    /// What TLS is spoken with, if it is spoken anywhere. Reads the files.
    ///
    /// # Errors
    /// If they can't be used.
    pub(in crate::cli) fn tls(&self) -> Result<Option<Arc<Tls>>, String> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let client_authorities = self.tls_client_ca.clone();
        let files = TlsFiles { certificate: certificate.clone(), key: key.clone(), client_authorities };
        Tls::load(files).map(|tls| Some(Arc::new(tls))).map_err(|error| error.to_string())
    }

    pub(in crate::cli) fn tls_handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.tls_handshake_timeout_ms)
    }

    pub(in crate::cli) fn tls_check_interval(&self) -> Duration {
        Duration::from_millis(self.tls_check_interval_ms)
    }

    /// Whose pages may read answers.
    pub(in crate::cli) fn cors(&self) -> Option<Cors> {
        let max_age = Duration::from_secs(self.cors_max_age_seconds);
        (!self.cors_origin.is_empty()).then(|| Cors { origins: self.cors_origin.clone(), max_age })
    }

    /// Who is believed.
    pub(in crate::cli) fn trusted_proxies(&self) -> TrustedProxies {
        TrustedProxies { networks: self.trusted_proxy.clone(), header: self.proxy_header }
    }

    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        let encrypted = self.listen.iter().find(|address| address.tls);
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => conflicts.push("tls-cert is set, and tls-key, its key, is not".to_owned()),
            (None, Some(_)) => conflicts.push("tls-key is set, and tls-cert, its certificate, is not".to_owned()),
            (None, None) if encrypted.is_some() => {
                let address = encrypted.map(ToString::to_string).unwrap_or_default();
                conflicts.push(format!("listen is {address}, which takes tls-cert and tls-key"));
            }
            (Some(_), Some(_)) if encrypted.is_none() => {
                conflicts.push("tls-cert is set, and no address to listen on begins with https://".to_owned());
            }
            (Some(_), Some(_)) => conflicts.extend(self.tls().err()),
            (None, None) => {}
        }
        if self.tls_client_ca.is_some() && self.tls_cert.is_none() {
            conflicts.push("tls-client-ca is set, and tls-cert is not".to_owned());
        }
        conflicts
    }
}
