//! A broker that is part of a cluster: which of a node's cores an event is for, what each has to know before it is asked,
//! and how both learn of topics, which are Kafka's.
//!
//! ```text
//!   requests of groups --> how far logs reach --> the cell's core ---- facts ----> journal
//!   produce, read -------> (asked of Kafka)  --> the front's core --- appends --> Kafka <--- others write, too
//!                              both hear of what they follow, late and in steps <---'
//! ```

mod topics;

use takhin_core::{
    Applied, Command, Core, Event, LogId, Offset, Refusal, Request, RequestId, StorageError, Timestamp, TopicName,
    response::Bounds,
};

use super::{
    World,
    engine::{Side, kafka::side_of},
    front::Front,
    replies::{Ask, Asked},
};
use crate::{coverage::Rare, operation::Operation, oracle::Violation};

impl World {
    /// The core that knows which topics can be written to and read.
    pub(super) fn topics_core(&self) -> &Core {
        self.front.as_ref().map_or(&self.core, |front| &front.core)
    }

    fn core_of(&self, side: Side) -> &Core {
        match (side, &self.front) {
            (Side::Front, Some(front)) => &front.core,
            _ => &self.core,
        }
    }

    /// How far a partition reaches that the core knows, as whoever asks about it now will hear.
    pub(super) fn reaches_now(&self, topic: &TopicName, partition: u32) -> Option<Bounds> {
        let (log, known) = self.core.bounds(topic, partition).ok()?;
        if self.front.is_some() { self.engine.reaches(log) } else { Some(known) }
    }

    /// The id under which something is asked, of whoever answers it.
    pub(super) fn id_for(&mut self, request: &Request) -> RequestId {
        let of_front = matches!(
            request,
            Request::Produce { .. } | Request::Read { .. } | Request::ListTopics | Request::DescribeTopic { .. }
        );
        match &mut self.front {
            Some(front) if of_front => front.next_request(),
            _ => self.next_request(),
        }
    }

    /// Something is asked under an id that is in use.
    pub(super) fn ask_as_another(&mut self, id: RequestId, request: Request) -> Result<(), Violation> {
        let event = Event::Request { id, request };
        if self.front.is_some() { self.give(side_of(id), event) } else { self.event(event) }
    }

    /// When either core wants to be told that time has passed.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let front = self.front.as_ref().and_then(|front| front.core.next_deadline());
        [self.core.next_deadline(), front].into_iter().flatten().min()
    }

    /// To ask Kafka how far logs reach is a step of its own, before that of the request: what is due falls due in it, of
    /// which whoever asks has to know before.
    pub(super) fn fire_timers(&mut self) -> Result<(), Violation> {
        let due = self.core.next_deadline().is_some_and(|at| at.0 <= self.now);
        if due && self.front.is_some() { self.give(Side::Cell, Event::Tick) } else { Ok(()) }
    }

    /// Gives an event to whom it is for.
    pub(super) fn take_in_cluster(&mut self, event: Event) -> Result<(), Violation> {
        match &event {
            Event::Request { id, request } => {
                let (id, side) = (*id, side_of(*id));
                let asker = self.asker.take();
                let is_known = self.freshen(side, request)?;
                if self.word.per_mille(100) && self.may_be_overtaken(request) {
                    // It takes a moment until Kafka has answered.
                    self.complete_one()?;
                }
                self.asker = asker;
                if is_known {
                    return self.give(side, event);
                }
                let error = StorageError::Failed("Kafka does not say how far a log reaches".into());
                self.reply(id, Err(Refusal::StorageUnavailable { error, applied: Applied::Nothing }))
            }
            Event::Disconnected { request } => self.give(side_of(*request), event),
            Event::Fetched { id, .. } => self.give(side_of(id.request), event),
            Event::Appended { .. } => self.give(Side::Front, event),
            Event::Tick | Event::Drain | Event::Date { .. } => {
                self.give(Side::Front, event.clone())?;
                self.give(Side::Cell, event)
            }
            _ => self.give(Side::Cell, event),
        }
    }

    fn give(&mut self, side: Side, event: Event) -> Result<(), Violation> {
        self.last_side = side;
        let Some(front) = self.front.as_mut().filter(|_| side == Side::Front) else { return self.step_core(event) };
        self.events += 1;
        self.engine.set_date(Self::date_of(self.now, self.date_skew));
        let mut commands = Vec::new();
        front.step(Timestamp(self.now), event, &mut commands)?;
        for command in commands {
            if let Some(done) = Front::done_at_once(&command) {
                self.give(Side::Front, done)?;
                continue;
            }
            match command {
                Command::Reply { request, response } => {
                    let taught = self.front.as_mut().is_some_and(|front| front.teaching.remove(&request));
                    if !taught {
                        self.reply(request, response)?;
                    }
                }
                Command::Append { .. } | Command::Fetch { .. } => self.engine.take(command),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether it makes no difference to who asks what else happens until then.
    fn may_be_overtaken(&self, request: &Request) -> bool {
        match request {
            // Who polls once more takes the answer before it for lost.
            Request::Consume { consumer, .. } => {
                let polls = |asked: &&Asked| asked.consumer == Some(*consumer) && matches!(asked.ask, Ask::Poll);
                self.open.iter().filter(polls).count() < 2
            }
            Request::Read { .. }
            | Request::Subscribe { .. }
            | Request::ChangeSubscription { .. }
            | Request::Describe { .. }
            | Request::Committed { .. } => true,
            _ => false,
        }
    }

    /// Lets a core know how far the logs reach that a request is about. Whether that is known.
    fn freshen(&mut self, side: Side, request: &Request) -> Result<bool, Violation> {
        let polls = matches!(request, Request::Consume { .. } | Request::Read { .. });
        #[cfg(feature = "planted")]
        if self.planted == Some(takhin_core::planted::Bug::EndsNotAsked) && !polls {
            return Ok(true);
        }
        let (mut logs, now) = (self.core_of(side).logs_touched(request), self.now);
        let Some(kafka) = self.engine.kafka.as_mut() else { return Ok(true) };
        if polls {
            logs = kafka.watching.unwatched(side, logs, now);
            kafka.watching.watch(side, logs.iter().copied(), now);
        }
        if logs.is_empty() {
            return Ok(true);
        }
        if self.faults && self.options.weights.contains_key(&Operation::FailRead) && self.word.per_mille(20) {
            return Ok(false);
        }
        let known: Vec<(LogId, Bounds)> =
            logs.iter().filter_map(|log| Some((*log, self.engine.reaches(*log)?))).collect();
        for (log, bounds) in &known {
            self.tell(side, *log, *bounds)?;
            if let Some(kafka) = self.engine.kafka.as_mut().filter(|_| polls) {
                kafka.watching.told(side, *log, *bounds);
            }
        }
        if known.len() < logs.len() {
            self.cover(Rare::TopicGoneUnheard);
        }
        // A poll hears another time of what is not known now.
        Ok(polls || known.len() == logs.len())
    }

    fn tell(&mut self, side: Side, log: LogId, Bounds { start, end }: Bounds) -> Result<(), Violation> {
        self.give(side, Event::LogMoved { log, start, end })
    }

    /// A core hears how far a log reaches that somebody waits for; not always all of it, unless it must. Whether there was
    /// anything to hear.
    pub(super) fn hear(&mut self, all: bool) -> Result<bool, Violation> {
        self.watch_where_somebody_waits();
        #[cfg(feature = "planted")]
        if self.planted == Some(takhin_core::planted::Bug::MovesUnheard) {
            return Ok(false);
        }
        let engine = &self.engine;
        let Some(kafka) = &engine.kafka else { return Ok(false) };
        let unheard = kafka.watching.unheard(self.now, |log| engine.reaches(log));
        let at = if all { 0 } else { self.word.index(unheard.len()) };
        let Some((side, log, before, mut bounds)) = unheard.get(at).copied() else { return Ok(false) };
        let news = u32::try_from(bounds.end.0 - before.0.min(bounds.end.0)).unwrap_or(u32::MAX);
        if !all && news > 1 && self.word.one_in(2) {
            bounds.end = Offset(before.0 + 1 + u64::from(self.word.below(news - 1)));
            bounds.start = bounds.start.min(bounds.end);
            self.cover(Rare::HearsAStepOnly);
        } else if news > 3 {
            self.cover(Rare::HearsLate);
        }
        if let Some(kafka) = &mut self.engine.kafka {
            kafka.watching.heard(side, log, bounds);
        }
        self.tell(side, log, bounds)?;
        Ok(true)
    }

    /// For as long as somebody waits, what it waits for is followed.
    fn watch_where_somebody_waits(&mut self) {
        let mut waits: Vec<(Side, LogId)> = Vec::new();
        for asked in &self.open {
            match (&asked.ask, asked.consumer) {
                (Ask::Poll, Some(consumer)) => waits.extend(self.core.held(consumer).map(|log| (Side::Cell, log))),
                (Ask::Read { log: Some((log, _)) }, _) => waits.push((Side::Front, *log)),
                _ => {}
            }
        }
        let now = self.now;
        if let Some(kafka) = &mut self.engine.kafka {
            for (side, log) in waits {
                kafka.watching.watch(side, [log], now);
            }
        }
    }

    /// Another client of Kafka writes somewhere.
    pub(super) fn write_outside(&mut self) {
        if let Some(log) = self.engine.some_log(&mut self.word) {
            self.engine.write_outside(log, &mut self.word);
            self.cover_kafka();
        }
    }

    /// What was rare in what Kafka did.
    pub(super) fn cover_kafka(&mut self) {
        let met = self.engine.kafka.as_mut().map(|kafka| std::mem::take(&mut kafka.met));
        met.into_iter().flatten().for_each(|state| self.cover(state));
    }
}
