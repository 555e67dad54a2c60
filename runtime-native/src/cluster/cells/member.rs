//! This node as a member of the group among which the cells are shared out: who is proposed as an owner.
//!
//! The group proposes and decides nothing. A partition of the journal stands for its cell; nothing is read from it here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Sender, sync_channel},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};

use super::{clock, config::CellsError, logged, message::Message};

/// How long to wait for the group before looking whether the node is to leave it.
const POLL: Duration = Duration::from_millis(100);

struct Membership {
    queue: Sender<Message>,
    /// For how long a partition that is to go elsewhere waits for the cell's resignation.
    resigns_within: Duration,
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        logged::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        logged::trouble(&error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list)
        } else {
            self.revoked(consumer, list)
        };
        if let Err(error) = done {
            tracing::error!(%error, "the group shares the cells out anew, and this node does not get along with it");
        }
    }
}

impl Membership {
    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> Result<(), KafkaError> {
        // Any place will do, as long as nobody has to be asked for it.
        list.set_all_offsets(Offset::Offset(0))?;
        consumer.incremental_assign(list)?;
        // Nobody listens once the cells have stopped.
        let _ = self.queue.send(Message::Offered(cells(list)));
        consumer.pause(list)
    }

    /// The cells are given up first: then whoever gets them finds that nobody serves them.
    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> Result<(), KafkaError> {
        let without_notice = consumer.assignment_lost();
        let (done, resigned) = sync_channel(1);
        let told = self.queue.send(Message::Revoked { cells: cells(list), done });
        if told.is_ok() && !without_notice && resigned.recv_timeout(self.resigns_within).is_err() {
            tracing::warn!("cells go elsewhere before this node could resign; whoever gets them waits for its lease");
        }
        consumer.incremental_unassign(list)
    }
}

fn cells(list: &TopicPartitionList) -> Vec<u32> {
    list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
}

/// The node's membership.
pub(super) struct Member {
    consumer: BaseConsumer<Membership>,
    /// When the cells' thread was last seen to run.
    pulse: Arc<AtomicU64>,
    stands_still_after: Duration,
    ends: Arc<AtomicBool>,
}

impl Member {
    pub(super) fn join(
        client: &ClientConfig,
        journal: &str,
        resigns_within: Duration,
        queue: Sender<Message>,
        (pulse, stands_still_after): (Arc<AtomicU64>, Duration),
        ends: Arc<AtomicBool>,
    ) -> Result<Self, CellsError> {
        let context = Membership { queue, resigns_within };
        let joining = || CellsError::kafka("joining the group of the nodes");
        let consumer: BaseConsumer<Membership> =
            BaseConsumer::from_config_and_context(client, context).map_err(joining())?;
        consumer.subscribe(&[journal]).map_err(joining())?;
        Ok(Self { consumer, pulse, stands_still_after, ends })
    }

    /// Is a member until it is told to leave. A node whose cells' thread stands still is one for no longer than a group
    /// waits for a member that is busy: then others get what it does not serve.
    pub(super) fn run(self) {
        let still_after = u64::try_from(self.stands_still_after.as_millis()).unwrap_or(u64::MAX);
        let mut said = false;
        while !self.ends.load(Ordering::Acquire) {
            let since = clock::now().0.saturating_sub(self.pulse.load(Ordering::Acquire));
            if since > still_after {
                if !said {
                    tracing::error!(since_ms = since, "the thread of the cells stands still");
                }
                said = true;
                thread::sleep(POLL);
                continue;
            }
            said = false;
            if let Some(Err(error)) = self.consumer.poll(POLL) {
                tracing::warn!(%error, "the group of the nodes");
            }
        }
        // It leaves by being dropped: what it has is revoked then.
    }
}
