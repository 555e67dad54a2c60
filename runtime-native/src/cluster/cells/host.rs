//! What a cell's core is to the cells, and what it tells them.

use std::{fmt, sync::mpsc::Sender};

use takhin_core::{Boot, FactSeq, cell::StepDown};

use super::message::Message;

/// What a cell's core is to the cells. It is called on the cells' own thread, which does nothing else meanwhile: it is to
/// be short.
pub trait CellHost: Send {
    /// A recovery begins, from a snapshot or from nothing. What was begun before is void.
    ///
    /// # Errors
    /// If the snapshot can't be read. The cell is not owned then, and the error is told to whoever runs the node.
    fn begin(&mut self, snapshot: Option<&[u8]>) -> Result<(), String>;

    /// The next facts of the recovery, as they were decided, those of one entry: one or more decisions, joined.
    ///
    /// # Errors
    /// If they can't be read. The cell is not owned then, and the error is told to whoever runs the node.
    fn apply(&mut self, first: FactSeq, facts: &[u8]) -> Result<(), String>;

    /// All was applied, and nobody else serves: a core begins.
    ///
    /// # Errors
    /// If what was applied does not end with the fact `through`. The cell is not owned then, and the error is told to whoever
    /// runs the node.
    fn own(&mut self, boot: Boot, through: FactSeq, decide: Decide) -> Result<(), String>;

    /// Facts are kept, and nothing can undo that.
    fn persisted(&mut self, through: FactSeq);

    /// A snapshot is wanted: [`Decide::snapshot`] is to be called when one is at hand. It is asked for once until then.
    fn snapshot_wanted(&mut self);

    /// The lease has run out (`false`), or an append came to apply again (`true`). Of the first one of a core, which
    /// begins with [`own`](Self::own), nothing is said here.
    fn serves(&mut self, serves: bool);

    /// The core is void, if there is one; so is a recovery. There may be an [`own`](Self::own) later, after a
    /// [`begin`](Self::begin).
    fn step_down(&mut self, why: StepDown);
}

/// What a core decided goes into its cell's journal through this, from any thread; in order, if it is called in order.
/// Nothing here waits. What comes from a core that is void is dropped.
#[derive(Clone)]
pub struct Decide {
    pub(super) cell: u32,
    pub(super) boot: Boot,
    pub(super) queue: Sender<Message>,
}

impl Decide {
    /// Appends facts, as the host writes them. Several decisions may become one entry, with their bytes joined.
    pub fn facts(&self, after: FactSeq, through: FactSeq, facts: Vec<u8>) {
        let (cell, boot) = (self.cell, self.boot);
        self.tell(Message::Decided { cell, boot, after, through, facts });
    }

    /// Keeps a snapshot of the state after all facts up to `through`, which were all given to [`Decide::facts`] before,
    /// the last of them as the end of one of its calls.
    pub fn snapshot(&self, through: FactSeq, state: Vec<u8>) {
        let (cell, boot) = (self.cell, self.boot);
        self.tell(Message::SnapshotTaken { cell, boot, through, state });
    }

    fn tell(&self, message: Message) {
        // Nobody listens once the cells have stopped, and the core is void then.
        let _ = self.queue.send(message);
    }
}

impl fmt::Debug for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decide").field("cell", &self.cell).field("boot", &self.boot).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Decide {
    /// One of no cell, and what is decided through it.
    pub(in crate::cluster) fn heard() -> (Self, impl Iterator<Item = (FactSeq, FactSeq, Vec<u8>)>) {
        let (queue, messages) = std::sync::mpsc::channel();
        let decided = messages.into_iter().map(|message| match message {
            Message::Decided { after, through, facts, .. } => (after, through, facts),
            other => panic!("{other:?}"),
        });
        (Self { cell: 0, boot: Boot(1), queue }, decided)
    }
}
