//! Traces under the eyes of the auditor: replayed as they are, or recorded again from their events.

use takhin_core::{
    Command, Durable, Event, FactSeq,
    trace::{self, Header, Life, Line, Recorder, Restart, TraceError},
};

use crate::{
    auditor::{Auditor, NewLife},
    oracle::Violation,
};

/// Replays a trace under the eyes of the auditor and of [`Core::check`](takhin_core::Core::check): the commands must
/// be those recorded, and no oracle that these can judge may be broken. Gives the number of steps.
///
/// # Errors
/// The trace can't be read, or the first step that differs, or the first broken promise.
pub fn replay(text: &str) -> Result<u64, ReplayError> {
    let (header, lines) = trace::read(text)?;
    let (mut core, mut auditor) = (header.core(), auditor(&header)?);
    let (mut commands, mut count) = (Vec::new(), 0);
    for line in lines {
        count += 1;
        match line? {
            Line::Restart(restart) => {
                auditor.restart(life(&restart))?;
                core = restart.core(header.config.clone());
            }
            Line::Step(step) => {
                auditor.event(step.at, &step.event)?;
                commands.clear();
                core.step(step.at, step.event, &mut commands);
                if commands != step.commands {
                    return Err(TraceError::diverged(step.n, &step.commands, &commands).into());
                }
                auditor.commands(&commands)?;
                core.check().map_err(|broken| Violation::of_core(&broken))?;
            }
        }
    }
    Ok(count)
}

/// Records a trace again: the same events, and what the core makes of them now. A restart keeps what the core itself
/// decided, as far as the recorded one did.
///
/// # Errors
/// The trace can't be read.
pub fn record_again(text: &str) -> Result<String, TraceError> {
    let (header, lines) = trace::read(text)?;
    let mut core = header.core();
    let (mut recorder, mut again) = Recorder::start(&header);
    let mut kept = Kept::new(&header);
    for line in lines {
        again.push('\n');
        match line? {
            Line::Restart(Restart { n, at, restart: Life { boot, through, bounds, .. } }) => {
                let (snapshot, through) = kept.restart(through);
                let restart = Life { boot, through, snapshot, bounds };
                again.push_str(&recorder.restart(at, restart.clone()));
                core = Restart { n, at, restart }.core(header.config.clone());
            }
            Line::Step(step) => {
                let mut commands = Vec::new();
                core.step(step.at, step.event.clone(), &mut commands);
                kept.step(&step.event, &commands);
                again.push_str(&recorder.step(step.at, step.event, commands));
            }
        }
    }
    again.push('\n');
    Ok(again)
}

fn auditor(header: &Header) -> Result<Auditor, Violation> {
    let mut auditor = Auditor::new(header.config.clone());
    if let Some(trace::Start { at, through, snapshot, bounds }) = &header.start {
        let life = NewLife { boot: header.boot, at: *at, durable: snapshot, through: *through, bounds };
        auditor.restart(life)?;
    }
    Ok(auditor)
}

fn life(restart: &Restart) -> NewLife<'_> {
    let Life { boot, through, snapshot, bounds } = &restart.restart;
    NewLife { boot: *boot, at: restart.at, durable: snapshot, through: *through, bounds }
}

/// The facts that a restart may find.
struct Kept {
    base: Durable,
    facts: Vec<(FactSeq, takhin_core::Fact)>,
    persisted: FactSeq,
    ended_remembered: u32,
}

impl Kept {
    fn new(header: &Header) -> Self {
        let start = header.start.as_ref();
        Self {
            base: start.map(|start| start.snapshot.clone()).unwrap_or_default(),
            facts: Vec::new(),
            persisted: start.map(|start| start.through).unwrap_or_default(),
            ended_remembered: header.config.max_ended_remembered,
        }
    }

    fn step(&mut self, event: &Event, commands: &[Command]) {
        for command in commands {
            if let Command::Persist { first, facts } = command {
                self.facts.extend((first.0..).map(FactSeq).zip(facts.iter().cloned()));
            }
        }
        let decided = self.facts.last().map_or(self.persisted, |(seq, _)| *seq);
        if let Event::Persisted { through } = event {
            self.persisted = self.persisted.max((*through).min(decided));
        }
    }

    fn restart(&mut self, through: FactSeq) -> (Durable, FactSeq) {
        let through = through.max(self.persisted);
        for (seq, fact) in self.facts.drain(..).take_while(|(seq, _)| *seq <= through) {
            self.base.apply(&fact, self.ended_remembered);
            self.persisted = self.persisted.max(seq);
        }
        (self.base.clone(), self.persisted)
    }
}

/// Why a trace was not replayed to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// It can't be read, or a step differs.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A promise is broken.
    #[error(transparent)]
    Violation(#[from] Violation),
}
