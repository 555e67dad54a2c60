//! A record as it is sent: what a caller says of it, and its JSON.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Serialize;

use crate::{Error, Header, Result, TopicPartition};

/// A record to be sent.
#[derive(Clone, Debug)]
#[must_use = "a record is sent by `Producer::send`"]
pub struct Record {
    pub(crate) topic: String,
    pub(crate) partition: Option<u32>,
    pub(crate) key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<Header>,
    timestamp_ms: Option<i64>,
}

/// Where a record is now, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The topic and partition that it went to.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: u64,
    /// Its time, in milliseconds since the epoch. None if the server knew the record already and the record doesn't say.
    pub timestamp_ms: Option<i64>,
}

impl Record {
    /// A record without key and value.
    pub fn new(topic: impl Into<String>) -> Self {
        let topic = topic.into();
        Self { topic, partition: None, key: None, value: None, headers: Vec::new(), timestamp_ms: None }
    }

    /// Records of one key keep their order, since they go to one partition.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The value. Without one the record says that its key is gone.
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// The value, as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it can't be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_vec(value).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(self.value(text))
    }

    /// One more header; 100 at most.
    pub fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// The partition, instead of the one that the key leads to.
    pub fn partition(mut self, partition: u32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Its time in milliseconds since the epoch, instead of when it arrives.
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// The fields of its JSON, without braces and without its partition; each begins with a comma.
    pub(crate) fn encoded(&self) -> String {
        let mut out = String::new();
        write_field(&mut out, "key", self.key.as_deref());
        write_field(&mut out, "value", self.value.as_deref());
        if let Some(timestamp_ms) = self.timestamp_ms {
            let _ = write!(out, ",\"timestamp\":{timestamp_ms}");
        }
        if !self.headers.is_empty() {
            out.push_str(",\"headers_list\":[");
            for (at, header) in self.headers.iter().enumerate() {
                out.push_str(if at == 0 { "{\"key\":" } else { ",{\"key\":" });
                write_text(&mut out, &header.name);
                write_bytes(&mut out, "value", "encoding", header.value.as_deref());
                out.push('}');
            }
            out.push(']');
        }
        out
    }
}

fn write_field(out: &mut String, name: &str, bytes: Option<&[u8]>) {
    if bytes.is_some() {
        write_bytes(out, name, &format!("{name}_encoding"), bytes);
    }
}

fn write_bytes(out: &mut String, name: &str, encoding: &str, bytes: Option<&[u8]>) {
    let _ = write!(out, ",\"{name}\":");
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => out.push_str("null"),
        Some(Ok(text)) => write_text(out, text),
        Some(Err(bytes)) => {
            let _ = write!(out, "\"{}\",\"{encoding}\":\"base64\"", BASE64_STANDARD.encode(bytes));
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_go_in_base64() {
        let record = Record::new("t").key("k\"").value(vec![0xff]).timestamp_ms(5);
        let record = record.header(Header::new("a", "1")).header(Header { name: "b".into(), value: None });
        assert_eq!(
            record.encoded(),
            r#","key":"k\"","value":"/w==","value_encoding":"base64","timestamp":5,"headers_list":[{"key":"a","value":"1"},{"key":"b","value":null}]"#
        );
        assert_eq!(Record::new("t").encoded(), "");
    }
}
