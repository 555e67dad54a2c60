//! The core of a node that knows topics alone: it appends, and reads without a consumer. What it decides follows from Kafka
//! again, so it has no journal, and with its node it is gone.

use std::collections::BTreeSet;

use takhin_core::{
    Boot, Command, Config, Core, Event, FactSeq, RequestId, Timestamp,
    trace::{Header, Recorder},
};

use super::{Recording, engine::kafka::request_of_front};
use crate::{
    auditor::Auditor,
    oracle::{Violation, must},
};

/// The front of a node.
pub(super) struct Front {
    pub(super) core: Core,
    pub(super) auditor: Auditor,
    pub(super) recording: Option<Recording>,
    /// What it is being told of topics.
    pub(super) teaching: BTreeSet<RequestId>,
    requests: u64,
}

impl Front {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            core: Core::new(config.clone(), Boot(0)),
            auditor: Auditor::new(config.clone()),
            recording: None,
            teaching: BTreeSet::new(),
            requests: 0,
        }
    }

    /// Another front in its place, of another node.
    pub(super) fn replace(&mut self, config: &Config, seed: Option<u64>) {
        let (is_recorded, requests) = (self.recording.is_some(), self.requests);
        *self = Self { requests, ..Self::new(config) };
        if is_recorded {
            self.record(config, seed);
        }
    }

    pub(super) fn record(&mut self, config: &Config, seed: Option<u64>) {
        let header = Header { seed, ..Header::new(config.clone(), Boot(0)) };
        let (recorder, mut lines) = Recorder::start(&header);
        lines.push('\n');
        self.recording = Some(Recording { recorder, lines });
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        request_of_front(self.requests)
    }

    /// Gives the core an event, and judges what it makes of it.
    pub(super) fn step(&mut self, now: Timestamp, event: Event, commands: &mut Vec<Command>) -> Result<(), Violation> {
        let audited = self.auditor.event(now, &event);
        let recorded = self.recording.is_some().then(|| event.clone());
        self.core.step(now, event, commands);
        if let (Some(recording), Some(event)) = (&mut self.recording, recorded) {
            recording.lines.push_str(&recording.recorder.step(now, event, commands.clone()));
            recording.lines.push('\n');
        }
        audited?;
        self.auditor.commands(commands)?;
        self.core.check().map_err(|broken| Violation::of_core(&broken))?;
        let due = self.core.next_deadline().is_some_and(|at| at <= now);
        must!(!due, NoDueTimer, "{:?} is left at {now:?}", self.core.next_deadline());
        Ok(())
    }

    /// What is done at once of what the core asks for: what it hears of that.
    pub(super) fn done_at_once(command: &Command) -> Option<Event> {
        match command {
            Command::Persist { first, facts } => {
                Some(Event::Persisted { through: FactSeq(first.0 + facts.len() as u64 - 1) })
            }
            Command::CreateLogs { topic, partitions, .. } => {
                Some(Event::LogsCreated { topic: *topic, partitions: *partitions, result: Ok(()) })
            }
            _ => None,
        }
    }

    /// What must hold at the end.
    pub(super) fn must_be_at_rest(&self) -> Result<(), Violation> {
        let (open, parked) = (self.core.open_requests(), self.core.parked_polls());
        must!(open == 0 && parked == 0, NothingLeaks, "{open} requests are open and {parked} parked at the front");
        let left = self.auditor.leftovers();
        must!(left.is_none(), NothingLeaks, "{}", left.unwrap_or_default());
        Ok(())
    }
}
