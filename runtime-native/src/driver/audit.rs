//! The audit: the simulator's auditor, watching the broker as it serves.
//!
//! ```text
//!   event ---> Audit::event ---> core ---> commands ---> Audit::commands ---> fine
//!                                                                        '--> a promise is broken: said, counted,
//!                                                                             and the last steps put into a file
//! ```
//!
//! It judges and decides nothing. Once a promise is broken, what was known before is of no use any more, and so the audit
//! ends there until the next start; the broker goes on. The file holds names, sizes and offsets, and no key or value.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use takhin_core::{Command, Event, Timestamp};
use takhin_simulation::{
    Violation,
    auditor::{Auditor, NewLife},
};

use super::Flight;

/// Where the traces of violations are put, in the data directory.
const DIRECTORY: &str = "violations";

/// The auditor, as long as it has found nothing.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Gone once a promise was broken.
    auditor: Option<Box<Auditor>>,
    broken: Option<Violation>,
    directory: PathBuf,
}

/// A broken promise, to be written down.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) violation: Violation,
    directory: PathBuf,
}

impl Audit {
    /// Begins with a core that was just made of `life` and has taken no step yet.
    pub(crate) fn start(config: takhin_core::Config, life: NewLife<'_>, data_dir: &Path) -> Self {
        let mut auditor = Auditor::new(config);
        let broken = auditor.restart(life).err();
        let auditor = broken.is_none().then(|| Box::new(auditor));
        Self { auditor, broken, directory: data_dir.join(DIRECTORY) }
    }

    /// The core is about to be given an event.
    pub(super) fn event(&mut self, now: Timestamp, event: &Event) {
        if let Some(Err(violation)) = self.auditor.as_mut().map(|auditor| auditor.event(now, event)) {
            self.broken = Some(violation);
        }
    }

    /// What the core made of it. Gives what is broken, once.
    pub(super) fn commands(&mut self, commands: &[Command]) -> Option<Finding> {
        let auditor = self.auditor.as_mut()?;
        if let Err(violation) = auditor.commands(commands) {
            self.broken.get_or_insert(violation);
        }
        let violation = self.broken.clone()?;
        self.auditor = None;
        Some(Finding { violation, directory: self.directory.clone() })
    }

    /// What was found to be broken.
    pub(super) fn broken(&self) -> Option<&Violation> {
        self.broken.as_ref()
    }
}

impl Finding {
    /// Puts the last steps into a file of their own. Takes as long as it takes to take them again.
    pub(super) fn keep(&self, flight: &Flight) {
        if flight.steps() == 0 {
            tracing::error!("there is no trace of it, as the flight recorder is off");
            return;
        }
        match self.write(flight) {
            Ok(path) => tracing::error!(path = %path.display(), "see `takhin replay` for the steps that led there"),
            Err(error) => tracing::error!(%error, "the trace of it can't be written"),
        }
    }

    fn write(&self, flight: &Flight) -> io::Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-oracle-{}.jsonl", now.as_millis(), self.violation.oracle.number());
        fs::create_dir_all(&self.directory)?;
        let path = self.directory.join(name);
        fs::write(&path, flight.trace(usize::MAX))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use takhin_core::{Boot, Config, Core, Durable, FactSeq, Refusal, RequestId, Response, trace::replay};

    use super::*;
    use crate::driver::flight::FlightRecorder;

    fn audit(data_dir: &Path) -> Audit {
        let (durable, bounds) = (Durable::default(), BTreeMap::new());
        let life = NewLife { boot: Boot(0), at: Timestamp(0), durable: &durable, through: FactSeq(0), bounds: &bounds };
        Audit::start(Config::default(), life, data_dir)
    }

    #[test]
    fn the_first_broken_promise_is_found_and_its_steps_are_kept() {
        let data_dir = tempfile::tempdir().expect("a directory");
        let (mut audit, mut core) = (audit(data_dir.path()), Core::new(Config::default(), Boot(0)));
        let mut recorder = FlightRecorder::new(100);
        let event = Event::Request { id: RequestId(1), request: takhin_core::Request::ListTopics };
        recorder.step(&core, Timestamp(1), &event);
        audit.event(Timestamp(1), &event);
        let mut commands = Vec::new();
        core.step(Timestamp(1), event, &mut commands);
        assert!(audit.commands(&commands).is_none() && audit.broken().is_none());

        let nobody =
            Command::Reply { request: RequestId(1), response: Ok::<Response, Refusal>(Response::Groups(vec![])) };
        let found = audit.commands(&[nobody]).expect("a second answer");
        assert_eq!(found.violation.oracle.number(), 8);
        assert!(audit.broken().is_some() && audit.commands(&[]).is_none(), "it ends there");
        found.keep(&recorder.so_far());
        let files: Vec<_> = fs::read_dir(data_dir.path().join(DIRECTORY)).expect("a directory").collect();
        let [Ok(file)] = &files[..] else { panic!("{files:?}") };
        let trace = fs::read_to_string(file.path()).expect("a trace");
        assert_eq!(replay(&trace).expect("a trace that replays").1, 1);
    }
}
