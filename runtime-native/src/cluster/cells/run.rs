//! The thread that steps the owners of this node: what they are told, when they are due, and what is joined meanwhile.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use takhin_core::{
    Timestamp,
    cell::{CellConfig, CellEvent, CellOffset},
};

use super::{
    cell::{Around, Cell},
    clock,
    directory::{Notice, SHOWN_EVERY_MS},
    follow::today,
    host::CellHost,
    message::{Message, ReadOutcome},
    outbox::{Sent, What},
    reader::Backlog,
    watcher::Sighting,
};

/// How long it sleeps at most: others look whether it still runs.
const PULSE: Duration = Duration::from_secs(1);
/// Messages taken before what is due is done, and decisions that wait are appended.
const MAX_AT_ONCE: usize = 1_024;

/// Makes the host of a cell.
pub(super) type Hosts = Box<dyn FnMut(u32) -> Box<dyn CellHost> + Send>;

/// Who steps the owners.
pub(super) struct Runner {
    pub(super) config: CellConfig,
    pub(super) address: String,
    pub(super) hosts: Hosts,
    pub(super) messages: Receiver<Message>,
    pub(super) around: Around,
    pub(super) backlog: Arc<Backlog>,
    pub(super) pulse: Arc<AtomicU64>,
    pub(super) cells: BTreeMap<u32, Cell>,
    /// Cells with decisions that wait.
    pub(super) undecided: Vec<u32>,
    /// When the node is to show itself next.
    pub(super) shows: Timestamp,
    pub(super) stopping: Option<SyncSender<()>>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("cells", &self.cells).finish_non_exhaustive()
    }
}

impl Runner {
    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        loop {
            self.do_what_is_due();
            match self.messages.recv_timeout(self.rest()) {
                Ok(Message::Vanish) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !self.take_what_waits() {
                break;
            }
            self.append_decisions();
            if self.has_stopped() {
                break;
            }
        }
        self.backlog.close();
        let cells = self.around.leases.count();
        (0..cells).for_each(|cell| self.around.leases.set(cell, None));
    }

    /// Takes what has come meanwhile. Says whether to go on.
    fn take_what_waits(&mut self) -> bool {
        for _ in 0..MAX_AT_ONCE {
            match self.messages.try_recv() {
                Ok(Message::Vanish) => return false,
                Ok(message) => self.take(message),
                Err(_) => break,
            }
        }
        true
    }

    fn has_stopped(&mut self) -> bool {
        if self.around.outbox.unanswered > 0 {
            return false;
        }
        let Some(done) = self.stopping.take() else { return false };
        // Whoever waits may have given up.
        let _ = done.try_send(());
        true
    }

    fn rest(&self) -> Duration {
        let now = clock::now();
        let due = self.cells.values().filter_map(Cell::next_deadline).fold(self.shows, Timestamp::min);
        Duration::from_millis(due.0.saturating_sub(now.0)).min(PULSE)
    }

    fn do_what_is_due(&mut self) {
        let now = clock::now();
        self.pulse.store(now.0, Ordering::Release);
        for cell in self.cells.values_mut() {
            if cell.next_deadline().is_some_and(|due| due <= now) {
                cell.step(CellEvent::Tick, &mut self.around);
            }
        }
        if now >= self.shows && self.stopping.is_none() {
            self.shows = Timestamp(now.0 + SHOWN_EVERY_MS);
            self.around.outbox.notice(Notice::node(self.around.node, &self.address, today()));
        }
    }

    fn append_decisions(&mut self) {
        for cell in std::mem::take(&mut self.undecided) {
            if let Some(cell) = self.cells.get_mut(&cell) {
                cell.flush(&mut self.around);
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Offered(cells) => cells.into_iter().for_each(|cell| self.offered(cell)),
            Message::Revoked { cells, done } => self.revoked(&cells, done),
            Message::Sighted(seen) => seen.into_iter().for_each(|sighting| self.sighted(sighting)),
            Message::Decided { cell, boot, after, through, facts } => {
                if let Some(owned) = self.cells.get_mut(&cell) {
                    owned.decide(boot, after, through, facts, &mut self.around);
                    if self.undecided.last() != Some(&cell) {
                        self.undecided.push(cell);
                    }
                }
            }
            Message::SnapshotTaken { cell, boot, through, state } => {
                self.on(cell, |cell, around| cell.snapshot_taken(boot, through, state, around));
            }
            Message::Delivered { sent, at } => self.delivered(&sent, at),
            Message::ProducerTroubled => self.around.outbox.renew_if_failed(),
            Message::Read { cell, generation, outcome } => {
                if let ReadOutcome::Entries { bytes, .. } = &outcome {
                    self.backlog.taken(*bytes);
                }
                self.on(cell, |cell, around| cell.read(generation, outcome, around));
            }
            Message::SnapshotsRead { cell, found } => {
                self.on(cell, |cell, around| cell.snapshots_read(found, around));
            }
            Message::SnapshotKept { cell, next, kept } => {
                self.on(cell, |cell, around| cell.snapshot_kept(next, &kept, around));
            }
            Message::Notices(notices) => notices.into_iter().for_each(|notice| self.around.outbox.notice(notice)),
            Message::Stop { done } => self.stop(done),
            Message::Vanish => {}
        }
    }

    fn on(&mut self, cell: u32, what: impl FnOnce(&mut Cell, &mut Around)) {
        if let Some(cell) = self.cells.get_mut(&cell) {
            what(cell, &mut self.around);
        }
    }

    fn offered(&mut self, number: u32) {
        if number >= self.around.leases.count() {
            return tracing::error!(cell = number, "the journal has more partitions than there are cells");
        }
        let cell = self.cells.entry(number).or_insert_with(|| Cell::new(number, self.config, (self.hosts)(number)));
        cell.step(CellEvent::Offered, &mut self.around);
    }

    /// What is told here was seen before it is taken in: so whatever lies there had been sent before now.
    fn sighted(&mut self, Sighting { cell: number, next, behind }: Sighting) {
        let cell = self.cells.entry(number).or_insert_with(|| Cell::new(number, self.config, (self.hosts)(number)));
        cell.step(CellEvent::Sighted { next, behind }, &mut self.around);
    }

    fn revoked(&mut self, cells: &[u32], done: SyncSender<()>) {
        self.append_decisions();
        for cell in cells {
            self.on(*cell, |cell, around| cell.step(CellEvent::Revoked, around));
        }
        self.around.waiting.push(done);
        self.say_if_resigned();
    }

    fn say_if_resigned(&mut self) {
        if self.around.resigning == 0 {
            for done in self.around.waiting.drain(..) {
                // Whoever waits may have given up.
                let _ = done.try_send(());
            }
        }
    }

    fn delivered(&mut self, sent: &Sent, at: Option<CellOffset>) {
        self.around.outbox.delivered(at.is_some());
        if sent.what != What::Notice {
            let stats = &self.around.stats;
            if at.is_some() {
                stats.appends.inc();
                stats.appended_bytes.inc_by(sent.bytes as u64);
                stats.append_seconds.observe(sent.since.elapsed().as_secs_f64());
            } else {
                stats.appends_unknown.inc();
            }
        }
        match sent.what {
            What::Announcement { cell, number } => {
                self.on(cell, |cell, around| cell.step(CellEvent::Announced { number, at }, around));
            }
            What::Facts { cell, epoch, number } => {
                self.on(cell, |cell, around| cell.step(CellEvent::Appended { epoch, number, at }, around));
            }
            What::Resignation { .. } => {
                self.around.resigning = self.around.resigning.saturating_sub(1);
                self.say_if_resigned();
            }
            What::Notice => {}
        }
    }

    /// Gives all up that is not given up yet, and says that the node is gone.
    fn stop(&mut self, done: SyncSender<()>) {
        self.append_decisions();
        for cell in self.cells.values_mut() {
            cell.step(CellEvent::Revoked, &mut self.around);
        }
        self.around.outbox.notice(Notice::node_stopped(self.around.node));
        self.stopping = Some(done);
    }
}
