//! Writing a file in whole blocks, past the system's memory.
//!
//! What is synced as soon as it is written gains nothing from being copied into the system's memory first, and the
//! system needs longer to find it there again than to hand it to the disk at once. Such a write has to begin and end
//! where a block does: so what stands in a block before the end is written once more with what comes behind it, the same
//! bytes in the same place, and zeros fill up the last block.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

use super::super::disk::{Disk, DiskFile, write_all};

/// What each write begins and ends at a multiple of, in the file and in memory. No disk in use has larger sectors.
pub(in crate::engine::local) const BLOCK: usize = 4096;

/// How much is written at a time at most, and how far ahead of what is written a file gets its zeros.
const ROOM: usize = 1 << 20;

/// Behind a group of this size the zeros that it would spare cost as much as they spare.
const LARGE: usize = ROOM / 4;

/// A file that is written in whole blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    file: Arc<dyn DiskFile>,
    room: Room,
    /// What stands before the end, in the block that the end is in.
    tail: Vec<u8>,
    /// Up to where the disk has blocks with something in them, be it zeros. To write into space that is only set aside
    /// makes the file system note that it isn't any more, which takes longer than the write.
    filled: u64,
}

impl Blocks {
    /// Opens a file that is empty, but for what stands in its first `filled` bytes and is to be written over. The other
    /// way to write it is all there is where the file system does not know this one: `None`.
    pub(super) fn open(disk: &dyn Disk, path: &Path, filled: u64) -> io::Result<Option<Self>> {
        let opened = disk.open_unbuffered(path).and_then(|file| {
            let mut blocks = Self { file, room: Room::new(), tail: Vec::with_capacity(BLOCK), filled };
            // Some file systems open what they then don't write.
            blocks.zero(0, BLOCK)?;
            Ok(blocks)
        });
        match opened {
            Ok(mut blocks) => {
                blocks.filled = filled.max(BLOCK as u64);
                Ok(Some(blocks))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// Writes `parts` at the end, `position`, of a file that is meant to have `file_bytes`. After an error the end is where
    /// it was, and what stands behind it isn't known.
    pub(super) fn append(&mut self, parts: &[IoSlice<'_>], position: u64, file_bytes: u64) -> io::Result<()> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        self.fill_ahead(position + bytes as u64, bytes, file_bytes)?;
        let mut at = position - self.tail.len() as u64;
        let mut used = self.tail.len();
        self.room.bytes()[..used].copy_from_slice(&self.tail);
        for part in parts {
            let mut rest = &part[..];
            while !rest.is_empty() {
                let taken = rest.len().min(ROOM - used);
                self.room.bytes()[used..used + taken].copy_from_slice(&rest[..taken]);
                (used, rest) = (used + taken, &rest[taken..]);
                if used == ROOM {
                    self.write(at, used)?;
                    (at, used) = (at + ROOM as u64, 0);
                }
            }
        }
        let whole = used.next_multiple_of(BLOCK);
        self.room.bytes()[used..whole].fill(0);
        self.write(at, whole)?;
        self.filled = self.filled.max(at + whole as u64);
        let in_last = used % BLOCK;
        self.tail.clear();
        self.tail.extend_from_slice(&self.room.bytes()[used - in_last..used]);
        Ok(())
    }

    /// The file was cut off at its end.
    pub(super) fn was_cut(&mut self, position: u64) {
        self.filled = position;
    }

    /// Sees to it that a group which ends at `end` finds blocks with something in them.
    fn fill_ahead(&mut self, end: u64, bytes: usize, file_bytes: u64) -> io::Result<()> {
        let from = self.filled.next_multiple_of(BLOCK as u64);
        if end <= from || bytes >= LARGE || from >= file_bytes {
            return Ok(());
        }
        let ahead = usize::try_from(file_bytes - from).map_or(ROOM, |rest| rest.next_multiple_of(BLOCK).min(ROOM));
        self.zero(from, ahead)?;
        self.filled = from + ahead as u64;
        Ok(())
    }

    fn zero(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        self.room.bytes()[..bytes].fill(0);
        self.write(at, bytes)
    }

    fn write(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        write_all(&*self.file, &mut [IoSlice::new(&self.room.bytes()[..bytes])], at)
    }
}

/// Memory that begins at a multiple of [`BLOCK`].
#[derive(Debug)]
struct Room {
    memory: Vec<u8>,
    skip: usize,
}

impl Room {
    fn new() -> Self {
        let memory = vec![0; ROOM + BLOCK];
        let skip = memory.as_ptr().align_offset(BLOCK);
        Self { memory, skip }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.skip..self.skip + ROOM]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::super::disk::RealDisk, *};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_file_holds_what_was_appended_and_zeros(sizes in prop::collection::vec(0_usize..40_000, 1..30), large in 0_usize..3_000_000) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("file");
            std::fs::write(&path, vec![7; 100_000]).unwrap();
            let Some(mut blocks) = Blocks::open(&RealDisk, &path, 100_000).unwrap() else {
                // Nothing to be tried on such a file system.
                return Ok(());
            };
            let mut expected = Vec::new();
            for (round, bytes) in sizes.into_iter().chain([large, 1]).enumerate() {
                let group = vec![u8::try_from(round % 200 + 1).unwrap(); bytes];
                let (head, rest) = group.split_at(bytes / 3);
                let parts = [IoSlice::new(head), IoSlice::new(rest)];
                blocks.append(&parts, expected.len() as u64, 300_000).unwrap();
                expected.extend_from_slice(&group);
                if round % 7 == 6 {
                    blocks.file().set_len(expected.len() as u64).unwrap();
                    blocks.was_cut(expected.len() as u64);
                }
                let found = std::fs::read(&path).unwrap();
                prop_assert!(found[..expected.len()] == expected[..]);
                let behind = &found[expected.len()..];
                let in_block = behind.len().min(expected.len().next_multiple_of(BLOCK) - expected.len());
                prop_assert!(behind[..in_block].iter().all(|&byte| byte == 0));
            }
        }
    }
}
