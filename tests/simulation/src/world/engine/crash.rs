//! What is left of an engine after a crash, and what a new broker is made from.

use std::collections::BTreeSet;

use takhin_core::{Command, Durable, FactSeq, LogId, Recovery, StorageState, TopicId};

use super::{Engine, Lane, Mishap};
use crate::{
    coverage::{Coverage, Rare},
    tape::Word,
};

/// Facts that a recovery without a snapshot applies at most.
const FACTS_TO_REPLAY: u64 = 512;

impl Engine {
    /// What a recovery without a snapshot begins from. It follows the facts, as the snapshots of a storage engine do, so
    /// that a run that starts over and over again does not take ever longer to do so.
    pub(crate) fn base(&mut self) -> (Durable, FactSeq) {
        if self.facts().0 > self.base.1.0 + FACTS_TO_REPLAY {
            self.base = (self.durable.clone(), self.facts());
        }
        self.base.clone()
    }

    /// How many facts are durable.
    pub(crate) fn facts(&self) -> FactSeq {
        FactSeq(self.memory.facts().len() as u64)
    }

    /// The facts decided that are not durable, in order.
    pub(crate) fn waiting_facts(&self) -> impl Iterator<Item = &takhin_core::Fact> {
        let lane = self.lanes.iter().find(|(lane, _)| *lane == Lane::Facts);
        lane.into_iter().flat_map(|(_, queue)| queue).flat_map(|command| match command {
            Command::Persist { facts, .. } => &facts[..],
            _ => &[],
        })
    }

    /// The broker dies. Of what waits some is done, a first part in each lane; what was not said never is.
    pub(crate) fn crash(&mut self, word: &mut Word, keeps_all: bool, coverage: &mut Coverage) {
        for (lane, queue) in std::mem::take(&mut self.lanes) {
            let mut kept = if keeps_all { queue.len() } else { word.index(queue.len() + 1) };
            if lane == Lane::Facts {
                kept = queue.len();
            }
            for mut command in queue.into_iter().take(kept) {
                let mut all = true;
                if let Command::Persist { facts, .. } = &mut command {
                    let kept = if keeps_all { facts.len() } else { word.index(facts.len() + 1) };
                    all = kept == facts.len();
                    facts.truncate(kept);
                    if kept == 0 {
                        break;
                    }
                }
                self.finish(&command);
                if !all {
                    coverage.reached(Rare::CrashLosesDecisions);
                    break;
                }
            }
        }
        let uncertain = std::mem::take(&mut self.uncertain);
        let kept = word.index(uncertain.len() + 1);
        if kept < uncertain.len() {
            coverage.reached(Rare::UncertainAppendLost);
        }
        for command in uncertain.iter().take(kept) {
            coverage.reached(Rare::UncertainAppendSurvives);
            self.finish(command);
        }
        #[cfg(feature = "planted")]
        for (log, records) in &mut self.records {
            self.planted.crash(*log, records, &mut self.memory);
        }
        self.unsaid.clear();
        self.said = None;
        self.state = StorageState::Ok;
    }

    /// Does what nobody will hear of.
    fn finish(&mut self, command: &Command) {
        match command {
            Command::Append { id, log, .. } if self.records.contains_key(log) => drop(self.append(command, *id, *log)),
            Command::Persist { .. } => drop(self.persist(command)),
            _ => {}
        }
    }

    /// Hands the durable facts to a recovery, and makes the logs be what it says.
    pub(crate) fn recover(&mut self, recovery: &mut Recovery) {
        // The first fact is number 1.
        let known = usize::try_from(recovery.through().0).unwrap_or(usize::MAX);
        for (seq, fact) in self.memory.facts().iter().skip(known) {
            recovery.apply(*seq, fact);
        }
        if self.kafka.is_some() {
            return;
        }
        let mut gone: BTreeSet<TopicId> = self.records.keys().map(|log| log.topic).collect();
        for spec in recovery.logs() {
            let (topic, partitions) = (spec.topic, spec.partitions);
            gone.remove(&topic);
            let lacks = |partition: &u32| !self.records.contains_key(&LogId { topic, partition: *partition });
            if let Some(first) = (0..partitions).find(lacks) {
                self.execute(Command::CreateLogs { topic, name: spec.name, first, partitions }, Mishap::None);
            }
        }
        for topic in gone {
            self.forget(topic);
        }
    }
}
