//! What the clients of a scenario ask for, in a word each: consumers are numbers, and names are known to be good.

use takhin_core::{
    BatchId, CommitOffset, ConsumerId, ConsumerOptions, Generation, GroupName, Offset, OffsetReset, Parts, PollLimits,
    ProduceBatch, ProducerId, ProducerStamp, Request, RequestId, SeekTo, TopicConfig, TopicConfigChange, TopicName,
    TopicPattern, Topics,
};
use uuid::Uuid;

use super::Script;

/// The consumer number `n`, always of the same id.
pub fn consumer(n: u128) -> ConsumerId {
    ConsumerId(Uuid::from_u128(n))
}

/// A topic name known to be good.
pub fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a good topic name")
}

/// A group id known to be good.
pub fn group(name: &str) -> GroupName {
    GroupName::new(name).expect("a good group id")
}

/// Options that begin at the log's start.
pub fn earliest() -> ConsumerOptions {
    ConsumerOptions { auto_offset_reset: OffsetReset::Earliest, ..ConsumerOptions::default() }
}

/// Options that begin at the log's start and leave commits to the consumer.
pub fn manual() -> ConsumerOptions {
    ConsumerOptions { auto_commit: false, ..earliest() }
}

/// A poll that waits for `timeout_ms` at most.
pub fn wait(timeout_ms: u32) -> PollLimits {
    PollLimits { timeout_ms, ..PollLimits::default() }
}

impl Script {
    /// Creates a topic.
    pub fn create(&mut self, name: &str, partitions: u32) -> RequestId {
        self.create_with(name, partitions, TopicConfig::default())
    }

    /// Creates a topic whose logs are kept in a way of its own.
    pub fn create_with(&mut self, name: &str, partitions: u32, config: TopicConfig) -> RequestId {
        self.ask(Request::CreateTopic { name: topic(name), partitions, config })
    }

    /// Changes how a topic's logs are kept.
    pub fn configure(&mut self, name: &str, change: TopicConfigChange, partitions: Option<u32>) -> RequestId {
        self.ask(Request::ConfigureTopic { name: topic(name), change, partitions })
    }

    /// Produces records of 100 bytes to one partition.
    pub fn produce(&mut self, name: &str, partition: u32, records: u32) -> RequestId {
        let batch = ProduceBatch { partition, records, bytes: records * 100, ..ProduceBatch::default() };
        self.ask(Request::Produce { topic: topic(name), batches: Parts::from_elem(batch, 1) })
    }

    /// Produces records of 100 bytes to partition 0, if the log ends there.
    pub fn produce_at(&mut self, name: &str, expected_offset: u64, records: u32) -> RequestId {
        let expected_offset = Some(Offset(expected_offset));
        let batch = ProduceBatch { records, bytes: records * 100, expected_offset, ..ProduceBatch::default() };
        self.ask(Request::Produce { topic: topic(name), batches: Parts::from_elem(batch, 1) })
    }

    /// Produces records of 100 bytes to partition 0 as an idempotent producer.
    pub fn produce_as(&mut self, producer: u64, epoch: u16, sequence: u32, records: u32) -> RequestId {
        self.produce_stamped(ProducerStamp { producer: ProducerId(producer), epoch, sequence }, records)
    }

    /// Produces records of 100 bytes to partition 0 of `orders` under a stamp.
    pub fn produce_stamped(&mut self, stamp: ProducerStamp, records: u32) -> RequestId {
        let batch = ProduceBatch { records, bytes: records * 100, producer: Some(stamp), ..ProduceBatch::default() };
        self.ask(Request::Produce { topic: topic("orders"), batches: Parts::from_elem(batch, 1) })
    }

    /// Subscribes consumer `n`.
    pub fn subscribe(&mut self, n: u128, name: &str, topics: &[&str], options: ConsumerOptions) -> RequestId {
        let topics = topics.iter().map(|name| topic(name)).collect();
        let (consumer, group) = (consumer(n), group(name));
        self.ask(Request::Subscribe { consumer, group, topics, options, allow_missing: false })
    }

    /// Subscribes consumer `n` to whatever matches.
    pub fn subscribe_matching(&mut self, n: u128, name: &str, pattern: &str, options: ConsumerOptions) -> RequestId {
        let (consumer, group, topics) = (consumer(n), group(name), Topics::Matching(TopicPattern::new(pattern)));
        self.ask(Request::Subscribe { consumer, group, topics, options, allow_missing: false })
    }

    /// Lets consumer `n` subscribe to something else.
    pub fn resubscribe(&mut self, n: u128, topics: Topics) -> RequestId {
        self.ask(Request::ChangeSubscription { consumer: consumer(n), topics, allow_missing: false })
    }

    /// Polls as consumer `n`.
    pub fn consume(&mut self, n: u128, limits: PollLimits) -> RequestId {
        self.ask(Request::Consume { consumer: consumer(n), limits, after_batch: None })
    }

    /// Polls as consumer `n`, saying which batch arrived last.
    pub fn consume_after(&mut self, n: u128, batch: u64, limits: PollLimits) -> RequestId {
        let after_batch = Some(BatchId(batch));
        self.ask(Request::Consume { consumer: consumer(n), limits, after_batch })
    }

    /// Commits one offset as consumer `n`.
    pub fn commit(&mut self, n: u128, name: &str, partition: u32, offset: i64) -> RequestId {
        let offsets = Some(vec![CommitOffset { topic: topic(name), partition, offset, metadata: None }]);
        self.ask(Request::Commit { consumer: consumer(n), offsets, generation: None })
    }

    /// Commits all that was delivered to consumer `n`.
    pub fn commit_all(&mut self, n: u128) -> RequestId {
        self.ask(Request::Commit { consumer: consumer(n), offsets: None, generation: None })
    }

    /// Commits one offset as consumer `n`, in the generation that it believes itself in.
    pub fn commit_in(&mut self, n: u128, generation: u64, name: &str, partition: u32, offset: i64) -> RequestId {
        let offsets = Some(vec![CommitOffset { topic: topic(name), partition, offset, metadata: None }]);
        let generation = Some(Generation(generation));
        self.ask(Request::Commit { consumer: consumer(n), offsets, generation })
    }

    /// Commits several partitions of one topic as consumer `n`.
    pub fn commit_many(&mut self, n: u128, name: &str, offsets: &[(u32, i64)]) -> RequestId {
        let entry = |(partition, offset): &(u32, i64)| CommitOffset {
            topic: topic(name),
            partition: *partition,
            offset: *offset,
            metadata: None,
        };
        let offsets = Some(offsets.iter().map(entry).collect());
        self.ask(Request::Commit { consumer: consumer(n), offsets, generation: None })
    }

    /// Takes partitions of one topic by hand as consumer `n`.
    pub fn assign(&mut self, n: u128, name: &str, partitions: &[u32]) -> RequestId {
        let partitions = partitions.iter().map(|partition| (topic(name), *partition)).collect();
        self.ask(Request::Assign { consumer: consumer(n), partitions })
    }

    /// Gives a topic more partitions.
    pub fn grow(&mut self, name: &str, partitions: u32) -> RequestId {
        self.ask(Request::AddPartitions { name: topic(name), partitions })
    }

    /// Deletes a topic.
    pub fn delete(&mut self, name: &str) -> RequestId {
        self.ask(Request::DeleteTopic { name: topic(name) })
    }

    /// Reads a partition without a consumer.
    pub fn read(&mut self, name: &str, partition: u32, offset: i64, limits: PollLimits) -> RequestId {
        self.ask(Request::Read { topic: topic(name), partition, offset, limits })
    }

    /// Seeks as consumer `n`.
    pub fn seek(&mut self, n: u128, name: &str, partition: u32, offset: i64) -> RequestId {
        let positions = vec![SeekTo { topic: topic(name), partition, offset }];
        self.ask(Request::Seek { consumer: consumer(n), positions })
    }

    /// Describes consumer `n`, which is also its heartbeat.
    pub fn describe(&mut self, n: u128) -> RequestId {
        self.ask(Request::Describe { consumer: consumer(n) })
    }

    /// Closes consumer `n`.
    pub fn close(&mut self, n: u128) -> RequestId {
        self.ask(Request::Close { consumer: consumer(n) })
    }
}
