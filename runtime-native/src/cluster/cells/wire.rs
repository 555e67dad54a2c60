//! How an entry of a journal is written: a line of JSON, and the facts as the host wrote them.
//!
//! ```text
//!   {"v":1,"entry":{"facts":{"epoch":7,"number":3,"after":10,"through":12,"facts":345}}}\n  345 bytes of facts
//! ```

use serde::{Deserialize, Serialize};
use takhin_core::{FactSeq, cell::Entry};

const VERSION: u32 = 1;

/// Facts of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The first of them.
    pub(super) first: FactSeq,
    /// As the host wrote them; empty if an owner only shows that it is there.
    pub(super) bytes: Vec<u8>,
}

/// Why bytes are no entry that can be read here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it has no line of JSON at its head")]
    NoHead,
    #[error("it is of version {0}, which is not known here")]
    Version(u32),
    #[error("its head makes no sense: {0}")]
    Head(String),
    #[error("it says that it has {said} bytes of facts, and has {there}")]
    Length { said: usize, there: usize },
}

#[derive(Serialize, Deserialize)]
struct Head {
    v: u32,
    entry: Entry<usize>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// The bytes of an entry.
pub(super) fn write(entry: &Entry<Facts>) -> Vec<u8> {
    let (entry, facts): (_, &[u8]) = match entry {
        Entry::Announced(announcement) => (Entry::Announced(*announcement), &[]),
        Entry::Resigned { epoch, alone } => (Entry::Resigned { epoch: *epoch, alone: *alone }, &[]),
        Entry::Facts { epoch, number, after, through, facts } => {
            let (epoch, number, after, through) = (*epoch, *number, *after, *through);
            (Entry::Facts { epoch, number, after, through, facts: facts.bytes.len() }, &facts.bytes)
        }
    };
    let mut bytes = Vec::with_capacity(facts.len() + 160);
    // A head has neither maps with keys that aren't strings nor a writer that fails.
    serde_json::to_writer(&mut bytes, &Head { v: VERSION, entry }).expect("a head can be written");
    bytes.push(b'\n');
    bytes.extend_from_slice(facts);
    bytes
}

/// The entry that bytes are.
pub(super) fn read(bytes: &[u8]) -> Result<Entry<Facts>, Unreadable> {
    let end = memchr::memchr(b'\n', bytes).ok_or(Unreadable::NoHead)?;
    let (head, facts) = (&bytes[..end], &bytes[end + 1..]);
    let Version { v } = serde_json::from_slice(head).map_err(|error| Unreadable::Head(error.to_string()))?;
    if v != VERSION {
        return Err(Unreadable::Version(v));
    }
    let Head { entry, .. } = serde_json::from_slice(head).map_err(|error| Unreadable::Head(error.to_string()))?;
    let (said, there) = (if let Entry::Facts { facts, .. } = &entry { *facts } else { 0 }, facts.len());
    if said != there {
        return Err(Unreadable::Length { said, there });
    }
    Ok(match entry {
        Entry::Announced(announcement) => Entry::Announced(announcement),
        Entry::Resigned { epoch, alone } => Entry::Resigned { epoch, alone },
        Entry::Facts { epoch, number, after, through, .. } => {
            let facts = Facts { first: after.next(), bytes: facts.to_vec() };
            Entry::Facts { epoch, number, after, through, facts }
        }
    })
}
