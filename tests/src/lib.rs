//! What the tests of Takhin share: scripts that drive a core step by step, and the real server as a process, with a
//! client of it.

pub mod api;
pub mod broker;
pub mod client;
pub mod engine;
pub mod keyed;
pub mod process;
pub mod script;
pub mod shell;
