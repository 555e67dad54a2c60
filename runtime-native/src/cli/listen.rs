//! Where to listen: addresses as people write them, and sockets for them.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Listens on every address given; of a name that stands for several (as `localhost` does), on each that this
/// machine has, and on one at least.
///
/// # Errors
/// Says which address could not be had, and why.
pub(super) fn listen(addresses: &[String]) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let resolved = address.to_socket_addrs().map_err(|error| format!("can't listen on {address}: {error}"))?;
        let mut problem = None;
        let before = listeners.len();
        for socket in resolved {
            match bind(socket) {
                Ok(listener) => listeners.push(listener),
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
