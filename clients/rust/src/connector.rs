//! How connections are made: plain ones, and encrypted ones with what is trusted.
//!
//! Certificates are only looked for where an address wants them: a machine without any can still talk plain HTTP.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

#[cfg(feature = "tls")]
pub(crate) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub(crate) type Connector = HttpConnector;

/// What connections that are encrypted are made with; all in PEM.
#[cfg(feature = "tls")]
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Certificates to trust, instead of the system's.
    pub(crate) roots: Option<Vec<u8>>,
    /// The client's own certificate with those that lead to an authority, and its private key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Plain connections.
pub(crate) fn plain(connect_time: Duration, only_http: bool) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(only_http);
    // Requests are written whole, and each waits for its answer.
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_time));
    connector
}

#[cfg(feature = "tls")]
mod encrypted {
    use std::sync::Arc;

    use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
    use rustls::{
        ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    };

    use super::{Connector, Duration, Tls, plain};
    use crate::{Error, Result};

    impl Tls {
        /// Plain connections, and encrypted ones if they are wanted.
        pub(crate) fn connector(&self, connect_time: Duration, is_wanted: bool) -> Result<Connector> {
            let config = if is_wanted { self.config()? } else { trusts_nobody()? };
            let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
            Ok(builder.wrap_connector(plain(connect_time, false)))
        }

        fn config(&self) -> Result<ClientConfig> {
            let builder = match &self.roots {
                Some(pem) => begun()?.with_root_certificates(roots(pem)?),
                None => begun()?.with_native_roots().map_err(|error| wrong("the system's certificates", error))?,
            };
            let Some((certificates, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("the client's key", error))?;
            let chain = certificates_in(certificates, "the client's certificate")?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong("the client's certificate", error))
        }
    }

    fn trusts_nobody() -> Result<ClientConfig> {
        Ok(begun()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    fn begun() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        builder.with_safe_default_protocol_versions().map_err(|error| wrong("TLS", error))
    }

    fn roots(pem: &[u8]) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates_in(pem, "the certificates to trust")? {
            roots.add(certificate).map_err(|error| wrong("the certificates to trust", error))?;
        }
        Ok(roots)
    }

    /// All of them, and at least one.
    fn certificates_in(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let each = CertificateDer::pem_slice_iter(pem).map(|one| one.map_err(|error| wrong(what, error)));
        let all: Vec<_> = each.collect::<Result<_>>()?;
        if all.is_empty() { Err(Error::Invalid(format!("{what}: there is none in what was given"))) } else { Ok(all) }
    }

    fn wrong(what: &str, error: impl std::fmt::Display) -> Error {
        Error::Invalid(format!("{what}: {error}"))
    }
}
