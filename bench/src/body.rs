//! Where an answer's body ends: after so many bytes, or with its last chunk.

use std::io::{self, ErrorKind};

/// A chunk's first line is shorter than this.
const MAX_LINE_BYTES: usize = 64;

/// What is to come of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Bytes(usize),
    /// Chunks, until an empty one.
    Chunks(Chunk),
}

/// Where in its chunks a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In the line that says how long the next one is, of which this much is known.
    Line(Vec<u8>),
    /// Within one of which so many bytes are to come, with the line's end behind them.
    Within(usize),
    /// In the line behind the last one.
    Last(usize),
}

impl Body {
    /// A body in chunks, of which nothing has come.
    pub(crate) fn in_chunks() -> Self {
        Self::Chunks(Chunk::Line(Vec::new()))
    }

    /// Takes what was read, and gives `keep` what of it is the body's. Whether the body ends with it.
    ///
    /// # Errors
    /// If there is more than the body, or its chunks make no sense.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut keep: impl FnMut(&[u8])) -> io::Result<bool> {
        loop {
            match self {
                Self::Bytes(left) => {
                    let left_then = left.checked_sub(bytes.len()).ok_or_else(|| wrong("more than was announced"))?;
                    *left = left_then;
                    keep(bytes);
                    return Ok(left_then == 0);
                }
                Self::Chunks(Chunk::Within(left)) => {
                    let now = bytes.len().min(*left);
                    // The two bytes of the line's end are not the body's.
                    keep(&bytes[..now.min(left.saturating_sub(2))]);
                    *left -= now;
                    bytes = &bytes[now..];
                    if *left > 0 {
                        return Ok(false);
                    }
                    *self = Self::in_chunks();
                }
                Self::Chunks(Chunk::Line(line)) => {
                    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                        line.extend_from_slice(bytes);
                        return if line.len() < MAX_LINE_BYTES { Ok(false) } else { Err(wrong("an endless line")) };
                    };
                    line.extend_from_slice(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    let text = std::str::from_utf8(line).ok().and_then(|text| text.split(';').next());
                    let length = text.and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
                    let length = length.ok_or_else(|| wrong("a chunk without a length"))?;
                    *self = Self::Chunks(if length == 0 { Chunk::Last(2) } else { Chunk::Within(length + 2) });
                }
                Self::Chunks(Chunk::Last(left)) => {
                    *left = left.checked_sub(bytes.len()).ok_or_else(|| wrong("more than the last chunk"))?;
                    return Ok(*left == 0);
                }
            }
        }
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_wherever_they_were_cut() {
        let bytes = b"5\r\nhello\r\n1;x=y\r\n,\r\nC\r\n hello\r\n you\r\n0\r\n\r\n";
        for cut in 1..bytes.len() {
            let (mut body, mut kept) = (Body::in_chunks(), Vec::new());
            assert!(!body.take(&bytes[..cut], |part| kept.extend_from_slice(part)).expect("good"), "cut at {cut}");
            assert!(body.take(&bytes[cut..], |part| kept.extend_from_slice(part)).expect("good"), "cut at {cut}");
            assert_eq!(kept, b"hello, hello\r\n you", "cut at {cut}");
        }
        assert!(Body::in_chunks().take(b"x\r\n", |_| {}).is_err());
        assert!(Body::Bytes(3).take(b"1234", |_| {}).is_err());
    }
}
