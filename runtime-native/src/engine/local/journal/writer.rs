//! Writing the journal.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use takhin_core::FactSeq;

use super::{
    super::{
        disk::{Disk, DiskFile, write_all},
        layout,
    },
    EXTENSION,
    frame::Frame,
};

/// The journal's open end.
#[derive(Debug)]
pub(in crate::engine::local) struct Journal {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file_bytes: u64,
    file: Arc<dyn DiskFile>,
    number: u64,
    /// All before it is whole.
    position: u64,
    /// All before it is durable.
    synced: u64,
    /// The files that are there, oldest first, with the last fact in each; the last one is being written.
    files: VecDeque<(u64, FactSeq)>,
    heads: Vec<u8>,
}

impl Journal {
    /// Begins file `number`; `older` are the files before it, with the last fact in each.
    pub(in crate::engine::local) fn create(
        disk: Arc<dyn Disk>,
        directory: &Path,
        file_bytes: u64,
        number: u64,
        older: VecDeque<(u64, FactSeq)>,
    ) -> io::Result<Self> {
        let file = create_file(&*disk, directory, number, file_bytes)?;
        let last_fact = older.back().map_or(FactSeq(0), |&(_, fact)| fact);
        let mut files = older;
        files.push_back((number, last_fact));
        let directory = directory.to_owned();
        Ok(Self { disk, directory, file_bytes, file, number, position: 0, synced: 0, files, heads: Vec::new() })
    }

    /// Writes the frames one behind the other, in a new file if this one is full; they are not durable yet.
    /// After an error none of them is there once [`Journal::cut_off`] has succeeded.
    pub(in crate::engine::local) fn write(&mut self, frames: &[Frame<'_>]) -> io::Result<u64> {
        if self.position >= self.file_bytes {
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
        write_all(&*self.file, &mut parts, self.position)?;
        self.position += bytes;
        let last_fact = frames.iter().rev().find_map(|frame| match frame {
            Frame::Fact { seq, .. } => Some(*seq),
            _ => None,
        });
        if let (Some(seq), Some((_, last))) = (last_fact, self.files.back_mut()) {
            *last = seq;
        }
        Ok(bytes)
    }

    /// Removes what stands behind the last whole frame, durably: space set aside, and what a failed write may
    /// have left, which must never come back.
    pub(in crate::engine::local) fn cut_off(&mut self) -> io::Result<()> {
        self.file.set_len(self.position)?;
        self.file.sync_all()?;
        self.synced = self.position;
        Ok(())
    }

    /// Makes everything written durable.
    pub(in crate::engine::local) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.position;
        Ok(())
    }

    /// The first file that is needed if all facts up to `through`, and all records written so far, are kept
    /// elsewhere.
    pub(in crate::engine::local) fn needed_from(&self, through: FactSeq) -> u64 {
        let needed = self.files.iter().find(|&&(_, last)| last > through);
        needed.map_or(self.number, |&(number, _)| number)
    }

    /// Takes the files before `number` off the list and gives their paths.
    pub(in crate::engine::local) fn forget_before(&mut self, number: u64) -> Vec<PathBuf> {
        let mut forgotten = Vec::new();
        while let Some(&(first, _)) = self.files.front()
            && first < number.min(self.number)
        {
            self.files.pop_front();
            forgotten.push(path(&self.directory, first));
        }
        forgotten
    }

    fn next_file(&mut self) -> io::Result<()> {
        // What makes a tail that doesn't decode damage: a file is whole before the next is there.
        self.sync().map_err(SyncFailed::wrap)?;
        let number = self.number + 1;
        self.file = create_file(&*self.disk, &self.directory, number, self.file_bytes)?;
        self.number = number;
        (self.position, self.synced) = (0, 0);
        let last_fact = self.files.back().map_or(FactSeq(0), |&(_, fact)| fact);
        self.files.push_back((number, last_fact));
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

pub(in crate::engine::local) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(layout::digits(number) + EXTENSION)
}

fn create_file(disk: &dyn Disk, directory: &Path, number: u64, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(&path(directory, number), true)?;
    file.set_len(0)?;
    file.allocate(bytes)?;
    file.sync_all()?;
    disk.sync_dir(directory)?;
    Ok(file)
}
