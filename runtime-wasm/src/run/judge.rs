//! The judge: looks at each row once it has happened. Are the core's promises kept, and is it what was recorded?

use takhin_core::{
    Command, Config, Core,
    digest::Digest,
    trace::{Header, Line, Step},
};
use takhin_simulation::{
    Violation,
    auditor::{Auditor, NewLife},
};

use super::words;
use crate::{
    machine::Source,
    observer::flag,
    world::{Happened, What},
};

/// Cores up to this size are checked after each step, greater ones after every 64th.
const SMALL: usize = 1_000;

/// The first step of a trace that is not what was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Divergence {
    pub(crate) row: u32,
    pub(crate) recorded: Vec<Command>,
    pub(crate) actual: Vec<Command>,
}

/// What it has found, and what it needs to go on.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    /// Who watches over the promises; a trace that begins in the midst of a life is checked from inside only.
    auditor: Option<Auditor>,
    /// Of all that the core did.
    pub(crate) digest: Digest,
    /// Of all that was recorded, for a trace.
    pub(crate) expected: Option<Digest>,
    pub(crate) divergence: Option<Divergence>,
    /// Rows in which a promise was broken, and which, in words.
    pub(crate) violations: Vec<(u32, String)>,
}

impl Judge {
    pub(crate) fn new(source: &Source) -> Self {
        let expected = matches!(source, Source::Trace(_)).then(Digest::default);
        let digest = Digest::default();
        Self { auditor: auditor(source), digest, expected, divergence: None, violations: Vec::new() }
    }

    /// Looks at a row; `core` is as it is after it. Gives the flags that the row gets.
    pub(crate) fn see(&mut self, row: u32, happened: &Happened, core: &Core, source: &Source) -> u32 {
        let mut flags = 0;
        let mut broken = self.audit(happened, core);
        if core.size() <= SMALL || row.is_multiple_of(64) {
            broken = broken.or_else(|| core.check().err().map(|broken| Violation::of_core(&broken)));
        }
        if let Some(broken) = broken {
            flags |= flag::VIOLATED;
            self.violations.push((row, words::of(&broken, core.durable())));
        }
        if self.differs(row, happened, source) {
            flags |= flag::DIVERGED;
        }
        flags
    }

    fn audit(&mut self, happened: &Happened, core: &Core) -> Option<Violation> {
        let verdict = match &happened.what {
            What::Input { .. } => Ok(()),
            What::Restart(restart) => {
                self.digest.restart(restart);
                let life = NewLife {
                    boot: restart.restart.boot,
                    at: restart.at,
                    durable: &restart.restart.snapshot,
                    through: restart.restart.through,
                    bounds: &restart.restart.bounds,
                };
                self.auditor.as_mut().map_or(Ok(()), |auditor| auditor.restart(life))
            }
            What::Step { event, commands } => {
                self.digest.step(commands);
                let seen = self.auditor.as_mut().map_or(Ok(()), |auditor| auditor.event(core.now(), event));
                let done = self.auditor.as_mut().map_or(Ok(()), |auditor| auditor.commands(commands));
                seen.and(done)
            }
        };
        verdict.err()
    }

    /// Whether a row of a trace is the first that is not what was recorded.
    fn differs(&mut self, row: u32, happened: &Happened, source: &Source) -> bool {
        let (Source::Trace(trace), Some(expected)) = (source, &mut self.expected) else { return false };
        let Some(line) = trace.line(row as usize) else { return false };
        expected.line(&line);
        let (Line::Step(Step { commands: recorded, .. }), What::Step { commands, .. }) = (line, &happened.what) else {
            return false;
        };
        if self.divergence.is_some() || recorded == *commands {
            return false;
        }
        self.divergence = Some(Divergence { row, recorded, actual: commands.clone() });
        true
    }
}

fn auditor(source: &Source) -> Option<Auditor> {
    let Source::Trace(trace) = source else { return Some(Auditor::new(Config::default())) };
    let Header { config, boot, start, state, .. } = &trace.header;
    if state.is_some() {
        return None;
    }
    let mut auditor = Auditor::new(config.clone());
    if let Some(start) = start {
        let life = NewLife {
            boot: *boot,
            at: start.at,
            durable: &start.snapshot,
            through: start.through,
            bounds: &start.bounds,
        };
        auditor.restart(life).ok()?;
    }
    Some(auditor)
}
