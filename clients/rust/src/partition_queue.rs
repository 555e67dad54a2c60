//! The records of one partition, in order, one request at a time, each request numbered: the server knows a repeated one
//! and gives it the offsets that it had, so a retry never doubles, loses or swaps records.
//!
//! A server whose records are in Kafka does not know producers, and refuses numbers. Then nothing is numbered, and what may
//! have been stored is not sent again: its outcome is unknown.

use std::{fmt::Write as _, mem, sync::Arc, time::Duration};

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    Compression, Error, Result, Stored, TopicPartition,
    http::{Call, Http},
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueOptions {
    pub(crate) linger: Duration,
    pub(crate) max_batch_bytes: usize,
    pub(crate) max_batch_records: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) compression: Option<Compression>,
}

/// What a queue is told.
pub(crate) enum Order {
    Send(Outgoing),
    /// Everything before it is to be sent now; it is dropped once the fate of all that is known.
    Flush(#[allow(dead_code)] oneshot::Sender<()>),
}

/// A record that waits for its fate.
pub(crate) struct Outgoing {
    /// The fields of its JSON, each with a comma before it, but for its partition.
    pub(crate) fields: String,
    pub(crate) fate: oneshot::Sender<Result<Stored>>,
    /// Its part of what may wait, given back with its fate.
    pub(crate) room: OwnedSemaphorePermit,
}

pub(crate) struct PartitionQueue {
    http: Arc<Http>,
    options: QueueOptions,
    place: TopicPartition,
    /// Whether the server knows producers, as far as it has not said otherwise.
    is_numbered: bool,
    producer_id: u64,
    /// The number of the next record. The server counts with it.
    sequence: u64,
}

#[derive(Deserialize)]
struct Produced {
    offsets: Vec<ProducedOffset>,
}

#[derive(Deserialize)]
struct ProducedOffset {
    offset: u64,
    timestamp: Option<i64>,
}

impl PartitionQueue {
    pub(crate) fn new(http: Arc<Http>, options: QueueOptions, place: TopicPartition) -> Self {
        Self { http, options, place, is_numbered: true, producer_id: draw_id(), sequence: 0 }
    }

    /// Sends what it is told to, until nobody can tell it any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        // One that did not fit into the batch before it.
        let mut first = None;
        loop {
            let next = match first.take() {
                Some(record) => record,
                None => match orders.recv().await {
                    Some(Order::Send(record)) => record,
                    // Nothing is before it.
                    Some(Order::Flush(_)) => continue,
                    None => return,
                },
            };
            let mut flushes = Vec::new();
            let batch;
            (batch, first) = self.gather(next, &mut orders, &mut flushes).await;
            self.send(batch).await;
            drop(flushes);
        }
    }

    /// A batch that is full, has lingered, or is wanted now; and the record that did not fit.
    async fn gather(
        &self,
        first: Outgoing,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        flushes: &mut Vec<Order>,
    ) -> (Vec<Outgoing>, Option<Outgoing>) {
        let deadline = Instant::now() + self.options.linger;
        let mut bytes = first.fields.len();
        let mut batch = vec![first];
        while batch.len() < self.options.max_batch_records && bytes < self.options.max_batch_bytes {
            // Those that came while a request was under way are taken without a wait.
            let order = match orders.try_recv() {
                Ok(order) => order,
                Err(_) => match timeout_at(deadline, orders.recv()).await {
                    Ok(Some(order)) => order,
                    Ok(None) | Err(_) => break,
                },
            };
            match order {
                Order::Send(record) if bytes + record.fields.len() > self.options.max_batch_bytes => {
                    return (batch, Some(record));
                }
                Order::Send(record) => {
                    bytes += record.fields.len();
                    batch.push(record);
                }
                flush @ Order::Flush(_) => {
                    flushes.push(flush);
                    break;
                }
            }
        }
        (batch, None)
    }

    /// Sends the batch until its fate is known, without the records that the server finds wrong.
    async fn send(&mut self, mut batch: Vec<Outgoing>) {
        let end = Instant::now() + self.options.delivery_timeout;
        while !batch.is_empty() {
            match self.attempt(&batch, end.saturating_duration_since(Instant::now())).await {
                Ok(produced) => {
                    self.sequence += batch.len() as u64;
                    self.tell(batch, produced);
                    return;
                }
                Err(error) => batch = self.after(error, batch),
            }
        }
    }

    async fn attempt(&self, batch: &[Outgoing], give_up_after: Duration) -> Result<Vec<ProducedOffset>> {
        let topic = utf8_percent_encode(&self.place.topic, NON_ALPHANUMERIC);
        let call = Call::new(Method::POST, format!("/api/topics/{topic}/produce")).text(self.body(batch));
        let call = if self.is_numbered { call } else { call.once() };
        let answer = self.http.send(call.give_up_after(Some(give_up_after))).await?;
        let produced: Produced = answer.json()?;
        if produced.offsets.len() != batch.len() {
            return Err(Error::UnexpectedAnswer(format!("{} offsets", produced.offsets.len())));
        }
        Ok(produced.offsets)
    }

    fn body(&self, batch: &[Outgoing]) -> String {
        let records: usize = batch.iter().map(|record| record.fields.len() + 32).sum();
        let mut body = String::with_capacity(records + 128);
        body.push('{');
        if self.is_numbered {
            let _ = write!(body, "\"producer_id\":{},\"epoch\":0,\"sequence\":{},", self.producer_id, self.sequence);
        }
        if let Some(compression) = self.options.compression {
            let _ = write!(body, "\"compression\":\"{compression}\",");
        }
        body.push_str("\"records\":[");
        for (at, record) in batch.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(body, "{comma}{{\"partition\":{}{}}}", self.place.partition, record.fields);
        }
        body.push_str("]}");
        body
    }

    fn tell(&self, batch: Vec<Outgoing>, produced: Vec<ProducedOffset>) {
        for (record, ProducedOffset { offset, timestamp }) in batch.into_iter().zip(produced) {
            record.tell(Ok(Stored { partition: self.place.clone(), offset, timestamp_ms: timestamp }));
        }
    }

    /// What is left to be sent after an error; the rest has been told.
    fn after(&mut self, error: Error, mut batch: Vec<Outgoing>) -> Vec<Outgoing> {
        if let Some(at) = wrong_record(&error).filter(|at| *at < batch.len()) {
            batch.remove(at).tell(Err(error));
            return batch;
        }
        let repeated = error.api().is_some_and(|api| api.repeated);
        if self.is_numbered && error.is_api("unsupported") && !repeated {
            self.is_numbered = false;
            return batch;
        }
        if error.is_api("sequence_gap") && self.sequence > 0 && !repeated {
            // The server has forgotten this producer, and what it did know came before this batch's first attempt.
            self.renew();
            return batch;
        }
        let is_unknown = match &error {
            Error::Api(api) => repeated || api.details.get("applied").is_some_and(|applied| applied == "unknown"),
            Error::Connection { .. } | Error::UnexpectedAnswer(_) => true,
            _ => false,
        };
        let told = if is_unknown { Error::OutcomeUnknown { why: error.to_string() } } else { error };
        for record in mem::take(&mut batch) {
            record.tell(Err(told.clone()));
        }
        if is_unknown {
            // Whatever comes of them later must not be taken for the next batch.
            self.renew();
        }
        batch
    }

    fn renew(&mut self) {
        self.producer_id = draw_id();
        self.sequence = 0;
    }
}

impl Outgoing {
    pub(crate) fn tell(self, fate: Result<Stored>) {
        drop(self.room);
        // Nobody has to wait for it.
        let _ = self.fate.send(fate);
    }
}

/// Which record of the request the server finds wrong, if it is one.
fn wrong_record(error: &Error) -> Option<usize> {
    let Value::String(field) = error.api()?.details.get("field")? else { return None };
    field.strip_prefix("records[")?.split_once(']')?.0.parse().ok()
}

/// A producer's id: 53 random bits.
fn draw_id() -> u64 {
    Uuid::new_v4().as_u64_pair().1 & ((1 << 53) - 1)
}
