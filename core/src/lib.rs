//! The Takhin broker as one pure state machine: events in, commands out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod assignor;
pub mod command;
pub mod config;
pub mod durable;
pub mod event;
pub mod fact;
pub mod ids;
pub mod refusal;
pub mod response;
pub mod time;

pub use crate::{
    command::{AppendedAt, Command, FetchPart, FetchedPart, Parts, ReadError, StorageError},
    config::{Config, ConsumerOptions, OffsetReset, PollLimits},
    event::{CommitOffset, Event, ProduceBatch, Request, SeekTo, StorageState},
    fact::Fact,
    ids::{
        AppendId, BatchId, Boot, ConsumerId, FactSeq, FetchId, Generation, GroupName, LogId, NameError, Offset,
        RequestId, TopicId, TopicName,
    },
    refusal::{Applied, Bounded, LeaveReason, Refusal},
    response::Response,
    time::{DurationMs, Timestamp},
};
