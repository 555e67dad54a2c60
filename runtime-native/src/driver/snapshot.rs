//! The broker's own state as an engine keeps it.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use takhin_core::{FactSeq, durable::Durable};

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Snapshot<S> {
    format: u32,
    through: FactSeq,
    state: S,
}

/// Why a snapshot can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is of a newer format.
    #[error("the snapshot has format {0}, and this version reads format {FORMAT}")]
    Format(u32),
    /// It was not written by a version that this one can follow.
    #[error("the snapshot can't be read by this version: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// A state that has in it all facts up to and with `through`.
pub(crate) fn encode(through: FactSeq, state: &Durable) -> Vec<u8> {
    let snapshot = Snapshot { format: FORMAT, through, state };
    serde_json::to_vec(&snapshot).expect("a snapshot is plain data")
}

/// The state, and the last fact in it.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Durable, FactSeq), SnapshotError> {
    let probe: Snapshot<IgnoredAny> = serde_json::from_slice(bytes)?;
    if probe.format != FORMAT {
        return Err(SnapshotError::Format(probe.format));
    }
    let snapshot: Snapshot<Durable> = serde_json::from_slice(bytes)?;
    Ok((snapshot.state, snapshot.through))
}
