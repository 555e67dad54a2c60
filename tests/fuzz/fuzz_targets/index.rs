//! Bytes as the index files of a segment.

#![no_main]

use libfuzzer_sys::fuzz_target;
use takhin::engine::local::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::index(bytes));
