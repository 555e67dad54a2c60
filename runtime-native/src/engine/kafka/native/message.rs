//! What is taken out of a stream: records, and what happened to partitions.

use std::{
    ffi::{CStr, c_void},
    marker::PhantomData,
    ptr, slice,
};

use rdkafka::{error::RDKafkaErrorCode, message::BorrowedMessage};
use rdkafka_sys as sys;
use takhin_core::Offset;

use super::stream::Source;

/// Messages taken out of a [`Stream`](super::Stream). They must be gone before it is.
#[derive(Debug, Default)]
pub(in super::super) struct Messages(pub(super) Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: messages belong to whoever took them, in whatever thread.
unsafe impl Send for Messages {}

impl Messages {
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: they were given by librdkafka and are destroyed in `clear` alone, which needs `&mut self`.
        self.0.iter().map(|&message| Message { raw: unsafe { &*message } })
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
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
pub(in super::super) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    pub(in super::super) fn source(self) -> Source {
        Source { topic: self.raw.rkt.addr(), partition: self.raw.partition }
    }

    /// The record's offset; at the end of a partition, where it ends.
    pub(in super::super) fn offset(self) -> Offset {
        Offset(u64::try_from(self.raw.offset).unwrap_or(0))
    }

    /// What has happened, if it is no record.
    pub(in super::super) fn event(self) -> Option<RDKafkaErrorCode> {
        let code = self.raw.err;
        (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    pub(in super::super) fn timestamp_ms(self) -> i64 {
        // SAFETY: the message is alive; the kind of time is not asked for.
        unsafe { sys::rd_kafka_message_timestamp(self.raw, ptr::null_mut()) }
    }

    pub(in super::super) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka says that so many bytes are there, as long as the message is.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    pub(in super::super) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    pub(in super::super) fn headers(self) -> MessageHeaders<'a> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and owns the headers that it gives.
        let found = unsafe { sys::rd_kafka_message_headers(self.raw, &raw mut headers) };
        let there = found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        MessageHeaders { headers: if there { headers } else { ptr::null_mut() }, next: 0, message: PhantomData }
    }
}

/// A record's headers in their order.
#[derive(Clone, Debug)]
pub(in super::super) struct MessageHeaders<'a> {
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
pub(in super::super) fn certainly_not_written(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message is borrowed, so it is alive.
    let status = unsafe { sys::rd_kafka_message_status(message.ptr()) };
    matches!(status, sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
}
