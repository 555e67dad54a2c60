//! What a consumer holds: its partitions, their lag and messages, and what its caller has not been told yet of those
//! that come and go. No input or output happens here.

use std::collections::BTreeMap;

use crate::{
    Message, PartitionOffset, TopicPartition,
    delivery::Delivery,
    membership::{Described, Rebalance},
    partitions::{ByPartition, listed},
};

/// What became of partitions since the caller was last told.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) assigned: Vec<TopicPartition>,
    pub(crate) revoked: Vec<TopicPartition>,
    pub(crate) lost: Vec<TopicPartition>,
}

#[derive(Default)]
pub(crate) struct Holdings {
    pub(crate) delivery: Delivery,
    /// The last batch that arrived, or that the server knows of; 0 for none.
    pub(crate) batch: u64,
    pub(crate) news: News,
    assigned: Vec<TopicPartition>,
    /// Revoked, and still this consumer's until its next poll, so that offsets of theirs can be committed.
    going: Vec<TopicPartition>,
    lag: BTreeMap<TopicPartition, Option<u64>>,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.assigned.is_empty() && self.revoked.is_empty() && self.lost.is_empty()
    }
}

impl Holdings {
    pub(crate) fn assigned(&self) -> &[TopicPartition] {
        &self.assigned
    }

    pub(crate) fn lag(&self) -> &BTreeMap<TopicPartition, Option<u64>> {
        &self.lag
    }

    /// Takes in an answer to a poll.
    pub(crate) fn receive(
        &mut self,
        batch_id: u64,
        messages: Vec<Message>,
        lag: &ByPartition<Option<u64>>,
        news: Option<&Rebalance>,
    ) {
        self.batch = batch_id;
        if let Some(news) = news {
            self.rebalance(news);
        }
        self.delivery.receive(messages);
        self.set_lag(lag);
    }

    fn rebalance(&mut self, news: &Rebalance) {
        let (gone, came) = (listed(&news.revoked), listed(&news.assigned));
        self.assigned.retain(|of| !gone.contains(of) && !came.contains(of));
        self.assigned.extend_from_slice(&came);
        // One that left and came back begins anew.
        let (back, going): (Vec<_>, Vec<_>) = gone.iter().cloned().partition(|of| came.contains(of));
        self.delivery.forget(&back);
        self.delivery.withhold(&going);
        self.going.extend(going);
        self.news.assigned.extend(came);
        self.news.revoked.extend(gone);
    }

    /// Follows an answer that tells the assignment as a whole. What is missing in it is another's already.
    pub(crate) fn adopt(&mut self, described: &Described) {
        let now = listed(&described.assignment);
        let giving_up = listed(&described.revoking);
        let (kept, gone): (Vec<_>, Vec<_>) = self.going.drain(..).partition(|of| giving_up.contains(of));
        self.going = kept;
        self.delivery.forget(&gone);
        let gone: Vec<_> = self.assigned.iter().filter(|of| !now.contains(of)).cloned().collect();
        self.news.assigned.extend(now.iter().filter(|of| !self.assigned.contains(of)).cloned());
        self.assigned = now;
        self.delivery.forget(&gone);
        self.news.lost.extend(gone);
        self.set_lag(&described.lag);
    }

    pub(crate) fn is_giving_up(&self) -> bool {
        !self.going.is_empty()
    }

    /// The poll that comes now gives up what was revoked.
    pub(crate) fn give_up(&mut self) {
        self.delivery.forget(&std::mem::take(&mut self.going));
    }

    /// The server removed the consumer, and all went with it.
    pub(crate) fn lose(&mut self) {
        let lost = std::mem::take(&mut self.assigned);
        let mut news = std::mem::take(&mut self.news);
        news.assigned.clear();
        news.lost.extend(lost);
        *self = Self { news, ..Self::default() };
    }

    /// Where the partitions that are still held go on, as far as records of them arrived.
    pub(crate) fn arrived(&self) -> Vec<PartitionOffset> {
        self.delivery.fetched().into_iter().filter(|at| self.assigned.contains(&at.partition)).collect()
    }

    fn set_lag(&mut self, lag: &ByPartition<Option<u64>>) {
        let entries = |(topic, lags): (&std::sync::Arc<str>, &BTreeMap<u32, Option<u64>>)| {
            let topic = topic.clone();
            let pairs = lags.iter().map(move |(partition, lag)| (TopicPartition::new(topic.clone(), *partition), *lag));
            pairs.collect::<Vec<_>>()
        };
        self.lag = lag.iter().flat_map(entries).collect();
    }
}
