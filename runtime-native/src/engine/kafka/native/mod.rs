//! What rdkafka doesn't wrap of librdkafka: reading partitions into one queue without a group, topics' ids, changing some
//! of a topic's settings, and how certain a failed record's fate is.
//!
//! The pointers in here are owned: each is freed when its owner is dropped, a client last. librdkafka's handles may be
//! used by several threads at a time, which is why they are `Send` and `Sync` here.
#![allow(unsafe_code)]

mod asking;
mod message;
mod stream;
mod topics;

use std::{ffi::c_int, ptr::NonNull, time::Duration};

use rdkafka::{client::Client, error::RDKafkaErrorCode};
use rdkafka_sys as sys;

pub(super) use self::{
    message::{Message, Messages, certainly_not_written},
    stream::{Source, Stream},
    topics::{Described, alter_topic, describe_topics},
};
use super::error::KafkaError;

#[derive(Debug)]
struct Queue(NonNull<sys::rd_kafka_queue_t>);

impl Queue {
    fn new<C: rdkafka::ClientContext>(client: &Client<C>) -> Result<Self, KafkaError> {
        // SAFETY: the client is alive.
        let queue = unsafe { sys::rd_kafka_queue_new(client.native_ptr()) };
        NonNull::new(queue).map(Self).ok_or_else(|| KafkaError::Request("no queue could be made".to_owned()))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: it was made by rd_kafka_queue_new and is destroyed here alone.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

fn last_error() -> KafkaError {
    // SAFETY: it reads a variable of this thread.
    let code: RDKafkaErrorCode = unsafe { sys::rd_kafka_last_error() }.into();
    KafkaError::Request(code.to_string())
}

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}
