//! The keys in the data directory: `keys.json`, of which no reader ever sees half, and which outlives a crash as a whole.
//!
//! ```json
//! {"format": 1, "keys": [{"id": "…", "name": "…", "sha256": "…", "created_at": …, "scopes": {…}, "limits": {…}}]}
//! ```
//!
//! A change is read, changed and written under the lock of `keys.lock`, by the server and by the command line alike, so
//! a key can be made and revoked whether or not a server has the directory. Secrets are not in it (`secret`): who
//! can read it can't use a key, and who can write it may do anything, as with everything else in the directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{KeyId, KeyRecord, MAX_KEYS, Secret, Wish};
use crate::engine::local::{
    disk::{RealDisk, read_file, replace_file},
    make_root,
};

/// The version of the file.
const FORMAT: u32 = 1;

/// Why keys could not be read or changed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The file can't be understood.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is of a later format than this program knows.
    #[error("{} is of format {found}, and this version reads formats up to {FORMAT}: use a newer version", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format.
        found: u32,
    },
    /// There are as many keys as there may be.
    #[error("there are {MAX_KEYS} keys already: revoke some")]
    TooMany,
    /// The system has no randomness to give.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(getrandom::Error),
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    keys: Vec<KeyRecord>,
}

/// The file of one data directory.
#[derive(Clone, Debug)]
pub struct KeysFile {
    path: PathBuf,
    lock: PathBuf,
}

/// Tells one content of the file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl KeysFile {
    /// That of this data directory, which need not be there yet.
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join("keys.json"), lock: data_dir.join("keys.lock") }
    }

    /// All keys, in the order in which they were made.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn read(&self) -> Result<Vec<KeyRecord>, KeysError> {
        let Some(bytes) = read_file(&RealDisk, &self.path).map_err(|error| self.io(error))? else {
            return Ok(Vec::new());
        };
        decode(&self.path, &bytes)
    }

    /// Makes a key, durably.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn create(&self, wish: &Wish, now_ms: i64) -> Result<(Secret, KeyRecord), KeysError> {
        let _lock = self.lock()?;
        let mut keys = self.read()?;
        if keys.len() >= MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        let (secret, record) = loop {
            let made = wish.clone().make(now_ms)?;
            if keys.iter().all(|key| key.id != made.1.id) {
                break made;
            }
        };
        keys.push(record.clone());
        self.write(keys)?;
        Ok((secret, record))
    }

    /// Removes a key, durably, and gives what it was; `None` if there is none of that id.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn revoke(&self, id: KeyId) -> Result<Option<KeyRecord>, KeysError> {
        let _lock = self.lock()?;
        let mut keys = self.read()?;
        let Some(at) = keys.iter().position(|key| key.id == id) else { return Ok(None) };
        let revoked = keys.remove(at);
        self.write(keys)?;
        Ok(Some(revoked))
    }

    /// Which content the file has now; `None` if it is not there.
    pub(super) fn stamp(&self) -> Result<Option<Stamp>, KeysError> {
        match fs::metadata(&self.path) {
            Ok(found) => {
                let changed = (found.ctime(), found.ctime_nsec());
                Ok(Some(Stamp { inode: found.ino(), bytes: found.len(), changed }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Waits until nobody else changes the file, and keeps them from it until the value is dropped.
    fn lock(&self) -> Result<File, KeysError> {
        let at = |error| KeysError::Io { path: self.lock.clone(), error };
        if let Some(directory) = self.lock.parent() {
            make_root(&RealDisk, directory).map_err(at)?;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.lock).map_err(at)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| at(error.into()))?;
        Ok(file)
    }

    fn write(&self, keys: Vec<KeyRecord>) -> Result<(), KeysError> {
        let json = encode(keys).map_err(|error| self.io(error.into()))?;
        replace_file(&RealDisk, &self.path, &mut [IoSlice::new(&json)]).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> KeysError {
        KeysError::Io { path: self.path.clone(), error }
    }
}

/// The keys in a file's bytes; `path` is what an error names.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Vec<KeyRecord>, KeysError> {
    let damaged = |error: serde_json::Error| KeysError::Damaged { path: path.to_owned(), why: error.to_string() };
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(KeysError::NewerFormat { path: path.to_owned(), found: format });
    }
    let content: Content = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(content.keys)
}

pub(super) fn encode(keys: Vec<KeyRecord>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&Content { format: FORMAT, keys })
}
