//! The body of a produce request as JSON, field by field, on its way into a [`Sink`].
//!
//! Nothing is kept of it but what the sink makes of it: a record is put into its batch before the next one is read.

use std::fmt;

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

use super::{one_of::OneOf, produce::Sink, record::RecordSeed};

/// Reads the body, and puts what it says into the sink.
pub(super) struct BodySeed<'s, 'c>(pub(super) &'s mut Sink<'c>);

struct RecordsSeed<'s, 'c>(&'s mut Sink<'c>);

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum BodyField {
    Records,
    ProducerId,
    Epoch,
    Sequence,
    ExpectedOffset,
    Compression,
}

impl BodyField {
    fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::ProducerId => "producer_id",
            Self::Epoch => "epoch",
            Self::Sequence => "sequence",
            Self::ExpectedOffset => "expected_offset",
            Self::Compression => "compression",
        }
    }
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0u8;
        while let Some(field) = map.next_key::<BodyField>()? {
            let bit = 1 << field as u8;
            if seen & bit != 0 {
                return Err(A::Error::duplicate_field(field.name()));
            }
            seen |= bit;
            let wishes = &mut self.0.wishes;
            match field {
                BodyField::Records => map.next_value_seed(RecordsSeed(self.0))?,
                BodyField::ProducerId => wishes.producer_id = map.next_value()?,
                BodyField::Epoch => wishes.epoch = map.next_value()?,
                BodyField::Sequence => wishes.sequence = map.next_value()?,
                BodyField::ExpectedOffset => wishes.expected_offset = map.next_value()?,
                BodyField::Compression => wishes.compression = map.next_value::<Option<OneOf<_>>>()?.map(|word| word.0),
            }
        }
        let found = seen & 1 << BodyField::Records as u8 != 0;
        if found { Ok(()) } else { Err(A::Error::missing_field("records")) }
    }
}

impl<'de> DeserializeSeed<'de> for RecordsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            self.0.scratch.clear();
            let draft = match list.next_element_seed(RecordSeed(&mut self.0.scratch)) {
                Ok(Some(draft)) => draft,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let named = self.0.named();
                    self.0.fault = self.0.scratch.fault.take().map(|fault| fault.explain(named));
                    return Err(error);
                }
            };
            if let Err(error) = self.0.take(draft) {
                let message = A::Error::custom(&error);
                self.0.fault = Some(error);
                return Err(message);
            }
        }
    }
}
