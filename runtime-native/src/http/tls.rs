//! TLS, by rustls: the server's certificate and key, who may connect, and how they are exchanged while it runs.
//!
//! * TLS 1.2 and 1.3, and HTTP/1.1 spoken over it.
//! * With authorities for clients, a client without a certificate of one of them is refused in the handshake.
//! * New files hold for handshakes that begin after [`Tls::reload`]; connections that are open go on. Files that can't be
//!   used change nothing.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

/// Which files TLS needs, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, and after it those that lead to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of which a client must have a certificate; [`None`] takes every client.
    pub client_authorities: Option<PathBuf>,
}

/// Why TLS can't be spoken with some files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is nothing of use in a file.
    #[error("{} has no {what} in PEM: {error}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
        /// What was found wrong.
        error: rustls::pki_types::pem::Error,
    },
    /// The certificate and the key can't be used, or not with each other.
    #[error("{} with the key {}: {error}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        error: rustls::Error,
    },
    /// The clients' authorities can't be used.
    #[error("{}: {error}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: VerifierBuilderError,
    },
}

/// What handshakes are made with.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    hasher: RandomState,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// Of what the files held when they were last looked at, whether that was of use or not.
    fingerprint: u64,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If they can't be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let hasher = RandomState::new();
        let fingerprint = fingerprint(&files, &hasher);
        let config = Arc::new(config(&files)?);
        Ok(Self { files, hasher, current: RwLock::new(Current { config, fingerprint }) })
    }

    /// Reads the files anew, if they are not what they were when they were last looked at. Gives whether they hold from now
    /// on. Waits for the disk.
    ///
    /// # Errors
    /// If they can't be used; the ones before hold on. It is said once for each change.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let fingerprint = fingerprint(&self.files, &self.hasher);
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            if current.fingerprint == fingerprint {
                return Ok(false);
            }
            current.fingerprint = fingerprint;
        }
        let config = Arc::new(config(&self.files)?);
        self.current.write().unwrap_or_else(PoisonError::into_inner).config = config;
        Ok(true)
    }

    /// For the next handshake.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.config).into()
    }
}

/// Stands for what the files hold, or for why that can't be known.
fn fingerprint(files: &TlsFiles, hasher: &RandomState) -> u64 {
    let content = |path: &Path| fs::read(path).map_err(|error| error.kind());
    let authorities = files.client_authorities.as_deref().map(content);
    hasher.hash_one((content(&files.certificate), content(&files.key), authorities))
}

fn config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let TlsFiles { certificate, key, client_authorities } = files;
    let unusable = |error| TlsError::Unusable { certificate: certificate.clone(), key: key.clone(), error };
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| TlsError::Missing {
        path: key.clone(),
        what: "private key",
        error,
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = match client_authorities {
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, private).map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    Ok(config)
}

fn verifier(
    path: &Path,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(certificates(path)?);
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|error| TlsError::Authorities { path: path.to_owned(), error })
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = |error| TlsError::Missing { path: path.to_owned(), what: "certificate", error };
    let pem = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(missing)?;
    if chain.is_empty() { Err(missing(rustls::pki_types::pem::Error::NoItemsFound)) } else { Ok(chain) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
}
