//! As much of the other servers' protocols as it takes to have a record stored and to hear of it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Failure;

/// The stream that records go to.
const STREAM: &str = "orders";
/// How long a server may take for what is not measured.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// Redis's: `XADD`, whose answer is the entry's id.
    Redis,
    /// NATS's: a message with a reply subject, which `JetStream` acknowledges there once it has it.
    Nats,
}

impl Wire {
    /// A connection that is ready for [`Wire::append`].
    pub(super) fn connect(self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if self == Self::Nats {
            let hello = r#"{"verbose":false,"pedantic":false,"lang":"rust","version":"0"}"#;
            write!(stream, "CONNECT {hello}\r\nSUB {} 1\r\nPING\r\n", inbox(&stream)?)?;
            read_until(&mut stream, |bytes| bytes.ends_with(b"PONG\r\n"))?;
        }
        Ok(stream)
    }

    /// Makes the stream, where it doesn't come with its first record.
    pub(super) fn prepare(self, address: SocketAddr) -> Result<(), Failure> {
        let mut stream = self.connect(address)?;
        if self == Self::Nats {
            let config = format!(r#"{{"name":"{STREAM}","subjects":["{STREAM}"],"storage":"file"}}"#);
            let length = config.len();
            let inbox = inbox(&stream)?;
            write!(stream, "PUB $JS.API.STREAM.CREATE.{STREAM} {inbox} {length}\r\n{config}\r\n")?;
            let whole = |bytes: &[u8]| message(bytes).is_some();
            let bytes = read_until(&mut stream, whole)?;
            let text = message(&bytes).map_or("", |(text, _)| text);
            if text.contains(r#""error""#) {
                return Err(format!("no stream was made: {text}").into());
            }
        }
        Ok(())
    }

    /// What is sent over a connection to have a value stored.
    pub(super) fn append(self, stream: &TcpStream, value: &str) -> Result<Vec<u8>, Failure> {
        let length = value.len();
        let request = match self {
            Self::Redis => {
                let (name, stream) = (STREAM.len(), STREAM);
                format!("*5\r\n$4\r\nXADD\r\n${name}\r\n{stream}\r\n$1\r\n*\r\n$1\r\nv\r\n${length}\r\n{value}\r\n")
            }
            Self::Nats => format!("PUB {STREAM} {} {length}\r\n{value}\r\n", inbox(stream)?),
        };
        Ok(request.into_bytes())
    }

    /// Stores a value so often, each time once it is there from the time before.
    pub(super) fn append_one_by_one(self, address: SocketAddr, value: &str, times: usize) -> Result<(), Failure> {
        let mut stream = self.connect(address)?;
        let request = self.append(&stream, value)?;
        for _ in 0..times {
            stream.write_all(&request)?;
            let mut answer = read_until(&mut stream, |bytes| !matches!(self.answer(bytes), Ok(None)))?;
            let length = self.answer(&answer)?.unwrap_or_default();
            if !answer.split_off(length).is_empty() {
                return Err("more answers than requests".into());
            }
        }
        Ok(())
    }

    /// How long the answer at the front of `bytes` is, if it is whole.
    ///
    /// # Errors
    /// What the server says, if the value was not stored.
    pub(super) fn answer(self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        match self {
            Self::Redis => {
                let refused = !bytes.is_empty() && bytes[0] != b'$';
                let lines: Vec<_> = bytes.splitn(3, |&byte| byte == b'\n').collect();
                match lines[..] {
                    [first, ..] if refused => Err(String::from_utf8_lossy(first).into_owned().into()),
                    [first, second, _] => Ok(Some(first.len() + second.len() + 2)),
                    _ => Ok(None),
                }
            }
            Self::Nats => match message(bytes) {
                Some((text, _)) if !text.contains(r#""seq":"#) => Err(text.to_owned().into()),
                found => Ok(found.map(|(_, length)| length)),
            },
        }
    }
}

/// The subject on which a connection, and no other, hears of what it has asked for.
fn inbox(stream: &TcpStream) -> Result<String, Failure> {
    Ok(format!("answers.{}", stream.local_addr()?.port()))
}

/// The message at the front of what NATS sends, and how long that is with its head; what stands before it is passed over.
fn message(bytes: &[u8]) -> Option<(&str, usize)> {
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?;
        let end = line.windows(2).position(|pair| pair == b"\r\n")?;
        let head = std::str::from_utf8(&line[..end]).ok()?;
        at += end + 2;
        if let Some(fields) = head.strip_prefix("MSG ") {
            let length: usize = fields.split(' ').next_back()?.parse().ok()?;
            let text = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
            return (bytes.len() >= at + length + 2).then_some((text, at + length + 2));
        }
    }
}

fn read_until(stream: &mut TcpStream, whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Failure> {
    let (mut bytes, mut scratch) = (Vec::new(), [0; 4096]);
    while !whole(&bytes) {
        let read = stream.read(&mut scratch)?;
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        bytes.extend_from_slice(&scratch[..read]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_wherever_it_was_cut() {
        let redis = b"$15\r\n1699999999999-0\r\n";
        let nats = b"PING\r\nMSG answers 1 28\r\n{\"stream\":\"orders\", \"seq\":1}\r\n";
        for (wire, bytes) in [(Wire::Redis, &redis[..]), (Wire::Nats, nats)] {
            for cut in 0..bytes.len() {
                assert_eq!(wire.answer(&bytes[..cut]).expect("good"), None, "{wire:?} cut at {cut}");
            }
            let two = [bytes, bytes].concat();
            assert_eq!(wire.answer(&two).expect("good"), Some(bytes.len()), "{wire:?}");
        }
        assert!(Wire::Redis.answer(b"-ERR no\r\n").is_err());
        assert!(Wire::Nats.answer(b"MSG answers 1 11\r\n{\"error\":{}\r\n").is_err());
    }
}
