//! A program that runs beside the test, and what it prints.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// How long a program may take to end.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// Starts `command`. What it prints, to stdout and to stderr, is appended to the file `log`.
    ///
    /// # Errors
    /// The program could not be started, or the file not be opened.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that has been printed to its log so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(|error| error.to_string(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Ends it as a power cut would: with SIGKILL, which it can't notice. Returns once it is gone.
    pub fn kill9(mut self) -> ExitStatus {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for")
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
        }
    }

    /// Asks it to end, with SIGTERM, and returns how it did.
    ///
    /// # Panics
    /// It has not ended after [`Self::PATIENCE`].
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it ends by itself, for as long as that takes, and returns how it did.
    pub fn ends(mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself, and returns how it did.
    ///
    /// # Panics
    /// It has not ended after [`Self::PATIENCE`].
    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + Self::PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {:?}:\n{}", Self::PATIENCE, self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
