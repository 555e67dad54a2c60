//! Clients of the cell: each subscribes, polls, commits, gives up waiting, and goes to another node.

use takhin_core::{
    BatchId, ConsumerId, ConsumerOptions, GroupName, PollLimits, Refusal, Request, RequestId, Response, TopicName,
    Topics,
};
use uuid::Uuid;

use super::journal::Life;
use crate::tape::Word;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) group: GroupName,
    /// Who it is, from when it first asks to be.
    consumer: Option<ConsumerId>,
    subscribed: bool,
    /// What it waits for.
    pub(super) waits: Option<(Life, RequestId)>,
    /// The node that it went to last.
    pub(super) at: usize,
    /// Whose answer it had last.
    pub(super) answered_by: Option<Life>,
    after: BatchId,
}

impl Client {
    pub(super) fn new(group: GroupName) -> Self {
        Self { group, consumer: None, subscribed: false, waits: None, at: 0, answered_by: None, after: BatchId::NONE }
    }

    pub(super) fn is_member(&self) -> bool {
        self.subscribed
    }

    /// What it asks next. `fresh` is an id that nobody had before.
    pub(super) fn wish(&mut self, fresh: u128, topic: &TopicName, word: &mut Word) -> Request {
        let consumer = *self.consumer.get_or_insert(ConsumerId(Uuid::from_u128(fresh)));
        if !self.subscribed {
            let options = ConsumerOptions {
                session_timeout_ms: [1_000, 3_000][word.below(2) as usize],
                rebalance_timeout_ms: 1_000,
                max_poll_interval_ms: 4_000,
                auto_commit: word.below(2) == 0,
                ..ConsumerOptions::default()
            };
            let (group, topics) = (self.group.clone(), Topics::Named(vec![topic.clone()]));
            return Request::Subscribe { consumer, group, topics, options, allow_missing: false };
        }
        match word.below(12) {
            0 => Request::Close { consumer },
            1..4 => Request::Commit { consumer, offsets: None, generation: None },
            _ => self.poll(consumer, [0, 400][word.below(2) as usize]),
        }
    }

    /// A poll, for who only wants to be served.
    pub(super) fn plain_wish(&mut self, fresh: u128, topic: &TopicName) -> Request {
        match self.consumer.filter(|_| self.subscribed) {
            Some(consumer) => self.poll(consumer, 0),
            None => self.wish(fresh, topic, &mut Word::default()),
        }
    }

    fn poll(&self, consumer: ConsumerId, timeout_ms: u32) -> Request {
        let limits = PollLimits { timeout_ms, ..PollLimits::default() };
        Request::Consume { consumer, limits, after_batch: Some(self.after) }
    }

    /// Takes an answer to what it waited for.
    pub(super) fn hears(&mut self, by: Life, response: &Result<Response, Refusal>) {
        self.waits = None;
        self.answered_by = Some(by);
        match response {
            Ok(Response::Consumer(_)) => self.subscribed = true,
            Ok(Response::Consumed(consumed)) => self.after = consumed.batch,
            Ok(Response::Closed { .. })
            | Err(
                Refusal::ConsumerExists { .. }
                | Refusal::ConsumerNotFound { .. }
                | Refusal::ConsumerGone { .. }
                | Refusal::ConsumerExpired { .. }
                | Refusal::ConsumerEnded { .. },
            ) => self.begins_anew(),
            Err(Refusal::BatchUnknown { previous, .. }) => self.after = *previous,
            _ => {}
        }
    }

    fn begins_anew(&mut self) {
        self.consumer = None;
        self.subscribed = false;
        self.answered_by = None;
        self.after = BatchId::NONE;
    }
}
