//! Which node serves which cell, as they say themselves: the folded records of the cluster's topic.
//!
//! ```text
//!   node-6f1c..   {"v":1,"address":"http://10.0.0.1:9080","date":1790000000000}    every 10 s; no value: it has stopped
//!   cell-12       {"v":1,"epoch":812,"node":"6f1c.."}                              whenever a node takes a cell over
//!   settings      {"v":1,"secret":"..","topic_prefix":"shop."}                     the first one counts
//! ```
//!
//! It is where to ask first and nothing more: who owns a cell is decided by its journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use takhin_core::{Timestamp, cell::CellOffset};
use uuid::Uuid;

const VERSION: u32 = 1;
/// How often a node shows itself.
pub(super) const SHOWN_EVERY_MS: u64 = 10_000;
/// After how long a node that was not heard of is left out.
pub(super) const FORGOTTEN_AFTER_MS: u64 = 60_000;

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where others reach it.
    pub address: String,
}

/// Who said last that it took a cell over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellPlace {
    /// In which epoch of the cell.
    pub epoch: CellOffset,
    /// Which node.
    pub node: Uuid,
    /// Where others reach it.
    pub address: String,
}

/// Which node serves which cell, as they say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// All nodes that were heard of within the last minute.
    pub nodes: BTreeMap<Uuid, Node>,
    /// Each cell; [`None`] if no node that is there said that it took it over.
    pub cells: Vec<Option<CellPlace>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NodeRecord {
    v: u32,
    address: String,
    /// When it was written, in milliseconds since 1970 by its writer's clock.
    date: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CellRecord {
    v: u32,
    epoch: CellOffset,
    node: Uuid,
}

/// What was drawn when the cluster was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) v: u32,
    pub(super) secret: String,
    /// What is before the names of clients' topics in Kafka.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) topic_prefix: String,
}

impl Settings {
    pub(super) fn new(secret: String, topic_prefix: String) -> Self {
        Self { v: VERSION, secret, topic_prefix }
    }

    pub(super) fn is_known(&self) -> bool {
        self.v == VERSION
    }
}

/// A record for the cluster's topic: its key, and its value unless it says that something is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

impl Notice {
    fn of(key: String, value: &impl Serialize) -> Self {
        Self { key, value: Some(serde_json::to_vec(value).expect("a notice can be written")) }
    }

    pub(super) fn node(node: Uuid, address: &str, date: i64) -> Self {
        Self::of(format!("node-{node}"), &NodeRecord { v: VERSION, address: address.to_owned(), date })
    }

    pub(super) fn node_stopped(node: Uuid) -> Self {
        Self { key: format!("node-{node}"), value: None }
    }

    pub(super) fn cell(cell: u32, epoch: CellOffset, node: Uuid) -> Self {
        Self::of(format!("cell-{cell}"), &CellRecord { v: VERSION, epoch, node })
    }

    pub(super) fn settings(settings: &Settings) -> Self {
        Self::of("settings".to_owned(), settings)
    }
}

/// When a record was read: those that were there before may be of nodes that have long been gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) now: Timestamp,
    /// Today by this node's clock, if the record was there before it began to follow.
    pub(super) date: Option<i64>,
}

/// The records so far.
#[derive(Debug)]
pub(super) struct Folding {
    myself: Uuid,
    nodes: BTreeMap<Uuid, (Node, Timestamp)>,
    cells: Vec<Option<(CellOffset, Uuid)>>,
    settings: Option<Settings>,
    /// What is to be written again, so that what counts is what compaction leaves.
    again: Vec<Notice>,
}

impl Folding {
    pub(super) fn new(myself: Uuid, cells: u32) -> Self {
        let cells = vec![None; cells as usize];
        Self { myself, nodes: BTreeMap::new(), cells, settings: None, again: Vec::new() }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// If it makes no sense. It is not taken then.
    pub(super) fn take(&mut self, key: &[u8], value: Option<&[u8]>, reading: Reading) -> Result<(), String> {
        let key = str::from_utf8(key).map_err(|_| "its key is no text".to_owned())?;
        if key == "settings" {
            return self.take_settings(value);
        }
        if let Some(node) = key.strip_prefix("node-") {
            let node = node.parse().map_err(|_| format!("{key}: no node"))?;
            return self.take_node(node, value, reading);
        }
        let cell = key.strip_prefix("cell-").and_then(|cell| cell.parse::<usize>().ok());
        let cell = cell.filter(|cell| *cell < self.cells.len()).ok_or_else(|| format!("{key}: unknown"))?;
        self.take_cell(cell, value)
    }

    fn take_settings(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        let settings: Settings = parsed(value.ok_or("settings without a value")?)?;
        match &self.settings {
            None => self.settings = Some(settings),
            // It will be all that is left, unless those that count are written after it.
            Some(first) if *first != settings => self.again.push(Notice::settings(first)),
            Some(_) => {
                let key = "settings";
                self.again.retain(|notice| notice.key != key);
            }
        }
        Ok(())
    }

    fn take_node(&mut self, node: Uuid, value: Option<&[u8]>, reading: Reading) -> Result<(), String> {
        let Some(value) = value else {
            self.nodes.remove(&node);
            return Ok(());
        };
        let record: NodeRecord = versioned(value)?;
        let age = reading.date.map_or(0, |today| u64::try_from(today - record.date).unwrap_or(0));
        if age < FORGOTTEN_AFTER_MS {
            let heard = Timestamp(reading.now.0.saturating_sub(age));
            // Whoever was reached there before has ended, if it did not say so.
            self.nodes.retain(|other, (known, _)| *other == node || known.address != record.address);
            self.nodes.insert(node, (Node { address: record.address }, heard));
        }
        Ok(())
    }

    fn take_cell(&mut self, cell: usize, value: Option<&[u8]>) -> Result<(), String> {
        let record: CellRecord = versioned(value.ok_or("a cell without a value")?)?;
        match self.cells[cell] {
            Some((epoch, node)) if record.epoch < epoch => {
                if node == self.myself {
                    self.again.push(Notice::cell(u32::try_from(cell).unwrap_or(u32::MAX), epoch, node));
                }
            }
            _ => self.cells[cell] = Some((record.epoch, record.node)),
        }
        Ok(())
    }

    /// What is to be written again; once.
    pub(super) fn take_again(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.again)
    }

    pub(super) fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// The directory now. Nodes that have not been heard of are forgotten.
    pub(super) fn directory(&mut self, now: Timestamp) -> Directory {
        self.nodes.retain(|_, (_, heard)| now.0.saturating_sub(heard.0) < FORGOTTEN_AFTER_MS);
        let place = |(epoch, node): &(CellOffset, Uuid)| {
            let (Node { address }, _) = self.nodes.get(node)?;
            Some(CellPlace { epoch: *epoch, node: *node, address: address.clone() })
        };
        Directory {
            nodes: self.nodes.iter().map(|(id, (node, _))| (*id, node.clone())).collect(),
            cells: self.cells.iter().map(|cell| cell.as_ref().and_then(place)).collect(),
        }
    }
}

fn parsed<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

fn versioned<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match parsed::<Version>(value)? {
        Version { v: VERSION } => parsed(value),
        Version { v } => Err(format!("it is of version {v}, which is not known here")),
    }
}
