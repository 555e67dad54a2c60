//! How a snapshot is written: in chunks that are small enough for any broker, each with a line of JSON at its head.
//!
//! ```text
//!   {"v":1,"cell":3,"snapshot":"..","next":812,"through":9000,"chunk":0,"of":6,"crc32c":..,"replay":{..}}\n  900,000 bytes
//!   {"v":1,"cell":3,"snapshot":"..","next":812,"through":9000,"chunk":1,"of":6,"crc32c":..}\n               900,000 bytes
//! ```
//!
//! A snapshot counts when all of its chunks are there and sound, and its bytes are as many as they were. Of those that do,
//! the one counts that goes furthest.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use takhin_core::{
    FactSeq,
    cell::{CellOffset, Replay},
};
use uuid::Uuid;

const VERSION: u32 = 1;
/// Bytes of state in a chunk. With its head it stays below the million that brokers take unless they are told otherwise.
pub(super) const CHUNK_BYTES: usize = 900_000;

/// A snapshot of a cell: the state that its host made of all facts up to one, and where that is in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The first entry that isn't in it.
    pub(super) next: CellOffset,
    /// Where the replay of all before stands.
    pub(super) replay: Replay,
    pub(super) state: Arc<Vec<u8>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    v: u32,
    cell: u32,
    /// Which snapshot: one that is written again, of the same place even, is another.
    snapshot: Uuid,
    next: CellOffset,
    through: FactSeq,
    chunk: u32,
    of: u32,
    /// Of this chunk's state.
    crc32c: u32,
    /// With the first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay: Option<Replay>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// The chunks of a snapshot, one after the other. An empty state has one, too.
pub(super) fn chunks(cell: u32, id: Uuid, snapshot: &Snapshot) -> impl Iterator<Item = Vec<u8>> {
    let of = snapshot.state.len().div_ceil(CHUNK_BYTES).max(1);
    (0..of).map(move |chunk| {
        let state = &snapshot.state[chunk * CHUNK_BYTES..snapshot.state.len().min((chunk + 1) * CHUNK_BYTES)];
        let head = Head {
            v: VERSION,
            cell,
            snapshot: id,
            next: snapshot.next,
            through: snapshot.replay.through(),
            chunk: u32::try_from(chunk).unwrap_or(u32::MAX),
            of: u32::try_from(of).unwrap_or(u32::MAX),
            crc32c: crc32c::crc32c(state),
            replay: (chunk == 0).then(|| snapshot.replay.clone()),
        };
        let mut bytes = serde_json::to_vec(&head).expect("a head can be written");
        bytes.push(b'\n');
        bytes.extend_from_slice(state);
        bytes
    })
}

/// A snapshot that was read whole.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) id: Uuid,
    pub(super) snapshot: Snapshot,
}

/// Puts the chunks of a cell's snapshots together. They come in the order in which they lie.
#[derive(Debug)]
pub(super) struct Assembly {
    cell: u32,
    parts: BTreeMap<Uuid, Part>,
    latest: Option<Read>,
    complete: Vec<Complete>,
    /// What can't be used, each with why.
    broken: Vec<String>,
}

/// A snapshot of which all is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Complete {
    /// The first entry that isn't in it.
    pub(super) next: CellOffset,
    /// Where its first chunk lies in the topic of the snapshots.
    pub(super) at: i64,
    pub(super) id: Uuid,
}

#[derive(Debug)]
struct Part {
    at: i64,
    next: CellOffset,
    replay: Replay,
    of: u32,
    chunks: u32,
    state: Vec<u8>,
}

impl Assembly {
    pub(super) fn new(cell: u32) -> Self {
        Self { cell, parts: BTreeMap::new(), latest: None, complete: Vec::new(), broken: Vec::new() }
    }

    /// Takes the next chunk, which lies at an offset.
    pub(super) fn take(&mut self, at: i64, bytes: &[u8]) {
        if let Err(why) = self.add(at, bytes) {
            self.broken.push(format!("the chunk at offset {at}: {why}"));
        }
    }

    fn add(&mut self, at: i64, bytes: &[u8]) -> Result<(), String> {
        let end = memchr::memchr(b'\n', bytes).ok_or("it has no line of JSON at its head")?;
        let (head, state) = (&bytes[..end], &bytes[end + 1..]);
        let Version { v } = serde_json::from_slice(head).map_err(|error| error.to_string())?;
        if v != VERSION {
            return Err(format!("it is of version {v}, which is not known here"));
        }
        let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
        let id = head.snapshot;
        if head.cell != self.cell {
            return Err(format!("it is of the cell {}", head.cell));
        }
        if head.crc32c != crc32c::crc32c(state) {
            return Err("its checksum is wrong".to_owned());
        }
        if let Some(replay) = head.replay {
            if head.chunk != 0 || replay.through() != head.through {
                return Err("its head contradicts itself".to_owned());
            }
            let part = Part { at, next: head.next, replay, of: head.of, chunks: 0, state: Vec::new() };
            self.parts.entry(id).or_insert(part);
        }
        let part = self.parts.get_mut(&id).ok_or("its beginning is missing")?;
        if head.chunk < part.chunks {
            return Ok(());
        }
        if head.chunk > part.chunks || head.of != part.of || head.next != part.next {
            return Err("it does not follow the one before".to_owned());
        }
        part.state.extend_from_slice(state);
        part.chunks += 1;
        if part.chunks >= part.of
            && let Some(part) = self.parts.remove(&id)
        {
            self.completed(id, part);
        }
        Ok(())
    }

    fn completed(&mut self, id: Uuid, part: Part) {
        self.complete.push(Complete { next: part.next, at: part.at, id });
        if self.latest.as_ref().is_none_or(|latest| latest.snapshot.next <= part.next) {
            let snapshot = Snapshot { next: part.next, replay: part.replay, state: Arc::new(part.state) };
            self.latest = Some(Read { id, snapshot });
        }
    }

    /// All chunks were taken: the snapshot that counts, and what can't be used.
    pub(super) fn finish(mut self) -> Found {
        for (id, part) in &self.parts {
            self.broken.push(format!("the snapshot {id} at offset {}: {} chunks of {}", part.at, part.chunks, part.of));
        }
        self.complete.sort_unstable();
        Found { latest: self.latest, complete: self.complete, broken: self.broken }
    }
}

/// What there is of a cell's snapshots.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) latest: Option<Read>,
    /// By how far they go.
    pub(super) complete: Vec<Complete>,
    pub(super) broken: Vec<String>,
}
