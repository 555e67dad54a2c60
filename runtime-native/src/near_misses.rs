//! Bytes that are nearly what a decoder reads, for the tests of decoders: right ones with changes, and what fuzzers found.

use std::{fs, path::Path};

use proptest::prelude::*;

/// Some bytes of something right are to be something else: where, modulo its length, and what.
pub(crate) fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6)
}

/// Bytes that are nearly right: some of them are something else, and the last `cut` are missing.
pub(crate) fn nearly(mut bytes: Vec<u8>, changes: &[(usize, u8)], cut: usize) -> Vec<u8> {
    for (at, byte) in changes {
        let length = bytes.len().max(1);
        if let Some(changed) = bytes.get_mut(at % length) {
            *changed = *byte;
        }
    }
    bytes.truncate(bytes.len().saturating_sub(cut));
    bytes
}

/// What is kept of a fuzz target's findings, so that it is tried without the fuzzer too.
pub(crate) fn found_by_fuzzers(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let found: Vec<_> =
        entries.map(|entry| fs::read(entry.expect("an entry").path()).expect("a file of the corpus")).collect();
    assert!(!found.is_empty(), "{} holds something", folder.display());
    found
}
