//! Partitions that are read into one queue, each from where it is told.

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::CString,
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka_sys as sys;
use takhin_core::Offset;

use super::{Queue, last_error, message::Messages, millis};
use crate::engine::kafka::{client::Context, error::KafkaError};

/// How many messages are taken out of the queue at a time.
const BATCH: usize = 1000;

/// Where a message comes from: one partition of one topic of one [`Stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Source {
    pub(super) topic: usize,
    pub(super) partition: i32,
}

#[derive(Debug)]
struct Topic(NonNull<sys::rd_kafka_topic_t>);

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it was made by rd_kafka_topic_new and is destroyed here alone, before its client.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// Partitions that are read into one queue.
pub(in super::super) struct Stream {
    // Before the client, which must outlive them.
    topics: Mutex<HashMap<String, Topic>>,
    queue: Queue,
    client: Arc<BaseConsumer<Context>>,
}

// SAFETY: librdkafka's topics, queues and clients may be used from any thread, by several at a time.
unsafe impl Send for Stream {}
// SAFETY: as above; the map is behind a lock.
unsafe impl Sync for Stream {}

impl Stream {
    pub(in super::super) fn new(client: Arc<BaseConsumer<Context>>) -> Result<Self, KafkaError> {
        let queue = Queue::new(client.client())?;
        Ok(Self { topics: Mutex::default(), queue, client })
    }

    pub(in super::super) fn client(&self) -> &BaseConsumer<Context> {
        &self.client
    }

    fn topic(&self, name: &str) -> Result<*mut sys::rd_kafka_topic_t, KafkaError> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return Ok(topic.0.as_ptr());
        }
        let c_name = CString::new(name).map_err(|_| KafkaError::Request("a NUL in a topic's name".to_owned()))?;
        let client = self.client.client().native_ptr();
        // SAFETY: the client is alive and the name ends with a NUL; without settings of its own it takes the client's.
        let topic = unsafe { sys::rd_kafka_topic_new(client, c_name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(last_error)?;
        match topics.entry(name.to_owned()) {
            Entry::Occupied(_) => {}
            Entry::Vacant(vacant) => {
                vacant.insert(Topic(topic));
            }
        }
        Ok(topic.as_ptr())
    }

    /// Reads a partition from this offset on.
    pub(in super::super) fn start(&self, name: &str, partition: u32, from: Offset) -> Result<Source, KafkaError> {
        let topic = self.topic(name)?;
        let offset = i64::try_from(from.0).map_err(|_| KafkaError::Request("impossible offset".to_owned()))?;
        let partition = i32::try_from(partition).map_err(|_| KafkaError::Request("impossible partition".to_owned()))?;
        // SAFETY: topic and queue are alive as long as `self`.
        let started = unsafe { sys::rd_kafka_consume_start_queue(topic, partition, offset, self.queue.0.as_ptr()) };
        if started == 0 { Ok(Source { topic: topic.addr(), partition }) } else { Err(last_error()) }
    }

    /// Reads it no longer; what was fetched of it and not taken is thrown away.
    pub(in super::super) fn stop(&self, name: &str, partition: u32) -> Result<(), KafkaError> {
        let topic = self.topic(name)?;
        let partition = i32::try_from(partition).map_err(|_| KafkaError::Request("impossible partition".to_owned()))?;
        // SAFETY: the topic is alive as long as `self`.
        let stopped = unsafe { sys::rd_kafka_consume_stop(topic, partition) };
        if stopped == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// Waits for messages and takes those that are there.
    pub(in super::super) fn poll(&self, timeout: Duration, messages: &mut Messages) {
        messages.clear();
        let room: &mut Vec<*mut sys::rd_kafka_message_t> = &mut messages.0;
        room.reserve(BATCH);
        let queue = self.queue.0.as_ptr();
        // With more than one wanted it would wait for all of them.
        for (timeout_ms, wanted) in [(millis(timeout), 1), (0, BATCH - 1)] {
            let have = room.len();
            // SAFETY: there is room for BATCH messages, of which `have` are taken.
            let got =
                unsafe { sys::rd_kafka_consume_batch_queue(queue, timeout_ms, room.as_mut_ptr().add(have), wanted) };
            let Some(got) = usize::try_from(got).ok().filter(|&got| got > 0) else { return };
            // SAFETY: so many were written behind the first `have`.
            unsafe { room.set_len(have + got) };
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stream").finish_non_exhaustive()
    }
}
