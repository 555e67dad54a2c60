//! Looks at how far journals reach, on a thread of its own: those of the cells for whose owners this node stands in, should
//! they fall silent, and those in which somebody here waits for another's word.
//!
//! Each cell has a few nodes that stand in one behind the other, should one of them be gone too, by their own and the cell's
//! number; all nodes come to the same from the same directory. If they don't, two stand in or none, which costs time and
//! nothing else.

use std::{
    collections::BTreeMap,
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

/// Nodes that stand in for the owner of a cell.
const STAND_INS: usize = 3;

/// How far a journal was seen to reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) cell: u32,
    pub(super) next: CellOffset,
    /// How many others stand in before this node does.
    pub(super) behind: u32,
}

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

    /// Each with how many others stand in before this node does.
    fn cells(&self) -> BTreeMap<u32, u32> {
        let directory = self.directory.borrow();
        // Whoever waits there doesn't stand in.
        self.awaited.cells().map(|cell| (cell, 0)).chain(stands_in_for(self.node, &directory)).collect()
    }

    fn look(&self, cells: &BTreeMap<u32, u32>, timeout: Duration) -> Result<Vec<Sighting>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(cells.len());
        for cell in cells.keys() {
            list.add_partition_offset(&self.journal, i32::try_from(*cell).unwrap_or(i32::MAX), Offset::End)?;
        }
        let answers = self.client.offsets_for_times(list, timeout)?;
        let seen = answers.elements().into_iter().filter_map(|answer| {
            let Offset::Offset(next) = answer.offset() else { return None };
            answer.error().ok()?;
            let (cell, next) = (u32::try_from(answer.partition()).ok()?, CellOffset(u64::try_from(next).ok()?));
            Some(Sighting { cell, next, behind: *cells.get(&cell)? })
        });
        Ok(seen.collect())
    }
}

/// The cells for which a node stands in, each with how many others do before it. Not those of which no node says that they
/// are its own: they are being shared out.
pub(super) fn stands_in_for(node: Uuid, directory: &Directory) -> impl Iterator<Item = (u32, u32)> {
    let weight = |node: &Uuid, cell: u32| (crc32c::crc32c_append(cell, node.as_bytes()), *node);
    let owners = (0..).zip(&directory.cells).filter_map(|(cell, place)| Some((cell, place.as_ref()?.node)));
    let rank = move |(cell, owner): (u32, Uuid)| {
        let mine = directory.nodes.contains_key(&node).then(|| weight(&node, cell)).filter(|_| node != owner)?;
        let others = directory.nodes.keys().filter(|other| **other != owner);
        let before = others.filter(|other| weight(other, cell) > mine).take(STAND_INS).count();
        (before < STAND_INS).then_some((cell, u32::try_from(before).unwrap_or(u32::MAX)))
    };
    owners.filter_map(rank)
}
