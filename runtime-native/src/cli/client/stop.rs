//! When a command that goes on for ever shall end: at Ctrl-C, at SIGTERM, and when nobody reads its output any more.

use std::{io, os::fd::AsFd as _};

use tokio::{
    io::Interest,
    net::unix::pipe::Sender,
    signal::unix::{Signal, SignalKind, signal},
};

use super::failure::Failure;

pub(in crate::cli) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Where the output is a pipe or a terminal; a file has no end that could be closed.
    output: Option<Sender>,
}

impl Stop {
    /// At a signal.
    pub(in crate::cli) fn at_signals() -> Result<Self, Failure> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, output: None })
    }

    /// At a signal, and when nobody reads stdout any more: `takhin consume … | head` then ends with `head`, and not with
    /// the next record.
    pub(super) fn with_output() -> Result<Self, Failure> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        // Not to be written to through this: it stays as it is, and is only looked at.
        let output = Sender::from_owned_fd_unchecked(stdout).ok();
        Ok(Self { output, ..Self::at_signals()? })
    }

    /// Returns once the command shall end. May be dropped and asked again.
    pub(in crate::cli) async fn wanted(&mut self) {
        let output = &self.output;
        let closed = async {
            match output {
                Some(output) if output.ready(Interest::ERROR).await.is_ok() => {}
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = closed => {}
        }
    }
}
