//! A recording: every step of the core from the start on, written to a file as a trace.
//!
//! Steps are encoded and written by a thread of their own. When it falls behind by [`WAITING`] steps, the broker waits
//! for it: a recording has no gaps. If the file can't be written, the recording ends, and the broker goes on.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use takhin_core::{
    Command, Core, Event, Timestamp,
    trace::{Header, Recorder},
};

/// How many steps may wait to be written.
const WAITING: usize = 64 << 10;

/// Where steps go.
#[derive(Debug)]
pub(crate) struct Recording {
    steps: SyncSender<Step>,
    thread: JoinHandle<()>,
}

struct Step {
    at: Timestamp,
    event: Event,
    commands: Vec<Command>,
}

impl Recording {
    /// Begins a recording with a core that has not taken a step yet, in a file that is made or emptied.
    pub(super) fn start(path: &Path, core: Core) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let (recorder, header) = Recorder::start(&Header::of(core));
        writeln!(file, "{header}")?;
        let (steps, received) = sync_channel(WAITING);
        let path = path.to_owned();
        let thread = thread::Builder::new().name("takhin-record".to_owned()).spawn(move || {
            if let Err(error) = write(file, recorder, &received) {
                tracing::error!(path = %path.display(), %error, "the recording ends here");
            }
        })?;
        Ok(Self { steps, thread })
    }

    /// Takes a step in. False once the recording has ended.
    pub(super) fn step(&self, at: Timestamp, event: Event, commands: Vec<Command>) -> bool {
        self.steps.send(Step { at, event, commands }).is_ok()
    }

    /// Ends with everything written.
    pub(super) fn end(self) {
        drop(self.steps);
        if self.thread.join().is_err() {
            tracing::error!("the recording broke off");
        }
    }
}

fn write(mut file: BufWriter<File>, mut recorder: Recorder, steps: &Receiver<Step>) -> io::Result<()> {
    for Step { at, event, commands } in steps {
        writeln!(file, "{}", recorder.step(at, event, commands))?;
    }
    file.flush()
}
