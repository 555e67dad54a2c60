//! scaffold

pub mod engine;
pub mod record;
