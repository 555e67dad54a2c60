//! A record's headers in a request: the map `headers`, or `headers_list` where a name repeats or a value is not
//! text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

use super::{
    record::Scratch,
    text::{Encoding, decode_base64, store},
};

/// `{"name": "value" or null, ...}`, each name once.
pub(super) struct HeaderMap<'s>(pub(super) &'s mut Scratch);

/// `[{"key": "name", "value": "value" or null, "encoding": "base64"}, ...]`
pub(super) struct HeaderList<'s>(pub(super) &'s mut Scratch);

/// An entry of a [`HeaderList`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'b> {
    #[serde(borrow)]
    key: Cow<'b, str>,
    #[serde(borrow, default)]
    value: Option<Cow<'b, str>>,
    #[serde(default)]
    encoding: Encoding,
}

impl<'de> DeserializeSeed<'de> for HeaderMap<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderMap<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if self.0.header_names().any(|seen| seen == name) {
                let message = format_args!("the header {name:?} is given twice; headers_list can repeat a name");
                return Err(A::Error::custom(message));
            }
            let value = map.next_value::<Option<Cow<'de, str>>>()?;
            let value = value.map(|value| store(&mut self.0.bytes, value.as_bytes()));
            self.0.add_header(&name, value).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for HeaderList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for HeaderList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects with key and value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Entry<'de>>()? {
            let mut value = entry.value.map(|value| store(&mut self.0.bytes, value.as_bytes()));
            if entry.encoding == Encoding::Base64
                && let Some(text) = value
            {
                let decoded = decode_base64(&text, &mut self.0.bytes);
                let message = |error| A::Error::custom(format_args!("not base64: {error}"));
                value = Some(decoded.map_err(message)?);
            }
            self.0.add_header(&entry.key, value).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
