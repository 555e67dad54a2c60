//! Taking a backup of a broker that goes on.

use std::io::{self, Write};

use takhin_core::{FactSeq, durable::Durable};
use tokio::sync::oneshot;

use super::{Driver, snapshot, state::Mail};
use crate::engine::{
    WriteOp,
    local::backup::{ArchiveError, Held, HeldState, Sum},
};

/// The broker as it was at one moment, held until this is dropped.
#[derive(Debug)]
pub struct Backup {
    held: Held,
    through: FactSeq,
    state: Durable,
    boot: u32,
}

/// Why no backup could be begun.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The broker has stopped.
    #[error("the broker is stopping")]
    Stopping,
    /// Everything is in Kafka, which has means of its own.
    #[error("a backup can't be had with this engine")]
    Unsupported,
    /// The logs could not be held.
    #[error("the logs could not be held: {0}")]
    Hold(io::Error),
}

impl Driver {
    /// Holds the broker as it is at this moment: what was acknowledged before is in it, and no offset in it is beyond its
    /// records. What is held takes no memory, but the disk space of what is deleted meanwhile. One at a time.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub async fn hold(&self) -> Result<Backup, BackupError> {
        let (reply, held) = oneshot::channel();
        let (mut mail, through, state, boot) = {
            let state = self.lock();
            let mut mail = Mail::default();
            // In one step: logs only grow, so they reach at least as far as anything that the state says of them.
            state.submit(WriteOp::Hold { reply }, &mut mail);
            (mail, state.core.decided(), state.core.snapshot(), state.core.boot().0)
        };
        mail.unwritten = true;
        self.deliver(mail, false);
        let mut held = held.await.map_err(|_| BackupError::Stopping)?.map_err(BackupError::Hold)?;
        // Logs of topics that were deleted before, and are still on their way out.
        held.retain(|topic| state.topics.contains_key(&topic));
        Ok(Backup { held, through, state, boot })
    }
}

impl Backup {
    /// Writes it. Waits for the disk.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn write(self, taken_at_ms: i64, to: impl Write) -> Result<Sum, ArchiveError> {
        let Self { held, through, state, boot } = self;
        let state = HeldState { through, state: snapshot::encode(through, &state), boot, taken_at_ms };
        held.write_archive(state, to)
    }
}
