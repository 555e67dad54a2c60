//! What the tests of Takhin share: scripts that drive a core step by step.

pub mod script;
pub mod world;
