#![doc = include_str!("../README.md")]

mod address;
mod admin;
mod backoff;
mod client;
mod connector;
mod consumer;
mod consumer_options;
mod delivery;
mod error;
mod groups;
mod holdings;
mod http;
mod keys;
mod membership;
mod message;
mod partition_queue;
mod partitioner;
mod partitions;
mod producer;
mod record;
mod topics;

pub use admin::{Admin, Health, Page, ReadFrom};
pub use backoff::Retry;
pub use client::{Client, ClientBuilder};
pub use consumer::{Batch, CommitOffset, Committed, Consumer, Place};
pub use consumer_options::{Assignor, ConsumerBuilder, Reset};
pub use error::{ApiError, Error, Result};
pub use groups::{Group, GroupMember, GroupPartition, GroupState, GroupSummary, OffsetReset, ResetTarget};
pub use keys::{CreatedKey, Key, KeyLimits, KeyScopes, NewKey};
pub use message::{Header, Message};
pub use partitions::{PartitionOffset, TopicPartition};
pub use producer::{Pending, Producer, ProducerBuilder};
pub use record::{Record, Stored};
pub use topics::{Cleanup, Compression, PartitionBounds, Topic, TopicSettings};
