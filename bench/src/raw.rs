//! The limit of the load tool: TCP with nothing read of what comes but its length, and answers made beforehand.

use std::net::SocketAddr;

use clap::Args;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
};

use crate::Failure;

/// What a `GET` answers.
const BIG_ANSWER_BYTES: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Raw {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
}

impl Raw {
    pub(crate) fn run(self) -> Result<(), Failure> {
        runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), Failure> {
        let listener = TcpListener::bind(self.listen).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream));
        }
    }
}

/// Answers as soon as so many bytes have come as the first request had: a connection's requests are all the same.
async fn serve(mut stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 256 << 10];
    let (mut came, mut request) = (0, None);
    loop {
        // What came before the first request is whole stays, to be looked at; behind that, nothing does.
        let at = if request.is_none() { came } else { 0 };
        match stream.read(&mut buffer[at..]).await? {
            0 => return Ok(()),
            read => came += read,
        }
        if request.is_none() {
            request = length(&buffer[..came])?.map(|length| (length, answer(&buffer)));
        }
        if let Some((length, answer)) = &request {
            while came >= *length {
                came -= length;
                stream.write_all(answer).await?;
            }
        }
    }
}

/// How long a request is, if its head is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() < 16 << 10 { Ok(None) } else { Err("an endless head".into()) };
    };
    let text = std::str::from_utf8(&bytes[..head])?;
    let body = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    Ok(Some(head + 4 + body.map_or(Ok(0), str::parse)?))
}

fn answer(request: &[u8]) -> Vec<u8> {
    let bytes = if request.starts_with(b"GET ") { BIG_ANSWER_BYTES } else { 27 };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; bytes]].concat()
}
