//! One cell on this node: its owner, its host, and what each of them wants of the other.

mod snapshots;

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{Sender, SyncSender},
    },
    time::Instant,
};

use takhin_core::{
    Boot, FactSeq, Timestamp,
    cell::{CellCommand, CellConfig, CellEvent, CellOffset, Entry, Owner, OwnerId, Replay, StepDown},
};
use uuid::Uuid;

use self::snapshots::Wanted;
use super::{
    chunk::{Found, Snapshot},
    clock::{self, Leases},
    directory::Notice,
    host::{CellHost, Decide},
    keeper::Keep,
    message::{Message, ReadOutcome},
    outbox::{Outbox, What},
    reader::Job,
    stats::CellsStats,
    watcher::Awaited,
    wire::{self, Facts},
};

/// Decisions are joined up to so many bytes.
const MAX_JOINED_BYTES: usize = 512 << 10;

/// What is around a cell.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) node: Uuid,
    pub(super) snapshot_bytes: u64,
    pub(super) outbox: Outbox,
    pub(super) reader: Sender<Job>,
    pub(super) keeper: Sender<Keep>,
    pub(super) queue: Sender<Message>,
    pub(super) leases: Arc<Leases>,
    pub(super) awaited: Arc<Awaited>,
    pub(super) stats: Arc<CellsStats>,
    /// Resignations that are under way, and who waits until none is.
    pub(super) resigning: usize,
    pub(super) waiting: Vec<SyncSender<()>>,
}

/// Decisions that wait to become one entry.
#[derive(Debug)]
struct Decided {
    boot: Boot,
    after: FactSeq,
    through: FactSeq,
    facts: Vec<u8>,
}

pub(super) struct Cell {
    number: u32,
    owner: Owner,
    host: Box<dyn CellHost>,
    /// The core that there is.
    boot: Option<Boot>,
    /// Which of the attempts at owning the cell this is.
    generation: u64,
    announced: Instant,
    /// What the recovery begins with.
    snapshot: Option<Snapshot>,
    /// From where on the journal was found to be cut.
    cut: Option<CellOffset>,
    persisted: FactSeq,
    lapsed: bool,
    /// The host could not take in what it was given.
    failed: bool,
    decided: Option<Decided>,
    /// Bytes of facts since the last snapshot.
    journaled: u64,
    wanted: Option<Wanted>,
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("number", &self.number).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Cell {
    pub(super) fn new(number: u32, config: CellConfig, host: Box<dyn CellHost>) -> Self {
        Self {
            number,
            owner: Owner::new(OwnerId(Uuid::new_v4()), config),
            host,
            boot: None,
            generation: 0,
            announced: Instant::now(),
            snapshot: None,
            cut: None,
            persisted: FactSeq::default(),
            lapsed: false,
            failed: false,
            decided: None,
            journaled: 0,
            wanted: None,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.owner.next_deadline()
    }

    /// Tells the owner what has happened, and does what it wants.
    pub(super) fn step(&mut self, event: CellEvent<Facts>, around: &mut Around) {
        // Read after what the event tells of, and before anything is sent.
        let now = clock::now();
        let sighted = matches!(event, CellEvent::Sighted { .. });
        let mut commands = Vec::new();
        self.owner.step(now, event, &mut commands);
        if sighted && commands.iter().any(|command| matches!(command, CellCommand::Announce(_))) {
            around.stats.stand_ins.inc();
            tracing::warn!(cell = self.number, "the cell's owner shows itself no longer; this node stands in for it");
        }
        // Before a resignation is sent: no answer may leave after it.
        around.leases.set(self.number, self.owner.serves_until());
        around.awaited.set(self.number, self.owner.wants_sightings());
        for command in commands {
            self.carry_out(command, around);
        }
        if std::mem::take(&mut self.failed) {
            self.step(CellEvent::Unreadable, around);
        }
        if self.lapsed && self.owner.serves(now) {
            self.lapsed = false;
            self.host.serves(true);
        }
        self.see_boundary();
        self.keep_if_placed(around);
    }

    fn carry_out(&mut self, command: CellCommand<Facts>, around: &mut Around) {
        let cell = self.number;
        match command {
            CellCommand::Announce(announcement) => {
                self.generation += 1;
                self.announced = Instant::now();
                self.cut = None;
                let what = What::Announcement { cell, number: announcement.number };
                around.outbox.append(cell, what, wire::write(&Entry::Announced(announcement)));
            }
            CellCommand::Append { epoch, number, after, through, facts } => {
                let facts = facts.unwrap_or_else(|| Facts { first: after.next(), bytes: Vec::new() });
                self.journaled += facts.bytes.len() as u64;
                let entry = Entry::Facts { epoch, number, after, through, facts };
                around.outbox.append(cell, What::Facts { cell, epoch, number }, wire::write(&entry));
                self.want_snapshot_if_due(around);
            }
            CellCommand::Resign { epoch, alone } => {
                around.resigning += 1;
                let entry = Entry::Resigned { epoch, alone };
                around.outbox.append(cell, What::Resignation { cell }, wire::write(&entry));
            }
            CellCommand::ReadSnapshot => self.ask(Job::Snapshots { cell, reply: None }, around),
            CellCommand::Begin => self.begin(),
            CellCommand::Read { from, to } => {
                self.ask(Job::Journal { cell, generation: self.generation, from, to }, around);
            }
            CellCommand::Apply(facts) => self.apply(&facts),
            CellCommand::Own { boot, through } => self.own(boot, through, around),
            CellCommand::Persisted { through, .. } => {
                if through > self.persisted && self.boot.is_some() {
                    self.persisted = through;
                    self.host.persisted(through);
                }
            }
            CellCommand::Lapsed => {
                self.lapsed = true;
                around.stats.lease_lapses.inc();
                tracing::warn!(cell, "the lease has run out; answers wait until the journal can be written again");
                self.host.serves(false);
            }
            CellCommand::StepDown(why) => self.step_down(why, around),
        }
    }

    fn ask(&self, job: Job, around: &Around) {
        if around.reader.send(job).is_err() {
            tracing::error!(cell = self.number, "the thread that reads journals has ended");
        }
    }

    fn begin(&mut self) {
        let snapshot = self.snapshot.take();
        let state = snapshot.as_ref().map(|snapshot| snapshot.state.as_slice());
        self.journaled = 0;
        let begun = self.host.begin(state);
        self.taken_in(begun, "a snapshot");
    }

    fn apply(&mut self, facts: &Facts) {
        // Of an owner that showed that it is there.
        if facts.bytes.is_empty() || self.failed {
            return;
        }
        self.journaled += facts.bytes.len() as u64;
        let applied = self.host.apply(facts.first, &facts.bytes);
        self.taken_in(applied, "facts");
    }

    fn taken_in(&mut self, outcome: Result<(), String>, what: &'static str) {
        if let Err(why) = outcome {
            tracing::error!(cell = self.number, why, "{what} of the cell can't be taken in; nobody can own it");
            self.failed = true;
        }
    }

    fn own(&mut self, boot: Boot, through: FactSeq, around: &mut Around) {
        if self.failed {
            return;
        }
        let cell = self.number;
        let owned = self.host.own(boot, through, Decide { cell, boot, queue: around.queue.clone() });
        self.taken_in(owned, "the last fact");
        if self.failed {
            return;
        }
        self.boot = Some(boot);
        self.persisted = through;
        self.lapsed = false;
        around.stats.owned.inc();
        around.stats.takeovers.inc();
        around.stats.takeover_seconds.observe(self.announced.elapsed().as_secs_f64());
        let epoch = self.owner.replay().and_then(|(replay, _)| replay.epoch());
        tracing::info!(cell, epoch = epoch.map(|epoch| epoch.0), through = through.0, "owns the cell");
        if let Some(epoch) = epoch {
            around.outbox.notice(Notice::cell(cell, epoch, around.node));
        }
        self.want_snapshot_if_due(around);
    }

    fn step_down(&mut self, why: StepDown, around: &mut Around) {
        around.stats.stepped_down(why);
        if self.boot.take().is_some() {
            around.stats.owned.dec();
        }
        if why == StepDown::Torn {
            tracing::error!(
                cell = self.number,
                "the journal is torn: what it holds does not follow from what was before"
            );
        } else {
            tracing::info!(cell = self.number, ?why, "owns the cell no longer");
        }
        self.decided = None;
        self.wanted = None;
        self.lapsed = false;
        self.failed = false;
        self.host.step_down(why);
    }

    /// A core decided on facts. They wait to be joined with the next ones, until [`flush`](Self::flush) is called.
    pub(super) fn decide(&mut self, boot: Boot, after: FactSeq, through: FactSeq, facts: Vec<u8>, around: &mut Around) {
        if let Some(waiting) = &mut self.decided
            && waiting.boot == boot
            && waiting.through == after
            && waiting.facts.len() + facts.len() <= MAX_JOINED_BYTES
            && self.wanted.is_none()
        {
            waiting.facts.extend_from_slice(&facts);
            waiting.through = through;
            return;
        }
        self.flush(around);
        self.decided = Some(Decided { boot, after, through, facts });
    }

    /// Appends the decisions that wait.
    pub(super) fn flush(&mut self, around: &mut Around) {
        let Some(Decided { boot, after, through, facts }) = self.decided.take() else { return };
        let facts = Facts { first: after.next(), bytes: facts };
        self.step(CellEvent::Decided { boot, after, through, facts }, around);
    }

    /// Part of the journal was read, or what there is instead.
    pub(super) fn read(&mut self, generation: u64, outcome: ReadOutcome, around: &mut Around) {
        match outcome {
            ReadOutcome::Entries { from, entries, next, .. } => {
                around.stats.entries_replayed.inc_by(entries.len() as u64);
                self.step(CellEvent::Entries { from, entries, next }, around);
            }
            ReadOutcome::Cut { from } => {
                self.cut = Some(from);
                self.step(CellEvent::Cut { from }, around);
            }
            ReadOutcome::Unreadable { at, why } => {
                tracing::error!(cell = self.number, offset = at.0, why, "the journal holds what can't be read");
                if generation == self.generation {
                    self.step(CellEvent::Unreadable, around);
                }
            }
        }
    }

    /// The cell's snapshots were read.
    pub(super) fn snapshots_read(&mut self, found: Found, around: &mut Around) {
        for why in &found.broken {
            tracing::warn!(cell = self.number, why, "a snapshot can't be used");
        }
        let snapshot = found.latest.map(|read| read.snapshot);
        let next = snapshot.as_ref().map_or(CellOffset::default(), |snapshot| snapshot.next);
        if let Some(cut) = self.cut
            && next <= cut
        {
            tracing::error!(
                cell = self.number,
                from = cut.0,
                "the journal is cut, and no snapshot goes beyond the cut"
            );
            return self.step(CellEvent::Unreadable, around);
        }
        let replay = snapshot.as_ref().map_or_else(Replay::default, |snapshot| snapshot.replay.clone());
        self.snapshot = snapshot;
        self.step(CellEvent::Snapshot { next, replay }, around);
        self.snapshot = None;
    }
}
