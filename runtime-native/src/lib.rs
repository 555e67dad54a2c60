//! scaffold

pub mod record;
