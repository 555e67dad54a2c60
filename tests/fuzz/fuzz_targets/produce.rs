//! Bytes as the body of a produce request, and what it makes as JSON again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use takhin::http::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::produce(bytes));
