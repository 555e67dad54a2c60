//! What types don't say of themselves: the bounds and defaults of numbers, and which fields exclude each other.
//!
//! Bounds are asked of the checks themselves, with a number that none of them allows.

use std::{collections::BTreeSet, ops::RangeInclusive};

use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use takhin_core::{PollLimits, Refusal};

/// Gives a number of an object the bounds between which a check takes it, and the default.
///
/// `refusal` is what the check says to an impossible number: it names the field. What is no such refusal is a mistake
/// in the description.
pub(crate) fn number(object: &mut Schema, refusal: Result<(), Refusal>, default: impl Into<Value>) {
    let (field, bounds) = bounds(refusal);
    between(object, &field, *bounds.start(), *bounds.end());
    by_default(object, &field, default);
}

/// Between which bounds a poll takes its limits: records, bytes, bytes worth waking for, and the wait.
pub(crate) fn poll_limits() -> [RangeInclusive<i64>; 4] {
    let (fine, impossible) = (PollLimits::default(), u32::MAX);
    let wrong = [
        PollLimits { max_records: impossible, ..fine },
        PollLimits { max_bytes: impossible, ..fine },
        PollLimits { max_bytes: PollLimits::MAX_BYTES, min_bytes: impossible, ..fine },
        PollLimits { timeout_ms: impossible, ..fine },
    ];
    wrong.map(|limits| bounds(limits.check()).1)
}

/// The field and the bounds that a check tells.
fn bounds(refusal: Result<(), Refusal>) -> (String, RangeInclusive<i64>) {
    match refusal {
        Err(Refusal::OutOfRange { field, min, max, .. }) => (field, min..=max),
        other => panic!("a check takes an impossible number: {other:?}"),
    }
}

/// Gives a field bounds.
pub(crate) fn between(object: &mut Schema, field: &str, min: i64, max: i64) {
    let field = property(object, field);
    field["minimum"] = min.into();
    field["maximum"] = max.into();
}

/// Gives a field a default.
pub(crate) fn by_default(object: &mut Schema, field: &str, default: impl Into<Value>) {
    property(object, field)["default"] = default.into();
}

/// Says that exactly one of these fields is there, and not null.
pub(crate) fn exactly_one(object: &mut Schema, fields: &[&str]) {
    let one = |field: &&str| given(&[*field]);
    object.insert("oneOf".to_owned(), fields.iter().map(one).collect());
}

/// Says that an object has one of these shapes: exactly these fields of all that any of the shapes has.
pub(crate) fn one_shape(object: &mut Schema, shapes: &[&[&str]]) {
    let concerned: BTreeSet<&str> = shapes.iter().copied().flatten().copied().collect();
    let shape = |fields: &&[&str]| {
        let mut shape = given(fields);
        for other in concerned.iter().filter(|field| !fields.contains(field)) {
            shape["properties"][*other] = json!({"type": "null"});
        }
        shape
    };
    object.insert("oneOf".to_owned(), shapes.iter().map(shape).collect());
}

/// A schema of objects that have these fields, and not as null.
pub(crate) fn given(fields: &[&str]) -> Value {
    let not_null = fields.iter().map(|field| ((*field).to_owned(), json!({"not": {"type": "null"}})));
    json!({"required": fields, "properties": not_null.collect::<serde_json::Map<_, _>>()})
}

/// A field of an object.
pub(crate) fn property<'s>(object: &'s mut Schema, field: &str) -> &'s mut Value {
    let found = object.get_mut("properties").and_then(|properties| properties.get_mut(field));
    found.unwrap_or_else(|| panic!("there is no field {field} to be described"))
}

/// A map by partition's number, as text.
pub(crate) fn by_partition(value: &Schema) -> Schema {
    json_schema!({
        "type": "object", "additionalProperties": value,
        "propertyNames": {"pattern": "^(?:0|[1-9][0-9]{0,8})$"},
    })
}

/// A map by topic's name.
pub(crate) fn by_topic(value: &Schema) -> Schema {
    json_schema!({"type": "object", "additionalProperties": value, "propertyNames": {"pattern": "^[A-Za-z0-9._-]{1,249}$"}})
}
