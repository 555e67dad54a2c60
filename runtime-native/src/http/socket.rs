//! The connection as hyper sees it, which tells its [`Link`] what passes, and gives the answers that hyper makes up by
//! itself their body.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{config::HttpConfig, dispatch::RequestIds, link::Link, unreadable, wire::Transport};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;

/// What one client sends and is sent.
pub(super) struct Socket<T> {
    stream: TokioIo<T>,
    link: Arc<Link>,
    config: Arc<HttpConfig>,
    ids: Arc<RequestIds>,
    /// What is left to write of the answer to something that was no request.
    last_words: Vec<u8>,
}

impl<T: Transport> Socket<T> {
    pub(super) fn new(stream: T, link: Arc<Link>, config: Arc<HttpConfig>, ids: Arc<RequestIds>) -> Self {
        Self { stream: TokioIo::new(stream), link, config, ids, last_words: Vec::new() }
    }

    /// Whether these bytes are hyper's own answer to what is no request. If so they are replaced; unless the answer
    /// before them is still being written, from which they can't be told apart.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        if self.link.owes_an_answer() {
            return false;
        }
        let Some(status) = unreadable::status(bytes) else { return false };
        let error = unreadable::error(status, &self.config);
        let id = self.ids.draw();
        let id = id.to_str().unwrap_or_default();
        tracing::debug!(id, %error, "answered what is no request");
        self.last_words = unreadable::on_the_wire(status, &error, id);
        true
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_words.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.last_words))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.last_words.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// To be called before a write. Afterwards it would be too late to ask: a client may have read all, and left.
    fn watch(&mut self, cx: &mut Context<'_>) {
        if self.link.begins_tracked_answer() && self.stream.inner_mut().peer_left(cx) {
            self.link.peer_left();
        }
    }
}

impl<T: Transport> Read for Socket<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.link.received();
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> Write for Socket<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        self.watch(cx);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bytes.first().is_some_and(|first| self.replaces(first)) {
            return Poll::Ready(Ok(bytes.iter().map(|slice| slice.len()).sum()));
        }
        self.watch(cx);
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when it has written all that it had, and only then.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_last_words(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_last_words(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
