//! A run: a time line from its first row to its last, and a cursor that can stand at any of them.
//!
//! The truth is the source, a seed with inputs or a trace. The state at row n is what replaying n rows gives, and key
//! frames only make that quick.

use std::sync::Arc;

use serde_json::{Value, json};
use takhin_core::{
    Boot, Command, Config,
    digest::Digest,
    trace::{self, Header, Line, Recorder, Step, TraceError},
};
use takhin_simulation::auditor::{Auditor, NewLife};

use crate::{
    diff::diff,
    filter::Filter,
    input::{Act, Input},
    keyframes::Keyframes,
    machine::{Machine, Source, Trace},
    observer::{ARROW, Lane, MARK, Observer, ROW, SPAN, flag},
    stop::Stop,
    view::{View, view},
    world::{Happened, What},
};

/// Rows of a run at most. An advance stops there, and a trace with more is refused.
pub const MAX_ROWS: u32 = 250_000;

/// Cores up to this size are checked after each step, greater ones after every 64th.
const SMALL: usize = 1_000;

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

/// The first step of a trace that is not what was recorded.
#[derive(Clone, Debug)]
struct Divergence {
    row: u32,
    recorded: Vec<Command>,
    actual: Vec<Command>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    source: Source,
    head: Machine,
    observer: Observer,
    auditor: Option<Auditor>,
    keyframes: Keyframes,
    /// The state before this row, where one has sought to.
    cursor: (u32, Machine),
    digest: Digest,
    expected: Option<Digest>,
    divergence: Option<Divergence>,
    violations: Vec<(u32, String)>,
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
        run.expected = Some(Digest::default());
        run.advance(u64::from(u32::MAX), MAX_ROWS);
        Ok(run)
    }

    fn of(source: Source, begin: u64) -> Self {
        let head = Machine::new(&source);
        Self {
            observer: Observer::new(head.core(), begin),
            auditor: auditor(&source),
            keyframes: Keyframes::new(head.clone()),
            cursor: (0, head.clone()),
            digest: Digest::default(),
            expected: None,
            divergence: None,
            violations: Vec::new(),
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
        let mut known = self.violations.len();
        while self.rows() - first < most {
            let Some(happened) = self.head.next(&self.source, until) else { break };
            let row = self.rows();
            self.judge(row, &happened);
            if stop.is_some_and(|stop| stop.is_met(&self.observer, row)) {
                return (self.rows() - first, Some(row));
            }
            self.keyframes.passed(row + 1, &self.head);
            if self.violations.len() > known && self.expected.is_none() {
                known = self.violations.len();
                if stop.is_none() {
                    break;
                }
            }
        }
        (self.rows() - first, None)
    }

    fn judge(&mut self, row: u32, happened: &Happened) {
        let inputs = match &self.source {
            Source::Inputs { inputs, .. } => &inputs[..],
            Source::Trace(_) => &[],
        };
        self.observer.see(happened, inputs, self.head.core());
        let verdict = match &happened.what {
            What::Input { .. } => Ok(()),
            What::Restart(restart) => {
                self.digest.restart(restart);
                let life = NewLife {
                    boot: restart.restart.boot,
                    at: restart.at,
                    durable: &restart.restart.snapshot,
                    through: restart.restart.through,
                    bounds: &restart.restart.bounds,
                };
                self.auditor.as_mut().map_or(Ok(()), |auditor| auditor.restart(life))
            }
            What::Step { event, commands } => {
                self.digest.step(commands);
                let now = self.head.core().now();
                let seen = self.auditor.as_mut().map_or(Ok(()), |auditor| auditor.event(now, event));
                let done = self.auditor.as_mut().map_or(Ok(()), |auditor| auditor.commands(commands));
                seen.and(done)
            }
        };
        let mut broken = verdict.err().map(|violation| violation.to_string());
        if self.head.core().size() <= SMALL || row.is_multiple_of(64) {
            broken = broken.or_else(|| self.head.core().check().err().map(|violation| violation.to_string()));
        }
        if let Some(broken) = broken {
            self.observer.flag_last(flag::VIOLATED);
            self.violations.push((row, broken));
        }
        if let (Source::Trace(trace), Some(expected)) = (&self.source, &mut self.expected) {
            let Some(line) = trace.line(row as usize) else { return };
            expected.line(&line);
            if let (Line::Step(Step { commands: recorded, .. }), What::Step { commands, .. }) = (line, &happened.what)
                && recorded != *commands
                && self.divergence.is_none()
            {
                self.observer.flag_last(flag::DIVERGED);
                self.divergence = Some(Divergence { row, recorded, actual: commands.clone() });
            }
        }
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
        let mut run = Self::of(Source::Inputs { seed: *seed, inputs }, 0);
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

    /// The state at the cursor.
    pub(crate) fn view(&self) -> View {
        view(&self.cursor.1, &self.observer, self.begin)
    }

    /// The state at the cursor, as JSON.
    pub fn state(&self) -> String {
        to_json(&self.view())
    }

    /// The core's state at the cursor, whole, as JSON.
    pub fn raw_state(&self) -> String {
        to_json(self.cursor.1.core())
    }

    /// All about one row, as JSON: what happened, what the core made of it, what that changed, and what led to what.
    pub fn inspect(&self, row: u32) -> String {
        if row >= self.rows() {
            return "null".to_owned();
        }
        let (from, mut machine) = self.keyframes.before(row);
        let mut happened = None;
        let mut before = Value::Null;
        for at in from..=row {
            if at == row {
                before = to_value(machine.core());
            }
            happened = machine.next(&self.source, u64::MAX);
        }
        let changes = diff(&before, &to_value(machine.core()));
        let (event, commands) = match happened.map(|happened| happened.what) {
            Some(What::Input { index, note }) => (json!({"input": self.input(index), "note": note}), Value::Null),
            Some(What::Restart(restart)) => (json!({"restart": to_value(&restart.restart)}), Value::Null),
            Some(What::Step { event, commands }) => (to_value(&event), to_value(&commands)),
            None => (Value::Null, Value::Null),
        };
        let violation = self.violations.iter().find(|(at, _)| *at == row).map(|(_, text)| text);
        let divergence = self.divergence.as_ref().filter(|divergence| divergence.row == row);
        let recorded = divergence.map(|divergence| to_value(&divergence.recorded));
        to_json(&json!({
            "row": row,
            "t": self.observer.time(row),
            "kind": self.observer.kind(row).name(),
            "text": self.observer.texts[row as usize],
            "causes": self.causes(row),
            "effects": self.effects(row),
            "event": event,
            "commands": commands,
            "recorded": recorded,
            "changes": changes,
            "violation": violation,
        }))
    }

    fn input(&self, index: usize) -> Value {
        match &self.source {
            Source::Inputs { inputs, .. } => inputs.get(index).map_or(Value::Null, to_value),
            Source::Trace(_) => Value::Null,
        }
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

    /// The generations of all groups, from the `from`-th on, as JSON.
    pub fn bands(&self, from: u32) -> String {
        to_json(&self.observer.bands.get(from as usize..).unwrap_or_default())
    }

    /// What the run is made of and how faithful it is, as JSON.
    pub fn about(&self) -> String {
        let (seed, version, recorded) = match &self.source {
            Source::Inputs { seed, .. } => (Some(*seed), env!("CARGO_PKG_VERSION"), false),
            Source::Trace(trace) => (trace.header.seed, &*trace.header.version, true),
        };
        let divergence = self.divergence.as_ref().map(|divergence| {
            json!({
                "row": divergence.row,
                "recorded": to_value(&divergence.recorded),
                "actual": to_value(&divergence.actual),
            })
        });
        to_json(&json!({
            "recorded": recorded,
            "seed": seed.map(|seed| seed.to_string()),
            "version": version,
            "rows": self.rows(),
            "now": self.now(),
            "digest": self.digest(),
            "expected": self.expected.map(|digest| digest.to_string()),
            "divergence": divergence,
            "violations": self.violations,
            "full": self.rows() >= MAX_ROWS,
        }))
    }

    /// The digest of all that the core did.
    pub fn digest(&self) -> String {
        self.digest.to_string()
    }

    /// What was done to the world so far, and when, as JSON; nothing for a trace.
    pub fn inputs(&self) -> String {
        match &self.source {
            Source::Inputs { inputs, .. } => to_json(inputs),
            Source::Trace(_) => "[]".to_owned(),
        }
    }

    /// The run as a trace, in the format of a server's.
    pub fn trace(&self) -> String {
        let (seed, config) = match &self.source {
            Source::Inputs { seed, .. } => (Some(*seed), Config::default()),
            Source::Trace(trace) => return trace.text(),
        };
        let (mut recorder, mut text) = Recorder::start(&Header { seed, ..Header::new(config, Boot(0)) });
        let mut machine = Machine::new(&self.source);
        for _ in 0..self.rows() {
            let Some(happened) = machine.next(&self.source, u64::MAX) else { break };
            let at = takhin_core::Timestamp(happened.at);
            let line = match happened.what {
                What::Input { .. } => continue,
                What::Step { event, commands } => recorder.step(at, event, commands),
                What::Restart(restart) => recorder.restart(at, restart.restart),
            };
            text.push('\n');
            text.push_str(&line);
        }
        text.push('\n');
        text
    }
}

/// Who watches over the promises; a trace that begins in the midst of a life is checked from inside only.
fn auditor(source: &Source) -> Option<Auditor> {
    let Source::Trace(trace) = source else { return Some(Auditor::new(Config::default())) };
    let Header { config, boot, start, state, .. } = &trace.header;
    if state.is_some() {
        return None;
    }
    let mut auditor = Auditor::new(config.clone());
    if let Some(start) = start {
        let life = NewLife {
            boot: *boot,
            at: start.at,
            durable: &start.snapshot,
            through: start.through,
            bounds: &start.bounds,
        };
        auditor.restart(life).ok()?;
    }
    Some(auditor)
}

fn tail(numbers: &[u32], from: u32, each: usize) -> &[u32] {
    numbers.get(from as usize * each..).unwrap_or_default()
}

/// By way of text: one serializer for the core's types is much less code than two.
fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::from_str(&to_json(value)).expect("what was written can be read")
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what is shown is plain data")
}
