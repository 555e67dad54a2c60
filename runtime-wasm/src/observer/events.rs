//! What an event is in the picture, and which row brought it about.

use takhin_core::{ConsumerId, Core, Event, Request, RequestId};

use super::{Draft, Glyph, Kind, Observer, Open, Outcome, words};
use crate::world::NO_ROW;

impl Observer {
    pub(super) fn event(&mut self, draft: Draft, event: &Event, sent: Option<&(String, u64)>, core: &Core) -> Draft {
        match event {
            Event::Request { id, request } => self.request(draft, *id, request, sent, core),
            Event::Appended { id, log, result } => {
                let lane = self.lanes.log(*log);
                let cause = self.appends.remove(id).unwrap_or(NO_ROW);
                let text = words::appended(&self.lanes.log_name(*log), result);
                let draft = Draft { kind: Kind::Appended, lane, cause, text, ..draft };
                if result.is_ok() {
                    self.mark(&draft, lane, Glyph::Append);
                    if let Some(open) = self.open.get(&id.request) {
                        let arrow = [open.sent_at, open.lane, draft.t, lane, draft.row, 0];
                        self.arrows.extend(arrow);
                    }
                } else {
                    self.mark(&draft, lane, Glyph::Refused);
                }
                draft
            }
            Event::Fetched { id, parts } => {
                let cause = self.fetches.get(id).copied().unwrap_or(NO_ROW);
                let lane = self.open.get(&id.request).map_or(NO_ROW, |open| open.lane);
                let records: u32 = parts.iter().map(|part| part.records).sum();
                let text = format!("{} read", words::count(records as usize, "record"));
                Draft { kind: Kind::Fetched, lane, cause, text, ..draft }
            }
            Event::Persisted { through } => {
                let later = self.persists.split_off(&through.next());
                let done = std::mem::replace(&mut self.persists, later);
                let cause = done.into_values().next_back().unwrap_or(NO_ROW);
                let text = format!("facts up to {} are durable", through.0);
                Draft { kind: Kind::Persisted, lane: NO_ROW, cause, text, ..draft }
            }
            Event::LogsCreated { topic, partitions, result } => {
                let cause = self.creations.remove(topic).unwrap_or(NO_ROW);
                let name = self.lanes.topic_name(*topic);
                let text = match result {
                    Ok(()) => {
                        format!("the logs of {name} are made: {}", words::count(*partitions as usize, "partition"))
                    }
                    Err(error) => format!("the logs of {name} can't be made: {error}"),
                };
                for partition in 0..*partitions {
                    self.lanes.log(takhin_core::LogId { topic: *topic, partition });
                }
                Draft { kind: Kind::Disk, cause, text, ..draft }
            }
            Event::Disconnected { request } => {
                let open = self.open.remove(request);
                let lane = open.map_or(NO_ROW, |open| open.lane);
                let cause = if draft.cause == NO_ROW { open.map_or(NO_ROW, |open| open.row) } else { draft.cause };
                let text = format!("{} hangs up", self.whom(lane));
                let draft = Draft { kind: Kind::Lost, lane, cause, text, ..draft };
                if let Some(open) = open {
                    self.end_span(open.span, &draft, Outcome::Lost);
                    self.heard.insert(lane, draft.row);
                }
                self.mark(&draft, lane, Glyph::Fault);
                draft
            }
            Event::Undelivered { consumer, .. } => {
                let lane = self.lanes.consumer(*consumer).unwrap_or(NO_ROW);
                let text = format!("an answer could not be handed to {}: it goes back", self.whom(lane));
                let draft = Draft { kind: Kind::Lost, lane, text, ..draft };
                self.mark(&draft, lane, Glyph::Fault);
                draft
            }
            Event::LookedUp { consumer, .. } => {
                let lane = self.lanes.consumer(*consumer).unwrap_or(NO_ROW);
                Draft { kind: Kind::Disk, lane, text: "a date is looked up".to_owned(), ..draft }
            }
            Event::LogMoved { log, start, end } => {
                let lane = self.lanes.log(*log);
                let text = format!("{} now goes from {} to {}", self.lanes.log_name(*log), start.0, end.0);
                let draft = Draft { kind: Kind::Disk, lane, text, ..draft };
                self.mark(&draft, lane, Glyph::Fault);
                draft
            }
            Event::Storage { state } => Draft { kind: Kind::Disk, text: words::storage(state), ..draft },
            Event::Date { .. } => Draft { kind: Kind::Tick, text: "the date is told".to_owned(), ..draft },
            Event::Tick => Draft { kind: Kind::Tick, ..draft },
            Event::Drain => Draft { kind: Kind::Admin, text: "the broker is about to stop".to_owned(), ..draft },
        }
    }

    fn request(
        &mut self,
        mut draft: Draft,
        id: RequestId,
        request: &Request,
        sent: Option<&(String, u64)>,
        core: &Core,
    ) -> Draft {
        let kind = words::kind(request);
        let lane = self.lane_of(request, sent.map(|(name, _)| &**name));
        let cause = if draft.cause == NO_ROW { self.heard.get(&lane).copied().unwrap_or(NO_ROW) } else { draft.cause };
        let who = if lane == NO_ROW { "somebody".to_owned() } else { self.lanes.name(lane).to_owned() };
        let text = words::request(&who, request);
        (draft.kind, draft.lane, draft.cause, draft.text) = (kind, lane, cause, text);
        let sent_at = sent.map_or(draft.t, |(_, at)| u32::try_from(*at).unwrap_or(draft.t));
        let span = match request {
            Request::Consume { consumer, limits, .. } => {
                let deadline = core.poll_view(*consumer).map(|poll| poll.deadline.0);
                self.begin_span(&draft, deadline.unwrap_or(core.now().0 + u64::from(limits.timeout_ms)))
            }
            _ => NO_ROW,
        };
        let glyph = match kind {
            Kind::Subscribe => Glyph::Join,
            Kind::Close => Glyph::Leave,
            Kind::Commit => Glyph::Commit,
            _ => Glyph::Request,
        };
        self.mark(&draft, lane, glyph);
        if lane != NO_ROW {
            self.heard.insert(lane, draft.row);
        }
        if kind == Kind::Admin {
            draft.lane = NO_ROW;
        }
        self.open.insert(id, Open { kind, lane, row: draft.row, sent_at, span });
        draft
    }

    fn lane_of(&mut self, request: &Request, sender: Option<&str>) -> u32 {
        match request {
            Request::Subscribe { consumer, group, options, .. } => self.lanes.subscribed(*consumer, group, options),
            Request::Produce { topic, .. } => match sender {
                Some(name) => self.lanes.producer(name, topic),
                None => self.lanes.producer(&format!("to {topic}"), topic),
            },
            request => match words::consumer_of(request) {
                Some(consumer) => self.lanes.consumer(consumer).unwrap_or(NO_ROW),
                None => NO_ROW,
            },
        }
    }

    pub(super) fn whom(&self, lane: u32) -> &str {
        if lane == NO_ROW { "a client" } else { self.lanes.name(lane) }
    }

    /// The row in which a consumer was last heard of.
    pub(super) fn last_heard(&self, consumer: ConsumerId) -> u32 {
        let lane = self.lanes.consumer(consumer);
        lane.and_then(|lane| self.heard.get(&lane).copied()).unwrap_or(NO_ROW)
    }
}
