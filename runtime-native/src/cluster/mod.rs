//! Many nodes that are one broker.

pub mod cells;
