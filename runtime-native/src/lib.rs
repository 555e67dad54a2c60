//! scaffold

pub mod driver;
pub mod http;
pub mod record;
