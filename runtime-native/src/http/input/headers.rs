//! A record's headers in a request: the map `headers`, or `headers_list` where a name repeats or a value is not
//! text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    explain::duplicate_key,
    one_of::OneOf,
    record::{Fault, Scratch},
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
    encoding: OneOf<Encoding>,
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
            if let Some(max) = self.0.is_full() {
                map.next_value::<IgnoredAny>()?;
                let mut headers = max + 1;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    headers += 1;
                }
                return Err(self.0.fail(Fault::TooManyHeaders { field: "headers", headers, max }));
            }
            if self.0.header_names().any(|seen| seen == name) {
                return Err(duplicate_key(&name));
            }
            let value = map.next_value::<Option<Cow<'de, str>>>()?;
            let value = value.map(|value| store(&mut self.0.bytes, value.as_bytes()));
            self.0.add_header(&name, value);
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
        let mut index = 0;
        while self.0.is_full().is_none() {
            let Some(entry) = list.next_element::<Entry<'de>>()? else { return Ok(()) };
            let mut value = entry.value.map(|value| store(&mut self.0.bytes, value.as_bytes()));
            if entry.encoding.0 == Encoding::Base64
                && let Some(text) = value
            {
                let decoded = decode_base64(&text, &mut self.0.bytes);
                let fault = |error| Fault::HeaderNotBase64 { entry: index, error };
                value = Some(decoded.map_err(|error| self.0.fail(fault(error)))?);
            }
            self.0.add_header(&entry.key, value);
            index += 1;
        }
        let max = index;
        let mut headers = max;
        while list.next_element::<IgnoredAny>()?.is_some() {
            headers += 1;
        }
        if headers == max {
            return Ok(());
        }
        Err(self.0.fail(Fault::TooManyHeaders { field: "headers_list", headers, max }))
    }
}
