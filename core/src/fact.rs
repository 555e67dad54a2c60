//! What outlives a crash: the durable changes of the core's own state.
//!
//! A restart is a fold of facts over a snapshot. Facts say what was decided, never why or how, so decisions may
//! change between versions while facts keep their meaning. A fact is only ever given new optional fields; a new
//! meaning gets a new variant, and old variants stay readable.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::{
    by_log::ByLog,
    config::ConsumerOptions,
    ids::{BatchId, ConsumerId, Generation, GroupName, LogId, Offset, TopicId, TopicName},
    pattern::TopicPattern,
    refusal::LeaveReason,
    time::Date,
    topic_config::TopicConfig,
};

/// One durable change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A topic exists.
    TopicCreated {
        /// This life of the name.
        topic: TopicId,
        /// Its name.
        name: TopicName,
        /// How many partitions it has.
        partitions: u32,
        /// How its logs are kept.
        #[serde(default, skip_serializing_if = "TopicConfig::is_default")]
        config: TopicConfig,
    },
    /// A topic's logs are kept in another way.
    TopicConfigured {
        /// The topic.
        topic: TopicId,
        /// How, all of it.
        config: TopicConfig,
    },
    /// A topic has more partitions.
    PartitionsAdded {
        /// The topic.
        topic: TopicId,
        /// How many it has now.
        partitions: u32,
        /// How its logs are kept from then on, all of it, if that was changed with them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<TopicConfig>,
    },
    /// A topic is no more, nor is any offset or assignment of it.
    TopicDeleted {
        /// The topic.
        topic: TopicId,
    },
    /// A consumer exists.
    ConsumerCreated {
        /// Its id.
        consumer: ConsumerId,
        /// Its group.
        group: GroupName,
        /// How it is treated.
        options: ConsumerOptions,
        /// What it wants.
        subscription: Subscription,
    },
    /// A consumer wants something else, and holds nothing until it is granted anew.
    SubscriptionChanged {
        /// The consumer.
        consumer: ConsumerId,
        /// What it wants.
        subscription: Subscription,
    },
    /// A member wants something else, and holds what it holds until it is decided anew who shall have what.
    Resubscribed {
        /// The consumer.
        consumer: ConsumerId,
        /// What it wants.
        subscription: Subscription,
    },
    /// A static member's place is a new consumer's: the old one is no more, and what was meant for it is meant for the
    /// new one, which holds nothing yet.
    TakenOver {
        /// The old consumer; it may have the same id.
        from: ConsumerId,
        /// The new one.
        consumer: ConsumerId,
        /// How it is treated.
        options: ConsumerOptions,
        /// What it wants.
        subscription: Subscription,
    },
    /// A static member said goodbye, and its place is kept for it until its session times out.
    WentAway {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// A consumer is no more.
    ConsumerEnded {
        /// The consumer.
        consumer: ConsumerId,
        /// Why.
        reason: LeaveReason,
    },
    /// It was decided who shall have which partition.
    Rebalanced {
        /// The group.
        group: GroupName,
        /// The decision's number.
        generation: Generation,
        /// What brought it about.
        reason: RebalanceReason,
        /// Whoever's share changed, with all of the new share.
        targets: BTreeMap<ConsumerId, BTreeSet<LogId>>,
        /// When, if that was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Date>,
    },
    /// A consumer holds partitions that nobody held.
    Granted {
        /// The consumer.
        consumer: ConsumerId,
        /// Where it begins in each; [`None`] where the reset policy `none` found nothing.
        positions: BTreeMap<LogId, Option<Offset>>,
        /// Where it begins at the first record that is not older than a date, and which that is isn't known yet.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        lookups: BTreeMap<LogId, Date>,
    },
    /// A consumer holds partitions no longer.
    Released {
        /// The consumer.
        consumer: ConsumerId,
        /// The partitions.
        logs: Vec<LogId>,
    },
    /// A consumer stands at positions.
    Positioned {
        /// The consumer.
        consumer: ConsumerId,
        /// The last batch that it is known to have received.
        batch: BatchId,
        /// Where it stands, before the batch that is open, in each partition of which earlier facts say something else; and
        /// maybe in others.
        positions: ByLog<Offset>,
        /// The batch after that, handed out and not known to have been received.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open: Option<OpenBatch>,
    },
    /// A consumer knows whether it has these partitions.
    Told {
        /// The consumer.
        consumer: ConsumerId,
        /// The partitions.
        logs: BTreeSet<LogId>,
    },
    /// A consumer is not delivered partitions that it holds, until it is again.
    Paused {
        /// The consumer.
        consumer: ConsumerId,
        /// The partitions.
        logs: BTreeSet<LogId>,
    },
    /// A consumer is delivered paused partitions again.
    Resumed {
        /// The consumer.
        consumer: ConsumerId,
        /// The partitions.
        logs: BTreeSet<LogId>,
    },
    /// Nobody is in a group since a date, and its offsets were not set since.
    GroupEmptied {
        /// The group.
        group: GroupName,
        /// Since when.
        at: Date,
    },
    /// A group's offsets are no more, and it isn't either if nothing else is left of it.
    OffsetsDeleted {
        /// The group.
        group: GroupName,
        /// The partitions.
        logs: BTreeSet<LogId>,
    },
    /// A group is no more, nor is any offset of it.
    GroupDeleted {
        /// The group.
        group: GroupName,
    },
    /// A group has committed offsets.
    Committed {
        /// The group.
        group: GroupName,
        /// The next offset to read of each partition named.
        offsets: ByLog<Offset>,
        /// What clients want to remember with some of them; nothing with the others.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metadata: BTreeMap<LogId, Arc<str>>,
    },
}

/// A batch of which it isn't known whether it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBatch {
    /// Its id.
    pub batch: BatchId,
    /// The first offset it has of each log, and the one after the last.
    pub ranges: BTreeMap<LogId, (Offset, Offset)>,
}

/// What a consumer wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// Its share of these topics, as the group's assignor decides; each once, in the order in which it named them.
    Topics(Vec<TopicName>),
    /// Its share of all topics that match.
    Pattern(TopicPattern),
    /// The partitions that it was granted, whatever others have.
    Manual,
}

/// What brought a rebalance about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RebalanceReason {
    /// A member came.
    Joined(ConsumerId),
    /// A member went.
    Left(ConsumerId, LeaveReason),
    /// A member wants other topics, or partitions were taken by hand and no longer are.
    Resubscribed(ConsumerId),
    /// A member took partitions by hand and so left the subscription.
    Unsubscribed(ConsumerId),
    /// A start found the group between two decisions.
    Recovered,
    /// A subscribed topic came, went or grew.
    TopicsChanged(TopicName),
}
