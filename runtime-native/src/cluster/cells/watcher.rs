//! Looks at how far journals reach, on a thread of its own: those of the cells for whose owners this node stands in, should
//! they fall silent, and those in which somebody here waits for another's word.
//!
//! Each cell has one node that stands in, by its own and the cell's number; all nodes come to the same from the same
//! directory. If they don't, two stand in or none, which costs time and nothing else.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use takhin_core::cell::{CellConfig, CellOffset};
use tokio::sync::watch;
use uuid::Uuid;

use super::{directory::Directory, logged::Logged, message::Message};

/// How often it looks, at most.
const LOOKS_EVERY: Duration = Duration::from_millis(200);
/// How often it looks in the time in which an owner has to show itself once.
const LOOKS_PER_KEEP_ALIVE: u32 = 3;

/// Cells in whose journals somebody here waits for another's word: written by who steps the owners.
#[derive(Debug)]
pub(super) struct Awaited(Vec<AtomicBool>);

impl Awaited {
    pub(super) fn new(cells: u32) -> Self {
        Self((0..cells).map(|_| AtomicBool::new(false)).collect())
    }

    pub(super) fn set(&self, cell: u32, awaited: bool) {
        self.0[cell as usize].store(awaited, Ordering::Relaxed);
    }

    fn cells(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.0).filter(|(_, awaited)| awaited.load(Ordering::Relaxed)).map(|(cell, _)| cell)
    }
}

/// Who looks.
pub(super) struct Watcher {
    /// One that fetches nothing: a broker answers in turn, and what is asked behind a fetch waits for as long as that does.
    pub(super) client: BaseConsumer<Logged>,
    pub(super) journal: String,
    pub(super) node: Uuid,
    pub(super) times: CellConfig,
    pub(super) directory: watch::Receiver<Arc<Directory>>,
    pub(super) awaited: Arc<Awaited>,
    pub(super) queue: Sender<Message>,
    pub(super) ends: Arc<AtomicBool>,
}

impl Watcher {
    /// Looks until it is told to end.
    pub(super) fn run(self) {
        let keep_alive = Duration::from_millis(self.times.keep_alive.0.into());
        let every = LOOKS_EVERY.min(keep_alive / LOOKS_PER_KEEP_ALIVE);
        while !self.ends.load(Ordering::Acquire) {
            let began = Instant::now();
            let cells = self.cells();
            if !cells.is_empty() {
                match self.look(&cells, keep_alive) {
                    // Nobody listens once the cells have stopped.
                    Ok(seen) => drop(self.queue.send(Message::Sighted(seen))),
                    // Whoever doesn't see anything doesn't stand in.
                    Err(error) => tracing::debug!(%error, "looking at how far journals reach"),
                }
            }
            thread::sleep(every.saturating_sub(began.elapsed()));
        }
    }

    fn cells(&self) -> BTreeSet<u32> {
        let directory = self.directory.borrow();
        stands_in_for(self.node, &directory).chain(self.awaited.cells()).collect()
    }

    fn look(&self, cells: &BTreeSet<u32>, timeout: Duration) -> Result<Vec<(u32, CellOffset)>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(cells.len());
        for cell in cells {
            list.add_partition_offset(&self.journal, i32::try_from(*cell).unwrap_or(i32::MAX), Offset::End)?;
        }
        let answers = self.client.offsets_for_times(list, timeout)?;
        let seen = answers.elements().into_iter().filter_map(|answer| {
            let Offset::Offset(next) = answer.offset() else { return None };
            answer.error().ok()?;
            Some((u32::try_from(answer.partition()).ok()?, CellOffset(u64::try_from(next).ok()?)))
        });
        Ok(seen.collect())
    }
}

/// The cells for which a node stands in. Not those of which no node says that they are its own: they are being shared out.
pub(super) fn stands_in_for(node: Uuid, directory: &Directory) -> impl Iterator<Item = u32> {
    let weight = |node: &Uuid, cell: u32| (crc32c::crc32c_append(cell, node.as_bytes()), *node);
    let owners = (0..).zip(&directory.cells).filter_map(|(cell, place)| Some((cell, place.as_ref()?.node)));
    let stands_in = move |(cell, owner): (u32, Uuid)| {
        let others = directory.nodes.keys().filter(|other| **other != owner);
        (others.max_by_key(|other| weight(other, cell)) == Some(&node)).then_some(cell)
    };
    owners.filter_map(stands_in)
}
