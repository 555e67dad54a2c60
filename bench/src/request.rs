//! Requests as the bytes that go over the wire, made once.

use std::{fmt, net::SocketAddr, str::FromStr};

use crate::Failure;

/// Where a server is: `http://ADDRESS:PORT`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Url(pub(crate) SocketAddr);

impl FromStr for Url {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        Ok(Self(address.parse().map_err(|_| format!("expected http://ADDRESS:PORT, not {text}"))?))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// The same in this media type.
pub(crate) fn get_as(path: &str, media_type: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {media_type}\r\n\r\n").into_bytes()
}

pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    post_as(path, "application/json", body)
}

/// The same in this media type.
pub(crate) fn post_as(path: &str, media_type: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn create_topic(name: &str, partitions: u32) -> Vec<u8> {
    post("/api/topics", &format!(r#"{{"name":"{name}","partitions":{partitions}}}"#))
}

/// The records of one produce request.
pub(crate) fn records(records: usize, record_bytes: usize) -> String {
    let record = format!(r#"{{"value":"{}"}}"#, "x".repeat(record_bytes));
    format!(r#"{{"records":[{}]}}"#, vec![record; records].join(","))
}

pub(crate) fn produce(topic: &str, body: &str) -> Vec<u8> {
    post(&format!("/api/topics/{topic}/produce"), body)
}

/// The id of this process's `number`-th consumer.
pub(crate) fn consumer_id(number: usize) -> String {
    format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id())
}

pub(crate) fn subscribe(consumer: &str, group: &str, topic: &str, auto_commit: bool) -> Vec<u8> {
    let body = format!(
        r#"{{"consumer_id":"{consumer}","group_id":"{group}","topics":["{topic}"],"auto_offset_reset":"earliest","auto_commit":{auto_commit}}}"#
    );
    post("/api/consumers/subscribe", &body)
}

/// The same in a group of its own, of a consumer that may be silent for long.
pub(crate) fn subscribe_patiently(consumer: &str, topic: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"consumer_id":"{consumer}","group_id":"{consumer}","topics":["{topic}"],"auto_offset_reset":"earliest","auto_commit":false,"session_timeout_ms":1800000,"max_poll_interval_ms":86400000}}"#
    );
    post("/api/consumers/subscribe", &body)
}

pub(crate) fn poll(consumer: &str, max_records: usize, timeout_ms: u32) -> Vec<u8> {
    let body = format!(r#"{{"max_records":{max_records},"timeout_ms":{timeout_ms}}}"#);
    post(&format!("/api/consumers/{consumer}/consume"), &body)
}

pub(crate) fn commit(consumer: &str) -> Vec<u8> {
    post(&format!("/api/consumers/{consumer}/commit"), "{}")
}

/// Commits this offset of the topic's first partition.
pub(crate) fn commit_to(consumer: &str, topic: &str, offset: u64) -> Vec<u8> {
    let body = format!(r#"{{"offsets":{{"{topic}":{{"0":{offset}}}}}}}"#);
    post(&format!("/api/consumers/{consumer}/commit"), &body)
}

pub(crate) fn leave(consumer: &str) -> Vec<u8> {
    format!("DELETE /api/consumers/{consumer} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// Back to the first record of each of these partitions.
pub(crate) fn rewind(consumer: &str, topic: &str, partitions: &[String]) -> Vec<u8> {
    let offsets: Vec<_> = partitions.iter().map(|partition| format!(r#""{partition}":0"#)).collect();
    let body = format!(r#"{{"offsets":{{"{topic}":{{{}}}}}}}"#, offsets.join(","));
    post(&format!("/api/consumers/{consumer}/seek"), &body)
}
