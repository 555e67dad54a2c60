//! A node that owns a cell: what it appends, where that came to lie, and what lies between.
//!
//! ```text
//!   known ............| cursor         a gap: read it      mine, acknowledged
//!   | A: facts 3 | A: facts 4 |    ?    |    ?    | A: facts 5 | A: facts 6 |
//! ```

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    config::CellConfig,
    entry::{CellOffset, Entry, EntryNumber},
    message::{CellCommand, StepDown},
    recovering::Announced,
    replay::{Replay, Verdict},
};
use crate::{
    ids::{Boot, FactSeq},
    planted::planted,
    time::{DurationMs, Timestamp},
};

#[derive(Clone, Debug)]
pub(super) struct Owning {
    config: CellConfig,
    epoch: CellOffset,
    replay: Replay,
    /// The first offset of which it isn't known what lies there.
    cursor: CellOffset,
    /// Up to where entries are being read, and since when nothing of that came.
    reading: Option<(CellOffset, Timestamp)>,
    next_number: EntryNumber,
    through: FactSeq,
    /// What was sent and does not apply yet.
    in_flight: BTreeMap<EntryNumber, InFlight>,
    /// From when on nobody else can serve.
    alone_from: Timestamp,
    /// When it began to serve.
    begun: Option<Timestamp>,
    lapsed: bool,
    /// When it last sent something.
    shown: Timestamp,
    /// The last moment in which it is known to have owned the cell.
    proven: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    after: FactSeq,
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
        let from = if planted!(config, WaitFromSending) { announced.sent } else { announced.sent_before };
        let wait = replay.leases_before().filter(|_| !planted!(config, TakenOverAtOnce));
        Self {
            config,
            epoch,
            cursor,
            reading: None,
            next_number: EntryNumber::default(),
            through: replay.through(),
            replay,
            in_flight: BTreeMap::new(),
            alone_from: wait.map_or(announced.sent, |lease| from + CellConfig::wait_for(lease)),
            begun: None,
            lapsed: false,
            shown: announced.sent,
            proven: announced.sent,
        }
    }

    pub(super) fn epoch(&self) -> CellOffset {
        self.epoch
    }

    pub(super) fn replay(&self) -> (&Replay, CellOffset) {
        (&self.replay, self.cursor)
    }

    /// Whether all who owned the cell before can serve no longer.
    pub(super) fn is_alone(&self, now: Timestamp) -> bool {
        now >= self.alone_from
    }

    /// Until when it serves, as far as is known: not in that moment itself any more.
    pub(super) fn serves_until(&self) -> Option<Timestamp> {
        let forever = planted!(self.config, LeaseForgotten).then_some(Timestamp(u64::MAX));
        self.begun.map(|_| forever.unwrap_or_else(|| self.lapses_at()))
    }

    fn lapses_at(&self) -> Timestamp {
        self.proven + self.config.lease
    }

    fn shows_at(&self) -> Timestamp {
        self.shown + self.config.keep_alive
    }

    /// When something is to be done without an event.
    pub(super) fn next_deadline(&self) -> Timestamp {
        let begins = self.begun.is_none().then_some(self.alone_from);
        let lapses = (self.begun.is_some() && !self.lapsed).then(|| self.lapses_at());
        let asks = self.reading.map(|(_, since)| since + self.config.lease);
        [begins, lapses, asks].into_iter().flatten().fold(self.shows_at(), Timestamp::min)
    }

    pub(super) fn has_served_for(&self, span: DurationMs, now: Timestamp) -> bool {
        self.begun.is_some_and(|begun| now >= begun + span)
    }

    /// Does what is due.
    pub(super) fn go_on<F>(&mut self, now: Timestamp, commands: &mut Vec<CellCommand<F>>) {
        if self.begun.is_none() && self.is_alone(now) {
            self.begun = Some(now);
            commands.push(CellCommand::Own { boot: self.replay.boot(), through: self.replay.through() });
        }
        let lapsed = self.begun.is_some() && now >= self.lapses_at();
        if lapsed && !self.lapsed {
            commands.push(CellCommand::Lapsed);
        }
        self.lapsed = lapsed;
        if let Some((to, since)) = self.reading
            && now >= since + self.config.lease
        {
            self.reading = Some((to, now));
            commands.push(CellCommand::Read { from: self.cursor, to });
        }
        if now >= self.shows_at() && !planted!(self.config, NeverShown) {
            self.append(now, None, commands);
        }
    }

    /// Appends what the core has decided. What an earlier core decided is void.
    pub(super) fn decided<F>(
        &mut self,
        now: Timestamp,
        boot: Boot,
        after: FactSeq,
        through: FactSeq,
        facts: F,
        commands: &mut Vec<CellCommand<F>>,
    ) -> Result<(), StepDown> {
        if self.begun.is_none() || boot != self.replay.boot() {
            return Ok(());
        }
        if after != self.through || through < after {
            return Err(StepDown::Torn);
        }
        self.append(now, Some((through, facts)), commands);
        if planted!(self.config, FactsNumberedAgain) {
            self.through = after;
        }
        Ok(())
    }

    fn append<F>(&mut self, now: Timestamp, decided: Option<(FactSeq, F)>, commands: &mut Vec<CellCommand<F>>) {
        let (number, epoch, after) = (self.next_number, self.epoch, self.through);
        self.next_number = number.next();
        let (through, facts) = decided.map_or((after, None), |(through, facts)| (through, Some(facts)));
        self.through = through;
        self.shown = now;
        self.in_flight.insert(number, InFlight { after, through, sent: now, at: None });
        commands.push(CellCommand::Append { epoch, number, after, through, facts });
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
        if planted!(self.config, LeaseFromAcknowledgement) {
            entry.sent = now;
        }
        if at.is_none() && planted!(self.config, UnsureTakenForDone) {
            self.applies(number, commands);
            return Ok(());
        }
        entry.at = Some(at.ok_or(StepDown::Unsure)?);
        self.follow(now, commands)
    }

    pub(super) fn entries<F>(
        &mut self,
        now: Timestamp,
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
                Verdict::Torn => return Err(StepDown::Torn),
                Verdict::Applies => {
                    if let Entry::Facts { number, .. } = entry {
                        self.applies(*number, commands);
                    }
                }
                // Who was overtaken has heard of it, and has stopped.
                Verdict::Left => self.alone_from = self.alone_from.min(now),
                Verdict::Stale if planted!(self.config, AnyResignationCounts) => {
                    if let Entry::Resigned { .. } = entry {
                        self.alone_from = self.alone_from.min(now);
                    }
                }
                Verdict::Repeated | Verdict::Stale | Verdict::BehindGap | Verdict::Vacated => {}
            }
        }
        self.cursor = self.cursor.max(upto);
        self.reading = self.reading.filter(|(to, _)| self.cursor < *to).map(|(to, _)| (to, now));
        self.follow(now, commands)
    }

    /// The journal reaches farther than is known, if only by what is under way.
    pub(super) fn sighted<F>(&mut self, now: Timestamp, next: CellOffset, commands: &mut Vec<CellCommand<F>>) {
        if next > self.cursor && self.reading.is_none() {
            self.reading = Some((next, now));
            commands.push(CellCommand::Read { from: self.cursor, to: next });
        }
    }

    /// The journal begins behind `from` now. It was cut by who has taken over, unless what is gone is known.
    pub(super) fn cut(&self, from: CellOffset) -> Result<(), StepDown> {
        if from < self.cursor { Ok(()) } else { Err(StepDown::Overtaken) }
    }

    /// Goes on along what was appended, and reads what lies between.
    fn follow<F>(&mut self, now: Timestamp, commands: &mut Vec<CellCommand<F>>) -> Result<(), StepDown> {
        loop {
            let first = self.in_flight.first_key_value().map(|(number, entry)| (*number, *entry));
            let Some((number, entry)) = first else { return Ok(()) };
            let Some(at) = entry.at else { return Ok(()) };
            if at > self.cursor && !planted!(self.config, JournalGapsIgnored) {
                if self.reading.is_none() {
                    self.reading = Some((at, now));
                    commands.push(CellCommand::Read { from: self.cursor, to: at });
                }
                return Ok(());
            }
            if at < self.cursor {
                // It was looked at, and did not apply: behind others of its own, it came too early.
                return Err(StepDown::Unsure);
            }
            self.cursor = at.next();
            match self.replay.take_facts(self.epoch, number, entry.after, entry.through) {
                Verdict::Applies => self.applies(number, commands),
                Verdict::Torn => return Err(StepDown::Torn),
                _ => return Err(StepDown::Unsure),
            }
        }
    }

    fn applies<F>(&mut self, number: EntryNumber, commands: &mut Vec<CellCommand<F>>) {
        let Some(entry) = self.in_flight.remove(&number) else { return };
        self.proven = self.proven.max(entry.sent);
        commands.push(CellCommand::Persisted { through: entry.through, next: self.cursor });
    }
}
