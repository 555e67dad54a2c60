//! The Takhin broker as one pure state machine: **events in, commands out**.
//!
//! ```text
//!      Event                                     Command
//!   a client asks        +------------+       append these records
//!   a client went  ----> |            | ----> fetch this plan
//!   appended, fetched    |    Core    |       persist these facts
//!   persisted            |            |       create, delete logs
//!   time passed    ----> +------------+ ----> reply to this request
//!                          |        ^
//!                 next_deadline    now
//! ```
//!
//! A runtime turns the outside world into events, carries the commands out, and brings what came of them back as
//! events. The core has no clock, no randomness, no threads, no input or output, and no bytes of any record.
//!
//! # A whole runtime
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use takhin_core::{
//!     Boot, Command, Config, Core, Event, Request, RequestId, Timestamp, TopicConfig, TopicName, memory::MemoryEngine,
//! };
//!
//! let mut core = Core::new(Config::default(), Boot(0));
//! let mut engine = MemoryEngine::default();
//! let (mut events, mut commands) = (Vec::new(), Vec::new());
//!
//! let name = TopicName::new("orders")?;
//! let request = Request::CreateTopic { name, partitions: 3, config: TopicConfig::default() };
//! events.push(Event::Request { id: RequestId(1), request });
//! while let Some(event) = events.pop() {
//!     core.step(Timestamp(0), event, &mut commands);
//!     for command in commands.drain(..) {
//!         match command {
//!             Command::Reply { request, response } => println!("{request:?}: {response:?}"),
//!             other => events.extend(engine.execute(&other)),
//!         }
//!     }
//! }
//! assert_eq!(core.topic("orders").map(|topic| topic.partitions), Some(3));
//! # }
//! # Ok::<(), takhin_core::NameError>(())
//! ```
//!
//! # The rules
//!
//! 1. **Total.** Every event is legal in every state. What is unknown or late is ignored or refused, never a panic.
//!    So any part of a trace is itself a trace.
//! 2. **Exactly one reply per request**, and none after [`Event::Disconnected`].
//! 3. **The event first, then the timers that are due.** Timers are pulled with [`Core::next_deadline`].
//! 4. **Nothing is revealed before it is durable.** Records are visible once [`Event::Appended`] says so. Decisions
//!    apply at once, but a reply that depends on them waits until their facts are persisted.
//! 5. **Ids are derived or given, never drawn.** Request ids, consumer ids and the boot number are the runtime's.
//! 6. **Time is data.** [`Timestamp`] is monotonic, clamped, and only for deadlines.
//! 7. **No bytes.** Keys and values stay outside; a request's id is the handle of its body, a fetch's id that of what
//!    was read.
//! 8. **Ordered collections only.** The same events give the same commands, on every platform.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod assignor;
mod by_log;
pub mod cell;
pub mod command;
pub mod config;
#[cfg(feature = "trace")]
pub mod digest;
pub mod durable;
pub mod event;
pub mod fact;
pub mod ids;
mod log;
mod machine;
#[cfg(feature = "memory")]
pub mod memory;
mod outbox;
pub mod pattern;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
pub mod producers;
pub mod refusal;
pub mod response;
#[cfg(feature = "schema")]
mod schema;
mod session;
pub mod time;
mod timers;
pub mod topic_config;
#[cfg(feature = "trace")]
pub mod trace;

pub use crate::{
    by_log::ByLog,
    command::{AppendedAt, Command, FetchPart, FetchedPart, Parts, ReadError, StorageError},
    config::{Assignor, Config, ConsumerOptions, OffsetReset, PollLimits, RecordFormat},
    durable::Durable,
    event::{
        CommitOffset, Event, MAX_METADATA_BYTES, OffsetTarget, Place, ProduceBatch, Request, SeekTo, SetOffset,
        StorageState, Topics,
    },
    fact::Fact,
    ids::{
        AppendId, BatchId, Boot, ClientId, ConsumerId, FactSeq, FetchId, Generation, GroupName, InstanceId, LogId,
        NameError, Offset, RequestId, TopicId, TopicName,
    },
    machine::{
        ConsumerView, Core, Figures, GroupFigures, LogFigures, LogSpec, PollView, Recovery, TopicView, Violation,
    },
    pattern::{Beginning, TopicPattern},
    producers::{AppendRefusal, ProducerId, ProducerStamp, Producers},
    refusal::{Applied, Bounded, LeaveReason, Refusal},
    response::Response,
    time::{Date, DurationMs, Timestamp},
    topic_config::{Cleanup, Compression, TopicConfig, TopicConfigChange, TopicDurability},
};
