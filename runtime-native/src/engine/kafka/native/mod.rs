//! What rdkafka doesn't wrap of librdkafka: reading partitions into one queue without a group, topics' ids, changing some
//! of a topic's settings, and how certain a failed record's fate is.
//!
//! The pointers in here are owned: each is freed when its owner is dropped, a client last. librdkafka's handles may be
//! used by several threads at a time, which is why they are `Send` and `Sync` here.
#![allow(unsafe_code)]

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::{CStr, CString, c_char, c_int, c_void},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    client::Client,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    message::BorrowedMessage,
};
use rdkafka_sys as sys;
use takhin_core::Offset;

use super::{client::Context, error::KafkaError};

/// How many messages are taken out of the queue at a time.
const BATCH: usize = 1000;

/// Where a message comes from: one partition of one topic of one [`Stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source {
    topic: usize,
    partition: i32,
}

#[derive(Debug)]
struct Topic(NonNull<sys::rd_kafka_topic_t>);

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it was made by rd_kafka_topic_new and is destroyed here alone, before its client.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

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

/// Partitions that are read into one queue.
pub(super) struct Stream {
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
    pub(super) fn new(client: Arc<BaseConsumer<Context>>) -> Result<Self, KafkaError> {
        let queue = Queue::new(client.client())?;
        Ok(Self { topics: Mutex::default(), queue, client })
    }

    pub(super) fn client(&self) -> &BaseConsumer<Context> {
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
    pub(super) fn start(&self, name: &str, partition: u32, from: Offset) -> Result<Source, KafkaError> {
        let topic = self.topic(name)?;
        let offset = i64::try_from(from.0).map_err(|_| KafkaError::Request("impossible offset".to_owned()))?;
        let partition = i32::try_from(partition).map_err(|_| KafkaError::Request("impossible partition".to_owned()))?;
        // SAFETY: topic and queue are alive as long as `self`.
        let started = unsafe { sys::rd_kafka_consume_start_queue(topic, partition, offset, self.queue.0.as_ptr()) };
        if started == 0 { Ok(Source { topic: topic.addr(), partition }) } else { Err(last_error()) }
    }

    /// Reads it no longer; what was fetched of it and not taken is thrown away.
    pub(super) fn stop(&self, name: &str, partition: u32) -> Result<(), KafkaError> {
        let topic = self.topic(name)?;
        let partition = i32::try_from(partition).map_err(|_| KafkaError::Request("impossible partition".to_owned()))?;
        // SAFETY: the topic is alive as long as `self`.
        let stopped = unsafe { sys::rd_kafka_consume_stop(topic, partition) };
        if stopped == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// Waits for messages and takes those that are there.
    pub(super) fn poll(&self, timeout: Duration, messages: &mut Messages) {
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

/// Messages taken out of a [`Stream`]. They must be gone before it is.
#[derive(Debug, Default)]
pub(super) struct Messages(Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: messages belong to whoever took them, in whatever thread.
unsafe impl Send for Messages {}

impl Messages {
    pub(super) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: they were given by librdkafka and are destroyed in `clear` alone, which needs `&mut self`.
        self.0.iter().map(|&message| Message { raw: unsafe { &*message } })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        for message in self.0.drain(..) {
            // SAFETY: it was given by librdkafka, and is taken out of the list as it is destroyed.
            unsafe { sys::rd_kafka_message_destroy(message) }
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A record, or something that happened to a partition.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    pub(super) fn source(self) -> Source {
        Source { topic: self.raw.rkt.addr(), partition: self.raw.partition }
    }

    /// The record's offset; at the end of a partition, where it ends.
    pub(super) fn offset(self) -> Offset {
        Offset(u64::try_from(self.raw.offset).unwrap_or(0))
    }

    /// What has happened, if it is no record.
    pub(super) fn event(self) -> Option<RDKafkaErrorCode> {
        let code = self.raw.err;
        (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    pub(super) fn timestamp_ms(self) -> i64 {
        // SAFETY: the message is alive; the kind of time is not asked for.
        unsafe { sys::rd_kafka_message_timestamp(self.raw, ptr::null_mut()) }
    }

    pub(super) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka says that so many bytes are there, as long as the message is.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    pub(super) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    pub(super) fn headers(self) -> MessageHeaders<'a> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and owns the headers that it gives.
        let found = unsafe { sys::rd_kafka_message_headers(self.raw, &raw mut headers) };
        let there = found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        MessageHeaders { headers: if there { headers } else { ptr::null_mut() }, next: 0, message: PhantomData }
    }
}

/// A record's headers in their order.
#[derive(Clone, Debug)]
pub(super) struct MessageHeaders<'a> {
    headers: *mut sys::rd_kafka_headers_t,
    next: usize,
    message: PhantomData<&'a ()>,
}

impl<'a> Iterator for MessageHeaders<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.headers.is_null() {
            return None;
        }
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers are alive as long as their message.
        let found = unsafe {
            sys::rd_kafka_header_get_all(self.headers, self.next, &raw mut name, &raw mut value, &raw mut size)
        };
        if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        self.next += 1;
        // SAFETY: the name ends with a NUL; of the value so many bytes are there. Both live as long as the message.
        unsafe { Some((CStr::from_ptr(name).to_bytes(), bytes(value, size))) }
    }
}

/// # Safety
/// Unless it is null, `size` bytes have to be there for as long as `'a`.
unsafe fn bytes<'a>(start: *const c_void, size: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    Some(unsafe { slice::from_raw_parts(start.cast(), size) })
}

/// Whether a record that was not delivered is certainly not in the log.
pub(super) fn certainly_not_written(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message is borrowed, so it is alive.
    let status = unsafe { sys::rd_kafka_message_status(message.ptr()) };
    matches!(status, sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
}

/// What the cluster says of a topic.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    /// Its 128 bits, all 0 if the brokers are older than ids.
    pub(super) uuid: [u8; 16],
    pub(super) partitions: u32,
}

impl Described {
    pub(super) fn without_id(name: &str, partitions: usize) -> Self {
        Self { name: name.to_owned(), uuid: [0; 16], partitions: u32::try_from(partitions).unwrap_or(u32::MAX) }
    }
}

/// Asks for topics' ids. Those that are there and can't be described now come as names; those that are not, not at all.
pub(super) fn describe_topics(
    client: &Client<Context>,
    names: &[&str],
    timeout: Duration,
) -> Result<(Vec<Described>, Vec<String>), KafkaError> {
    let names: Vec<CString> = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let answer = ask(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, |options, queue| {
        // SAFETY: the names are alive and are copied; client, options and queue are alive, and the collection is freed
        // after its last use.
        unsafe {
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            sys::rd_kafka_DescribeTopics(client.native_ptr(), topics, options, queue);
            sys::rd_kafka_TopicCollection_destroy(topics);
        }
    })?;
    let (mut described, mut unclear) = (Vec::with_capacity(names.len()), Vec::new());
    // SAFETY: the event is alive until the end of this function, and what is read of it is copied; each pointer that is
    // null is left out.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.0.as_ptr());
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for at in 0..count {
            let topic = *topics.add(at);
            let error = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
            if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART {
                continue;
            }
            if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || id.is_null() {
                unclear.push(name);
                continue;
            }
            let mut partitions = 0;
            sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
            let mut uuid = [0; 16];
            uuid[..8].copy_from_slice(&sys::rd_kafka_Uuid_most_significant_bits(id).to_be_bytes());
            uuid[8..].copy_from_slice(&sys::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes());
            described.push(Described { name, uuid, partitions: u32::try_from(partitions).unwrap_or(u32::MAX) });
        }
    }
    Ok((described, unclear))
}

/// Changes these settings of a topic and no other. The inner error is what the cluster says of them.
pub(super) fn alter_topic(
    client: &Client<Context>,
    name: &str,
    settings: &[(&str, Option<String>)],
    timeout: Duration,
) -> Result<Result<(), (RDKafkaErrorCode, String)>, KafkaError> {
    let nul = |_| KafkaError::Request("a NUL in a setting".to_owned());
    let name = CString::new(name).map_err(nul)?;
    let pairs: Vec<(CString, Option<CString>)> = settings
        .iter()
        .map(|(name, value)| Ok((CString::new(*name)?, value.as_deref().map(CString::new).transpose()?)))
        .collect::<Result<_, std::ffi::NulError>>()
        .map_err(nul)?;
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
    let answer = ask(client, operation, timeout, |options, queue| {
        // SAFETY: names and values are alive and are copied; client, options and queue are alive; the resource and what
        // is said of a wrong setting (the cluster will say so too) are freed after their last use.
        unsafe {
            let topic = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
            let mut resource = sys::rd_kafka_ConfigResource_new(topic, name.as_ptr());
            for (name, value) in &pairs {
                use sys::rd_kafka_AlterConfigOpType_t::{
                    RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE as UNSET, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET as SET,
                };
                let (how, value) = value.as_ref().map_or((UNSET, ptr::null()), |value| (SET, value.as_ptr()));
                let error = sys::rd_kafka_ConfigResource_add_incremental_config(resource, name.as_ptr(), how, value);
                if !error.is_null() {
                    sys::rd_kafka_error_destroy(error);
                }
            }
            sys::rd_kafka_IncrementalAlterConfigs(client.native_ptr(), &raw mut resource, 1, options, queue);
            sys::rd_kafka_ConfigResource_destroy(resource);
        }
    })?;
    // SAFETY: the event is alive until the end of this function, and what is read of it is copied.
    unsafe {
        let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(answer.0.as_ptr());
        let mut count = 0;
        let resources = sys::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count);
        for at in 0..count {
            let resource = *resources.add(at);
            let code = sys::rd_kafka_ConfigResource_error(resource);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                let why = text(sys::rd_kafka_ConfigResource_error_string(resource));
                return Ok(Err((code.into(), why)));
            }
        }
    }
    Ok(Ok(()))
}

/// An answer of the cluster.
struct Event(NonNull<sys::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was taken out of a queue and is destroyed here alone.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// Sends a request of administration and waits for its answer.
fn ask(
    client: &Client<Context>,
    operation: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    send: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Event, KafkaError> {
    let queue = Queue::new(client)?;
    let mut why = [0; 256];
    // SAFETY: the client is alive; the options are freed after their last use, which is within `send`; `why` is as long
    // as is said.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(client.native_ptr(), operation);
        let timeout_ms = millis(timeout);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why.as_mut_ptr(), why.len());
        send(options, queue.0.as_ptr());
        sys::rd_kafka_AdminOptions_destroy(options);
    }
    // The request ends by itself when its time is over.
    let patience = millis(timeout + Duration::from_secs(1));
    // SAFETY: the queue is alive.
    let event = unsafe { sys::rd_kafka_queue_poll(queue.0.as_ptr(), patience) };
    let event = Event(NonNull::new(event).ok_or_else(|| KafkaError::Request("no answer".to_owned()))?);
    // SAFETY: the event is alive, and its text with it.
    let (code, why) = unsafe {
        (sys::rd_kafka_event_error(event.0.as_ptr()), text(sys::rd_kafka_event_error_string(event.0.as_ptr())))
    };
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(event) } else { Err(KafkaError::Request(why)) }
}

/// # Safety
/// Unless it is null, the text ends with a NUL.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn last_error() -> KafkaError {
    // SAFETY: it reads a variable of this thread.
    let code: RDKafkaErrorCode = unsafe { sys::rd_kafka_last_error() }.into();
    KafkaError::Request(code.to_string())
}

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}
