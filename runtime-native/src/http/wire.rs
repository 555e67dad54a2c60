//! The bytes on the wire: what the operating system takes of them, the connection's [`Link`] is told, whether they are plain
//! or were encrypted before. So a client that takes nothing is given up in the same time.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncBufRead as _, AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::link::Link;

/// What a connection speaks HTTP over. When it is flushed, the operating system has every byte that was written.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Whether the client is known to have closed its end. Costs no system call unless something is to be read, and
    /// takes nothing of what is.
    fn peer_left(&mut self, cx: &mut Context<'_>) -> bool;
}

/// One client's TCP stream.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    link: Arc<Link>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, link: Arc<Link>) -> Self {
        Self { stream, link }
    }

    /// Waits until there is something to read.
    #[cfg(test)]
    pub(super) async fn readable(&self) {
        self.stream.readable().await.expect("a socket can be watched");
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.link.write_blocked(),
            Poll::Ready(_) => self.link.write_progressed(),
        }
        result
    }
}

impl Transport for Wire {
    fn peer_left(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => false,
            Poll::Ready(Ok(bytes)) => bytes == 0,
            Poll::Ready(Err(_)) => true,
        }
    }
}

impl Transport for TlsStream<Wire> {
    /// A goodbye is encrypted too, so what came has to be decrypted; it is kept for whoever reads next.
    fn peer_left(&mut self, cx: &mut Context<'_>) -> bool {
        match Pin::new(self).poll_fill_buf(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(bytes)) => bytes.is_empty(),
            Poll::Ready(Err(_)) => true,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(result)
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
