//! The beginning of a connection that is to be encrypted.

use std::{io, time::Duration};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::server::TlsStream;

use super::{error::ApiError, tls::Tls, unreadable, wire::Wire};

/// The first byte of all that TLS clients say first.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// It took too long.
    #[error("the handshake took too long")]
    Slow(#[from] Elapsed),
    /// The client broke off, or the two found nothing in common.
    #[error("no handshake: {0}")]
    Failed(#[from] io::Error),
    /// The client does not speak TLS. It was told to.
    #[error("the client does not speak TLS")]
    Plain,
}

/// Makes an encrypted connection of a plain one, within a time.
pub(super) async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
    within: Duration,
    wire: impl FnOnce(TcpStream) -> Wire,
    request_id: impl FnOnce() -> String,
) -> Result<TlsStream<Wire>, HandshakeError> {
    timeout(within, async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
            refuse(stream, &request_id()).await?;
            return Err(HandshakeError::Plain);
        }
        Ok(tls.acceptor().accept(wire(stream)).await?)
    })
    .await?
}

/// Tells somebody who speaks plain HTTP what is wrong, as far as he can be told.
async fn refuse(mut stream: TcpStream, request_id: &str) -> io::Result<()> {
    // What is left unread would break the connection off before the answer is read.
    let _request = stream.read(&mut [0; 8 << 10]).await?;
    let error = ApiError::new(StatusCode::BAD_REQUEST, "tls_required", "this port speaks TLS: ask with https://");
    stream.write_all(&unreadable::on_the_wire(StatusCode::BAD_REQUEST, &error, request_id)).await?;
    stream.shutdown().await
}
