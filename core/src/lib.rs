//! scaffold
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod ids;
pub mod time;
pub use ids::*;
pub use time::Timestamp;
