//! JSON that was stored, inside of JSON that is answered.
//!
//! It is written as it is stored, numbers with all their digits, but for its line breaks: these can only stand between
//! tokens, and would end a line or an event. It is checked first as strictly as any reader might: one record must not
//! make the whole answer unreadable. What is nested too deeply, or has a number that no float can hold or half of a
//! surrogate pair, is no JSON here.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deeply it may be nested. Readers allow for 128 levels or more, of which the answer around it takes some.
const MAX_DEPTH: u32 = 100;

/// Writes bytes that are one JSON value; says whether they are, and writes nothing if they are not.
pub(super) fn write_embedded(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = Readable { depth: 0 }.deserialize(&mut json);
    if read.and_then(|()| json.end()).is_err() {
        return false;
    }
    let start = out.len();
    out.extend_from_slice(bytes);
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    true
}

/// Reads all of a JSON value, and keeps nothing of it.
#[derive(Clone, Copy)]
struct Readable {
    depth: u32,
}

impl Readable {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH { Err(E::custom("nested too deeply")) } else { Ok(Self { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while list.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while map.next_entry_seed(inside, inside)?.is_some() {}
        Ok(())
    }
}
