//! A record as it is read: its place, its time, and its bytes.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Error, Result, TopicPartition};

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The topic and partition that it is in.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: u64,
    /// Milliseconds since the epoch: when the producer says that it was, else when it was appended.
    pub timestamp_ms: i64,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its value. None differs from an empty one: it says that the key is gone.
    pub value: Option<Bytes>,
    /// Its headers, in order; names may repeat.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value; Kafka knows headers that have none.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

impl Message {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.partition.topic
    }

    /// The key as text, if it is some.
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// The value as text, if it is some.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.value.as_deref()?).ok()
    }

    /// The value read as JSON; no value is `null`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is not JSON, or not of this kind.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let value = self.value.as_deref().unwrap_or(b"null");
        let wrong = |error| Error::Invalid(format!("the value of {} at {}: {error}", self.partition, self.offset));
        serde_json::from_slice(value).map_err(wrong)
    }

    /// The offset after it: what a commit of it names.
    pub fn next_offset(&self) -> u64 {
        self.offset + 1
    }
}

/// A record as the server writes it.
#[derive(Deserialize)]
pub(crate) struct WireRecord {
    topic: Arc<str>,
    partition: u32,
    offset: u64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    headers_list: Option<Vec<WireHeader>>,
    key_encoding: Option<Encoding>,
    value_encoding: Option<Encoding>,
}

#[derive(Deserialize)]
struct WireHeader {
    key: String,
    value: Option<String>,
    encoding: Option<Encoding>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Text,
    Base64,
}

impl TryFrom<WireRecord> for Message {
    type Error = Error;

    fn try_from(wire: WireRecord) -> Result<Self> {
        let headers = match wire.headers_list {
            Some(list) => list.into_iter().map(header).collect::<Result<_>>()?,
            None => {
                wire.headers.into_iter().map(|(name, value)| Header { name, value: value.map(Bytes::from) }).collect()
            }
        };
        Ok(Self {
            partition: TopicPartition::new(wire.topic, wire.partition),
            offset: wire.offset,
            timestamp_ms: wire.timestamp,
            key: decoded(wire.key, wire.key_encoding)?,
            value: decoded(wire.value, wire.value_encoding)?,
            headers,
        })
    }
}

pub(crate) fn messages(records: Vec<WireRecord>) -> Result<Vec<Message>> {
    records.into_iter().map(Message::try_from).collect()
}

fn header(wire: WireHeader) -> Result<Header> {
    Ok(Header { name: wire.key, value: decoded(wire.value, wire.encoding)? })
}

fn decoded(text: Option<String>, encoding: Option<Encoding>) -> Result<Option<Bytes>> {
    let Some(text) = text else { return Ok(None) };
    match encoding {
        None | Some(Encoding::Text) => Ok(Some(text.into())),
        Some(Encoding::Base64) => match BASE64_STANDARD.decode(text) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => Err(Error::UnexpectedAnswer(format!("base64 that is none: {error}"))),
        },
    }
}
