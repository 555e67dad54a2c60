//! The observer: sees events and commands, in a simulation as in a trace, and makes of them what can be drawn.
//!
//! ```text
//!   rows    one per step, restart or input: when, what, where, and which row brought it about
//!   marks   what a row means on a lane: a request, an append, a wake, an expiry …
//!   spans   polls, from their arrival to their answer, with the moment at which they parked and their deadline
//!   arrows  from a producer to a log, from a log to a consumer
//!   bands   for each group, who has which partitions since when, and why
//! ```
//!
//! It only goes forward, and what it wrote about a row never changes, but for spans that end.

mod bands;
mod commands;
mod events;
mod lanes;
mod past;
mod words;

use std::collections::BTreeMap;

use takhin_core::{AppendId, Core, FactSeq, FetchId, RequestId, TopicId, trace::Restart};

use self::lanes::Lanes;
pub use self::lanes::{Lane, LaneKind};
pub(crate) use self::{bands::Band, past::Past};
use crate::{
    input::Input,
    world::{Happened, NO_ROW, What},
};

/// Numbers per row in [`Observer::rows`].
pub(crate) const ROW: usize = 7;
/// Numbers per mark.
pub(crate) const MARK: usize = 4;
/// Numbers per span.
pub(crate) const SPAN: usize = 8;
/// Numbers per arrow.
pub(crate) const ARROW: usize = 6;

/// What a row is, first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // Their names are said in `Kind::name`.
pub enum Kind {
    Input,
    Fault,
    Restart,
    Admin,
    Produce,
    Subscribe,
    Poll,
    Commit,
    Other,
    Close,
    Appended,
    Fetched,
    Persisted,
    Disk,
    Lost,
    Tick,
}

impl Kind {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Input,
        Self::Fault,
        Self::Restart,
        Self::Admin,
        Self::Produce,
        Self::Subscribe,
        Self::Poll,
        Self::Commit,
        Self::Other,
        Self::Close,
        Self::Appended,
        Self::Fetched,
        Self::Persisted,
        Self::Disk,
        Self::Lost,
        Self::Tick,
    ];

    /// Its name in filters and lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Fault => "fault",
            Self::Restart => "restart",
            Self::Admin => "admin",
            Self::Produce => "produce",
            Self::Subscribe => "subscribe",
            Self::Poll => "poll",
            Self::Commit => "commit",
            Self::Other => "other",
            Self::Close => "close",
            Self::Appended => "appended",
            Self::Fetched => "fetched",
            Self::Persisted => "persisted",
            Self::Disk => "disk",
            Self::Lost => "lost",
            Self::Tick => "time",
        }
    }
}

/// What happened in a row besides: bits of its flags, with their names in filters.
pub(crate) mod flag {
    pub(crate) const WOKE: u32 = 1;
    pub(crate) const TIMED_OUT: u32 = 1 << 1;
    pub(crate) const EXPIRED: u32 = 1 << 2;
    pub(crate) const REBALANCED: u32 = 1 << 3;
    pub(crate) const COMMITTED: u32 = 1 << 4;
    pub(crate) const REFUSED: u32 = 1 << 5;
    pub(crate) const VIOLATED: u32 = 1 << 6;
    pub(crate) const DELIVERED: u32 = 1 << 7;
    pub(crate) const REPLAYED: u32 = 1 << 8;
    pub(crate) const DIVERGED: u32 = 1 << 9;

    pub(crate) const NAMES: [(&str, u32); 10] = [
        ("woke", WOKE),
        ("timeout", TIMED_OUT),
        ("expired", EXPIRED),
        ("rebalanced", REBALANCED),
        ("committed", COMMITTED),
        ("refused", REFUSED),
        ("violation", VIOLATED),
        ("delivered", DELIVERED),
        ("replayed", REPLAYED),
        ("diverged", DIVERGED),
    ];
}

/// The sign of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // They are what the time line's legend says.
pub enum Glyph {
    Request,
    Append,
    Wake,
    Expiry,
    Commit,
    Violation,
    Join,
    Leave,
    Timeout,
    Fault,
    Refused,
    Crash,
    Restart,
    Replayed,
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Open,
    Records,
    Empty,
    Rebalance,
    Refused,
    Lost,
}

/// A request that was not answered yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    lane: u32,
    row: u32,
    sent_at: u32,
    span: u32,
}

/// What it wrote, and what it needs to go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer {
    pub(crate) rows: Vec<u32>,
    pub(crate) texts: Vec<Box<str>>,
    pub(crate) marks: Vec<u32>,
    pub(crate) spans: Vec<u32>,
    pub(crate) arrows: Vec<u32>,
    pub(crate) bands: Vec<Band>,
    pub(crate) lanes: Lanes,
    /// How much earlier a moment of the time line is than the core's.
    begin: u64,
    open: BTreeMap<RequestId, Open>,
    appends: BTreeMap<AppendId, u32>,
    fetches: BTreeMap<FetchId, u32>,
    persists: BTreeMap<FactSeq, u32>,
    creations: BTreeMap<TopicId, u32>,
    groups: bands::Groups,
    /// The last batch of each consumer.
    batches: BTreeMap<takhin_core::ConsumerId, takhin_core::BatchId>,
    /// The row in which each lane's client was last heard of.
    heard: BTreeMap<u32, u32>,
}

/// The row in the making.
struct Draft {
    row: u32,
    t: u32,
    kind: Kind,
    lane: u32,
    cause: u32,
    flags: u32,
    text: String,
}

impl Observer {
    /// For a time line that begins with this core.
    pub(crate) fn new(core: &Core, begin: u64) -> Self {
        let mut observer = Self { begin, ..Self::default() };
        observer.lanes.know(core);
        observer.groups.know(core);
        observer
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.texts.len()).unwrap_or(u32::MAX)
    }

    /// When a row happened.
    pub(crate) fn time(&self, row: u32) -> u32 {
        self.rows.get(row as usize * ROW).copied().unwrap_or_default()
    }

    pub(crate) fn flags(&self, row: u32) -> u32 {
        self.rows.get(row as usize * ROW + 4).copied().unwrap_or_default()
    }

    pub(crate) fn kind(&self, row: u32) -> Kind {
        let number = self.rows.get(row as usize * ROW + 1).copied().unwrap_or_default();
        Kind::ALL[number as usize % Kind::ALL.len()]
    }

    pub(crate) fn lane(&self, row: u32) -> u32 {
        self.rows.get(row as usize * ROW + 2).copied().unwrap_or(NO_ROW)
    }

    pub(crate) fn cause(&self, row: u32) -> Option<u32> {
        self.rows.get(row as usize * ROW + 3).copied().filter(|row| *row != NO_ROW)
    }

    /// Records of all groups that are not committed, after a row.
    pub(crate) fn lag(&self, row: u32) -> u32 {
        self.rows.get(row as usize * ROW + 5).copied().unwrap_or_default()
    }

    /// Writes a row down; `core` is as it is after it.
    pub(crate) fn see(&mut self, happened: &Happened, inputs: &[Input], core: &Core) {
        let t = u32::try_from(happened.at).unwrap_or(u32::MAX);
        let draft = Draft {
            row: self.len(),
            t,
            kind: Kind::Other,
            lane: NO_ROW,
            cause: happened.cause.unwrap_or(NO_ROW),
            flags: 0,
            text: String::new(),
        };
        let draft = match &happened.what {
            What::Input { index, note } => self.input(draft, &inputs[*index], note.as_deref()),
            What::Restart(restart) => self.restart(draft, restart, core),
            What::Step { event, commands } => {
                let mut draft = self.event(draft, event, happened.sent.as_ref(), core);
                self.commands(&mut draft, commands);
                self.parked(core);
                if draft.text.is_empty() {
                    "a timer is due, and nothing comes of it".clone_into(&mut draft.text);
                }
                draft
            }
        };
        let lag = u32::try_from(core.lag()).unwrap_or(u32::MAX);
        let sent_at = happened.sent.as_ref().map_or(t, |(_, at)| u32::try_from(*at).unwrap_or(t));
        self.rows.extend([draft.t, draft.kind as u32, draft.lane, draft.cause, draft.flags, lag, sent_at]);
        self.texts.push(draft.text.into());
    }

    /// The last row breaks a promise, or is not what was recorded.
    pub(crate) fn flag_last(&mut self, flags: u32) {
        let at = self.rows.len().saturating_sub(ROW);
        if let Some(mine) = self.rows.get_mut(at + 4) {
            *mine |= flags;
        }
        let (row, t, lane) = (self.len().saturating_sub(1), self.rows[at], self.rows[at + 2]);
        self.marks.extend([row, t, lane, Glyph::Violation as u32]);
    }

    fn mark(&mut self, draft: &Draft, lane: u32, glyph: Glyph) {
        if lane != NO_ROW {
            self.marks.extend([draft.row, draft.t, lane, glyph as u32]);
        }
    }

    fn input(&mut self, mut draft: Draft, input: &Input, note: Option<&str>) -> Draft {
        let (kind, name, text) = words::input(&input.act);
        draft.kind = kind;
        draft.lane = name.and_then(|name| self.lanes.client(name)).unwrap_or(NO_ROW);
        draft.text = match note {
            None => text,
            Some(note) => format!("{text}: nothing happens, {note}"),
        };
        if kind == Kind::Fault {
            let lane = if draft.lane == NO_ROW { self.lanes.broker() } else { draft.lane };
            draft.lane = lane;
            self.mark(&draft, lane, if words::is_crash(&input.act) { Glyph::Crash } else { Glyph::Fault });
        }
        if words::is_crash(&input.act) && note.is_none() {
            self.everything_ends(&draft);
        }
        draft
    }

    fn restart(&mut self, mut draft: Draft, restart: &Restart, core: &Core) -> Draft {
        draft.kind = Kind::Restart;
        draft.lane = self.lanes.broker();
        let (consumers, topics) = (restart.restart.snapshot.consumers.len(), restart.restart.snapshot.topics.len());
        draft.text = format!(
            "the broker starts again with what is durable: {}, {}, {} facts",
            words::count(topics, "topic"),
            words::count(consumers, "consumer"),
            restart.restart.through.0,
        );
        self.everything_ends(&draft);
        self.mark(&draft, draft.lane, Glyph::Restart);
        self.appends.clear();
        self.fetches.clear();
        self.persists.clear();
        self.creations.clear();
        self.lanes.know(core);
        self.groups.know(core);
        draft
    }

    /// The broker is no more, and whoever waited for it waits no longer.
    fn everything_ends(&mut self, draft: &Draft) {
        for open in std::mem::take(&mut self.open).into_values() {
            self.end_span(open.span, draft, Outcome::Lost);
        }
    }

    fn begin_span(&mut self, draft: &Draft, deadline: u64) -> u32 {
        let span = u32::try_from(self.spans.len() / SPAN).unwrap_or(NO_ROW);
        let deadline = u32::try_from(deadline.saturating_sub(self.begin)).unwrap_or(u32::MAX);
        let open = Outcome::Open as u32;
        self.spans.extend([draft.lane, draft.row, draft.t, NO_ROW, deadline, NO_ROW, NO_ROW, open]);
        span
    }

    fn end_span(&mut self, span: u32, draft: &Draft, outcome: Outcome) {
        let at = span as usize * SPAN;
        if let Some(end) = self.spans.get_mut(at + 5..at + 8).filter(|end| end[0] == NO_ROW) {
            end.copy_from_slice(&[draft.row, draft.t, outcome as u32]);
        }
    }

    /// Whether a span's poll had parked.
    fn was_parked(&self, span: u32) -> bool {
        self.spans.get(span as usize * SPAN + 3).is_some_and(|parked| *parked != NO_ROW)
    }

    /// Notes which polls wait for records from now on.
    fn parked(&mut self, core: &Core) {
        let t = core.now().0.saturating_sub(self.begin);
        for (request, open) in &self.open {
            let at = open.span as usize * SPAN + 3;
            let Some(parked) = self.spans.get_mut(at).filter(|parked| **parked == NO_ROW) else { continue };
            if core.is_parked(*request) {
                *parked = u32::try_from(t).unwrap_or(u32::MAX);
            }
        }
    }
}
