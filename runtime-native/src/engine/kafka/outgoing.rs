//! A record as the client takes it, to be sent.

use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
    util::IntoOpaque,
};

use super::names::KafkaName;
use crate::record::RecordRef;

/// The record for this partition of the topic. The client takes a time of 0 for none, so the earliest is 1; a record without
/// a time (below 0) gets the client's.
///
/// # Errors
/// Why Kafka's client can't send it.
pub(super) fn outgoing<'a, D: IntoOpaque>(
    name: &'a KafkaName,
    partition: i32,
    record: &RecordRef<'a>,
    opaque: D,
) -> Result<BaseRecord<'a, [u8], [u8], D>, &'static str> {
    let mut wire = BaseRecord::with_opaque_to(name, opaque).partition(partition);
    wire.timestamp = (record.timestamp_ms >= 0).then_some(record.timestamp_ms.max(1));
    wire.key = record.key;
    wire.payload = record.value;
    if record.headers.len() > 0 {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (name, value) in record.headers.clone() {
            let name = std::str::from_utf8(name).ok().filter(|name| !name.contains('\0'));
            headers = headers.insert(Header { key: name.ok_or("a header's name is no text that Kafka takes")?, value });
        }
        wire.headers = Some(headers);
    }
    Ok(wire)
}
