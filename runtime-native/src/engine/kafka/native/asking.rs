//! A request of administration, and its answer.

use std::{
    ffi::{CStr, c_char},
    ptr::NonNull,
    time::Duration,
};

use rdkafka::client::Client;
use rdkafka_sys as sys;

use super::{Queue, millis};
use crate::engine::kafka::{client::Context, error::KafkaError};

/// An answer of the cluster.
pub(super) struct Event(pub(super) NonNull<sys::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was taken out of a queue and is destroyed here alone.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// Sends a request of administration and waits for its answer.
pub(super) fn ask(
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
pub(super) unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
