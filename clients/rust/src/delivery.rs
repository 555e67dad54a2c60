//! What was received and what became of it: messages that wait to be handed out, and for each partition how far the
//! caller has got. No input or output happens here.
//!
//! ```text
//! received ........................ fetched (where to go on if the server has forgotten)
//! handed out ............ handed    (what an explicit commit commits)
//! worked on ........ finished       (what auto-commit commits: all but what the caller has now)
//! ```
//!
//! All four are the next offset of their kind.

use std::collections::{BTreeMap, VecDeque};

use crate::{Message, PartitionOffset, TopicPartition};

#[derive(Default)]
pub(crate) struct Delivery {
    waiting: VecDeque<Message>,
    partitions: BTreeMap<TopicPartition, Progress>,
}

/// How far things are in one partition.
#[derive(Clone, Copy, Default)]
struct Progress {
    fetched: Option<u64>,
    handed: Option<u64>,
    /// Behind what was handed out last, and as far as this side knows is still being worked on.
    open: Option<u64>,
    finished: Option<u64>,
    committed: Option<u64>,
    is_paused: bool,
}

impl Delivery {
    pub(crate) fn receive(&mut self, messages: Vec<Message>) {
        for message in messages {
            self.of(&message.partition).fetched = Some(message.next_offset());
            self.waiting.push_back(message);
        }
    }

    /// Up to `count` messages of partitions that are not paused. What was handed out before is worked on.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Message> {
        self.finish();
        let mut taken = Vec::new();
        let mut passed = VecDeque::new();
        while taken.len() < count
            && let Some(message) = self.waiting.pop_front()
        {
            let progress = self.of(&message.partition);
            if progress.is_paused {
                passed.push_back(message);
                continue;
            }
            progress.handed = Some(message.next_offset());
            progress.open = progress.handed;
            taken.push(message);
        }
        passed.append(&mut self.waiting);
        self.waiting = passed;
        taken
    }

    /// What was handed out is worked on.
    pub(crate) fn finish(&mut self) {
        for progress in self.partitions.values_mut() {
            progress.finished = progress.open.take().or(progress.finished);
        }
    }

    /// What an explicit commit commits.
    pub(crate) fn handed(&self) -> Vec<PartitionOffset> {
        self.beyond_committed(|progress| progress.handed)
    }

    /// What auto-commit commits.
    pub(crate) fn finished(&self) -> Vec<PartitionOffset> {
        self.beyond_committed(|progress| progress.finished)
    }

    fn beyond_committed(&self, offset: impl Fn(&Progress) -> Option<u64>) -> Vec<PartitionOffset> {
        let offset = |progress: &Progress| offset(progress).filter(|offset| progress.committed != Some(*offset));
        self.partitions.iter().filter_map(|(of, progress)| Some(of.clone().at(offset(progress)?))).collect()
    }

    /// The offsets are committed. What they cover of the messages that the caller has now is worked on.
    pub(crate) fn committed<'a>(&mut self, offsets: impl IntoIterator<Item = &'a PartitionOffset>) {
        for at in offsets {
            let progress = self.of(&at.partition);
            progress.open = progress.open.filter(|next| *next > at.offset);
            progress.committed = Some(at.offset);
            progress.finished = progress.finished.max(Some(at.offset));
        }
    }

    /// The next message of the partition to be handed out, as far as this side knows.
    pub(crate) fn position(&self, of: &TopicPartition) -> Option<u64> {
        let waiting = self.waiting.iter().find(|message| message.partition == *of).map(|message| message.offset);
        waiting.or_else(|| self.partitions.get(of)?.fetched)
    }

    /// Where each partition goes on at the server, of those that something was received of.
    pub(crate) fn fetched(&self) -> Vec<PartitionOffset> {
        self.partitions.iter().filter_map(|(of, progress)| Some(of.clone().at(progress.fetched?))).collect()
    }

    pub(crate) fn set_paused(&mut self, partitions: &[TopicPartition], is_paused: bool) {
        for of in partitions {
            self.of(of).is_paused = is_paused;
        }
    }

    pub(crate) fn paused(&self) -> Vec<TopicPartition> {
        self.partitions.iter().filter(|(_, progress)| progress.is_paused).map(|(of, _)| of.clone()).collect()
    }

    /// What waits of the partitions is not handed out any more.
    pub(crate) fn withhold(&mut self, partitions: &[TopicPartition]) {
        self.waiting.retain(|message| !partitions.contains(&message.partition));
    }

    /// The partitions begin elsewhere from now on: what waits of them is not wanted, and what was handed out is not
    /// committed.
    pub(crate) fn restart(&mut self, partitions: &[TopicPartition]) {
        self.withhold(partitions);
        for of in partitions {
            let progress = self.of(of);
            *progress = Progress { is_paused: progress.is_paused, ..Progress::default() };
        }
    }

    /// The partitions are not this consumer's any more.
    pub(crate) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.withhold(partitions);
        self.partitions.retain(|of, _| !partitions.contains(of));
    }

    fn of(&mut self, partition: &TopicPartition) -> &mut Progress {
        if !self.partitions.contains_key(partition) {
            self.partitions.insert(partition.clone(), Progress::default());
        }
        self.partitions.get_mut(partition).expect("it was put there if it was missing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(partition: u32, offset: u64) -> Message {
        let partition = TopicPartition::new("t", partition);
        Message { partition, offset, timestamp_ms: 0, key: None, value: None, headers: Vec::new() }
    }

    fn shown(offsets: &[PartitionOffset]) -> Vec<(u32, u64)> {
        offsets.iter().map(|at| (at.partition.partition, at.offset)).collect()
    }

    #[test]
    fn what_the_caller_has_now_is_handed_out_and_not_worked_on() {
        let mut delivery = Delivery::default();
        delivery.receive(vec![message(0, 0), message(0, 1), message(1, 5)]);
        assert_eq!(delivery.take(2).len(), 2);
        assert_eq!((shown(&delivery.handed()), shown(&delivery.finished())), (vec![(0, 2)], vec![]));
        assert_eq!(delivery.take(1).len(), 1);
        assert_eq!((shown(&delivery.handed()), shown(&delivery.finished())), (vec![(0, 2), (1, 6)], vec![(0, 2)]));
        delivery.committed(&delivery.handed());
        assert_eq!((delivery.handed(), delivery.finished()), (vec![], vec![]));
    }

    #[test]
    fn a_commit_of_a_part_leaves_the_rest_open() {
        let mut delivery = Delivery::default();
        delivery.receive((0..4).map(|offset| message(0, offset)).collect());
        delivery.take(4);
        delivery.committed(&[TopicPartition::new("t", 0).at(2)]);
        assert_eq!((shown(&delivery.handed()), shown(&delivery.finished())), (vec![(0, 4)], vec![]));
        delivery.finish();
        assert_eq!(shown(&delivery.finished()), vec![(0, 4)]);
    }

    #[test]
    fn a_paused_partition_waits_and_lets_others_pass() {
        let mut delivery = Delivery::default();
        delivery.receive(vec![message(0, 0), message(1, 0), message(0, 1)]);
        delivery.set_paused(&[TopicPartition::new("t", 0)], true);
        assert_eq!(delivery.take(9), vec![message(1, 0)]);
        delivery.set_paused(&[TopicPartition::new("t", 0)], false);
        assert_eq!(delivery.take(9), vec![message(0, 0), message(0, 1)]);
    }

    #[test]
    fn a_seek_takes_back_what_was_handed_out() {
        let mut delivery = Delivery::default();
        delivery.receive(vec![message(0, 7), message(0, 8)]);
        delivery.take(1);
        delivery.restart(&[TopicPartition::new("t", 0)]);
        delivery.finish();
        assert_eq!((delivery.handed(), delivery.finished(), delivery.take(9)), (vec![], vec![], vec![]));
        assert_eq!(delivery.position(&TopicPartition::new("t", 0)), None);
    }
}
