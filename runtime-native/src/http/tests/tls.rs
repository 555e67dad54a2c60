//! HTTP over TLS: who is served, who isn't, and with which certificate. What holds of answers on their way is tried over
//! TLS in `delivery`.

use std::{fs, io::Read as _, io::Write as _, net::TcpStream, sync::Arc, time::Duration};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    certificates::Authority,
    world::{World, until},
};
use crate::http::{
    HttpConfig, Tls, TlsFiles,
    link::Link,
    wire::{Transport as _, Wire},
};

/// Keeps its directory for as long as the files are needed.
fn identity_of(authority: &Authority) -> (TempDir, TlsFiles) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = authority.issue().write(directory.path());
    (directory, files)
}

fn load(files: TlsFiles) -> Arc<Tls> {
    Arc::new(Tls::load(files).expect("they can be used"))
}

/// The certificate that the server shows, if there is a handshake.
fn shown(world: &World, authority: &Authority) -> Option<Vec<u8>> {
    world.certificate_shown_to(&authority.client(None))
}

#[test]
fn a_client_is_served_and_another_that_trusts_nobody_of_ours_is_not() {
    let world = World::encrypted(HttpConfig::default());
    assert_eq!(world.get("/api/health/ready"), json!({"status": "ok"}));
    assert_eq!(shown(&world, &Authority::new()), None);
    until(|| world.metric("takhin_http_tls_handshakes_failed_total") > 0.0);
}

#[test]
fn who_speaks_no_tls_is_told_to() {
    let world = World::encrypted(HttpConfig::default());
    let mut stream = TcpStream::connect(world.address()).expect("a connection");
    stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: takhin\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains(r#""code":"tls_required""#),
        "{answer}"
    );
}

#[test]
fn who_says_nothing_is_given_up() {
    let tls_handshake_timeout = Duration::from_millis(100);
    let world = World::encrypted(HttpConfig { tls_handshake_timeout, ..HttpConfig::default() });
    for beginning in [&b""[..], &[0x16, 3, 1]] {
        let mut stream = TcpStream::connect(world.address()).expect("a connection");
        stream.write_all(beginning).expect("sent");
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "the connection is closed");
    }
}

#[test]
fn connections_are_counted_before_they_are_encrypted() {
    let config = HttpConfig { max_connections: 1, ..HttpConfig::default() };
    let world = World::encrypted(config);
    let silent = TcpStream::connect(world.address()).expect("a connection");
    let refused = world.client().ask("GET", "/api/health", "");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("too_many_connections")));
    drop(silent);
    until(|| world.client().ask("GET", "/api/health", "").status == 200);
}

#[test]
fn a_handshake_under_way_does_not_delay_a_stop() {
    let config = HttpConfig { shutdown_grace: Duration::from_hours(1), ..HttpConfig::default() };
    let world = World::encrypted(config);
    let silent = TcpStream::connect(world.address()).expect("a connection");
    until(|| world.metric("takhin_http_connections") >= 2.0);
    world.stop().wait();
    drop(silent);
}

#[test]
fn a_client_needs_a_certificate_where_authorities_for_clients_are_set() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (directory, mut files) = identity_of(&authority);
    let path = directory.path().join("clients.pem");
    fs::write(&path, &clients.pem).expect("a file");
    files.client_authorities = Some(path);
    let world = World::with_tls(HttpConfig::default(), load(files), authority.client(Some(&clients.issue())));
    assert_eq!(world.get("/api/health/live"), json!({"status": "ok"}));
    for stranger in [None, Some(&Authority::new().issue())] {
        assert_eq!(world.try_ask(&authority.client(stranger)), None);
    }
}

#[test]
fn new_files_hold_for_new_connections_and_bad_ones_change_nothing() {
    let authority = Authority::new();
    let (directory, files) = identity_of(&authority);
    let tls = load(files.clone());
    let world = World::with_tls(HttpConfig::default(), Arc::clone(&tls), authority.client(None));
    let mut open = world.client();
    let first = shown(&world, &authority);
    assert!(first.is_some());
    assert!(!tls.reload().expect("nothing changed"));

    authority.issue().write(directory.path());
    assert!(tls.reload().expect("the new ones can be used"));
    let second = shown(&world, &authority);
    assert!(second.is_some() && second != first);
    assert_eq!(open.ask("GET", "/api/health", "").status, 200);

    fs::write(&files.key, authority.issue().key).expect("a file");
    let error = tls.reload().expect_err("the key is another's").to_string();
    assert!(error.contains("certificate.pem with the key"), "{error}");
    assert!(!tls.reload().expect("it is said once"));
    assert_eq!(shown(&world, &authority), second);
    fs::remove_file(&files.key).expect("removed");
    assert!(tls.reload().is_err());
    assert_eq!(shown(&world, &authority), second);

    authority.issue().write(directory.path());
    assert!(tls.reload().expect("they can be used again"));
}

#[test]
fn files_that_can_not_be_used_are_told() {
    let authority = Authority::new();
    let (directory, files) = identity_of(&authority);
    let told = |files: &TlsFiles| Tls::load(files.clone()).expect_err("unusable").to_string();
    let empty = directory.path().join("empty.pem");
    fs::write(&empty, "").expect("a file");
    let missing = directory.path().join("missing.pem");
    for (path, expected) in [(&empty, "no certificate in PEM"), (&missing, "missing.pem: No such file")] {
        let told = told(&TlsFiles { certificate: path.clone(), ..files.clone() });
        assert!(told.contains(expected), "{told}");
    }
    let no_key = told(&TlsFiles { key: files.certificate.clone(), ..files.clone() });
    assert!(no_key.contains("no private key in PEM"), "{no_key}");
    let no_authority = told(&TlsFiles { client_authorities: Some(files.key.clone()), ..files });
    assert!(no_authority.contains("no certificate in PEM"), "{no_authority}");
}

/// A goodbye is seen behind the handshake, and not through what the client said before it.
#[tokio::test]
async fn a_client_that_left_is_seen_to_have_left() {
    let authority = Authority::new();
    let (_directory, files) = identity_of(&authority);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let connector = TlsConnector::from(authority.client(None));
    let client = tokio::spawn(async move {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await.expect("a handshake")
    });
    let link = Arc::new(Link::new(&HttpConfig::default(), false, true));
    let wire = Wire::new(listener.accept().await.expect("a connection").0, link);
    let mut server = load(files).acceptor().accept(wire).await.expect("a handshake");
    let mut client = client.await.expect("no panic");

    assert!(!std::future::poll_fn(|cx| std::task::Poll::Ready(server.peer_left(cx))).await);
    client.write_all(b"request").await.expect("sent");
    client.shutdown().await.expect("said goodbye");
    // It is there once there is something to read.
    server.get_ref().0.readable().await;
    assert!(!std::future::poll_fn(|cx| std::task::Poll::Ready(server.peer_left(cx))).await);
    let mut request = [0; 7];
    server.read_exact(&mut request).await.expect("what was said");
    assert_eq!(&request, b"request");
    while !std::future::poll_fn(|cx| std::task::Poll::Ready(server.peer_left(cx))).await {
        tokio::task::yield_now().await;
    }
}
