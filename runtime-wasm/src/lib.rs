//! The Takhin broker in a browser tab.
//!
//! ```text
//!    seed + inputs ---> World (core, disk, network, clients) --+
//!                                                              +--> Run: rows of a time line, key frames, a digest
//!    trace of a server or simulation ---> Core ----------------+
//! ```
//!
//! A [`Run`] is made of a seed and inputs, or of a trace, and of nothing else: its state at any row is what replaying that
//! far gives. Everything works natively as well; only `bindings`, what a browser sees, is for wasm alone.

#[cfg(target_arch = "wasm32")]
mod bindings;
mod filter;
pub mod input;
mod machine;
mod observer;
mod run;
mod shared;
mod stop;
mod view;
mod world;

pub use crate::{
    input::Input,
    observer::{Glyph, Kind, Lane, LaneKind},
    run::{MAX_ROWS, Run, RunError},
    stop::Stop,
};
