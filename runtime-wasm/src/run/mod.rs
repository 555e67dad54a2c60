//! A run: a time line from its first row to its last, and a cursor that can stand at any of them.
//!
//! The truth is the source, a seed with inputs or a trace. The state at row n is what replaying n rows gives, and key
//! frames only make that quick.

mod diff;
mod judge;
mod keyframes;
mod report;
mod spread;
mod words;

use std::sync::Arc;

use takhin_core::trace::{self, TraceError};

use self::{judge::Judge, keyframes::Keyframes, spread::Spread};
use crate::{
    filter::Filter,
    input::{Act, Input},
    machine::{Machine, Source, Trace},
    observer::{ARROW, Lane, MARK, Observer, Past, ROW, SPAN},
    stop::Stop,
    world::Happened,
};

/// Rows of a run at most. An advance stops there, and a trace with more is refused.
pub const MAX_ROWS: u32 = 250_000;

/// Checkpoints at most: each has a copy of all that goes on, but for the rows.
const MOST_CHECKPOINTS: usize = 64;

/// What a run is made of can't be made a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The inputs aren't any.
    #[error("the inputs can't be read: {0}")]
    Inputs(#[from] serde_json::Error),
    /// The trace isn't one, or one of another format.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// There are too many steps.
    #[error("the trace has {0} steps, and at most {MAX_ROWS} can be shown: take fewer, as with ?steps=100000")]
    TooLong(usize),
    /// A trace can't be changed, it was recorded.
    #[error("a trace was recorded: nothing can be done to it")]
    Recorded,
}

/// All that is needed to go on from a row in another way.
#[derive(Debug)]
struct Checkpoint {
    machine: Arc<Machine>,
    judge: Judge,
    past: Past,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    source: Source,
    head: Machine,
    observer: Observer,
    judge: Judge,
    keyframes: Keyframes,
    /// Whence forks begin; there are none of a trace.
    checkpoints: Spread<Arc<Checkpoint>>,
    /// The state before this row, where one has sought to.
    cursor: (u32, Machine),
    begin: u64,
}

impl Run {
    /// An empty world.
    pub fn new(seed: u64) -> Self {
        Self::of(Source::Inputs { seed, inputs: Vec::new() }, 0)
    }

    /// A world to which these inputs will be done, as JSON: a list of [`Input`]s in any order.
    ///
    /// # Errors
    /// It is no such list.
    pub fn from_inputs(seed: u64, inputs: &str) -> Result<Self, RunError> {
        let mut inputs: Vec<Input> = trace::json(inputs)?;
        inputs.sort_by_key(|input| input.t);
        Ok(Self::of(Source::Inputs { seed, inputs }, 0))
    }

    /// A trace, replayed to its end.
    ///
    /// # Errors
    /// It can't be read, or is too long.
    pub fn from_trace(text: &str) -> Result<Self, RunError> {
        let trace = Trace::read(text)?;
        if trace.len() > MAX_ROWS as usize {
            return Err(RunError::TooLong(trace.len()));
        }
        let begin = trace.begin();
        let mut run = Self::of(Source::Trace(Arc::new(trace)), begin);
        run.advance(u64::from(u32::MAX), MAX_ROWS);
        Ok(run)
    }

    fn of(source: Source, begin: u64) -> Self {
        let head = Machine::new(&source);
        let observer = Observer::new(head.core(), begin);
        let judge = Judge::new(&source);
        let first = Arc::new(head.clone());
        let checkpoint = Checkpoint { machine: first.clone(), judge: judge.clone(), past: observer.past() };
        Self {
            keyframes: Keyframes::new(first),
            checkpoints: Spread::new(MOST_CHECKPOINTS, Arc::new(checkpoint)),
            cursor: (0, head.clone()),
            observer,
            judge,
            begin,
            head,
            source,
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        self.observer.len()
    }

    /// What time it is at the end.
    pub fn now(&self) -> u64 {
        self.head.now()
    }

    /// Goes on until a moment; stops early after `most` rows, at [`MAX_ROWS`], or where a promise is broken. Gives the
    /// number of rows that came.
    pub fn advance(&mut self, until: u64, most: u32) -> u32 {
        self.advance_until(None, until, most).0
    }

    /// Goes on to the row at which to stop, and gives it; [`None`] if it does not come before `until`, or in so many rows.
    pub fn run_until(&mut self, stop: &Stop, until: u64, most: u32) -> Option<u32> {
        self.advance_until(Some(stop), until, most).1
    }

    fn advance_until(&mut self, stop: Option<&Stop>, until: u64, most: u32) -> (u32, Option<u32>) {
        let first = self.rows();
        let most = most.min(MAX_ROWS.saturating_sub(first));
        let mut known = self.judge.violations.len();
        while self.rows() - first < most {
            let Some(happened) = self.head.next(&self.source, until) else { break };
            let row = self.rows();
            self.see(row, &happened);
            if stop.is_some_and(|stop| stop.is_met(&self.observer, row)) {
                return (self.rows() - first, Some(row));
            }
            self.remember(row + 1);
            let broken = self.judge.violations.len();
            if broken > known && !self.is_trace() {
                known = broken;
                if stop.is_none() {
                    break;
                }
            }
        }
        (self.rows() - first, None)
    }

    fn see(&mut self, row: u32, happened: &Happened) {
        let inputs = match &self.source {
            Source::Inputs { inputs, .. } => &inputs[..],
            Source::Trace(_) => &[],
        };
        self.observer.see(happened, inputs, self.head.core());
        let flags = self.judge.see(row, happened, self.head.core(), &self.source);
        if flags != 0 {
            self.observer.flag_last(flags);
        }
    }

    /// Keeps what is needed to come back to where `row` rows have happened, if it is time to.
    fn remember(&mut self, row: u32) {
        if !self.keyframes.is_due(row) {
            return;
        }
        let machine = Arc::new(self.head.clone());
        self.keyframes.keep(row, machine.clone());
        // There are fewer of these, so each lies where a key frame does.
        if self.checkpoints.is_due(row) && !self.is_trace() {
            let checkpoint = Checkpoint { machine, judge: self.judge.clone(), past: self.observer.past() };
            self.checkpoints.keep(row, Arc::new(checkpoint));
        }
    }

    fn is_trace(&self) -> bool {
        matches!(self.source, Source::Trace(_))
    }

    /// Does something to the world, now; gives the moment.
    ///
    /// # Errors
    /// This is a trace.
    pub fn apply(&mut self, act: Act) -> Result<u64, RunError> {
        let now = self.head.now();
        let Source::Inputs { inputs, .. } = &mut self.source else { return Err(RunError::Recorded) };
        // What was planned for later in a scenario stays planned.
        let place = inputs.partition_point(|input| input.t <= now);
        inputs.insert(place, Input { t: now, act });
        Ok(now)
    }

    /// Another run, with all that was done until a row and nothing after it, gone on to that row's moment.
    ///
    /// # Errors
    /// This is a trace.
    pub fn fork(&self, row: u32) -> Result<Self, RunError> {
        let Source::Inputs { seed, inputs } = &self.source else { return Err(RunError::Recorded) };
        let until = if row >= self.rows() { self.now() } else { u64::from(self.observer.time(row.saturating_sub(1))) };
        let inputs = inputs.iter().filter(|input| input.t <= until).cloned().collect();
        let (from, checkpoint) = self.checkpoints.before(row.min(self.rows()));
        let Checkpoint { machine, judge, past } = &**checkpoint;
        let mut run = Self {
            source: Source::Inputs { seed: *seed, inputs },
            head: (**machine).clone(),
            observer: self.observer.as_of(past),
            judge: judge.clone(),
            keyframes: self.keyframes.until(from),
            checkpoints: self.checkpoints.until(from),
            cursor: (from, (**machine).clone()),
            begin: self.begin,
        };
        while run.advance(until, MAX_ROWS) > 0 {}
        Ok(run)
    }

    /// Moves the cursor to where `row` rows have happened; gives how many were replayed for it.
    pub fn seek(&mut self, row: u32) -> u32 {
        let row = row.min(self.rows());
        if row == self.rows() {
            self.cursor = (row, self.head.clone());
            return 0;
        }
        let (from, mut machine) = self.keyframes.before(row);
        if self.cursor.0 <= row && self.cursor.0 >= from {
            machine = self.cursor.1.clone();
        }
        let from = from.max(if self.cursor.0 <= row { self.cursor.0 } else { 0 });
        let wanted = Keyframes::wanted_near(row);
        let mut near = Vec::new();
        for at in from..row {
            if wanted(at) {
                near.push((at, machine.clone()));
            }
            if machine.next(&self.source, u64::MAX).is_none() {
                break;
            }
        }
        self.keyframes.set_near(row, near);
        self.cursor = (row, machine);
        row - from
    }

    /// Where the cursor stands.
    pub fn cursor(&self) -> u32 {
        self.cursor.0
    }

    /// The most rows that a seek replays now.
    pub fn seek_bound(&self) -> u32 {
        self.keyframes.distance()
    }

    /// What led to a row, the first cause first.
    pub fn causes(&self, row: u32) -> Vec<u32> {
        let mut chain = Vec::new();
        let mut at = row;
        while let Some(cause) = self.observer.cause(at).filter(|cause| *cause < at && chain.len() < 100) {
            chain.push(cause);
            at = cause;
        }
        chain.reverse();
        chain
    }

    /// What a row led to at once: at most a hundred rows.
    pub fn effects(&self, row: u32) -> Vec<u32> {
        let rows = row + 1..self.rows();
        rows.filter(|later| self.observer.cause(*later) == Some(row)).take(100).collect()
    }

    /// The rows after `from` that a filter finds, at most `most`.
    pub fn find(&self, filter: &str, from: u32, most: u32) -> Vec<u32> {
        let filter = Filter::new(filter);
        (from..self.rows()).filter(|row| filter.finds(&self.observer, *row)).take(most as usize).collect()
    }

    /// Rows in words.
    pub fn texts(&self, from: u32, to: u32) -> Vec<&str> {
        let to = to.min(self.rows()) as usize;
        self.observer.texts[(from as usize).min(to)..to].iter().map(|text| &**text).collect()
    }

    /// Of each row from `from` on: when, kind, lane, cause, flags, lag, and when it was sent.
    pub fn row_numbers(&self, from: u32) -> &[u32] {
        tail(&self.observer.rows, from, ROW)
    }

    /// Of each mark from `from` on: row, when, lane, glyph.
    pub fn mark_numbers(&self, from: u32) -> &[u32] {
        tail(&self.observer.marks, from, MARK)
    }

    /// Of each poll from `from` on: lane, row, when, when it parked, its deadline, the row and the moment of its end, and
    /// how it ended.
    pub fn span_numbers(&self, from: u32) -> &[u32] {
        tail(&self.observer.spans, from, SPAN)
    }

    /// Of each arrow from `from` on: from when and which lane, to when and which lane, row, and what it is.
    pub fn arrow_numbers(&self, from: u32) -> &[u32] {
        tail(&self.observer.arrows, from, ARROW)
    }

    /// All lanes.
    pub fn lanes(&self) -> &[Lane] {
        &self.observer.lanes.all
    }
}

fn tail(numbers: &[u32], from: u32, each: usize) -> &[u32] {
    numbers.get(from as usize * each..).unwrap_or_default()
}
