//! Where to listen: addresses as people write them, and sockets for them.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// An address to listen on: `host:port` or `http://host:port`, or `https://host:port` for TLS.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Host and port.
    host: String,
    /// Whether clients speak TLS.
    pub(super) tls: bool,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, tls) = match text.split_once("://") {
            Some(("https", host)) => (host, true),
            Some(("http", host)) => (host, false),
            Some((scheme, _)) => return Err(format!("{scheme} is neither http nor https")),
            None => (text, false),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        match host.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self { host: host.to_owned(), tls })
            }
            _ => Err("expected host:port, http://host:port or https://host:port".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "https://" } else { "http://" })?;
        f.write_str(&self.host)
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) socket: TcpListener,
    pub(super) tls: bool,
}

/// Listens on every address given; of a name that stands for several (as `localhost` does), on each that this
/// machine has, and on one at least.
///
/// # Errors
/// Says which address could not be had, and why.
pub(super) fn listen(addresses: &[Address]) -> Result<Vec<Listening>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let resolved = address.host.to_socket_addrs().map_err(|error| format!("can't listen on {address}: {error}"))?;
        let mut problem = None;
        let before = listeners.len();
        for socket in resolved {
            match bind(socket) {
                Ok(socket) => listeners.push(Listening { socket, tls: address.tls }),
                Err(error) => problem = Some((socket, error)),
            }
        }
        match problem {
            // One of a name's addresses may be missing, but must not be somebody else's.
            Some((socket, error)) if listeners.len() == before || error.kind() == io::ErrorKind::AddrInUse => {
                return Err(format!("can't listen on {socket}: {error}"));
            }
            _ => {}
        }
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
