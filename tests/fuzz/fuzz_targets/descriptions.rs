//! Bytes as the files that say what a directory is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use takhin::engine::local::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::descriptions(bytes));
