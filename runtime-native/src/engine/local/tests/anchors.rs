//! A data directory that is taken away while the engine runs.

use std::{fs, path::Path};

use takhin_core::Offset;
use tempfile::tempdir;

use super::harness::*;
use crate::engine::{Completion, StorageError, StorageState};

/// Waits until the storage says that it has failed, and gives the reason.
fn failure(running: &Running) -> String {
    running.wait(|completion| match completion {
        Completion::StorageState(StorageState::Failed { why }) => Some(why.clone()),
        _ => None,
    })
}

#[test]
fn a_directory_that_is_removed_is_noticed() {
    for part in ["", "lock", "logs", "journal", "snapshots"] {
        let dir = tempdir().unwrap();
        let data = dir.path().join("data");
        let running = open(&data, 1);
        running.append(ORDERS, &[b"a"]).unwrap();
        let gone = data.join(part);
        if gone.is_dir() { fs::remove_dir_all(&gone) } else { fs::remove_file(&gone) }.unwrap();
        let why = failure(&running);
        assert!(why.contains("was removed or replaced"), "{part}: {why}");
        assert_eq!(running.append(ORDERS, &[b"b"]), Err(StorageError::Failed(why)), "{part}");
    }
}

#[test]
fn a_directory_in_place_of_another_is_noticed_and_left_alone() {
    let dir = tempdir().unwrap();
    let [data, aside] = ["data", "aside"].map(|name| dir.path().join(name));
    let running = open(&data, 1);
    running.append(ORDERS, &[b"a"]).unwrap();
    fs::rename(&data, &aside).unwrap();
    let other = open(&data, 1);
    let why = failure(&running);
    assert!(why.contains(&data.display().to_string()), "{why}");
    other.append(ORDERS, &[b"theirs"]).unwrap();
    drop(running);
    assert_eq!(other.read_all(ORDERS, 0, 1), [(0, b"theirs".to_vec())]);
    drop(other);
    assert_eq!(ends(&aside), Offset(1), "what was moved away is whole");
}

fn ends(data: &Path) -> Offset {
    let again = open(data, 1);
    assert_eq!(again.read_all(ORDERS, 0, 1), [(0, b"a".to_vec())]);
    again.end(ORDERS)
}
