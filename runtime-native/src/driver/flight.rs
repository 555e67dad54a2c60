//! The flight recorder: the last steps of the core, to be looked at when something has happened.
//!
//! ```text
//!   [ copy of the core | its events ... full ]   [ copy of the core | its events ... ]
//!               the segment before                          the current one
//! ```
//!
//! Only events are kept, since the core says again what it said then. A segment begins with a copy of the core, and
//! is the longer the larger the core is, so that copying takes a small part of the time.

use std::sync::Arc;

use takhin_core::{
    Core, Event, Timestamp,
    trace::{Header, Recorder},
};

/// How many steps a segment has for each thing that the core holds, at least.
const STEPS_PER_THING: usize = 4;

/// The last steps.
#[derive(Debug)]
pub(super) struct FlightRecorder {
    /// How many steps are to be had, at least; none are kept if it is 0.
    steps: usize,
    before: Option<Arc<Segment>>,
    current: Option<Segment>,
}

/// Some steps one after the other.
#[derive(Clone, Debug)]
struct Segment {
    start: Core,
    room: usize,
    events: Vec<(Timestamp, Event)>,
}

/// What was recorded, as it was when it was asked for.
#[derive(Debug)]
pub struct Flight {
    segments: Vec<Arc<Segment>>,
}

impl FlightRecorder {
    pub(super) fn new(steps: usize) -> Self {
        Self { steps, before: None, current: None }
    }

    /// A core is about to take a step.
    pub(super) fn step(&mut self, core: &Core, now: Timestamp, event: &Event) {
        if self.steps == 0 {
            return;
        }
        if self.current.as_ref().is_none_or(|segment| segment.events.len() >= segment.room) {
            let room = self.steps.max(STEPS_PER_THING * core.size());
            let full = self.current.replace(Segment { start: core.clone(), room, events: Vec::new() });
            self.before = full.map(Arc::new);
        }
        if let Some(segment) = &mut self.current {
            segment.events.push((now, event.clone()));
        }
    }

    /// What was recorded so far.
    pub(super) fn so_far(&self) -> Flight {
        let current = self.current.clone().map(Arc::new);
        Flight { segments: self.before.iter().cloned().chain(current).collect() }
    }
}

impl Flight {
    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.segments.iter().map(|segment| segment.events.len()).sum()
    }

    /// The last `steps` steps, or as many as there are, as a trace: its header has the core as it was before them.
    pub fn trace(&self, steps: usize) -> String {
        let mut events = self.segments.iter().flat_map(|segment| &segment.events).cloned();
        let Some(first) = self.segments.first() else { return String::new() };
        let mut core = first.start.clone();
        let mut commands = Vec::new();
        for (now, event) in events.by_ref().take(self.steps().saturating_sub(steps)) {
            core.step(now, event, &mut commands);
            commands.clear();
        }
        let (mut recorder, mut text) = Recorder::start(&Header::of(core.clone()));
        text.push('\n');
        for (now, event) in events {
            core.step(now, event.clone(), &mut commands);
            text += &recorder.step(now, event, std::mem::take(&mut commands));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use takhin_core::{
        Boot, Config, Request, RequestId, TopicConfig, TopicName,
        trace::{Line, read, replay},
    };

    use super::*;

    fn flown(steps: usize, events: u64) -> Flight {
        let mut core = Core::new(Config::default(), Boot(0));
        let mut recorder = FlightRecorder::new(steps);
        let mut commands = Vec::new();
        for n in 0..events {
            let name = TopicName::new(&format!("t{n}")).expect("a name");
            let request = Request::CreateTopic { name, partitions: 1, config: TopicConfig::default() };
            let (now, event) = (Timestamp(n), Event::Request { id: RequestId(n), request });
            recorder.step(&core, now, &event);
            core.step(now, event, &mut commands);
        }
        recorder.so_far()
    }

    #[test]
    fn the_last_steps_replay_from_the_midst_of_a_life() {
        for (events, there) in [(0, 0), (3, 3), (10, 10), (25, 25)] {
            let flight = flown(10, events);
            assert_eq!(flight.steps(), there);
            for wanted in [1, 5, 1_000] {
                if there > 0 {
                    let (_, replayed) = replay(&flight.trace(wanted)).expect("it says the same again");
                    assert_eq!(replayed, wanted.min(there) as u64);
                }
            }
        }
        let trace = flown(10, 25).trace(5);
        let (header, mut steps) = read(&trace).expect("a trace");
        assert_eq!(header.core().size(), 40, "twenty topics, each with its request");
        let first = steps.next().expect("a step").expect("whole");
        assert!(matches!(first, Line::Step(step) if step.at == Timestamp(20)));
    }

    #[test]
    fn no_more_than_two_segments_are_kept() {
        let core = Core::new(Config::default(), Boot(0));
        let mut recorder = FlightRecorder::new(10);
        for n in 0..1_005 {
            recorder.step(&core, Timestamp(n), &Event::Tick);
        }
        assert_eq!(recorder.so_far().steps(), 15);
    }

    #[test]
    fn who_wants_no_recorder_has_none() {
        let flight = flown(0, 10);
        assert_eq!((flight.steps(), flight.trace(10).as_str()), (0, ""));
    }
}
