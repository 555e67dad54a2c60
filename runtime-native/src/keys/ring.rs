//! The keys of a running server.
//!
//! They are those of the file: it is looked at every [`KeyRing::LOOK_INTERVAL`] and read anew if it is another, so that
//! what the command line makes or revokes counts without a word to the server. A key that is gone is gone at once for
//! requests that come, and whoever waits under it is told ([`Key::ended`]).

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{KeyDigest, KeyId, KeyRecord, KeysError, KeysFile, Secret, Wish, file::Stamp};
use crate::limits::{Limits, Usage};

/// All keys, and how to change them.
#[derive(Debug)]
pub struct KeyRing {
    file: KeysFile,
    /// For keys that have no limits of their own.
    defaults: Limits,
    keys: RwLock<Arc<FxHashMap<KeyId, Arc<Key>>>>,
    /// Which content of the file they are. Held while they are read.
    read: Mutex<Option<Stamp>>,
}

/// A key that is known.
#[derive(Debug)]
pub struct Key {
    record: KeyRecord,
    usage: Usage,
    revoked: watch::Sender<bool>,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAKey {
    /// Nobody knows it.
    Unknown,
    /// It was one.
    Expired,
}

/// Why a key that was one is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over.
    Expired,
    /// Somebody has revoked it.
    Revoked,
}

impl KeyRing {
    /// How often it is looked whether the file is another.
    pub const LOOK_INTERVAL: Duration = Duration::from_millis(500);

    /// Reads the keys of this data directory.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn open(data_dir: &Path, defaults: Limits) -> Result<Self, KeysError> {
        let ring = Self { file: KeysFile::of(data_dir), defaults, keys: RwLock::default(), read: Mutex::new(None) };
        ring.look()?;
        Ok(ring)
    }

    /// Finds the key that this text is.
    ///
    /// # Errors
    /// If it is none.
    pub fn find(&self, text: &str, now_ms: i64) -> Result<Arc<Key>, NotAKey> {
        let digest = KeyDigest::of(text);
        let key = KeyId::in_text(text).and_then(|id| self.keys().get(&id).map(Arc::clone));
        let kept = key.as_ref().map_or(&KeyDigest::NONE, |key| &key.record.sha256);
        if !kept.matches(&digest) {
            return Err(NotAKey::Unknown);
        }
        let key = key.ok_or(NotAKey::Unknown)?;
        if key.record.is_over(now_ms) { Err(NotAKey::Expired) } else { Ok(key) }
    }

    /// All keys, those first that were made first.
    pub fn all(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.keys().values().map(Arc::clone).collect();
        keys.sort_by_key(|key| (key.record.created_at, key.record.id));
        keys
    }

    /// Makes a key, durably. Waits for the disk.
    ///
    /// # Errors
    /// See [`KeysError`]; nothing was made then.
    pub fn create(&self, wish: &Wish, now_ms: i64) -> Result<(Secret, KeyRecord), KeysError> {
        let made = self.file.create(wish, now_ms)?;
        self.read_own()?;
        Ok(made)
    }

    /// Revokes a key, durably. When this returns it is none any more. Waits for the disk.
    ///
    /// # Errors
    /// See [`KeysError`]; it is still one then.
    pub fn revoke(&self, id: KeyId) -> Result<Option<KeyRecord>, KeysError> {
        let revoked = self.file.revoke(id)?;
        self.read_own()?;
        Ok(revoked)
    }

    /// Reads the file if it is another. Gives whether it was.
    ///
    /// # Errors
    /// See [`KeysError`]; the keys are what they were.
    pub fn look(&self) -> Result<bool, KeysError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if self.file.stamp()? == *read {
            return Ok(false);
        }
        self.read_anew(&mut read).map(|()| true)
    }

    /// Reads what this process has just written: without a look at whether it is another, since nothing that has to hold
    /// may hang on how fine the clock of the file system is.
    fn read_own(&self) -> Result<(), KeysError> {
        self.read_anew(&mut self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read_anew(&self, read: &mut Option<Stamp>) -> Result<(), KeysError> {
        // Before it is read: what changes meanwhile is read again the next time.
        let stamp = self.file.stamp()?;
        self.replace(self.file.read()?);
        *read = stamp;
        Ok(())
    }

    /// Looks at the file for as long as this is polled.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = interval(Self::LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            ticks.tick().await;
            match tokio::task::block_in_place(|| self.look()) {
                Ok(false) if failed => {}
                Ok(another) => {
                    if another {
                        tracing::info!(keys = self.keys().len(), "the file of the keys was read anew");
                    }
                    failed = false;
                }
                Err(error) => {
                    if !failed {
                        tracing::error!(%error, "the keys can't be read; those that were read before go on");
                    }
                    failed = true;
                }
            }
        }
    }

    /// Keys that stay are the same values, with all that they have used up.
    fn replace(&self, records: Vec<KeyRecord>) {
        let before = self.keys();
        let stays = |record: &KeyRecord| before.get(&record.id).filter(|key| key.record == *record).map(Arc::clone);
        let after: FxHashMap<_, _> = records
            .into_iter()
            .map(|record| (record.id, stays(&record).unwrap_or_else(|| Arc::new(Key::new(record, self.defaults)))))
            .collect();
        let gone: Vec<_> = before
            .values()
            .filter(|key| !after.get(&key.record.id).is_some_and(|kept| Arc::ptr_eq(kept, key)))
            .map(Arc::clone)
            .collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(after);
        for key in gone {
            key.revoked.send_replace(true);
        }
    }

    fn keys(&self) -> Arc<FxHashMap<KeyId, Arc<Key>>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Key {
    fn new(record: KeyRecord, defaults: Limits) -> Self {
        let usage = Usage::new(record.limits.or(defaults));
        Self { record, usage, revoked: watch::Sender::new(false) }
    }

    /// What is kept of it.
    pub fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// What it has used up of its limits.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Whether it is none any more, and why.
    pub fn has_ended(&self, now_ms: i64) -> Option<Ended> {
        if *self.revoked.borrow() {
            Some(Ended::Revoked)
        } else {
            self.record.is_over(now_ms).then_some(Ended::Expired)
        }
    }

    /// Waits until it is none any more.
    pub async fn ended(&self, now_ms: i64) -> Ended {
        let mut revoked = self.revoked.subscribe();
        let revoked = async {
            // It can't be closed as long as `self` is there.
            let _ = revoked.wait_for(|revoked| *revoked).await;
            Ended::Revoked
        };
        let Some(at) = self.record.expires_at else { return revoked.await };
        let left = u64::try_from(at.saturating_sub(now_ms)).unwrap_or_default();
        tokio::select! {
            ended = revoked => ended,
            () = sleep(Duration::from_millis(left)) => Ended::Expired,
        }
    }
}
