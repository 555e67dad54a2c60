//! One record of a produce request, parsed without being copied.

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    headers::{HeaderList, HeaderMap},
    one_of::OneOf,
    text::{Encoding, Piece, store},
};
use crate::http::error::ApiError;

/// What is written out of a record while it is parsed. Kept and cleared from record to record.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) bytes: Vec<u8>,
    names: String,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
    max_headers: usize,
    /// What ended the parsing, if it was no fault of the JSON's shape.
    pub(super) fault: Option<Fault>,
}

/// How errors call a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// By its place in the request's `records`.
    At(usize),
    /// It stands in a line of its own, and the line is named beside it.
    InLine,
}

impl Named {
    /// The path of one of its fields.
    pub(super) fn field(self, name: &str) -> String {
        match self {
            Self::At(index) => format!("records[{index}].{name}"),
            Self::InLine => name.to_owned(),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(index) => write!(f, "records[{index}]"),
            Self::InLine => f.write_str("the record"),
        }
    }
}

/// What is wrong with a record that is JSON of the right shape.
#[derive(Debug)]
pub(super) enum Fault {
    /// It has both `headers` and `headers_list`.
    HeadersTwice,
    /// It has more headers than it may, in the field of that name.
    TooManyHeaders { field: &'static str, headers: usize, max: usize },
    /// The value of an entry of `headers_list` is not the base64 that it is said to be.
    HeaderNotBase64 { entry: usize, error: base64::DecodeError },
}

impl Fault {
    /// How it is answered, in a record of this name.
    pub(super) fn explain(self, record: Named) -> ApiError {
        match self {
            Self::HeadersTwice => {
                let message = format!("{record} has headers and headers_list, and may have one of them");
                ApiError::malformed("conflicting_fields", message).with("field", record.field("headers_list"))
            }
            Self::TooManyHeaders { field, headers, max } => {
                let field = record.field(field);
                let message = format!("{field} has {headers} headers, and a record may have at most {max}");
                let out_of_range = ApiError::unacceptable("out_of_range", &field, message);
                out_of_range.with("value", headers).with("min", 0).with("max", max)
            }
            Self::HeaderNotBase64 { entry, error } => {
                not_base64(&record.field(&format!("headers_list[{entry}].value")), &error)
            }
        }
    }
}

/// 422 `invalid_base64` for the field of that path.
pub(super) fn not_base64(field: &str, error: &base64::DecodeError) -> ApiError {
    ApiError::unacceptable("invalid_base64", field, format!("{field} is not base64: {error}"))
}

impl Scratch {
    pub(super) fn new(max_headers: usize) -> Self {
        Self { bytes: Vec::new(), names: String::new(), headers: Vec::new(), max_headers, fault: None }
    }

    /// Notes what is wrong, and gives what ends the parsing.
    pub(super) fn fail<E: Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("a record is wrong")
    }

    /// How many headers there may be, if there are as many.
    pub(super) fn is_full(&self) -> Option<usize> {
        (self.headers.len() == self.max_headers).then_some(self.max_headers)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.names.clear();
        self.headers.clear();
    }

    /// Adds a header whose value has been stored in this scratch, which is not [full](Self::is_full).
    pub(super) fn add_header(&mut self, name: &str, value: Option<Piece<'_>>) {
        let start = self.names.len();
        self.names.push_str(name);
        let value = value.map(|piece| match piece {
            Piece::Scratch(range) => range,
            Piece::Body(bytes) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                start..self.bytes.len()
            }
        });
        self.headers.push((start..self.names.len(), value));
    }

    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| &self.names[name.clone()])
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> + Clone {
        self.headers.iter().map(|(name, value)| {
            let value = value.clone().map(|range| &self.bytes[range]);
            (&self.names[name.clone()], value)
        })
    }
}

/// A record as it was given; its headers are in the scratch.
#[derive(Debug, Default)]
pub(super) struct Draft<'b> {
    pub(super) key: Option<Piece<'b>>,
    pub(super) key_encoding: Encoding,
    /// Any JSON; `None` if it is absent or null.
    pub(super) value: Option<&'b RawValue>,
    pub(super) value_encoding: Encoding,
    pub(super) partition: Option<i64>,
    pub(super) timestamp: Option<i64>,
}

/// Parses one record.
pub(super) struct RecordSeed<'s>(pub(super) &'s mut Scratch);

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Key,
    Value,
    Partition,
    Headers,
    HeadersList,
    Timestamp,
    KeyEncoding,
    ValueEncoding,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Partition => "partition",
            Self::Headers => "headers",
            Self::HeadersList => "headers_list",
            Self::Timestamp => "timestamp",
            Self::KeyEncoding => "key_encoding",
            Self::ValueEncoding => "value_encoding",
        }
    }
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = Draft<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Draft<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft<'de>, A::Error> {
        const BOTH_HEADERS: u16 = 1 << Field::Headers as u16 | 1 << Field::HeadersList as u16;
        let mut draft = Draft::default();
        let mut seen = 0u16;
        while let Some(field) = map.next_key::<Field>()? {
            let bit = 1 << field as u16;
            if seen & bit != 0 {
                return Err(A::Error::duplicate_field(field.name()));
            }
            seen |= bit;
            if seen & BOTH_HEADERS == BOTH_HEADERS {
                return Err(self.0.fail(Fault::HeadersTwice));
            }
            match field {
                Field::Key => draft.key = map.next_value_seed(KeySeed(self.0))?,
                Field::Value => draft.value = map.next_value::<Option<&RawValue>>()?,
                Field::Partition => draft.partition = map.next_value()?,
                Field::Timestamp => draft.timestamp = map.next_value()?,
                Field::KeyEncoding => draft.key_encoding = map.next_value::<OneOf<_>>()?.0,
                Field::ValueEncoding => draft.value_encoding = map.next_value::<OneOf<_>>()?.0,
                Field::Headers => map.next_value_seed(HeaderMap(self.0))?,
                Field::HeadersList => map.next_value_seed(HeaderList(self.0))?,
            }
        }
        Ok(draft)
    }
}

/// A key: a string, or null.
struct KeySeed<'s>(&'s mut Scratch);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<Piece<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = Option::<BorrowedOrNot<'de>>::deserialize(deserializer)?;
        Ok(key.map(|key| match key.0 {
            Cow::Borrowed(text) => Piece::Body(text.as_bytes()),
            Cow::Owned(text) => store(&mut self.0.bytes, text.as_bytes()),
        }))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct BorrowedOrNot<'b>(#[serde(borrow)] Cow<'b, str>);
