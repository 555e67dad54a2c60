//! Two questions to a broker in Kafka's protocol: which brokers are alive, and who leads the quorum.
//!
//! They tell far more truly than an open port whether a broker serves, and take milliseconds, where each of Kafka's own tools
//! takes a Java of its own and seconds. Two requests of a protocol that keeps its old versions are written out here, since a
//! library of all of it would be built before anything that a developer runs.

use std::{
    io::{self, Error, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// How long a broker may take to be reached, and to go on with its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer is at most this long; these have some hundred bytes.
const MOST_BYTES: usize = 1 << 16;

const METADATA: i16 = 3;
const DESCRIBE_QUORUM: i16 = 55;
const CLIENT_ID: &str = "takhin-xtask";

/// The ids of the brokers that are alive, as the broker at this port of the loopback knows it, in ascending order.
pub(super) fn alive_brokers(port: u16) -> io::Result<Vec<i32>> {
    // No topics: an empty array. None at all would mean every one of them.
    let answer = ask(port, &request(METADATA, 1, &[0, 0, 0, 0]))?;
    brokers_of_metadata(&answer)
}

/// The id of the node that leads the quorum of the controllers; nothing while there is none.
pub(super) fn quorum_leader(port: u16) -> io::Result<Option<i32>> {
    // From here on lists are compact ones, a length of n being written as n + 1, and every part ends with its tags: none.
    let mut body = vec![0, 2];
    let topic = b"__cluster_metadata";
    body.push(u8::try_from(topic.len()).expect("it is short") + 1);
    body.extend_from_slice(topic);
    body.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
    let answer = ask(port, &request(DESCRIBE_QUORUM, 0, &body))?;
    leader_of_quorum(&answer)
}

/// A request with its length before it.
fn request(api: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    rest.extend_from_slice(&api.to_be_bytes());
    rest.extend_from_slice(&version.to_be_bytes());
    rest.extend_from_slice(&[0; 4]); // The number that the answer repeats: there is but one request on a connection.
    rest.extend_from_slice(&i16::try_from(CLIENT_ID.len()).expect("it is short").to_be_bytes());
    rest.extend_from_slice(CLIENT_ID.as_bytes());
    rest.extend_from_slice(body);
    let mut request = u32::try_from(rest.len()).expect("it is short").to_be_bytes().to_vec();
    request.append(&mut rest);
    request
}

/// Sends the request on a connection of its own, and gives the answer without its length.
fn ask(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut broker = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    broker.set_read_timeout(Some(PATIENCE))?;
    broker.set_write_timeout(Some(PATIENCE))?;
    broker.write_all(request)?;
    let mut length = [0; 4];
    broker.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| *length <= MOST_BYTES);
    let mut answer = vec![0; length.ok_or_else(|| not_kafka("an answer that is far too long"))?];
    broker.read_exact(&mut answer)?;
    Ok(answer)
}

fn brokers_of_metadata(answer: &[u8]) -> io::Result<Vec<i32>> {
    let mut answer = Answer(answer);
    answer.int32()?; // The request's number.
    let count = answer.int32()?;
    let mut brokers = Vec::new();
    for _ in 0..count {
        brokers.push(answer.int32()?);
        answer.string()?; // The host.
        answer.int32()?; // The port.
        answer.string()?; // The rack.
    }
    brokers.sort_unstable();
    Ok(brokers)
}

fn leader_of_quorum(answer: &[u8]) -> io::Result<Option<i32>> {
    let mut answer = Answer(answer);
    answer.int32()?; // The request's number.
    answer.no_tags()?;
    answer.no_error()?;
    let topics = answer.varint()?;
    let name = answer.varint()?.saturating_sub(1);
    answer.take(name)?;
    let partitions = answer.varint()?;
    if (topics, partitions) != (2, 2) {
        return Err(not_kafka("an answer that is not about one partition"));
    }
    answer.int32()?; // The partition.
    answer.no_error()?;
    let leader = answer.int32()?;
    Ok((leader >= 0).then_some(leader))
}

/// What is still unread of an answer.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| not_kafka("an answer that ends too soon"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn int<const BYTES: usize>(&mut self) -> io::Result<[u8; BYTES]> {
        Ok(self.take(BYTES)?.try_into().expect("as many as were taken"))
    }

    fn int16(&mut self) -> io::Result<i16> {
        self.int().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> io::Result<i32> {
        self.int().map(i32::from_be_bytes)
    }

    /// A string, or none, whose length is -1.
    fn string(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        self.take(length).map(drop)
    }

    /// A number in groups of seven bits, the low ones first.
    fn varint(&mut self) -> io::Result<usize> {
        let mut number = 0;
        for group in 0..4 {
            let [byte] = self.int()?;
            number |= usize::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(not_kafka("a number that is too large"))
    }

    fn no_tags(&mut self) -> io::Result<()> {
        if self.varint()? == 0 { Ok(()) } else { Err(not_kafka("tags that this version does not have")) }
    }

    fn no_error(&mut self) -> io::Result<()> {
        match self.int16()? {
            0 => Ok(()),
            code => Err(Error::other(format!("the broker answers with Kafka's error {code}"))),
        }
    }
}

fn not_kafka(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the broker gives {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a broker: two brokers, no rack, controller 2, no topics.
    const METADATA_ANSWER: &[u8] = b"\0\0\0\0\0\0\0\x02\
        \0\0\0\x02\0\x09127.0.0.1\0\0\x52\x0a\xff\xff\
        \0\0\0\x01\0\x09127.0.0.1\0\0\x52\x09\xff\xff\
        \0\0\0\x02\0\0\0\0";

    fn quorum_answer(leader: i32) -> Vec<u8> {
        let mut answer = b"\0\0\0\0\0\0\0\x02\x13__cluster_metadata\x02\0\0\0\0\0\0".to_vec();
        answer.extend_from_slice(&leader.to_be_bytes());
        answer.extend_from_slice(b"\0\0\0\x04and what is not read");
        answer
    }

    #[test]
    fn a_request_begins_with_its_length() {
        let request = request(METADATA, 1, &[0, 0, 0, 0]);
        assert_eq!(request, b"\0\0\0\x1a\0\x03\0\x01\0\0\0\0\0\x0ctakhin-xtask\0\0\0\0");
    }

    #[test]
    fn the_brokers_that_are_alive_are_told_in_order() {
        assert_eq!(brokers_of_metadata(METADATA_ANSWER).expect("an answer"), [1, 2]);
    }

    #[test]
    fn the_leader_is_told_if_there_is_one() {
        assert_eq!(leader_of_quorum(&quorum_answer(3)).expect("an answer"), Some(3));
        assert_eq!(leader_of_quorum(&quorum_answer(-1)).expect("an answer"), None);
    }

    #[test]
    fn an_error_of_the_broker_is_an_error() {
        let error = leader_of_quorum(b"\0\0\0\0\0\0\x23\x01").expect_err("error 35");
        assert_eq!(error.to_string(), "the broker answers with Kafka's error 35");
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error() {
        // Behind the racks nothing is read, nor behind the leader.
        for length in 0..METADATA_ANSWER.len() - 8 {
            brokers_of_metadata(&METADATA_ANSWER[..length]).expect_err("it is cut off");
        }
        let answer = quorum_answer(3);
        let read = answer.len() - b"\0\0\0\x04and what is not read".len();
        for length in 0..read {
            leader_of_quorum(&answer[..length]).expect_err("it is cut off");
        }
        leader_of_quorum(&answer[..read]).expect("all that is read");
    }
}
