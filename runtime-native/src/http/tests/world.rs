//! A running server and a client that speaks HTTP byte by byte, so that it can also speak it badly.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use takhin_core::Config;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::certificates::Authority;
use crate::{
    driver::{Driver, DriverConfig, TraceConfig},
    engine::local::LocalConfig,
    http::{HttpConfig, Listener, Server, Tls},
};

/// A server on a port of its own, with a data directory of its own.
pub(super) struct World {
    runtime: Runtime,
    directory: TempDir,
    driver: Driver,
    address: SocketAddr,
    /// How its clients speak TLS, if they do.
    tls: Option<Arc<ClientConfig>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(HttpConfig::default())
    }

    pub(super) fn with(config: HttpConfig) -> Self {
        Self::start(config, None, None)
    }

    /// One with which clients speak TLS.
    pub(super) fn encrypted(config: HttpConfig) -> Self {
        let authority = Authority::new();
        let directory = tempfile::tempdir().expect("a directory");
        let files = authority.issue().write(directory.path());
        let tls = Arc::new(Tls::load(files).expect("they can be used"));
        Self::with_tls(config, tls, authority.client(None))
    }

    pub(super) fn with_tls(config: HttpConfig, tls: Arc<Tls>, clients: Arc<ClientConfig>) -> Self {
        Self::start(config, Some(tls), Some(clients))
    }

    fn start(config: HttpConfig, tls: Option<Arc<Tls>>, clients: Option<Arc<ClientConfig>>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let directory = tempfile::tempdir().expect("a directory");
        let driver = {
            let _runtime = runtime.enter();
            let config = DriverConfig {
                core: Config::default(),
                engine: LocalConfig::new(directory.path()),
                trace: TraceConfig::default(),
            };
            Driver::start(config).expect("a broker").driver
        };
        let (stop, stopped) = oneshot::channel();
        let front = {
            let _runtime = runtime.enter();
            Server::start(config, vec![Listener { socket: listener, tls }])
        };
        front.open(driver.clone());
        let served = runtime.spawn(async {
            stopped.await.unwrap_or_default();
            front.close().await;
        });
        Self { runtime, directory, driver, address, tls: clients, stop, served }
    }

    /// Connects.
    pub(super) fn client(&self) -> Client {
        let stream: Box<dyn Stream> = match &self.tls {
            None => return Client::of(self.address),
            Some(tls) => Box::new(self.encrypt(tls)),
        };
        Client { stream: BufReader::new(stream) }
    }

    /// The broker behind it.
    pub(super) fn driver(&self) -> Driver {
        self.driver.clone()
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn encrypt(&self, tls: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(tls), name).expect("a connection");
        StreamOwned::new(connection, TcpStream::connect(self.address).expect("a connection"))
    }

    /// The certificate that such a client is shown, if there is a handshake.
    pub(super) fn certificate_shown_to(&self, tls: &Arc<ClientConfig>) -> Option<Vec<u8>> {
        let mut stream = self.encrypt(tls);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        stream.conn.peer_certificates()?.first().map(|certificate| certificate.to_vec())
    }

    /// What such a client hears first when it asks how the server is, if anything.
    pub(super) fn try_ask(&self, tls: &Arc<ClientConfig>) -> Option<u8> {
        let mut stream = self.encrypt(tls);
        stream.write_all(request("GET", "/api/health", "").as_bytes()).ok()?;
        let mut first = [0];
        stream.read_exact(&mut first).ok().map(|()| first[0])
    }

    /// A figure of `/metrics`.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let answer = self.client().ask("GET", "/metrics", "");
        let text = String::from_utf8(answer.body).expect("text");
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("the metric is there");
        value.parse().expect("a number")
    }

    /// Asks on a connection of its own, and expects success.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.client().ask(method, path, &body.to_string());
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.json()
    }

    pub(super) fn get(&self, path: &str) -> Value {
        self.client().ask("GET", path, "").json()
    }

    /// Tells the server to stop, and the broker nothing: what waits goes on waiting.
    pub(super) fn stop(self) -> Stopping {
        self.stop.send(()).expect("it runs");
        // From then on every connection knows it, too.
        until(|| TcpStream::connect(self.address).is_err());
        Stopping { runtime: self.runtime, _directory: self.directory, driver: self.driver, served: self.served }
    }

    /// A topic of one partition, and a consumer of it that begins at its start.
    pub(super) fn consumer_of(&self, topic: &str) -> String {
        self.ask("POST", "/api/topics", &json!({"name": topic}));
        let wish = json!({"group_id": "g", "topics": [topic], "auto_offset_reset": "earliest", "auto_commit": false});
        let consumer = self.ask("POST", "/api/consumers/subscribe", &wish);
        consumer["consumer_id"].as_str().expect("an id").to_owned()
    }

    /// The position in partition 0.
    pub(super) fn position(&self, consumer: &str, topic: &str) -> Value {
        self.get(&format!("/api/consumers/{consumer}/position"))["offsets"][topic]["0"].clone()
    }
}

/// A server that was told to stop.
pub(super) struct Stopping {
    runtime: Runtime,
    _directory: TempDir,
    driver: Driver,
    served: JoinHandle<()>,
}

impl Stopping {
    /// Tells the broker too: what waits ends.
    pub(super) fn drain(&self) {
        self.driver.drain();
    }

    /// Waits until it has.
    pub(super) fn wait(self) {
        self.runtime.block_on(self.served).expect("it ends well");
    }
}

/// Waits until something holds.
pub(super) fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::sleep(Duration::from_millis(2));
    }
}

/// What bytes go through.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// One connection.
pub(super) struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// A client that speaks no TLS.
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(Box::new(TcpStream::connect(address).expect("a connection"))) }
    }

    pub(super) fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.send(&request(method, path, body));
        self.answer()
    }

    /// Sends bytes as they are. What the server does not want to read is not an error here.
    pub(super) fn send(&mut self, bytes: &str) {
        let stream = self.stream.get_mut();
        let _ = stream.write_all(bytes.as_bytes()).and_then(|()| stream.flush());
    }

    /// Reads an answer to its end.
    pub(super) fn answer(&mut self) -> Answer {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        answer.body.resize(length, 0);
        self.stream.read_exact(&mut answer.body).expect("a whole body");
        answer
    }

    /// Reads as much of an answer's beginning as asked for.
    pub(super) fn taste(&mut self, bytes: usize) {
        self.stream.read_exact(&mut vec![0; bytes]).expect("so much is there");
    }

    /// Waits for the server to end the connection.
    pub(super) fn wait_for_end(mut self) {
        let mut sink = [0; 4096];
        while matches!(self.stream.read(&mut sink), Ok(bytes) if bytes > 0) {}
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        let bytes = self.stream.read_line(&mut line).expect("a line");
        assert_ne!(bytes, 0, "the connection was closed");
        line.trim_end().to_owned()
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request, whole. Like curl's, its content type says nothing of JSON.
pub(super) fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: takhin\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}
