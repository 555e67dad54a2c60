//! Lists and removes topics of a Kafka cluster. Two requests of versions that are kept for long are written out here: a library
//! would be built before every test of whoever needs a server.

use std::{
    io::{self, Error, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

const METADATA: i16 = 3;
const DELETE_TOPICS: i16 = 20;
const VERSION: i16 = 1;
/// How long a broker may take for what it is asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to one broker, which passes on what others have to do.
pub(super) struct Topics(TcpStream);

impl Topics {
    /// Of the cluster of a broker, as in `127.0.0.1:9092`.
    pub(super) fn at(broker: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(broker)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// The names of all topics.
    pub(super) fn names(&mut self) -> io::Result<Vec<String>> {
        // No array at all asks for all of them.
        let answer = self.ask(METADATA, &(-1_i32).to_be_bytes())?;
        let mut answer = Answer(&answer);
        for _ in 0..answer.int32()? {
            answer.skip(4)?; // Its number, and where it is:
            answer.text()?;
            answer.skip(4)?;
            answer.text()?;
        }
        answer.skip(4)?; // The controller.
        let mut names = Vec::new();
        for _ in 0..answer.int32()? {
            answer.skip(2)?; // An error.
            names.push(answer.text()?);
            answer.skip(1)?; // Whether it is Kafka's own.
            for _ in 0..answer.int32()? {
                answer.skip(10)?; // An error, its number, its leader; then its replicas, and those in sync.
                for _ in 0..2 {
                    let replicas = answer.int32()?;
                    answer.skip(4 * usize::try_from(replicas).unwrap_or(0))?;
                }
            }
        }
        Ok(names)
    }

    /// Removes these topics. Gives those that are still there, with the number that Kafka has for the reason.
    pub(super) fn remove(&mut self, names: &[String]) -> io::Result<Vec<(String, i16)>> {
        let mut body = int32(names.len()).to_vec();
        for name in names {
            body.extend(i16::try_from(name.len()).unwrap_or(i16::MAX).to_be_bytes());
            body.extend(name.as_bytes());
        }
        body.extend(int32(PATIENCE.as_millis() as usize));
        let answer = self.ask(DELETE_TOPICS, &body)?;
        let mut answer = Answer(&answer);
        answer.skip(4)?; // For how long it was throttled.
        let mut left = Vec::new();
        for _ in 0..answer.int32()? {
            let (name, error) = (answer.text()?, answer.int16()?);
            if error != 0 {
                left.push((name, error));
            }
        }
        Ok(left)
    }

    fn ask(&mut self, request: i16, body: &[u8]) -> io::Result<Vec<u8>> {
        // Its number is 0, and its client has no name.
        let head = [request.to_be_bytes(), VERSION.to_be_bytes(), [0; 2], [0; 2], (-1_i16).to_be_bytes()].concat();
        self.0.write_all(&[&int32(head.len() + body.len()), &*head, body].concat())?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap_or(0)];
        self.0.read_exact(&mut answer)?;
        Ok(answer.split_off(4.min(answer.len())))
    }
}

fn int32(number: usize) -> [u8; 4] {
    i32::try_from(number).unwrap_or(i32::MAX).to_be_bytes()
}

/// What is left of an answer.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        self.take(bytes).map(drop)
    }

    fn take(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let cut = || Error::new(ErrorKind::InvalidData, "a broker's answer that ends too soon");
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes([self.take(1)?[0], self.take(1)?[0]]))
    }

    fn int32(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(i32::from_be_bytes(bytes))
    }

    /// One that may be missing is empty then.
    fn text(&mut self) -> io::Result<String> {
        let bytes = usize::try_from(self.int16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(bytes)?).into_owned())
    }
}
