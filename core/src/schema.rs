//! JSON Schemas of names and numbers, by the rules that their constructors keep. What has a plain shape derives its own.
//!
//! A schema counts characters, and names are measured in bytes: so a name that a schema allows may still be too long.

use alloc::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    ids::{ClientId, ConsumerId, GroupName, InstanceId, Offset, TopicName},
    pattern::TopicPattern,
    time::Date,
};

macro_rules! schema {
    ($name:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// A text without control characters.
fn free_name(max_bytes: usize) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": max_bytes, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"})
}

schema!(
    TopicName,
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": Self::MAX_BYTES, "pattern": "^[A-Za-z0-9._-]+$",
        "not": {"enum": [".", ".."]},
    })
);
schema!(GroupName, free_name(Self::MAX_BYTES));
schema!(ClientId, free_name(Self::MAX_BYTES));
schema!(InstanceId, free_name(Self::MAX_BYTES));
schema!(TopicPattern, json_schema!({"type": "string", "minLength": 1, "maxLength": Self::MAX_BYTES}));
schema!(ConsumerId, json_schema!({"type": "string", "format": "uuid"}));
schema!(Offset, json_schema!({"type": "integer", "format": "int64", "minimum": 0}));
schema!(Date, json_schema!({"type": "integer", "format": "int64"}));
