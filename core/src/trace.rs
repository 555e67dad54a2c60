//! Traces: every step of a core as a line of JSON, to be read, kept and replayed.
//!
//! ```text
//!   {"format":1,"version":"0.1.0","boot":0,"config":{...}}           the header
//!   {"n":1,"at":0,"event":{...},"commands":[...]}                    one line per step
//!   {"n":2,"at":5,"event":{...},"commands":[...]}
//!   {"n":3,"at":9,"restart":{"boot":1,...}}                          the broker died and was started anew
//! ```
//!
//! A header may carry a snapshot with the logs' bounds, or a whole core, and then the trace starts there; a restart
//! carries what the new core was made from. A trace holds names, sizes and offsets, and never a key or a value.
//! Replaying feeds the events to a new core and compares what comes out: the first line that differs is the diagnosis.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    command::Command,
    config::Config,
    durable::Durable,
    event::Event,
    ids::{Boot, FactSeq, LogId},
    machine::{Core, Recovery},
    response::Bounds,
    time::Timestamp,
};

/// The version of the format that this code writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// A trace's first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The format's version, [`FORMAT`].
    pub format: u32,
    /// The version of the core that was recorded.
    pub version: String,
    /// The boot that was recorded.
    pub boot: Boot,
    /// Its bounds.
    pub config: Config,
    /// The seed of the simulation that was recorded, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Where the trace starts, if not with an empty broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Where the trace starts, if in the midst of a life: the whole core as it was, with what waited and what was
    /// under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<Core>>,
}

/// A state to start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The moment.
    pub at: Timestamp,
    /// The last fact in the snapshot.
    pub through: FactSeq,
    /// The snapshot.
    pub snapshot: Durable,
    /// The logs' bounds.
    pub bounds: BTreeMap<LogId, Bounds>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, from 1.
    pub n: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// What the core answered.
    pub commands: Vec<Command>,
}

/// The end of one core and the start of the next one, which goes on from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// Its number among the steps.
    pub n: u64,
    /// When the new core was started.
    pub at: Timestamp,
    /// What it was made from.
    pub restart: Life,
}

/// What a core is made from at a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Its boot.
    pub boot: Boot,
    /// The last fact in the snapshot.
    pub through: FactSeq,
    /// The snapshot, with all facts that outlived the core before.
    pub snapshot: Durable,
    /// The logs' bounds, as storage found them.
    pub bounds: BTreeMap<LogId, Bounds>,
}

/// A line after the header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant)] // Lines come one at a time; most of them are steps.
pub enum Line {
    /// A step.
    Step(Step),
    /// A restart.
    Restart(Restart),
}

/// Why a trace could not be replayed to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// It has no header.
    #[error("the trace is empty")]
    Empty,
    /// A line isn't what it should be.
    #[error("line {line}: {message}")]
    Malformed {
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It is of a format that this code doesn't know.
    #[error("the trace has format {found}, and this version reads format {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// The core does something else than what was recorded.
    #[error("step {n} differs: recorded {recorded}, got {actual}")]
    Diverged {
        /// The step.
        n: u64,
        /// The commands recorded, as JSON.
        recorded: String,
        /// The commands that came, as JSON.
        actual: String,
    },
}

impl TraceError {
    /// The core does something else in step `n` than what was recorded.
    pub fn diverged(n: u64, recorded: &[Command], actual: &[Command]) -> Self {
        Self::Diverged { n, recorded: line(&recorded), actual: line(&actual) }
    }
}

/// Records the steps of one core.
#[derive(Clone, Debug)]
pub struct Recorder {
    steps: u64,
}

impl Recorder {
    /// Starts a trace; gives its header line.
    pub fn start(header: &Header) -> (Self, String) {
        (Self { steps: 0 }, line(header))
    }

    /// The line of one step.
    pub fn step(&mut self, at: Timestamp, event: Event, commands: Vec<Command>) -> String {
        self.steps += 1;
        line(&Step { n: self.steps, at, event, commands })
    }

    /// The line of a restart.
    pub fn restart(&mut self, at: Timestamp, restart: Life) -> String {
        self.steps += 1;
        line(&Restart { n: self.steps, at, restart })
    }
}

impl Header {
    /// The header of a trace that starts with an empty broker.
    pub fn new(config: Config, boot: Boot) -> Self {
        let version = env!("CARGO_PKG_VERSION").into();
        Self { format: FORMAT, version, boot, config, seed: None, start: None, state: None }
    }

    /// The header of a trace that starts with a core as it is.
    pub fn of(core: Core) -> Self {
        let header = Self::new(core.config().clone(), core.boot());
        Self { state: Some(Box::new(core)), ..header }
    }

    /// The core as it was before the first step.
    pub fn core(&self) -> Core {
        if let Some(state) = &self.state {
            return (**state).clone();
        }
        match &self.start {
            None => Core::new(self.config.clone(), self.boot),
            Some(Start { at, through, snapshot, bounds }) => {
                Recovery::new(self.config.clone(), snapshot.clone(), *through).finish(self.boot, *at, bounds)
            }
        }
    }
}

impl Restart {
    /// The core that goes on from here.
    pub fn core(self, config: Config) -> Core {
        let Life { boot, through, snapshot, bounds } = self.restart;
        Recovery::new(config, snapshot, through).finish(boot, self.at, &bounds)
    }
}

/// What every version of the header has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Reads a trace: its header, and its other lines one by one.
///
/// # Errors
/// Without a header, or with one of another format. Each line may be malformed in itself.
pub fn read(text: &str) -> Result<(Header, impl Iterator<Item = Result<Line, TraceError>> + '_), TraceError> {
    let mut lines = text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
    let (number, first) = lines.next().ok_or(TraceError::Empty)?;
    let Version { format } = parse(number, first)?;
    if format != FORMAT {
        return Err(TraceError::Format { found: format });
    }
    let header = parse(number, first)?;
    Ok((header, lines.map(|(number, text)| parse_line(number, text))))
}

/// Replays a trace, and gives the core as it is after it and the number of steps, restarts among them.
///
/// # Errors
/// The first line that can't be read, or the first step after which the core says something else.
pub fn replay(text: &str) -> Result<(Core, u64), TraceError> {
    let (header, steps) = read(text)?;
    let mut core = header.core();
    let mut commands = Vec::new();
    let mut count = 0;
    for line in steps {
        count += 1;
        let step = match line? {
            Line::Step(step) => step,
            Line::Restart(restart) => {
                core = restart.core(core.config().clone());
                continue;
            }
        };
        commands.clear();
        core.step(step.at, step.event, &mut commands);
        if commands != step.commands {
            return Err(TraceError::diverged(step.n, &step.commands, &commands));
        }
    }
    Ok((core, count))
}

/// Reads a line after the header; `number` is for the error.
///
/// A line is a restart if it says so: that makes for better words about what is wrong with it than trying both.
///
/// # Errors
/// It is neither a step nor a restart.
pub fn parse_line(number: usize, text: &str) -> Result<Line, TraceError> {
    #[derive(Deserialize)]
    struct Kind {
        restart: Option<serde::de::IgnoredAny>,
    }
    match parse::<Kind>(number, text)?.restart {
        Some(_) => parse(number, text).map(Line::Restart),
        None => parse(number, text).map(Line::Step),
    }
}

fn parse<T: DeserializeOwned>(number: usize, text: &str) -> Result<T, TraceError> {
    json(text).map_err(|error| TraceError::Malformed { line: number + 1, message: error.to_string() })
}

/// Reads a value from JSON. For a browser by way of a tree: that is slower, and much less code for each type.
///
/// # Errors
/// It is no such value.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    if cfg!(target_family = "wasm") {
        let tree: serde_json::Value = serde_json::from_str(text)?;
        return T::deserialize(&tree);
    }
    serde_json::from_str(text)
}

/// One line. What is traced has string keys only, and no value that JSON lacks, so this can't fail.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("events and commands are plain data")
}
