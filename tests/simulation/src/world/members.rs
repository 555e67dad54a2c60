//! What members of groups do beside polling and committing: take their place again, subscribe to something else, pause,
//! seek to places; and what ghosts do, who clients were before.

use takhin_core::{
    CommitOffset, ConsumerId, InstanceId, Offset, Place, PollLimits, Refusal, Request, Response, SeekTo, TopicName,
    TopicPattern, Topics, response::ConsumerDescription,
};

use super::{World, replies::Ask};
use crate::{
    coverage::Rare,
    options::GroupKind,
    oracle::{Violation, must},
};

/// The place that a seek must lead to.
pub(super) type Targets = Vec<(TopicName, u32, Offset)>;

impl World {
    /// The name of a client's place in its group. Every second client has one, and some share theirs, as when a program
    /// is started twice. At the end of a run nobody does, or they would fence each other for ever.
    pub(super) fn instance(&self, at: usize) -> Option<InstanceId> {
        let turn = at / self.groups.len().max(1);
        if !self.options.statics || turn % 2 == 1 {
            return None;
        }
        let name = if self.faults { format!("w{}", turn % 4) } else { format!("w{turn}-only") };
        InstanceId::new(&name).ok()
    }

    /// What a client subscribes to: the first one of each group to everything, and the others to some of it.
    pub(super) fn wanted_topics(&mut self, at: usize) -> Topics {
        let few = at >= self.groups.len() && self.word.one_in(3);
        let patterns: &[&str] = if few { &["[ab]", "b", "c|a"] } else { &[".*", "[a-c]"] };
        if self.word.one_in(4) {
            return Topics::Matching(TopicPattern::new(self.word.of(patterns).unwrap_or_default()));
        }
        let count = if few { 1 } else { self.topics.len() };
        Topics::Named(self.topics[..count].to_vec())
    }

    pub(super) fn resubscribe(&mut self, at: usize) -> Result<(), Violation> {
        let Some(consumer) = self.clients[at].me else { return Ok(()) };
        if self.clients[at].poll.is_some() {
            self.cover(Rare::ResubscribesUnderPoll);
        }
        self.clients[at].subscribed = None;
        let topics = self.wanted_topics(at);
        self.ask(Some(at), Ask::Other, Request::ChangeSubscription { consumer, topics, allow_missing: true }).map(drop)
    }

    /// Says once more what a client subscribed with, as one does that had no answer.
    pub(super) fn subscribe_again(&mut self, at: usize) -> Result<(), Violation> {
        let Some(request) = self.clients[at].subscribed.clone() else { return Ok(()) };
        self.cover(Rare::SubscribeRepeated);
        // Who had expired is another consumer by this: what the one received is not the other's to commit.
        self.clients[at].next.clear();
        self.ask(Some(at), Ask::SubscribeAgain, request).map(drop)
    }

    pub(super) fn pause_partitions(&mut self, at: usize) -> Result<(), Violation> {
        let Some(consumer) = self.clients[at].me else { return Ok(()) };
        if self.is_fetching(at) {
            self.cover(Rare::DeliveryPaused);
        }
        self.clients[at].paused_in = Some(self.step);
        let next = &self.clients[at].next;
        let one = self.word.index(next.len() + 1);
        let partitions = next.get(one).map(|(log, name, _)| vec![(name.clone(), log.partition)]);
        self.ask(Some(at), Ask::Other, Request::Pause { consumer, partitions }).map(drop)
    }

    pub(super) fn resume_partitions(&mut self, at: usize) -> Result<(), Violation> {
        let client = &mut self.clients[at];
        let Some(consumer) = client.me.filter(|_| client.paused_in.take().is_some()) else { return Ok(()) };
        if client.poll.is_some() && !self.is_fetching(at) {
            self.cover(Rare::ResumedUnderParkedPoll);
        }
        self.ask(Some(at), Ask::Resume, Request::Resume { consumer, partitions: None }).map(drop)
    }

    /// Everybody may go back to what is committed; to other places only who does as it likes.
    pub(super) fn seek_place(&mut self, at: usize) -> Result<(), Violation> {
        let wild = self.kind(at) == GroupKind::Wild;
        // Who goes back while something is on its way would commit what is then delivered again.
        let client = &mut self.clients[at];
        let Some(consumer) = client.me.filter(|_| wild || client.poll.is_none()) else { return Ok(()) };
        client.next.clear();
        let places = [Place::Beginning, Place::End, Place::Committed];
        let to = if wild { self.word.of(&places).unwrap_or(Place::Committed) } else { Place::Committed };
        let one = self.word.one_in(2).then(|| self.some_partition()).flatten();
        let found = one.as_ref().and_then(|(topic, n)| Some((topic, *n, self.reaches_now(topic, *n)?)));
        let target = found.and_then(|(topic, n, bounds)| match to {
            Place::Beginning => Some((topic.clone(), n, bounds.start)),
            Place::End => Some((topic.clone(), n, bounds.end)),
            Place::Committed => None,
        });
        self.cover(Rare::SeeksPlace);
        let ask = Ask::Seek { to: target.into_iter().collect() };
        let partitions = one.map(|one| vec![one]);
        self.ask(Some(at), ask, Request::SeekPlace { consumer, partitions, to }).map(drop)
    }

    /// Moves one partition or two.
    pub(super) fn seek(&mut self, at: usize) -> Result<(), Violation> {
        let Some(consumer) = self.clients[at].me else { return Ok(()) };
        let mut positions: Vec<SeekTo> = Vec::new();
        for _ in 0..=self.word.below(2) {
            let Some((topic, partition)) = self.some_partition() else { return Ok(()) };
            let offset = i64::from(self.word.below(40)) - 1;
            positions.retain(|seek| (&seek.topic, seek.partition) != (&topic, partition));
            positions.push(SeekTo { topic, partition, offset });
        }
        if self.is_fetching(at) {
            self.cover(Rare::SeekDuringFetch);
        }
        let target = |seek: &SeekTo| {
            (seek.topic.clone(), seek.partition, Offset(u64::try_from(seek.offset).unwrap_or_default()))
        };
        let ask = Ask::Seek { to: positions.iter().map(target).collect() };
        self.ask(Some(at), ask, Request::Seek { consumer, positions }).map(drop)
    }

    /// Who sought to a place stands there.
    pub(super) fn must_stand(to: &Targets, response: &Result<Response, Refusal>) -> Result<(), Violation> {
        let Ok(Response::Consumer(ConsumerDescription { partitions, .. })) = response else { return Ok(()) };
        for (topic, partition, offset) in to {
            let told = partitions.iter().find(|told| told.topic == *topic && told.partition == *partition);
            let there = told.is_none_or(|told| told.position == Some(*offset));
            must!(there, ReadsContinuous, "sought to {offset:?} of {topic}/{partition}, and stands at {told:?}");
        }
        Ok(())
    }

    /// Who a client was before goes on as if it still were there. If nothing is promised to its group, whatever becomes
    /// of it; otherwise only where it must not succeed.
    pub(super) fn haunt(&mut self, at: usize) -> Result<(), Violation> {
        let Some(ghost) = self.clients[at].former.filter(|former| Some(*former) != self.clients[at].me) else {
            return Ok(());
        };
        if self.kind(at) != GroupKind::Wild && self.auditor.has_consumer(ghost) {
            return Ok(());
        }
        let request = self.ghostly_request(ghost);
        self.ask(None, Ask::Ghost, request).map(drop)
    }

    fn ghostly_request(&mut self, consumer: ConsumerId) -> Request {
        let limits = PollLimits { timeout_ms: 100, ..PollLimits::default() };
        match (self.word.below(3), self.some_partition()) {
            (0, Some((topic, partition))) => {
                let offset = i64::from(self.word.below(10));
                let entry = CommitOffset { topic, partition, offset, metadata: None };
                Request::Commit { consumer, offsets: Some(vec![entry]), generation: None }
            }
            (1, _) => Request::Commit { consumer, offsets: None, generation: None },
            _ => Request::Consume { consumer, limits, after_batch: None },
        }
    }
}
