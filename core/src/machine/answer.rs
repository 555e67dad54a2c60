//! A poll's answer: positions move, and what is told is noted until its receipt is known.

use alloc::boxed::Box;

use super::Core;
use crate::{
    command::{FetchedPart, Parts},
    ids::{BatchId, ConsumerId, FetchId, LogId, RequestId},
    planted::planted,
    response::{AssignmentChange, Consumed, DeliveredPart, Response},
    session::{Batch, News, Range},
};

impl Core {
    /// Answers a poll with what a fetch brought, and with the news.
    pub(super) fn answer(&mut self, consumer: ConsumerId, fetch: Option<FetchId>, parts: &[FetchedPart]) {
        self.unpark(consumer);
        self.uncount(consumer);
        let Some(poll) = self.take_poll(consumer) else { return };
        let (parts, ranges) = self.move_positions(consumer, parts);
        let (batch, rebalance) = self.hand_out(consumer, poll.request, poll.replay, ranges);
        let Some(session) = self.sessions.get(&consumer) else { return };
        let (generation, after) = (session.generation, session.depends_on);
        let positions = self.positions(consumer);
        let format = self.durable.consumers[&consumer].options.format;
        let answer = Consumed { consumer, batch, generation, fetch, parts, rebalance, positions, format };
        self.checkpoint_positions(consumer);
        self.touch(consumer);
        self.reply_after(poll.request, after, Response::Consumed(answer));
    }

    /// Notes what an answer tells, until its receipt is known. Gives its batch, and the change of the assignment.
    fn hand_out(
        &mut self,
        consumer: ConsumerId,
        request: RequestId,
        replay: Option<Box<Batch>>,
        mut ranges: Parts<Range>,
    ) -> (BatchId, Option<AssignmentChange>) {
        let (generation, boot) = (self.durable.consumers[&consumer].generation, self.boot);
        let Some(session) = self.sessions.get_mut(&consumer) else { return (BatchId::NONE, None) };
        let handed_out_before = replay.is_some();
        let (mut id, mut before, mut lacking) = (None, session.generation, Parts::new());
        if let Some(batch) = replay {
            let newer = !session.news.is_empty();
            session.news.put_back(batch.news);
            let read = core::mem::take(&mut ranges);
            // A batch that is handed out again keeps what stood before its first delivery.
            (ranges, lacking) = batch.ranges.into_iter().partition(|range| read.iter().any(|r| r.log == range.log));
            before = batch.generation;
            // With fewer records or more news it is another batch: who has the one must not seem to have the other.
            id = (lacking.is_empty() && !newer && !batch.lessened).then_some(batch.id);
            self.tell_of_revoking(consumer);
        }
        let Some(session) = self.sessions.get_mut(&consumer) else { return (BatchId::NONE, None) };
        let news = core::mem::take(&mut session.news);
        if id.is_none() && ranges.is_empty() && news.is_empty() {
            let last = session.receipts.last();
            self.take_back(consumer, &lacking);
            return (last, None);
        }
        let rebalance = (!news.is_empty()).then(|| change(&news));
        if rebalance.is_some() {
            session.generation = generation;
        }
        let id = id.unwrap_or_else(|| session.receipts.next_id(boot));
        let counted_as_delivered = true;
        let (generation, lessened) = (before, false);
        let batch = Batch { id, request, ranges, news, generation, handed_out_before, lessened, counted_as_delivered };
        session.receipts.presumed = None;
        session.receipts.open = Some(batch);
        self.take_back(consumer, &lacking);
        (id, rebalance)
    }

    fn move_positions(&mut self, consumer: ConsumerId, parts: &[FetchedPart]) -> (Parts<DeliveredPart>, Parts<Range>) {
        let (mut delivered, mut ranges) = (Parts::new(), Parts::new());
        for part in parts {
            let FetchedPart { log, from, next, mut records, bytes, .. } = *part;
            if planted!(self, GapsCounted) {
                records = u32::try_from(next.0 - from.0).unwrap_or(u32::MAX);
            }
            let topic = self.topic_name(log);
            let Some(session) = self.sessions.get_mut(&consumer) else { continue };
            let Some(partition) = session.partitions.get_mut(&log) else { continue };
            let delivered_before = partition.delivered.replace(next);
            partition.position = Some(next);
            partition.counted = next;
            session.last_served = Some(log);
            session.note_moved(log);
            session.delivered.insert(log);
            delivered.push(DeliveredPart { log, topic, from, next, records, bytes });
            ranges.push(Range { log, from, next, delivered_before });
            self.file(consumer, log);
        }
        (delivered, ranges)
    }
}

fn change(news: &News) -> AssignmentChange {
    let named = |logs: &alloc::collections::BTreeMap<LogId, crate::TopicName>| {
        logs.iter().map(|(log, topic)| (topic.clone(), log.partition)).collect()
    };
    AssignmentChange { assigned: named(&news.assigned), revoked: named(&news.revoked) }
}
