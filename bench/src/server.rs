//! A server that the tool starts by itself, and stops.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    Failure,
    connection::Connection,
    request::{self, Url},
};

/// How long a server may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Dropped, it is stopped and its data is removed.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: Url,
    child: Child,
    _directory: TempDir,
}

impl Server {
    /// The handler that does nothing.
    pub(crate) fn bare(directory: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(directory, answers("/"), |address, _| {
            command.args(["bare", "--listen", address]);
            command
        })
    }

    /// The one that reads nothing of what comes.
    pub(crate) fn raw(directory: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(directory, answers("/"), |address, _| {
            command.args(["raw", "--listen", address]);
            command
        })
    }

    /// Takhin, with an empty data directory.
    pub(crate) fn takhin(program: &Path, directory: &Path, durability: &str) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        Self::start(directory, answers("/api/health/ready"), |address, data| {
            command.args(["serve", "--listen", address, "--durability", durability, "--log", "warn", "--data-dir"]);
            command.arg(data);
            command
        })
    }

    /// The same with room for more of everything than anybody has by default.
    pub(crate) fn roomy(program: &Path, directory: &Path) -> Result<Self, Failure> {
        const ROOM: [&str; 5] =
            ["--max-topics", "--max-partitions", "--max-consumers", "--max-groups", "--max-connections"];
        let mut command = Command::new(program);
        Self::start(directory, answers("/api/health/ready"), |address, data| {
            command.args(["serve", "--listen", address, "--durability", "os", "--log", "warn", "--data-dir"]);
            command.arg(data).args(ROOM.iter().flat_map(|name| [name, "200000"]));
            command.args(["--max-partitions-per-topic", "100000"]);
            command
        })
    }

    /// The same under callgrind, which writes what it counts to files whose names begin with `counts`.
    pub(crate) fn counted(program: &Path, directory: &Path, counts: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", counts.display()));
        // With several workers it is chance how often one wakes another.
        command.arg(program).env("TOKIO_WORKER_THREADS", "1");
        Self::start(directory, answers("/api/health/ready"), |address, data| {
            command.args(["serve", "--listen", address, "--durability", "os", "--log", "warn", "--data-dir"]);
            command.arg(data);
            command
        })
    }

    /// Any server: `command` is given the address to listen on and a directory of its own, and `ready` says whether it
    /// answers there.
    pub(crate) fn start(
        directory: &Path,
        ready: impl Fn(SocketAddr) -> bool,
        command: impl FnOnce(&str, &Path) -> Command,
    ) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(directory)?;
        // Free a moment ago; should somebody else take it meanwhile, the server says so and ends.
        let address: SocketAddr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = command(&address.to_string(), &directory.path().join("data"));
        let log = File::create(directory.path().join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut server = Self { url: Url(address), child, _directory: directory };
        server.wait_until_ready(ready)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, ready: impl Fn(SocketAddr) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("a server ended at once: {status}").into());
            }
            if ready(self.url.0) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err("a server did not start in time".into())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Whether a Takhin is there that takes requests.
pub(crate) fn is_takhin_ready(address: SocketAddr) -> bool {
    answers("/api/health/ready")(address)
}

/// Whether a server answers a `GET` well.
fn answers(path: &'static str) -> impl Fn(SocketAddr) -> bool {
    move |address| {
        let connection = Connection::open(address);
        connection.is_ok_and(|mut connection| connection.ask(&request::get(path)).is_ok())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // It may have ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
