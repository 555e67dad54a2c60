//! One HTTP/1.1 connection: sends prebuilt bytes, and of each answer looks at the status, the length and the end.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{Failure, body::Body};

/// How much of an answer's end is kept: what a poll says after its records fits.
const TAIL_BYTES: usize = 4 << 10;

/// An answer without a body, which need not say so.
const NO_CONTENT: u16 = 204;

/// A head longer than this is no answer of ours.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// What bodies are read into and thrown away. Connections of one thread share it.
pub(crate) type Scratch = [u8];

/// A scratch of the usual size.
pub(crate) fn scratch() -> Vec<u8> {
    vec![0; 256 << 10]
}

/// A client's end of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    head: Vec<u8>,
    /// The status of the answer under way, and what is to come of its body.
    body: Option<(u16, Body)>,
    body_bytes: usize,
    tail: Vec<u8>,
}

/// A whole answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body_bytes: usize,
    /// The end of the body; all of it if it is short.
    pub(crate) tail: &'a [u8],
}

impl Answer<'_> {
    pub(crate) fn is_good(&self) -> bool {
        self.status / 100 == 2
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(self.tail))
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    pub(crate) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, head: Vec::new(), body: None, body_bytes: 0, tail: Vec::new() })
    }

    /// Sends as much as the system takes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Reads until an answer is whole, or, on a stream that does not block, until nothing more is there.
    pub(crate) fn receive(&mut self, scratch: &mut Scratch) -> io::Result<Option<Answer<'_>>> {
        loop {
            let bytes = match self.stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Some(status) = self.take(&scratch[..bytes])? {
                return Ok(Some(Answer { status, body_bytes: self.body_bytes, tail: &self.tail }));
            }
        }
    }

    /// Reads once, waiting for it; the answer if it is whole with that.
    pub(crate) fn receive_some(&mut self, scratch: &mut Scratch) -> io::Result<Option<Answer<'_>>> {
        let bytes = match self.stream.read(scratch)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            bytes => bytes,
        };
        let status = self.take(&scratch[..bytes])?;
        Ok(status.map(|status| Answer { status, body_bytes: self.body_bytes, tail: &self.tail }))
    }

    /// Takes what was read; the status if the answer is whole with it.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<Option<u16>> {
        let (status, mut body) = if let Some(body) = self.body.take() {
            body
        } else {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(end) = self.head.windows(4).position(|window| window == b"\r\n\r\n") else {
                if self.head.len() > MAX_HEAD_BYTES {
                    return Err(io::Error::new(ErrorKind::InvalidData, "an endless head"));
                }
                return Ok(None);
            };
            let head = parse_head(&self.head[..end]).ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, "no status, or nothing that says where it ends")
            })?;
            bytes = &bytes[end + 4 - before..];
            self.head.clear();
            self.tail.clear();
            self.body_bytes = 0;
            head
        };
        let whole = body.take(bytes, |bytes| {
            self.body_bytes += bytes.len();
            keep_tail(&mut self.tail, bytes);
        })?;
        if whole {
            return Ok(Some(status));
        }
        self.body = Some((status, body));
        Ok(None)
    }

    /// Of an answer under way: how much of its body has come, and the last of it.
    pub(crate) fn so_far(&self) -> (usize, &[u8]) {
        (self.body_bytes, &self.tail)
    }

    /// Sends and waits, on a stream that blocks.
    ///
    /// # Errors
    /// Also if the answer is not a good one.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<String, Failure> {
        self.send(request)?;
        let answer = self.receive(&mut scratch())?.ok_or("the stream does not block")?;
        if answer.is_good() { Ok(String::from_utf8_lossy(answer.tail).into_owned()) } else { Err(answer.text().into()) }
    }
}

/// Puts more behind the end of a body, as far as that is kept.
fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let surplus = (tail.len() + kept.len()).saturating_sub(TAIL_BYTES);
    tail.drain(..surplus);
    tail.extend_from_slice(kept);
}

fn parse_head(head: &[u8]) -> Option<(u16, Body)> {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.trim().parse::<usize>().ok();
    let status = u16::try_from(number(head.get(9..12)?)?).ok()?;
    let field = |name: &[u8]| {
        head.split(|&byte| byte == b'\n').find_map(|line| {
            let (found, value) = line.split_at_checked(name.len())?;
            found.eq_ignore_ascii_case(name).then_some(value.trim_ascii())
        })
    };
    let body = match field(b"content-length:") {
        Some(length) => Body::Bytes(number(length)?),
        None if status == NO_CONTENT => Body::Bytes(0),
        None => field(b"transfer-encoding:").filter(|how| *how == b"chunked").map(|_| Body::in_chunks())?,
    };
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_whole_wherever_it_was_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let mut connection = Connection::over(stream).expect("a socket");
        let announced = b"HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
        let in_chunks = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n";
        for answer in [&announced[..], in_chunks] {
            for cut in 1..answer.len() {
                assert_eq!(connection.take(&answer[..cut]).expect("good"), None, "cut at {cut}");
                assert_eq!(connection.take(&answer[cut..]).expect("good"), Some(201), "cut at {cut}");
                assert_eq!(connection.tail, b"hello");
                assert_eq!(connection.body_bytes, 5);
            }
        }
    }
}
