//! Who may connect: a bounded number of nodes' connections at a time.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Connections at a time. Another node has one for each question that is under way, and polls wait long; so there is room for as
/// many as polls may be parked if nothing is set.
pub(super) const MAX_CONNECTIONS: usize = 200_000;
/// That there is no room is said once in this time.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Accepts as many connections as there is room for. One more is closed at once, so that who asks knows and can ask again.
#[derive(Debug)]
pub(super) struct BoundedListener {
    listener: TcpListener,
    most: usize,
    room: Arc<Semaphore>,
    said: Option<Instant>,
    refused: u64,
}

impl BoundedListener {
    /// Connections of this listener, at most so many at a time.
    pub(super) fn new(listener: TcpListener, most: usize) -> Self {
        Self { listener, most, room: Arc::new(Semaphore::new(most)), said: None, refused: 0 }
    }

    fn refuse(&mut self, from: SocketAddr) {
        self.refused += 1;
        if self.said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            return;
        }
        self.said = Some(Instant::now());
        let (most, refused) = (self.most, std::mem::take(&mut self.refused));
        tracing::warn!(%from, most, refused, "other nodes have as many connections as they may: more are closed at once");
    }
}

impl Listener for BoundedListener {
    type Io = Accepted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Accepted, SocketAddr) {
        loop {
            let (stream, from) = Listener::accept(&mut self.listener).await;
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(place) => return (Accepted { stream, _place: place }, from),
                Err(_) => self.refuse(from),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that has a place until it ends.
#[derive(Debug)]
pub(super) struct Accepted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_there_is_room_again_when_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut bounded = BoundedListener::new(listener, 1);
        let first = TcpStream::connect(address).await.expect("connected");
        let (held, _) = bounded.accept().await;
        let mut second = TcpStream::connect(address).await.expect("connected");
        let mut byte = [0];
        let closed = tokio::select! {
            read = second.read(&mut byte) => read,
            _ = bounded.accept() => panic!("there was no room"),
        };
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
        drop((first, held));
        let third = TcpStream::connect(address).await.expect("connected");
        let (_held, from) = bounded.accept().await;
        assert_eq!(from, third.local_addr().expect("an address"));
    }
}
