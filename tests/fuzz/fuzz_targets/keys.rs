//! Bytes as the file of keys, and as what somebody shows as one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use takhin::keys::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::keys(bytes));
