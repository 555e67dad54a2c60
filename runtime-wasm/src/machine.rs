//! What goes through the rows of a time line one by one: a simulated world, or a recorded trace.

use std::sync::Arc;

use takhin_core::{
    Command, Core, Event, Timestamp,
    trace::{self, Header, Line, TraceError},
};

use crate::{
    input::Input,
    world::{Happened, What, World},
};

/// Where rows come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// From a seed and inputs.
    Inputs { seed: u64, inputs: Vec<Input> },
    /// From a trace.
    Trace(Arc<Trace>),
}

/// A trace, kept as text: its lines are read one at a time.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) header: Header,
    lines: Vec<Box<str>>,
    /// The moment of its first line: time lines begin there.
    begin: u64,
}

impl Trace {
    pub(crate) fn read(text: &str) -> Result<Self, TraceError> {
        let (header, lines) = trace::read(text)?;
        let mut begin = None;
        for line in lines {
            let (Line::Step(trace::Step { at, .. }) | Line::Restart(trace::Restart { at, .. })) = line?;
            begin = begin.or(Some(at.0));
        }
        let lines = text.lines().filter(|line| !line.trim().is_empty()).skip(1).map(Into::into).collect();
        Ok(Self { header, lines, begin: begin.unwrap_or_default() })
    }

    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    /// All of it, as it was read.
    pub(crate) fn text(&self) -> String {
        let mut text = serde_json::to_string(&self.header).expect("a header is plain data");
        for line in &self.lines {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        text
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// A line; all of them were read once before.
    pub(crate) fn line(&self, at: usize) -> Option<Line> {
        let text = self.lines.get(at)?;
        trace::parse_line(at, text).ok()
    }
}

/// The state between two rows.
#[derive(Clone, Debug)]
pub(crate) enum Machine {
    World(Box<World>),
    Replay(Box<Replay>),
}

#[derive(Clone, Debug)]
pub(crate) struct Replay {
    core: Core,
    next: usize,
    now: u64,
}

impl Machine {
    pub(crate) fn new(source: &Source) -> Self {
        match source {
            Source::Inputs { seed, .. } => Self::World(Box::new(World::new(*seed))),
            Source::Trace(trace) => Self::Replay(Box::new(Replay { core: trace.header.core(), next: 0, now: 0 })),
        }
    }

    /// Goes on to the next row, if it happens until `until`.
    pub(crate) fn next(&mut self, source: &Source, until: u64) -> Option<Happened> {
        match (self, source) {
            (Self::World(world), Source::Inputs { inputs, .. }) => world.next(inputs, until),
            (Self::Replay(replay), Source::Trace(trace)) => replay.next(trace, until),
            _ => None,
        }
    }

    pub(crate) fn core(&self) -> &Core {
        match self {
            Self::World(world) => &world.core,
            Self::Replay(replay) => &replay.core,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::World(world) => world.now,
            Self::Replay(replay) => replay.now,
        }
    }

    pub(crate) fn world(&self) -> Option<&World> {
        match self {
            Self::World(world) => Some(world),
            Self::Replay(_) => None,
        }
    }
}

impl Replay {
    fn next(&mut self, trace: &Trace, until: u64) -> Option<Happened> {
        let line = trace.line(self.next)?;
        let (Line::Step(trace::Step { at: Timestamp(at), .. })
        | Line::Restart(trace::Restart { at: Timestamp(at), .. })) = line;
        let at = at.saturating_sub(trace.begin).max(self.now);
        if at > until {
            self.now = until;
            return None;
        }
        (self.now, self.next) = (at, self.next + 1);
        let what = match line {
            Line::Step(step) => {
                let commands = self.step(step.at, step.event.clone());
                What::Step { event: step.event, commands }
            }
            Line::Restart(restart) => {
                self.core = restart.clone().core(self.core.config().clone());
                What::Restart(Box::new(restart))
            }
        };
        Some(Happened { at, what, cause: None, sent: None })
    }

    fn step(&mut self, at: Timestamp, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        self.core.step(at, event, &mut commands);
        commands
    }
}
