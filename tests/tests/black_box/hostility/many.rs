//! Ten thousand connections at a time.

use std::{io::BufReader, net::TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Watched, answer, send};

const CONNECTIONS: usize = 10_000;
/// Files that the test and the server have open beside connections, at most; the server keeps a quarter of what it may
/// have for segments.
const OTHER_FILES: u64 = 1_000;

/// Whether so many files may be open at a time, by this test and by the server that it starts.
fn may_open(files: u64) -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < files) {
        return Err(format!("{files} files are needed, and {maximum:?} may be open"));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).map_err(|error| error.to_string())
}

#[test]
fn ten_thousand_connections_are_served_and_leave_nothing() {
    if let Err(why) = may_open(CONNECTIONS as u64 * 4 / 3 + OTHER_FILES) {
        println!("skipped: {why}");
        return;
    }
    let server = Watched::start();
    let request = b"GET /api/health/live HTTP/1.1\r\nHost: t\r\n\r\n";
    let clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for round in 0..2 {
        for stream in &clients {
            send(stream, request);
        }
        for (n, stream) in clients.iter().enumerate() {
            let (status, _) = answer(&mut BufReader::new(stream)).unwrap_or_else(|| panic!("no answer for {n}"));
            assert_eq!(status, 200, "connection {n} in round {round}");
        }
        server.serves();
    }
    assert!(server.figure("takhin_http_connections") > 10_000.0);
    drop(clients);
    server.comes_to_rest();
}
