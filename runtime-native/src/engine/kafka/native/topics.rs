//! Topics' ids, and changing some of a topic's settings.

use std::{
    ffi::{CStr, CString, c_char},
    ptr,
    time::Duration,
};

use rdkafka::{client::Client, error::RDKafkaErrorCode};
use rdkafka_sys as sys;

use super::asking::{ask, text};
use crate::engine::kafka::{client::Context, error::KafkaError};

/// What the cluster says of a topic.
#[derive(Debug)]
pub(in super::super) struct Described {
    pub(in super::super) name: String,
    /// Its 128 bits, all 0 if the brokers are older than ids.
    pub(in super::super) uuid: [u8; 16],
    pub(in super::super) partitions: u32,
}

impl Described {
    pub(in super::super) fn without_id(name: &str, partitions: usize) -> Self {
        Self { name: name.to_owned(), uuid: [0; 16], partitions: u32::try_from(partitions).unwrap_or(u32::MAX) }
    }
}

/// Asks for topics' ids. Those that are there and can't be described now come as names; those that are not, not at all.
pub(in super::super) fn describe_topics(
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
pub(in super::super) fn alter_topic(
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
