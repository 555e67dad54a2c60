//! scaffold

pub mod driver;
pub mod record;
