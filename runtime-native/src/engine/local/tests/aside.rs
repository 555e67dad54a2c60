//! What a start cuts off a log without being able to give it back is kept, and nothing else is.

use std::{
    fs,
    io::IoSlice,
    path::{Path, PathBuf},
    sync::Arc,
};

use takhin_core::Offset;
use tempfile::tempdir;

use super::{crashes::Random, faulty_disk::FaultyDisk, harness::*};
use crate::engine::local::{
    CutOff, Durability, LocalConfig, RecoveryNote,
    aside::MAX_KEPT,
    disk::{Disk, RealDisk, TEMPORARY, read_file},
};

const LOG: &str = "logs/orders-0";
const SEGMENT: &str = "logs/orders-0/00000000000000000000.log";

/// Without records in the journal.
fn unjournaled(dir: impl Into<PathBuf>) -> LocalConfig {
    LocalConfig { durability: Durability::Os, ..config(dir) }
}

/// Ten batches of one record each, and no clean stop.
fn ten(disk: Arc<dyn Disk>, config: LocalConfig) {
    let running = open_on(disk, config, 1).unwrap();
    for value in 0..10 {
        running.append(ORDERS, &[&[value; 100]]).unwrap();
    }
}

fn open(dir: &Path) -> Running {
    open_on(Arc::new(RealDisk), unjournaled(dir), 1).unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// The files that are kept of the log, by their names.
fn kept(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir.join(LOG)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<_> = names.filter(|name| name.contains(".cut-")).collect();
    kept.sort();
    kept
}

fn expected(offsets: std::ops::Range<u64>) -> Vec<(u64, Vec<u8>)> {
    offsets.map(|offset| (offset, vec![u8::try_from(offset).unwrap(); 100])).collect()
}

#[test]
fn what_follows_a_flipped_byte_is_kept_beside_the_log() {
    let dir = tempdir().unwrap();
    ten(Arc::new(RealDisk), unjournaled(dir.path()));
    let segment = dir.path().join(SEGMENT);
    let whole = fs::read(&segment).unwrap();
    let batch = whole.len() / 10;
    let name = format!("00000000000000000000.log.cut-{}", 4 * batch);
    let mut files = Vec::new();
    for round in 0..3 {
        flip(&segment, 4 * batch + 70);
        let cut = fs::read(&segment).unwrap()[4 * batch..].to_vec();
        let again = open(dir.path());
        assert_eq!(again.end(ORDERS), Offset(4));
        assert_eq!(again.read_all(ORDERS, 0, 4), expected(0..4));
        let name = if round == 0 { name.clone() } else { format!("{name}-{}", round + 1) };
        let path = dir.path().join(LOG).join(&name);
        let note = RecoveryNote::TornSegment {
            path: segment.clone(),
            position: 4 * batch as u64,
            bytes: cut.len() as u64,
            cut_off: CutOff::Kept { path: path.clone(), log: ORDERS, through: Offset(10) },
        };
        assert_eq!(again.report.notes, [note]);
        assert!(again.report.to_string().contains(&format!("kept in {}", path.display())), "{}", again.report);
        files.push((name, cut));
        for value in 4..10 {
            again.append(ORDERS, &[&[value; 100]]).unwrap();
        }
        assert_eq!(kept(dir.path()), files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        for (name, cut) in &files {
            assert_eq!(&fs::read(dir.path().join(LOG).join(name)).unwrap(), cut, "{name} was not touched");
        }
    }
    let again = open(dir.path());
    assert_eq!(again.read_all(ORDERS, 0, 10), expected(0..10));
    assert_eq!(again.delete(1), Ok(()));
    again.engine.stop().unwrap();
    assert!(!dir.path().join(LOG).exists(), "what is kept goes with its topic");
}

#[test]
fn a_last_batch_that_is_damaged_is_kept_and_one_that_ends_too_early_is_not() {
    let whole = tempdir().unwrap();
    ten(Arc::new(RealDisk), unjournaled(whole.path()));
    let bytes = fs::read(whole.path().join(SEGMENT)).unwrap();
    let batch = bytes.len() / 10;
    let after = |content: &[u8]| {
        let dir = tempdir().unwrap();
        ten(Arc::new(RealDisk), unjournaled(dir.path()));
        fs::write(dir.path().join(SEGMENT), content).unwrap();
        let again = open(dir.path());
        assert_eq!(again.end(ORDERS), Offset(9));
        assert_eq!(fs::read(dir.path().join(SEGMENT)).unwrap(), bytes[..9 * batch]);
        kept(dir.path()).len()
    };
    for short in [1, batch / 2, batch - 1] {
        assert_eq!(after(&bytes[..bytes.len() - short]), 0, "{short} bytes are missing");
    }
    let zeros = [&bytes[..9 * batch], &vec![0; batch]].concat();
    assert_eq!(after(&zeros), 0, "a length without content");
    let mut damaged = bytes.clone();
    damaged[9 * batch + 80] ^= 1;
    assert_eq!(after(&damaged), 1);
}

#[test]
fn what_the_journal_gives_back_is_not_kept() {
    let dir = tempdir().unwrap();
    ten(Arc::new(RealDisk), config(dir.path()));
    let batch = fs::read(dir.path().join(SEGMENT)).unwrap().len() / 10;
    flip(&dir.path().join(SEGMENT), 4 * batch + 70);
    let again = open_on(Arc::new(RealDisk), config(dir.path()), 1).unwrap();
    assert_eq!(again.read_all(ORDERS, 0, 10), expected(0..10));
    assert!(matches!(again.report.notes[..], [RecoveryNote::TornSegment { cut_off: CutOff::Dropped, .. }]));
    assert_eq!(kept(dir.path()), Vec::<String>::new());
}

#[test]
fn whole_segments_behind_the_damage_are_kept_too() {
    let dir = tempdir().unwrap();
    let config = LocalConfig { segment_bytes: 500, ..unjournaled(dir.path()) };
    ten(Arc::new(RealDisk), config.clone());
    let second = dir.path().join(LOG).join("00000000000000000003.log");
    let content = fs::read(&second).unwrap();
    flip(&dir.path().join(SEGMENT), 70);
    let again = open_on(Arc::new(RealDisk), config, 1).unwrap();
    assert_eq!(again.end(ORDERS), Offset(0));
    let names = ["0", "3", "6", "9"].map(|base| format!("{base:0>20}.log.cut-0"));
    assert_eq!(kept(dir.path()), names);
    assert_eq!(fs::read(dir.path().join(LOG).join(&names[1])).unwrap(), content);
}

#[test]
fn no_more_than_so_many_files_are_kept() {
    let dir = tempdir().unwrap();
    ten(Arc::new(RealDisk), unjournaled(dir.path()));
    for number in 0..MAX_KEPT {
        fs::write(dir.path().join(LOG).join(format!("00000000000000000000.log.cut-{number}")), b"kept").unwrap();
    }
    flip(&dir.path().join(SEGMENT), 70);
    let again = open(dir.path());
    assert!(matches!(again.report.notes[..], [RecoveryNote::TornSegment { cut_off: CutOff::NotKept, .. }]));
    assert!(again.report.to_string().contains("there are 16 such files already"), "{}", again.report);
    assert_eq!(kept(dir.path()).len(), MAX_KEPT);
    assert!(kept(dir.path()).iter().all(|name| fs::read(dir.path().join(LOG).join(name)).unwrap() == b"kept"));
}

/// The power fails at every point of a start that keeps something aside.
#[test]
fn it_is_durable_before_it_leaves_the_log() {
    let segment = Path::new("/data").join(SEGMENT);
    let whole = FaultyDisk::default();
    ten(Arc::new(whole.clone()), unjournaled("/data"));
    let file = whole.open(&segment, false).unwrap();
    let batch = usize::try_from(file.byte_len().unwrap()).unwrap() / 10;
    file.write_at(&[IoSlice::new(b"flip")], 4 * batch as u64 + 70).unwrap();
    whole.kill();
    let lost = read_file(&whole, &segment).unwrap().unwrap()[4 * batch..].to_vec();
    let mut operations = 0;
    loop {
        let disk = whole.fork();
        disk.blow_after(operations);
        let opened = open_on(Arc::new(disk.clone()), unjournaled("/data"), 1).is_ok();
        let mut random = Random(operations);
        disk.crash(|| random.below(2) == 1);
        let log = Path::new("/data").join(LOG);
        let there = disk.list(&log).unwrap().into_iter().any(|name| {
            let content = read_file(&disk, &log.join(&name)).unwrap().unwrap_or_default();
            !name.ends_with(TEMPORARY) && content.ends_with(&lost)
        });
        assert!(there, "lost after {operations} operations");
        drop(open_on(Arc::new(disk), unjournaled("/data"), 1).unwrap());
        if opened {
            return;
        }
        operations += 1;
    }
}
