//! The program with plain and encrypted addresses, and what it takes up anew at SIGHUP.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use takhin_tests::{
    broker::{Broker, Options, free_port, program, run_to_its_end},
    process::Signal,
};
use tempfile::TempDir;

/// A certificate and its key in files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(TempDir::new().expect("a directory"));
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes others in their place.
    fn renew(&self) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        fs::write(self.path("cert.pem"), certificate).expect("a file");
        fs::write(self.path("key.pem"), key.serialize_pem()).expect("a file");
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let listen = format!("https://127.0.0.1:{port}");
        ["--listen", &*listen, "--tls-cert", &*path("cert.pem"), "--tls-key", &*path("key.pem")]
            .map(String::from)
            .into()
    }

    /// Asks how the server is, as one who trusts the certificate that is in the file now.
    fn ask(&self, port: u16) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.path("cert.pem")).expect("a certificate");
        roots.add(certificate).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port))?);
        stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

#[test]
fn one_server_has_plain_and_encrypted_addresses_and_takes_up_new_certificates() {
    let (files, port) = (Files::new(), free_port());
    let interval = ["--tls-check-interval-ms".to_owned(), "86400000".to_owned()];
    let arguments = [files.arguments(port), interval.into()].concat();
    let mut broker = Broker::start(Options { arguments, ..Options::quick() });
    assert!(broker.log().contains(&format!("https://127.0.0.1:{port}")), "{}", broker.log());
    assert_eq!(broker.client().get("/api/health").0, 200);
    assert!(files.ask(port).expect("an answer").starts_with("HTTP/1.1 200 OK\r\n"));

    files.renew();
    assert!(files.ask(port).is_err(), "the new one is not shown yet");
    broker.signal(Signal::HUP);
    while files.ask(port).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    fs::write(files.path("key.pem"), "").expect("a file");
    broker.signal(Signal::HUP);
    while !broker.log().contains("can't be used, the ones before hold on") {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(files.ask(port).is_ok());
    assert_eq!(broker.terminate().code(), Some(0));
}

#[test]
fn new_certificates_are_noticed_without_being_told() {
    let (files, port) = (Files::new(), free_port());
    let interval = ["--tls-check-interval-ms".to_owned(), "100".to_owned()];
    let _broker =
        Broker::start(Options { arguments: [files.arguments(port), interval.into()].concat(), ..Options::quick() });
    assert!(files.ask(port).is_ok());
    files.renew();
    while files.ask(port).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_does_not_go_together_is_told() {
    let files = Files::new();
    let (cert, key) = (files.path("cert.pem").display().to_string(), files.path("key.pem").display().to_string());
    let https = "https://127.0.0.1:1";
    for (arguments, expected) in [
        (&["--listen", https][..], "listen is https://127.0.0.1:1, which takes tls-cert and tls-key"),
        (&["--listen", https, "--tls-cert", &cert], "tls-cert is set, and tls-key, its key, is not"),
        (&["--tls-cert", &cert, "--tls-key", &key], "no address to listen on begins with https://"),
        (&["--tls-client-ca", &cert], "tls-client-ca is set, and tls-cert is not"),
        (&["--listen", https, "--tls-cert", &key, "--tls-key", &key], "key.pem has no certificate in PEM"),
        (&["--listen", https, "--tls-cert", "/nowhere", "--tls-key", &key], "/nowhere: No such file"),
    ] {
        let mut command = Command::new(program());
        command.args(["config", "check"]).args(arguments);
        let (status, said) = run_to_its_end(&mut command, &files.path("log"));
        assert!(status.code() == Some(1) && said.contains(expected), "{arguments:?}: {status}, {said}");
    }
}
