//! Clients that mean no good, or know no better. Whatever they send, leave unsent or leave unread: others are served
//! meanwhile, nobody is answered with a fault of the server, and once they have gone nothing of them is left.

mod bodies;
mod cut;
mod many;
mod slow;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

/// Memory that a server may have taken beyond what it had before, once all of its clients have gone: buffers that are
/// kept to be used again, and what the test itself left behind of topics and records.
const KEPT_BYTES: u64 = 128 << 20;

/// A server that is watched.
pub(super) struct Watched {
    broker: Broker,
    client: Client,
    files: usize,
    memory_bytes: u64,
}

impl Watched {
    /// A server with a topic `t` of two partitions, some records in it, and a client that was served.
    pub(super) fn start() -> Self {
        let broker = Broker::start(Options::quick());
        let client = broker.client();
        assert_eq!(client.post("/api/topics", &json!({"name": "t", "partitions": 2})).0, 201);
        client.produce_values("t", 0, &["first"]);
        client.produce_values("t", 1, &["second"]);
        let (files, memory_bytes) = (open_files(broker.pid()), memory_bytes(broker.pid()));
        Self { broker, client, files, memory_bytes }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A connection on which anything can be sent.
    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(Broker::PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(Broker::PATIENCE)).expect("a timeout");
        stream
    }

    pub(super) fn address(&self) -> String {
        self.broker.url("").trim_start_matches("http://").to_owned()
    }

    /// Somebody who means well is served.
    pub(super) fn serves(&self) {
        assert_eq!(self.client.get("/api/health").1["status"], "ok");
        let produced = self.client.post("/api/topics/t/produce", &json!({"records": [{"value": "more"}]}));
        assert_eq!(produced.0, 200, "{produced:?}");
    }

    /// What a gauge or a counter says; 0 if it is not there.
    pub(super) fn figure(&self, name: &str) -> f64 {
        let Value::String(text) = self.client.get("/metrics").1 else { panic!("no figures") };
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until nothing is left of clients that have gone, and checks that nothing of the server broke.
    pub(super) fn comes_to_rest(&self) {
        let deadline = Instant::now() + Broker::PATIENCE;
        let left = || {
            let figures = [("takhin_http_connections", 1.0), ("takhin_parked_polls", 0.0)];
            let rooms = [("takhin_http_bodies_bytes", 0.0), ("takhin_http_answers_bytes", 0.0)];
            let all = figures.into_iter().chain(rooms).map(|(name, rest)| (name, self.figure(name), rest));
            let mut left: Vec<String> =
                all.filter(|(_, is, rest)| is > rest).map(|(name, is, _)| format!("{name} {is}")).collect();
            let files = open_files(self.broker.pid());
            // Segments and connections to this test come and go.
            if files > self.files + 8 {
                left.push(format!("{files} files are open, and {} were", self.files));
            }
            left
        };
        while !left().is_empty() {
            assert!(Instant::now() < deadline, "left behind: {:?}", left());
            thread::sleep(Duration::from_millis(20));
        }
        let memory = memory_bytes(self.broker.pid());
        assert!(memory < self.memory_bytes + KEPT_BYTES, "{memory} bytes, and {} before", self.memory_bytes);
        let log = self.broker.log();
        assert!(!log.contains("panicked"), "{log}");
        self.serves();
    }
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn memory_bytes(pid: u32) -> u64 {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.unwrap_or_default() * 4096
}

/// Sends, if the server still takes anything.
pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) {
    // Who was refused may have been hung up on.
    let _ = stream.write_all(bytes);
}

/// Reads one answer: its status and its body; [`None`] if the server hung up before.
pub(super) fn answer(reader: &mut BufReader<&TcpStream>) -> Option<(u16, Vec<u8>)> {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match status {
            None => {
                let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
                status = Some(code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {line:?}")));
            }
            Some(_) => {
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().expect("a length");
                }
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((status?, body))
}

/// All statuses that come until the server hangs up.
pub(super) fn statuses(stream: &TcpStream) -> Vec<u16> {
    let mut reader = BufReader::new(stream);
    std::iter::from_fn(|| answer(&mut reader)).map(|(status, _)| status).collect()
}

/// A request with a body, whole.
pub(super) fn whole(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
