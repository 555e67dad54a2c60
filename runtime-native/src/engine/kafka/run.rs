//! A stretch of one log in memory: record batches in order, and from where to where they are all that there is.
//!
//! Offsets may be missing within a batch and between two. A read is told how far the stretch is known, so that it gets on
//! behind what is missing.

use std::{collections::VecDeque, sync::Arc};

use takhin_core::Offset;

use super::native::Message;
use crate::{
    engine::{Chunk, ReadOutcome, ReadPart},
    record::{BatchBuilder, BatchError, BatchHeader, EncodedBatch, Retained, records, retain},
};

/// How much is put into one batch, unless one record is larger.
const BLOCK_BYTES: usize = 32 << 10;
/// What a block takes beside its bytes, about.
const BLOCK_OVERHEAD_BYTES: usize = 128;

/// One record batch, not compressed, at its place.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    header: BatchHeader,
}

impl Block {
    pub(super) fn new(batch: EncodedBatch) -> Result<Self, BatchError> {
        Self::of(batch.into_bytes())
    }

    /// The batch in `bytes`, whose checksum is known to be right.
    pub(super) fn of(bytes: Vec<u8>) -> Result<Self, BatchError> {
        let header = BatchHeader::read(&bytes)?;
        Ok(Self { bytes, header })
    }

    /// The block without the records before `from`, if any are left.
    fn behind(self, from: Offset) -> Option<Self> {
        if self.header.base_offset >= from {
            return Some(self);
        }
        if self.header.last_offset < from {
            return None;
        }
        let mut bytes = Vec::new();
        match retain(&self.bytes, &self.header, |record| record.offset >= from, &mut bytes) {
            Ok(Retained::All | Retained::Some) => Self::of(bytes).ok(),
            Ok(Retained::Nothing) | Err(_) => None,
        }
    }

    fn weight(&self) -> usize {
        self.bytes.len() + BLOCK_OVERHEAD_BYTES
    }
}

/// Puts messages into blocks.
#[derive(Debug, Default)]
pub(super) struct Packer {
    open: Option<(BatchBuilder, Offset, Offset)>,
    full: Vec<Block>,
}

impl Packer {
    /// Takes a record. Its offset is greater than that of any taken before.
    pub(super) fn push(&mut self, message: Message<'_>) {
        if self.open.as_ref().is_some_and(|(batch, ..)| batch.record_bytes() >= BLOCK_BYTES) {
            self.close();
        }
        if !self.push_open(message) {
            // The one that is open has no room for it.
            self.close();
            if !self.push_open(message) {
                tracing::error!(offset = message.offset().0, "a record is too large to be read");
                self.open = None;
            }
        }
    }

    fn push_open(&mut self, message: Message<'_>) -> bool {
        let offset = message.offset();
        let (batch, _, next) = self.open.get_or_insert_with(|| {
            let expected = message.value().map_or(0, <[u8]>::len).max(1 << 10);
            (BatchBuilder::with_capacity(expected), offset, offset)
        });
        let gap = offset.0.saturating_sub(next.0);
        let pushed = batch
            .skip(gap)
            .and_then(|()| batch.push_as_is(message.timestamp_ms(), message.key(), message.value(), message.headers()));
        *next = Offset(offset.0 + 1);
        pushed.is_ok()
    }

    fn close(&mut self) {
        let Some((batch, base, _)) = self.open.take() else { return };
        let Some(mut batch) = batch.finish() else { return };
        batch.set_base_offset(base);
        match Block::new(batch) {
            Ok(block) => self.full.push(block),
            Err(error) => tracing::error!(offset = base.0, %error, "records could not be put together"),
        }
    }

    /// All that was taken.
    pub(super) fn finish(&mut self) -> Vec<Block> {
        self.close();
        std::mem::take(&mut self.full)
    }
}

/// The blocks, and what they are all of.
#[derive(Debug)]
pub(super) struct Run {
    start: Offset,
    end: Offset,
    blocks: VecDeque<Arc<Block>>,
    bytes: usize,
}

impl Run {
    /// Nothing yet, from here on.
    pub(super) fn new(at: Offset) -> Self {
        Self { start: at, end: at, blocks: VecDeque::new(), bytes: 0 }
    }

    /// The first offset of which it is known whether there is a record.
    pub(super) fn start(&self) -> Offset {
        self.start
    }

    /// The first offset behind these.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a block; of one that overlaps with what is there, the rest. What it weighs, if it was taken.
    pub(super) fn push(&mut self, block: Block) -> Option<usize> {
        let block = block.behind(self.end)?;
        let weight = block.weight();
        self.end = block.header.end_offset();
        self.bytes += weight;
        self.blocks.push_back(Arc::new(block));
        Some(weight)
    }

    /// There is nothing else before `to`.
    pub(super) fn advance(&mut self, to: Offset) {
        self.end = self.end.max(to);
    }

    /// Forgets the oldest block. What it weighed.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let block = self.blocks.pop_front()?;
        self.start = block.header.end_offset();
        self.bytes -= block.weight();
        Some(block.weight())
    }

    /// Forgets the oldest blocks that lie before `from` while it takes more than `bytes`.
    pub(super) fn trim(&mut self, from: Offset, bytes: usize) {
        while self.bytes > bytes && self.blocks.front().is_some_and(|block| block.header.last_offset < from) {
            self.pop();
        }
    }

    /// Whether a read from here on finds something, if only that nothing is there.
    pub(super) fn covers(&self, from: Offset) -> bool {
        self.start <= from && from < self.end
    }

    /// Whether a read would not get more if more came.
    pub(super) fn suffices(&self, part: &ReadPart) -> bool {
        let (mut bytes, mut records) = (0, 0);
        self.end >= part.to
            || self.from(part.from).any(|block| {
                bytes += block.header.record_bytes();
                records += u64::from(block.header.records);
                // The first may lie partly before what is wanted.
                bytes >= part.max_bytes.saturating_add(BLOCK_BYTES) || records > u64::from(part.max_records) * 2
            })
    }

    fn from(&self, from: Offset) -> impl Iterator<Item = &Arc<Block>> {
        let first = self.blocks.partition_point(|block| block.header.last_offset < from);
        self.blocks.range(first..)
    }

    /// What a read needs, to be carried out without the run.
    pub(super) fn select(&self, part: &ReadPart) -> Option<Selection> {
        if !self.covers(part.from) {
            return None;
        }
        let (mut blocks, mut bytes, mut records, mut whole) = (Vec::new(), 0, 0u64, true);
        for block in self.from(part.from) {
            if block.header.base_offset >= part.to {
                break;
            }
            // The first one may give a single record.
            if blocks.len() > 1 && (bytes > part.max_bytes || records > u64::from(part.max_records)) {
                whole = false;
                break;
            }
            if !blocks.is_empty() {
                bytes += block.header.record_bytes();
                records += u64::from(block.header.records);
            }
            blocks.push(Arc::clone(block));
        }
        Some(Selection { blocks, end: if whole { self.end } else { Offset(0) } })
    }
}

/// Blocks from which a read takes its records.
#[derive(Debug)]
pub(super) struct Selection {
    blocks: Vec<Arc<Block>>,
    /// How far it is known that there is nothing but these.
    end: Offset,
}

impl Selection {
    /// Gives the records that are wanted, in whole batches if `stored`.
    pub(super) fn give(&self, part: &ReadPart, stored: bool, out: &mut Chunk) -> ReadOutcome {
        let mut outcome = ReadOutcome::nothing(part.from, out.filled());
        let start = out.filled();
        let mut full = part.max_records == 0;
        for block in &self.blocks {
            if full {
                break;
            }
            let before = outcome.records;
            let too_much = || outcome.bytes.saturating_add(block.bytes.len()) > part.max_bytes;
            if stored && before > 0 && too_much() {
                full = true;
                break;
            }
            full = if stored { take_stored(block, part, &mut outcome) } else { take(block, part, &mut outcome) };
            if outcome.records > before {
                out.room(block.bytes.len()).copy_from_slice(&block.bytes);
                out.keep(block.bytes.len());
            }
        }
        if !full {
            outcome.next = outcome.next.max(self.end.min(part.to));
        }
        outcome.set_span(start..out.filled());
        outcome
    }
}

/// Counts the block as a whole. Whether a limit is reached.
fn take_stored(block: &Block, part: &ReadPart, outcome: &mut ReadOutcome) -> bool {
    let header = &block.header;
    let wanted = |offset: Offset| offset >= part.from && offset < part.to;
    let all = wanted(header.base_offset) && wanted(header.last_offset);
    let count = if all {
        header.records
    } else {
        let counted = records(&block.bytes).flatten().filter(|record| wanted(record.offset)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    outcome.next = outcome.next.max(header.end_offset().min(part.to));
    if count == 0 {
        return false;
    }
    outcome.records = outcome.records.saturating_add(count);
    outcome.bytes += block.bytes.len();
    outcome.records >= part.max_records || outcome.bytes >= part.max_bytes
}

/// Counts the records of the block that are wanted. Whether a limit is reached.
fn take(block: &Block, part: &ReadPart, outcome: &mut ReadOutcome) -> bool {
    let header = &block.header;
    let all_wanted = header.base_offset >= outcome.next
        && header.last_offset < part.to
        && header.records <= part.max_records - outcome.records
        && outcome.bytes.saturating_add(header.record_bytes()) <= part.max_bytes;
    if all_wanted {
        outcome.records += header.records;
        outcome.bytes += header.record_bytes();
        outcome.next = header.end_offset();
        return outcome.records == part.max_records || outcome.bytes >= part.max_bytes;
    }
    for record in records(&block.bytes).flatten() {
        if record.offset < outcome.next {
            continue;
        }
        if record.offset >= part.to {
            // All before `to` has been given.
            return false;
        }
        let fits = outcome.records == 0 || outcome.bytes.saturating_add(record.bytes) <= part.max_bytes;
        if outcome.records == part.max_records || !fits {
            return true;
        }
        outcome.records += 1;
        outcome.bytes += record.bytes;
        outcome.next = Offset(record.offset.0 + 1);
    }
    outcome.next = outcome.next.max(header.end_offset().min(part.to));
    outcome.records == part.max_records || outcome.bytes >= part.max_bytes
}
