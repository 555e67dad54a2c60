//! A record as the client takes it, to be sent, and who hears what became of it.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError as ClientError,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, ProducerContext},
    util::IntoOpaque,
};

use super::{client::Context, names::KafkaName};
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

/// Keeps account of records that were handed over.
pub(super) trait HearsOutcome: Send + Sync + 'static {
    /// A record was delivered, or was not.
    fn heard(&self, result: &DeliveryResult<'_>);
}

/// What a producing client says, and who hears of each of its records.
pub(super) struct Outcomes<A> {
    context: Context,
    trouble: Mutex<Option<String>>,
    of: PhantomData<fn(A)>,
}

impl<A> Default for Outcomes<A> {
    fn default() -> Self {
        Self { context: Context::default(), trouble: Mutex::default(), of: PhantomData }
    }
}

impl<A> Outcomes<A> {
    /// What the client has last complained of.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<A: HearsOutcome> ClientContext for Outcomes<A> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        self.context.error(error, reason);
    }
}

impl<A: HearsOutcome> ProducerContext for Outcomes<A> {
    type DeliveryOpaque = Arc<A>;

    fn delivery(&self, result: &DeliveryResult<'_>, account: Arc<A>) {
        account.heard(result);
    }
}
