//! Bytes as a batch of records.

#![no_main]

use libfuzzer_sys::fuzz_target;
use takhin::engine::local::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::batch(bytes));
