//! Over https: whom the client trusts, and as whom it comes.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use takhin_client::{Client, ClientBuilder, Error, Record, TopicSettings};
use takhin_tests::broker::{Broker, Options, free_port};
use tempfile::TempDir;

use crate::server::{from_start, numbers, take};

/// An authority of a test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key, in PEM.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with one more address, for https, and that address.
fn serve(authority: &Authority, files: &Path, more: &[String]) -> (Broker, String) {
    let port = free_port();
    let (certificate, key) = authority.certify("localhost");
    let written = |name: &str, text: String| {
        fs::write(files.join(name), text).unwrap();
        files.join(name).display().to_string()
    };
    let listen = format!("https://127.0.0.1:{port}");
    let (certificate, key) = (written("certificate", certificate), written("key", key));
    let own = ["--listen", &listen, "--tls-cert", &certificate, "--tls-key", &key].map(String::from);
    let arguments = [own.as_slice(), more].concat();
    let broker = tokio::task::block_in_place(|| Broker::start(Options { arguments, ..Options::quick() }));
    (broker, format!("https://localhost:{port}"))
}

/// Asks once.
fn impatient(url: &str) -> ClientBuilder {
    Client::builder(url).give_up_after(std::time::Duration::ZERO)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_walk_over_https_and_nobody_else_is_trusted() {
    let (authority, files) = (Authority::new(), TempDir::new().unwrap());
    let (_broker, url) = serve(&authority, files.path(), &[]);
    let client = impatient(&url).trust(authority.pem.clone()).build().unwrap();
    client.admin().create_topic("t", 1, &TopicSettings::default()).await.unwrap();
    let producer = client.producer();
    for number in 0..100 {
        let _unawaited = producer.send(Record::new("t").value(number.to_string())).await.unwrap();
    }
    producer.close().await;
    let mut consumer = from_start(&client, "g");
    assert_eq!(take(&mut consumer, 100).await, numbers(0..100));
    consumer.close().await.unwrap();

    for stranger in [impatient(&url).build().unwrap(), impatient(&url).trust(Authority::new().pem).build().unwrap()] {
        match stranger.admin().topics().await {
            Err(Error::Connection { why, .. }) => assert!(why.contains("certificate"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_to_know_its_clients_is_shown_a_certificate() {
    let (authority, files) = (Authority::new(), TempDir::new().unwrap());
    let trusted = files.path().join("authority");
    fs::write(&trusted, &authority.pem).unwrap();
    let more = ["--tls-client-ca".to_owned(), trusted.display().to_string()];
    let (_broker, url) = serve(&authority, files.path(), &more);
    let nameless = impatient(&url).trust(authority.pem.clone());
    assert!(matches!(nameless.clone().build().unwrap().admin().topics().await, Err(Error::Connection { .. })));
    let (certificate, key) = authority.certify("billing");
    let known = nameless.identity(certificate, key).build().unwrap();
    assert_eq!(known.admin().topics().await.unwrap().len(), 0);
}

#[test]
fn what_is_no_certificate_is_refused_where_it_matters() {
    for (builder, what) in [
        (Client::builder("https://localhost").trust("?"), "to trust"),
        (Client::builder("https://localhost").trust(Authority::new().pem).identity("?", "?"), "key"),
    ] {
        match builder.build().map(drop) {
            Err(Error::Invalid(why)) => assert!(why.contains(what), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(Client::builder("http://localhost").trust("?").build().is_ok(), "nothing is encrypted");
}
