//! Lines for a file or a pipe, written by a thread of their own.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

use super::access_log::AccessLogTo;

/// Lines that may wait to be written; one more is lost.
const MAX_WAITING: usize = 10_000;

/// So much is written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// How long to wait for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes lines, and never waits.
#[derive(Debug)]
pub(super) struct Lines {
    sender: SyncSender<Word>,
    lost: Counter,
    reopen: Arc<AtomicBool>,
}

enum Word {
    Line(String),
    /// Tell when all before this is written.
    Flush(SyncSender<()>),
}

impl Lines {
    pub(super) fn start(to: AccessLogTo) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(MAX_WAITING);
        let (lost, reopen) = (Counter::default(), Arc::new(AtomicBool::new(false)));
        let scribe = Scribe { output: open(&to)?, to, lost: lost.clone(), reopen: Arc::clone(&reopen), failing: false };
        thread::Builder::new().name("takhin-access-log".to_owned()).spawn(move || scribe.run(&receiver))?;
        Ok(Self { sender, lost, reopen })
    }

    pub(super) fn write(&self, line: String) {
        if self.sender.try_send(Word::Line(line)).is_err() {
            self.lost.inc();
        }
    }

    /// How many lines were lost.
    pub(super) fn lost(&self) -> &Counter {
        &self.lost
    }

    /// What is written from now on goes to a file that is opened anew.
    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Waits until all is written, but not for an output that takes nothing.
    pub(super) fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.sender.try_send(Word::Flush(done)).is_ok() && wait.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("the access log takes no lines; its last ones are lost");
        }
    }
}

fn open(to: &AccessLogTo) -> io::Result<Box<dyn Write + Send>> {
    let append = |path: &Path| File::options().create(true).append(true).open(path);
    Ok(match to {
        AccessLogTo::Stdout => Box::new(io::stdout()),
        AccessLogTo::Stderr => Box::new(io::stderr()),
        AccessLogTo::File(path) => Box::new(append(path)?),
    })
}

/// Who writes.
struct Scribe {
    to: AccessLogTo,
    output: Box<dyn Write + Send>,
    lost: Counter,
    reopen: Arc<AtomicBool>,
    /// Whether the last attempt to write failed.
    failing: bool,
}

impl Scribe {
    /// Until nobody can say anything any more.
    fn run(mut self, receiver: &Receiver<Word>) {
        while let Ok(word) = receiver.recv() {
            let (mut text, mut lines, mut flush) = (String::new(), 0, None);
            let mut next = Some(word);
            while let Some(word) = next {
                match word {
                    Word::Line(line) => {
                        text += &line;
                        lines += 1;
                    }
                    Word::Flush(done) => flush = Some(done),
                }
                next = if text.len() < CHUNK_BYTES && flush.is_none() { receiver.try_recv().ok() } else { None };
            }
            self.write(&text, lines);
            if let Some(done) = flush {
                // Who no longer waits has given up.
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self, text: &str, lines: u64) {
        if self.reopen.swap(false, Ordering::Relaxed) {
            match open(&self.to) {
                Ok(output) => self.output = output,
                Err(error) => tracing::error!(%error, "the access log can't be opened anew, and goes on where it was"),
            }
        }
        let written = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
        if let Err(error) = &written {
            self.lost.inc_by(lines);
            if !self.failing {
                tracing::error!(%error, "the access log can't be written; its lines are lost");
            }
        }
        self.failing = written.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_go_to_the_file_that_has_the_name_since_it_was_opened_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, aside) = (directory.path().join("log"), directory.path().join("log.1"));
        let lines = Lines::start(AccessLogTo::File(path.clone())).expect("it can be opened");
        lines.write("one\n".to_owned());
        lines.flush();
        fs::rename(&path, &aside).expect("renamed");
        lines.write("two\n".to_owned());
        lines.flush();
        lines.reopen();
        lines.write("three\n".to_owned());
        lines.flush();
        let read = |path| fs::read_to_string(path).expect("a file");
        assert_eq!((read(&aside), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
        assert_eq!(lines.lost().get(), 0);
    }

    #[test]
    fn what_can_not_be_written_in_time_is_lost_and_counted() {
        // Nobody reads from this pipe, so the thread hangs in its first writes.
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
        assert!(made.success());
        let _reader = File::options().read(true).write(true).open(&path).expect("a pipe");
        let lines = Lines::start(AccessLogTo::File(path)).expect("it can be opened");
        let line = "x".repeat(99) + "\n";
        let mut written = 0_u64;
        while lines.lost().get() < 100 {
            lines.write(line.clone());
            written += 1;
        }
        assert!(written <= 3 * MAX_WAITING as u64, "what waits is bounded: {written}");
    }
}
