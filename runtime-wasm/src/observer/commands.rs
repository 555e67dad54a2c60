//! What the commands of a step mean in the picture: answers, wakes, expiries, commits, generations.

use std::collections::BTreeMap;

use takhin_core::{
    BatchId, Command, ConsumerId, Fact, FactSeq, FetchId, LeaveReason, Refusal, RequestId, Response, response::Consumed,
};

use super::{Draft, Glyph, Kind, Observer, Open, Outcome, flag, words};
use crate::world::NO_ROW;

impl Observer {
    pub(super) fn commands(&mut self, draft: &mut Draft, commands: &[Command]) {
        for command in commands {
            match command {
                Command::Append { id, .. } => drop(self.appends.insert(*id, draft.row)),
                Command::Fetch { id, .. } => drop(self.fetches.insert(*id, draft.row)),
                Command::CreateLogs { topic, name, .. } => {
                    self.lanes.topic(*topic, name);
                    self.creations.insert(*topic, draft.row);
                }
                Command::Persist { first, facts } => {
                    self.persists.insert(FactSeq(first.0 + facts.len() as u64 - 1), draft.row);
                    self.facts(draft, facts);
                }
                _ => {}
            }
        }
        for command in commands {
            match command {
                Command::Reply { request, response } => self.reply(draft, *request, response),
                Command::Discard { id } => drop(self.fetches.remove(id)),
                _ => {}
            }
        }
    }

    fn facts(&mut self, draft: &mut Draft, facts: &[Fact]) {
        let mut ended = BTreeMap::new();
        for fact in facts {
            match fact {
                Fact::TopicCreated { topic, name, .. } => self.lanes.topic(*topic, name),
                Fact::ConsumerCreated { consumer, group, options, .. } => {
                    self.groups.created(*consumer, group);
                    self.lanes.subscribed(*consumer, group, options);
                }
                Fact::TakenOver { from, consumer, options, .. } => {
                    if let Some(group) = self.groups.group_of(*from).cloned() {
                        self.lanes.subscribed(*consumer, &group, options);
                    }
                    let name = self.lanes.consumer_name(*consumer);
                    words::add(&mut draft.text, &format!("{name} takes its place again, and nothing moves"));
                    self.groups.taken_over(*from, *consumer);
                }
                Fact::WentAway { consumer } => {
                    let name = self.lanes.consumer_name(*consumer);
                    words::add(&mut draft.text, &format!("the place of {name} is kept"));
                }
                Fact::ConsumerEnded { consumer, reason } => {
                    if let Some(group) = self.groups.group_of(*consumer).cloned() {
                        ended.insert(*consumer, self.targets_of(&group, *consumer));
                    }
                    self.ended(draft, *consumer, *reason);
                }
                Fact::Rebalanced { .. } => self.rebalanced(draft, fact, &ended),
                Fact::Committed { group, offsets, .. } => self.committed(draft, group, offsets),
                _ => {}
            }
        }
    }

    fn ended(&mut self, draft: &mut Draft, consumer: ConsumerId, reason: LeaveReason) {
        self.groups.ended(consumer);
        let lane = self.lanes.consumer(consumer).unwrap_or(NO_ROW);
        if reason == LeaveReason::Closed {
            return;
        }
        let heard = self.last_heard(consumer);
        if draft.kind == Kind::Tick {
            (draft.lane, draft.cause) = (lane, heard);
        }
        draft.flags |= flag::EXPIRED;
        let silent_ms = draft.t - self.time(heard).min(draft.t);
        words::add(&mut draft.text, &words::ended(self.whom(lane), reason, silent_ms));
        self.mark(draft, lane, Glyph::Expiry);
    }

    fn committed(
        &mut self,
        draft: &mut Draft,
        group: &takhin_core::GroupName,
        offsets: &takhin_core::ByLog<takhin_core::Offset>,
    ) {
        draft.flags |= flag::COMMITTED;
        let parts = offsets.iter().map(|(log, offset)| format!("{} at {}", self.lanes.log_name(*log), offset.0));
        let parts: Vec<String> = parts.collect();
        words::add(&mut draft.text, &format!("{group} commits {}", words::list(&parts)));
        if draft.kind != Kind::Commit {
            self.mark(draft, draft.lane, Glyph::Commit);
        }
    }

    fn reply(&mut self, draft: &mut Draft, request: RequestId, response: &Result<Response, Refusal>) {
        let Some(open) = self.open.remove(&request) else { return };
        match response {
            Err(refusal) => {
                draft.flags |= flag::REFUSED;
                let who = self.whom(open.lane).to_owned();
                words::add(&mut draft.text, &format!("{who} is refused: {refusal}"));
                self.end_span(open.span, draft, Outcome::Refused);
                self.mark(draft, open.lane, Glyph::Refused);
            }
            Ok(Response::Consumed(consumed)) => self.consumed(draft, request, open, consumed),
            Ok(response) => {
                let who = self.whom(open.lane).to_owned();
                if let Some(text) = words::answer(&who, open.kind, response) {
                    words::add(&mut draft.text, &text);
                }
            }
        }
        if open.lane != NO_ROW {
            self.heard.insert(open.lane, draft.row);
        }
    }

    fn consumed(&mut self, draft: &mut Draft, request: RequestId, open: Open, consumed: &Consumed) {
        let lane = open.lane;
        let records: u32 = consumed.parts.iter().map(|part| part.records).sum();
        let parked = self.was_parked(open.span);
        let name = self.whom(lane).to_owned();
        let outcome = match (records, &consumed.rebalance) {
            (0, Some(_)) => Outcome::Rebalance,
            (0, None) => Outcome::Empty,
            _ => Outcome::Records,
        };
        let known_before = consumed.batch != BatchId::NONE && !self.is_news(consumed);
        let text = words::polled(&name, consumed, records, parked);
        words::add(&mut draft.text, &text);
        if draft.kind == Kind::Tick {
            (draft.lane, draft.cause) = (lane, open.row);
        }
        match outcome {
            Outcome::Records => {
                draft.flags |= flag::DELIVERED | if parked { flag::WOKE } else { 0 };
                let again = known_before && draft.kind != Kind::Tick;
                if again {
                    draft.flags |= flag::REPLAYED;
                    words::add(
                        &mut draft.text,
                        &format!("it is batch {} again, exactly", consumed.batch.0 & 0xffff_ffff),
                    );
                }
                self.mark(draft, lane, if again { Glyph::Replayed } else { Glyph::Wake });
                self.arrows_to(draft, lane, consumed);
            }
            Outcome::Rebalance => {
                draft.flags |= if parked { flag::WOKE } else { 0 };
                self.mark(draft, lane, Glyph::Wake);
            }
            _ => {
                draft.flags |= flag::TIMED_OUT;
                self.mark(draft, lane, Glyph::Timeout);
            }
        }
        self.end_span(open.span, draft, outcome);
        self.fetches.retain(|FetchId { request: of, .. }, _| *of != request);
    }

    /// Whether a batch's id was not given before.
    fn is_news(&mut self, consumed: &Consumed) -> bool {
        let last = self.batches.entry(consumed.consumer).or_default();
        let news = consumed.batch > *last;
        *last = consumed.batch.max(*last);
        news
    }

    fn arrows_to(&mut self, draft: &Draft, lane: u32, consumed: &Consumed) {
        let asked = consumed.fetch.and_then(|fetch| self.fetches.get(&fetch).copied());
        let from_t = asked.map_or(draft.t, |row| self.time(row).min(draft.t));
        for part in &consumed.parts {
            let from = self.lanes.log(part.log);
            self.arrows.extend([from_t, from, draft.t, lane, draft.row, 1]);
        }
    }
}
