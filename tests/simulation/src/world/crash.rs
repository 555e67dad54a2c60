//! Crashes: the broker dies between two steps, and a new one is made from what storage has.

use std::borrow::Cow;

use takhin_core::{
    Boot, Event, Recovery, Timestamp,
    trace::{Life, Restart},
};

use super::{
    World,
    engine::{Side, kafka::side_of},
    replies::Asked,
};
use crate::{
    auditor::NewLife,
    coverage::Rare,
    model::{NOTHING, what_is_committed},
    oracle::{Violation, must},
};

impl World {
    /// `keeps_all`: the broker was stopped in peace, and all that it had asked of storage was done.
    pub(super) fn crash(&mut self, keeps_all: bool) -> Result<(), Violation> {
        self.look_into_core()?;
        self.must_be_made_of_facts()?;
        self.cover_crash();
        let all = self.what_dies(keeps_all);
        let (gone, left) =
            std::mem::take(&mut self.open).into_iter().partition(|asked| all || side_of(asked.id) == Side::Cell);
        self.open = left;
        for asked in Vec::from_iter::<Vec<Asked>>(gone) {
            self.gave_up(&asked)?;
        }
        self.teaching.clear();
        for client in &mut self.clients {
            client.poll = None;
            client.is_unsure = true;
        }
        self.retry = None;
        self.draining = false;
        self.boot = Boot(self.boot.0 + 1);
        self.requests = 0;
        self.recover()
    }

    /// Storage is as the end of the core left it. Whether all that was asked for is void: on a cluster the cell may go alone.
    fn what_dies(&mut self, keeps_all: bool) -> bool {
        let config = &self.options.config;
        let Some(front) = &mut self.front else {
            self.engine.crash(&mut self.word, keeps_all, &mut self.coverage);
            return true;
        };
        let with_node = self.draining || self.word.one_in(2);
        if with_node {
            front.replace(config, self.seed);
        } else {
            self.coverage.reached(Rare::FrontOutlivesCell);
        }
        self.engine.taken_over(&mut self.word, keeps_all, with_node, &mut self.coverage);
        with_node
    }

    /// What was decided, as facts, makes up the state that decided it.
    pub(super) fn must_be_made_of_facts(&self) -> Result<(), Violation> {
        // Done and not said is durable as well.
        let mut folded = Cow::Borrowed(&self.engine.durable);
        for fact in self.engine.waiting_facts() {
            folded.to_mut().apply(fact, self.options.config.max_ended_remembered);
        }
        let state = self.core.durable();
        must!(*folded == *state, RecoveryEqual, "facts make {folded:?}, and the state is {state:?}");
        Ok(())
    }

    fn recover(&mut self) -> Result<(), Violation> {
        let through = self.engine.facts();
        // A snapshot counts if all that is in it became durable.
        let snapshot = self.snapshot.take().filter(|(_, taken)| *taken <= through && !self.word.one_in(4));
        if snapshot.is_some() {
            self.cover(Rare::RecoversFromSnapshot);
        }
        let (base, taken) = snapshot.unwrap_or_else(|| self.engine.base());
        let config = self.options.config.clone();
        let mut recovery = Recovery::new(config.clone(), base, taken);
        self.engine.recover(&mut recovery);
        must!(recovery.through() == through, RecoveryEqual, "{:?} of {through:?} facts", recovery.through());

        let (bounds, at) = (self.engine.bounds(&recovery.durable()), Timestamp(self.now));
        let life = NewLife { boot: self.boot, at, durable: &self.engine.durable, through, bounds: &bounds };
        self.model.must_have_survived(&self.engine)?;
        self.auditor.restart(life)?;
        let (durable, groups, engine) = (&self.engine.durable, &self.groups, &self.engine);
        self.model.must_be_in_order(engine)?;
        self.model.commits_are(|group: usize, log| durable.committed(&groups[group].1, log));
        let committed = |group: usize, log| match durable.groups.get(&groups[group].1) {
            Some(record) => record
                .offsets
                .get(&log)
                .map_or(NOTHING, |offset| what_is_committed(*offset, record.metadata.get(&log).map(|text| &text[..]))),
            None => NOTHING,
        };
        self.model.histories_restart(|log| engine.end(log), committed)?;

        self.core = recovery.finish(self.boot, at, &bounds);
        if self.twin.is_some() || self.recording.is_some() {
            let snapshot = self.engine.durable.clone();
            let restart = Life { boot: self.boot, through, snapshot, bounds };
            if let Some(recording) = &mut self.recording {
                recording.lines.push_str(&recording.recorder.restart(at, restart.clone()));
                recording.lines.push('\n');
            }
            self.twin = self.twin.is_some().then(|| Restart { n: 0, at, restart }.core(config));
        }
        #[cfg(feature = "planted")]
        self.plant_cores();
        self.event(Event::Tick)?;
        if self.front.is_some() {
            self.teach(Side::Front)?;
            self.teach(Side::Cell)?;
        }
        if self.word.one_in(2) {
            self.tell_date()?;
        }
        self.must_be_made_of_facts()
    }

    fn cover_crash(&mut self) {
        if self.engine.waiting_facts().next().is_some() && self.open.iter().any(|a| self.core.waits_for_facts(a.id)) {
            self.cover(Rare::CrashBetweenFactAndReply);
        }
        if self.core.parked_polls() > 0 {
            self.cover(Rare::CrashUnderParkedPoll);
        }
        if !self.engine.unsaid.is_empty() {
            self.cover(Rare::CrashBeforeReport);
        }
        if self.engine.durable.consumers.values().any(|consumer| consumer.open.is_some()) {
            self.cover(Rare::CrashWithOpenBatch);
        }
        if self.engine.is_looking_up() {
            self.cover(Rare::CrashDuringLookup);
        }
        if self.draining {
            self.cover(Rare::CrashWhileDraining);
        }
    }
}
