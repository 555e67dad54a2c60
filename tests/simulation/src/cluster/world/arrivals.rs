//! What is on its way arrives: late, twice, never, or so that nobody knows.

use takhin_core::cell::{CellEvent, CellOffset, Entry};

use super::Cluster;
use crate::{
    cluster::{
        chance::Chances,
        journal::{Facts, Life, Message, Snapshot},
        judge::Violation,
        sights::Sight,
    },
    tape::Word,
};

impl Cluster {
    /// Something on its way arrives. What one node appends arrives in order, unless the run has it otherwise.
    pub(super) fn arrival(&mut self, word: &mut Word) -> Result<(), Violation> {
        if self.network.is_empty() {
            return Ok(());
        }
        let mut at = word.below(u32::try_from(self.network.len()).unwrap_or(u32::MAX)) as usize;
        if let Message::Append { from, tell: true, .. } = &self.network[at]
            && !self.chances.out_of_order
        {
            let same = |message: &Message| matches!(message, Message::Append { from: f, tell: true, .. } if f == from);
            at = self.network.iter().position(same).unwrap_or(at);
        }
        let message = self.network.remove(at);
        self.arrives(message, word, true)
    }

    pub(super) fn arrives(&mut self, message: Message, word: &mut Word, faults: bool) -> Result<(), Violation> {
        match message {
            Message::Append { from, entry, tell } => self.append(from, &entry, tell, word, faults),
            Message::Outcome { to, event } => self.is_told(to, event),
            // What is read reaches a node in order, so nothing is read for one that stands still.
            Message::Read { by, .. } if self.nodes[by.node].paused => {
                self.network.push(message);
                Ok(())
            }
            Message::Read { by, from, to } => {
                let Some(event) = self.journal.read(from, to, 1 + word.below(8) as usize) else {
                    if self.nodes[by.node].core.is_none() {
                        self.sights.see(Sight::CutWhileRecovering);
                    }
                    return self.is_told(by, CellEvent::Cut);
                };
                if let CellEvent::Entries { next, .. } = &event
                    && *next < to.min(self.journal.end())
                {
                    self.network.push(Message::Read { by, from: *next, to });
                }
                self.is_told(by, event)
            }
            Message::ReadSnapshot { by } => self.tell_snapshot(by),
            Message::Keep { snapshot } => {
                self.journal.keep(snapshot);
                Ok(())
            }
        }
    }

    fn append(
        &mut self,
        from: Life,
        entry: &Entry<Facts>,
        tell: bool,
        word: &mut Word,
        faults: bool,
    ) -> Result<(), Violation> {
        let Chances { lost, unknown, repeated, .. } = self.chances;
        let fault = if faults && tell { word.below(100) } else { 100 };
        let copy = |entry: &Entry<Facts>| Message::Append { from, entry: entry.clone(), tell: false };
        let is_there = fault >= lost && (fault >= lost + unknown || word.below(2) == 0);
        if fault < lost + unknown {
            self.network.push(Message::Outcome { to: from, event: outcome(entry, None) });
            if fault >= lost && !is_there {
                self.network.push(copy(entry));
            }
        } else if fault < lost + unknown + repeated {
            self.network.push(copy(entry));
        }
        if !is_there {
            return Ok(());
        }
        let at = self.journal.append(entry.clone());
        let counts = self.judge.reached(at, entry)?;
        if let (Entry::Facts { epoch, .. }, false) = (entry, counts) {
            let stale = Some(*epoch) != self.judge.epoch();
            self.sights.see(if stale { Sight::StaleFacts } else { Sight::RepeatedFacts });
        }
        if tell && fault >= lost + unknown {
            self.network.push(Message::Outcome { to: from, event: outcome(entry, Some(at)) });
        }
        Ok(())
    }

    /// A node is told something, unless it has died since. One that stands still hears it when it goes on.
    fn is_told(&mut self, to: Life, event: CellEvent<Facts>) -> Result<(), Violation> {
        let node = &self.nodes[to.node];
        if node.life != to {
            return Ok(());
        }
        if node.paused {
            self.network.push(Message::Outcome { to, event });
            return Ok(());
        }
        self.cell_event(to.node, event)
    }

    fn tell_snapshot(&mut self, by: Life) -> Result<(), Violation> {
        if self.nodes[by.node].life != by {
            return Ok(());
        }
        if self.nodes[by.node].paused {
            self.network.push(Message::ReadSnapshot { by });
            return Ok(());
        }
        let Snapshot { next, replay, durable } = self.journal.snapshot.clone();
        let through = replay.through();
        let (node, mut around) = self.around(by.node);
        node.snapshot(durable, through, CellEvent::Snapshot { next, replay }, &mut around)
    }
}

fn outcome(entry: &Entry<Facts>, at: Option<CellOffset>) -> CellEvent<Facts> {
    match entry {
        Entry::Announced(announcement) => CellEvent::Announced { number: announcement.number, at },
        Entry::Facts { epoch, number, .. } => CellEvent::Appended { epoch: *epoch, number: *number, at },
        // Nobody waits for it.
        Entry::Resigned { .. } => CellEvent::Tick,
    }
}
