//! A node that owns a cell: what it appends, where that came to lie, and what lies between.
//!
//! ```text
//!   known ............| cursor         a gap: read it      mine, acknowledged
//!   | A: facts 3 | A: facts 4 |    ?    |    ?    | A: facts 5 | A: facts 6 |
//! ```

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    entry::{CellOffset, Entry, EntryNumber},
    owner::{CellCommand, CellConfig, StepDown},
    recovering::Announced,
    replay::{Replay, Verdict},
};
use crate::{ids::FactSeq, planted::planted, time::Timestamp};

#[derive(Clone, Debug)]
pub(super) struct Owning {
    #[cfg(feature = "planted")]
    planted: Option<crate::planted::Bug>,
    epoch: CellOffset,
    replay: Replay,
    /// The first offset of which it isn't known what lies there.
    cursor: CellOffset,
    /// Up to where entries are being read.
    reading: CellOffset,
    next_number: EntryNumber,
    through: FactSeq,
    /// What was sent and does not apply yet.
    in_flight: BTreeMap<EntryNumber, InFlight>,
    /// From when on nobody else can serve.
    alone_from: Timestamp,
    begun: bool,
    shown: Timestamp,
    proven: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    through: FactSeq,
    sent: Timestamp,
    at: Option<CellOffset>,
}

impl Owning {
    pub(super) fn new(
        config: CellConfig,
        epoch: CellOffset,
        announced: &Announced,
        replay: Replay,
        cursor: CellOffset,
    ) -> Self {
        // Whatever the others last appended, they sent it before it was known that they are overtaken.
        let alone_from = if replay.was_vacant() || planted!(config, TakenOverAtOnce) {
            announced.sent
        } else {
            announced.known + config.lease
        };
        Self {
            #[cfg(feature = "planted")]
            planted: config.planted,
            epoch,
            cursor,
            reading: cursor,
            next_number: EntryNumber::default(),
            through: replay.through(),
            replay,
            in_flight: BTreeMap::new(),
            alone_from,
            begun: false,
            shown: announced.sent,
            proven: announced.sent,
        }
    }

    pub(super) fn epoch(&self) -> CellOffset {
        self.epoch
    }

    pub(super) fn replay(&self) -> &Replay {
        &self.replay
    }

    pub(super) fn cursor(&self) -> CellOffset {
        self.cursor
    }

    /// Begins as soon as nobody else can serve.
    pub(super) fn begin<F>(&mut self, now: Timestamp, commands: &mut Vec<CellCommand<F>>) {
        if !self.begun && self.is_alone(now) {
            self.begun = true;
            commands.push(CellCommand::Own { boot: self.replay.boot(), through: self.replay.through() });
        }
    }

    /// When it begins, unless it has.
    pub(super) fn begins_at(&self) -> Option<Timestamp> {
        (!self.begun).then_some(self.alone_from)
    }

    pub(super) fn is_alone(&self, now: Timestamp) -> bool {
        now >= self.alone_from
    }

    /// When it last sent something.
    pub(super) fn shown(&self) -> Timestamp {
        self.shown
    }

    /// The last moment in which it is known to have owned the cell.
    pub(super) fn proven(&self) -> Timestamp {
        self.proven
    }

    pub(super) fn append<F>(
        &mut self,
        now: Timestamp,
        decided: Option<(FactSeq, F)>,
        commands: &mut Vec<CellCommand<F>>,
    ) {
        let number = self.next_number;
        self.next_number = number.next();
        let facts = decided.map(|(through, facts)| {
            self.through = through;
            facts
        });
        self.shown = now;
        self.in_flight.insert(number, InFlight { through: self.through, sent: now, at: None });
        commands.push(CellCommand::Append { epoch: self.epoch, number, through: self.through, facts });
    }

    pub(super) fn appended<F>(
        &mut self,
        now: Timestamp,
        number: EntryNumber,
        at: Option<CellOffset>,
        commands: &mut Vec<CellCommand<F>>,
    ) -> Result<(), StepDown> {
        // Of what was read meanwhile, the outcome is known.
        let Some(entry) = self.in_flight.get_mut(&number) else { return Ok(()) };
        if planted!(self, LeaseFromAcknowledgement) {
            entry.sent = now;
        }
        if at.is_none() && planted!(self, UnsureTakenForDone) {
            self.applies(number, commands);
            return Ok(());
        }
        entry.at = Some(at.ok_or(StepDown::Unsure)?);
        self.follow(commands)
    }

    pub(super) fn entries<F>(
        &mut self,
        from: CellOffset,
        entries: &[(CellOffset, Entry<F>)],
        upto: CellOffset,
        commands: &mut Vec<CellCommand<F>>,
    ) -> Result<(), StepDown> {
        if from > self.cursor {
            return Ok(());
        }
        for (at, entry) in entries {
            if *at < self.cursor {
                continue;
            }
            self.cursor = at.next();
            match self.replay.take(*at, entry) {
                Verdict::Owned => return Err(StepDown::Overtaken),
                Verdict::Applies => {
                    if let Entry::Facts { number, .. } = entry {
                        self.applies(*number, commands);
                    }
                }
                Verdict::Repeated | Verdict::Stale | Verdict::BehindGap | Verdict::Vacated => {}
            }
        }
        self.cursor = self.cursor.max(upto);
        self.follow(commands)
    }

    /// Goes on along what was appended, and reads what lies between.
    fn follow<F>(&mut self, commands: &mut Vec<CellCommand<F>>) -> Result<(), StepDown> {
        loop {
            let Some((number, entry)) = self.in_flight.first_key_value().map(|(number, entry)| (*number, *entry))
            else {
                return Ok(());
            };
            let Some(at) = entry.at else { return Ok(()) };
            if at == self.cursor || planted!(self, JournalGapsIgnored) {
                self.cursor = at.next();
                match self.replay.take_facts(self.epoch, number, entry.through) {
                    Verdict::Applies => self.applies(number, commands),
                    _ => return Err(StepDown::Overtaken),
                }
            } else if at < self.cursor {
                // It was looked at, and did not apply.
                return Err(StepDown::Overtaken);
            } else {
                if self.reading <= self.cursor {
                    self.reading = at;
                    commands.push(CellCommand::Read { from: self.cursor, to: at });
                }
                return Ok(());
            }
        }
    }

    fn applies<F>(&mut self, number: EntryNumber, commands: &mut Vec<CellCommand<F>>) {
        let Some(entry) = self.in_flight.remove(&number) else { return };
        self.proven = self.proven.max(entry.sent);
        commands.push(CellCommand::Persisted { through: entry.through, next: self.cursor });
    }
}
