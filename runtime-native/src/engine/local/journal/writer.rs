//! Writing the journal.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    path::PathBuf,
};

use takhin_core::FactSeq;

use super::{
    files::{Files, OpenFile},
    frame::Frame,
};

/// The journal's open end.
#[derive(Debug)]
pub(in crate::engine::local) struct Journal {
    files: Files,
    file: OpenFile,
    number: u64,
    /// All before it is whole.
    position: u64,
    /// All before it is durable.
    synced: u64,
    /// The files that are there, oldest first, with the last fact in each; the last one is being written.
    numbers: VecDeque<(u64, FactSeq)>,
    heads: Vec<u8>,
}

impl Journal {
    /// Begins file `number`; `older` are the files before it, with the last fact in each.
    pub(in crate::engine::local) fn create(
        files: Files,
        number: u64,
        older: VecDeque<(u64, FactSeq)>,
    ) -> io::Result<Self> {
        let mut files = files;
        let file = files.create(number)?;
        let last_fact = older.back().map_or(FactSeq(0), |&(_, fact)| fact);
        let mut numbers = older;
        numbers.push_back((number, last_fact));
        Ok(Self { files, file, number, position: 0, synced: 0, numbers, heads: Vec::new() })
    }

    /// Writes the frames one behind the other, in a new file if this one is full; they are not durable yet.
    /// After an error none of them is there once [`Journal::cut_off`] has succeeded.
    pub(in crate::engine::local) fn write(&mut self, frames: &[Frame<'_>]) -> io::Result<u64> {
        if self.position >= self.files.file_bytes() {
            self.next_file()?;
        }
        let synced_to = u32::try_from(self.synced).unwrap_or(u32::MAX);
        self.heads.clear();
        let mut ends = Vec::with_capacity(frames.len());
        for frame in frames {
            frame.put_head(&mut self.heads, self.number, synced_to);
            ends.push(self.heads.len());
        }
        let mut start = 0;
        let mut parts = Vec::with_capacity(2 * frames.len());
        for (frame, &end) in frames.iter().zip(&ends) {
            parts.push(IoSlice::new(&self.heads[start..end]));
            parts.push(IoSlice::new(frame.tail()));
            start = end;
        }
        let bytes = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.file.append(&mut parts, self.position, self.files.file_bytes())?;
        self.position += bytes;
        let last_fact = frames.iter().rev().find_map(|frame| match frame {
            Frame::Fact { seq, .. } => Some(*seq),
            _ => None,
        });
        if let (Some(seq), Some((_, last))) = (last_fact, self.numbers.back_mut()) {
            *last = seq;
        }
        Ok(bytes)
    }

    /// Removes what stands behind the last whole frame, durably: space set aside, and what a failed write may
    /// have left, which must never come back.
    pub(in crate::engine::local) fn cut_off(&mut self) -> io::Result<()> {
        self.file.cut_off(self.position)?;
        self.synced = self.position;
        Ok(())
    }

    /// Makes everything written durable.
    pub(in crate::engine::local) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.synced = self.position;
        Ok(())
    }

    /// The first file that is needed if all facts up to `through`, and all records written so far, are kept
    /// elsewhere.
    pub(in crate::engine::local) fn needed_from(&self, through: FactSeq) -> u64 {
        let needed = self.numbers.iter().find(|&&(_, last)| last > through);
        needed.map_or(self.number, |&(number, _)| number)
    }

    /// Takes the files before `number` off the list, and gives the paths of those that it has no use for.
    pub(in crate::engine::local) fn forget_before(&mut self, number: u64) -> Vec<PathBuf> {
        let mut forgotten = Vec::new();
        while let Some(&(first, _)) = self.numbers.front()
            && first < number.min(self.number)
        {
            self.numbers.pop_front();
            forgotten.extend(self.files.retire(first));
        }
        forgotten
    }

    /// Gives back the room that is only kept to be quicker.
    pub(in crate::engine::local) fn make_room(&mut self) {
        self.files.remove_spares();
    }

    fn next_file(&mut self) -> io::Result<()> {
        // What makes a tail that doesn't decode damage: a file is whole before the next is there.
        self.sync().map_err(SyncFailed::wrap)?;
        let number = self.number + 1;
        self.file = self.files.create(number)?;
        self.number = number;
        (self.position, self.synced) = (0, 0);
        let last_fact = self.numbers.back().map_or(FactSeq(0), |&(_, fact)| fact);
        self.numbers.push_back((number, last_fact));
        Ok(())
    }
}

/// Marks an error of a write as one of the sync that had to come before, which is final.
#[derive(Debug, thiserror::Error)]
#[error("sync failed: {0}")]
pub(in crate::engine::local) struct SyncFailed(io::Error);

impl SyncFailed {
    pub(in crate::engine::local) fn wrap(error: io::Error) -> io::Error {
        io::Error::other(Self(error))
    }

    pub(in crate::engine::local) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}
