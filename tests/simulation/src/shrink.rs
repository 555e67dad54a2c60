//! Shrinking: the smallest run that still breaks the same oracle.
//!
//! Words are taken out, in ever smaller pieces (delta debugging, Zeller and Hildebrandt 2002); options are made
//! simpler; and the choices of each word that is left are set to zero, which is always the simplest one.

use crate::{
    oracle::Oracle,
    simulation::Simulation,
    tape::{Tape, Word},
};

/// Runs that are tried at most.
const MAX_TRIES: u32 = 20_000;

/// Makes a run that breaks an oracle smaller.
pub fn shrink(simulation: &Simulation, tape: Tape, oracle: Oracle) -> (Simulation, Tape) {
    let mut best = Shrink { simulation: simulation.clone(), tape, oracle, tries: 0 };
    loop {
        let before = (best.tape.clone(), best.simulation.options.clone());
        best.fewer_words();
        best.simpler_options();
        best.simpler_words();
        if best.tries >= MAX_TRIES || before == (best.tape.clone(), best.simulation.options.clone()) {
            return (best.simulation, best.tape);
        }
    }
}

struct Shrink {
    simulation: Simulation,
    tape: Tape,
    oracle: Oracle,
    tries: u32,
}

impl Shrink {
    /// Takes a tape if it breaks the same oracle; what comes after that point is of no use.
    fn take(&mut self, mut tape: Tape) -> bool {
        let Some(steps) = self.broken_after(&self.simulation.clone(), &tape) else { return false };
        tape.0.truncate(steps);
        self.tape = tape;
        true
    }

    fn broken_after(&mut self, simulation: &Simulation, tape: &Tape) -> Option<usize> {
        if self.tries >= MAX_TRIES {
            return None;
        }
        self.tries += 1;
        let report = simulation.run_tape(tape);
        let same = report.violation.is_some_and(|violation| violation.oracle == self.oracle);
        same.then(|| usize::try_from(report.steps).unwrap_or(usize::MAX))
    }

    fn fewer_words(&mut self) {
        let mut size = self.tape.0.len().next_power_of_two() / 2;
        while size > 0 {
            // From the end, so that what is left out stays out of the way of what is to come.
            let mut end = self.tape.0.len();
            while end > 0 {
                let from = end.saturating_sub(size);
                let mut fewer = self.tape.clone();
                fewer.0.drain(from..end.min(fewer.0.len()));
                self.take(fewer);
                end = from.min(self.tape.0.len());
            }
            size /= 2;
        }
    }

    fn simpler_options(&mut self) {
        for options in self.simulation.options.simpler() {
            let mut simpler = self.simulation.clone();
            simpler.options = options;
            if let Some(steps) = self.broken_after(&simpler, &self.tape.clone()) {
                self.tape.0.truncate(steps);
                self.simulation = simpler;
                return;
            }
        }
    }

    fn simpler_words(&mut self) {
        for at in 0..self.tape.0.len() {
            for choice in 1..Word::CHOICES {
                let Some(word) = self.tape.0.get(at).copied() else { return };
                let zeroed = word & !(0xFFFF << (Word::CHOICE_BITS * (Word::CHOICES - 1 - choice)));
                if zeroed != word {
                    let mut simpler = self.tape.clone();
                    simpler.0[at] = zeroed;
                    self.take(simpler);
                }
            }
        }
    }
}
