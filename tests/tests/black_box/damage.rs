//! What lies in the data directory is damaged while the server is down. It starts all the same and says what it found,
//! gives back everything that is whole or that its journal has, and never a wrong byte; or it refuses to start, and
//! says why.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    local_only,
};

/// Of a node of a cluster nothing lies there.
const WHY_LOCAL: &str = "it is about the files in a data directory";

const RECORDS: u64 = 600;

/// A server whose topic `t` holds [`RECORDS`] records in batches of ten, and whose group `g` has committed 7 of them.
struct Fixture {
    broker: Broker,
    consumer: String,
    records: Vec<Value>,
    /// How much of the log has been read already.
    read: usize,
}

impl Fixture {
    fn new() -> Self {
        let broker = Broker::start(Options::default());
        let client = broker.client();
        client.create_topic("t", 1);
        let consumer = client.subscribe("g", &["t"], &json!({"session_timeout_ms": 600_000, "auto_commit": false}));
        let mut fixture = Self { broker, consumer, records: Vec::new(), read: 0 };
        fixture.produce(RECORDS);
        let commit = json!({"offsets": {"t": {"0": 7}}});
        assert_eq!(client.post(&format!("{}/commit", fixture.consumer), &commit).0, 200);
        fixture
    }

    fn produce(&mut self, records: u64) {
        let client = self.broker.client();
        let from = self.records.len() as u64;
        let number: Vec<_> = (from..from + records).collect();
        for ten in number.chunks(10) {
            let record = |number: &u64| {
                json!({"key": format!("key {number}"), "value": format!("{number} {}", "value ".repeat(50)),
                    "timestamp": 1_000_000 + number, "headers": {"h": "1"}})
            };
            client.produce("t", &Value::from(ten.iter().map(record).collect::<Vec<_>>()));
        }
        self.records.extend(client.read_from("t", 0, from));
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.broker.data_dir().join(inside)
    }

    fn segment(&self, extension: &str) -> PathBuf {
        self.path(&format!("logs/t-0/{:020}.{extension}", 0))
    }

    /// The newest file of a directory.
    fn newest(&self, directory: &str) -> PathBuf {
        let files = fs::read_dir(self.path(directory)).expect("a directory");
        files.map(|file| file.expect("a file").path()).max().expect("at least one file")
    }

    /// Starts the server, and returns what it says about this start.
    fn restart(&mut self) -> String {
        let log = self.broker.log();
        self.read = log.len();
        self.broker.restart();
        self.broker.log()[self.read..].to_owned()
    }

    /// All records are there, as they were.
    fn assert_records(&self) {
        let found = self.broker.client().read_from("t", 0, 0);
        let same = found.iter().zip(&self.records).take_while(|(found, known)| found == known).count();
        let log = &self.broker.log()[self.read..];
        assert_eq!((same, found.len()), (self.records.len(), self.records.len()), "the same, and all found. {log}");
    }

    /// Everything is there and goes on.
    fn assert_whole(&mut self) {
        let client = self.broker.client();
        self.assert_records();
        let (status, committed) = client.get(&format!("{}/committed", self.consumer));
        assert_eq!((status, committed), (200, json!({"offsets": {"t": {"0": 7}}})));
        let middle = self.records.len() as u64 / 2;
        let path = format!("/api/topics/t/partitions/0/offsets?timestamp_ms={}", 1_000_000 + middle);
        assert_eq!(client.get(&path).1["offset"], middle);
        self.produce(10);
        let count = self.records.len();
        assert_eq!(client.read_from("t", 0, 0).len(), count);
    }
}

fn cut_off(path: &Path, bytes: u64) {
    let file = fs::File::options().write(true).open(path).expect("a file");
    let length = file.metadata().expect("a length").len();
    file.set_len(length - bytes).expect("cut off");
}

fn append(path: &Path, bytes: &[u8]) {
    let mut content = fs::read(path).expect("a file");
    content.extend_from_slice(bytes);
    fs::write(path, content).expect("written");
}

fn flip(path: &Path, at: usize) {
    let mut content = fs::read(path).expect("a file");
    content[at] ^= 0x10;
    fs::write(path, content).expect("written");
}

/// Where what was written into a file that had been made longer before ends.
fn written(path: &Path) -> usize {
    fs::read(path).expect("a file").iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[test]
fn the_journal_ends_in_half_a_frame() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    fixture.broker.kill9();
    let journal = fixture.newest("journal");
    // Behind the last frame, wherever exactly its last zeros end, comes one that was never finished.
    let end = written(&journal) + 16;
    let mut content = fs::read(&journal).expect("the journal");
    let frame = content[8..208].to_vec();
    content[end..end + 200].copy_from_slice(&frame);
    fs::write(&journal, content).expect("written");
    fixture.restart();
    fixture.assert_whole();
}

#[test]
fn the_journal_is_cut_in_its_last_frame() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    fixture.broker.kill9();
    let journal = fixture.newest("journal");
    // The last frame keeps a commit, which has nothing else to come from.
    let end = written(&journal);
    let file = fs::File::options().write(true).open(&journal).expect("the journal");
    file.set_len(end as u64 - 5).expect("cut off");
    let said = fixture.restart();
    assert!(said.contains("half-written"), "{said}");
    fixture.assert_records();
    let (status, committed) = fixture.broker.client().get(&format!("{}/committed", fixture.consumer));
    assert_eq!((status, committed), (200, json!({"offsets": {"t": {"0": null}}})));
}

#[test]
fn a_segment_has_lost_its_tail_and_the_journal_has_it() {
    local_only!(WHY_LOCAL);
    for lost in [1, 100, 5_000, 50_000] {
        let mut fixture = Fixture::new();
        fixture.broker.kill9();
        cut_off(&fixture.segment("log"), lost);
        let said = fixture.restart();
        assert!(said.contains("batches from the journal"), "{said}");
        fixture.assert_whole();
    }
}

#[test]
fn a_segment_is_gone_and_the_journal_has_it() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    fixture.broker.kill9();
    fs::remove_file(fixture.segment("log")).expect("there was a segment");
    fixture.restart();
    fixture.assert_whole();
}

#[test]
fn garbage_follows_the_last_batch_of_a_segment() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    fixture.broker.kill9();
    let garbage: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    append(&fixture.segment("log"), &garbage);
    let said = fixture.restart();
    assert!(said.contains("cut off 3000 bytes behind the last whole batch"), "{said}");
    fixture.assert_whole();
}

#[test]
fn a_byte_of_a_segment_is_flipped_and_the_journal_has_it() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    fixture.broker.kill9();
    let segment = fixture.segment("log");
    flip(&segment, fs::read(&segment).expect("the segment").len() / 2);
    fixture.restart();
    fixture.assert_whole();
}

/// After a clean stop the journal is no longer needed, so what is damaged then is lost; but only that.
#[test]
fn a_byte_of_a_segment_is_flipped_and_nobody_has_it() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    assert!(fixture.broker.terminate().success());
    fixture.broker.restart();
    assert!(fixture.broker.terminate().success());
    for journal in fs::read_dir(fixture.path("journal")).expect("a directory") {
        let journal = journal.expect("a file").path();
        let held = fs::read(&journal).expect("the journal");
        assert!(!held.windows(8).any(|bytes| bytes == b"key 300\""), "the journal is not what this test is about");
    }
    let segment = fixture.segment("log");
    let content = fs::read(&segment).expect("the segment");
    let at = content.windows(10).position(|bytes| bytes == b"300 value ").expect("the record 300");
    flip(&segment, at + 7);
    fixture.restart();
    let client = fixture.broker.client();

    let (before, damaged, after) = (300, 300, 310);
    let read = |offset: u64| client.get(&format!("/api/topics/t/messages?offset={offset}&limit=10000"));
    let (status, found) = read(0);
    assert!(status == 200 && found == Value::from(fixture.records[..before].to_vec()), "what comes before");
    for offset in damaged..after {
        let (status, error) = read(offset);
        assert_eq!((status, &error["code"]), (409, &json!("data_corrupt")), "{error}");
        assert_eq!(error["details"], json!({"topic": "t", "partition": 0, "offset": offset, "next": after}));
    }
    let (status, found) = read(after);
    assert!(status == 200 && found == Value::from(fixture.records[310..].to_vec()), "what comes after");

    // A consumer is told as well, and can go on behind it.
    let other = client.subscribe("other", &["t"], &json!({}));
    let mut delivered = 0;
    let error = loop {
        let (status, answer) = client.post(&format!("{other}/consume"), &json!({"timeout_ms": 0}));
        if status != 200 {
            break (status, answer);
        }
        let records = answer["records"].as_array().expect("records");
        assert!(
            !records.is_empty() && records == &fixture.records[delivered..delivered + records.len()],
            "after {delivered}"
        );
        delivered += records.len();
    };
    assert_eq!((delivered, error.0, &error.1["code"]), (before, 409, &json!("data_corrupt")), "{}", error.1);
    let seek = json!({"topic": "t", "partition": 0, "offset": error.1["details"]["next"]});
    assert_eq!(client.post(&format!("{other}/seek"), &seek).0, 200);
    let rest = client.poll(&other, &json!({"timeout_ms": 0}));
    assert!(rest["records"] == Value::from(fixture.records[310..].to_vec()), "what comes after, to a consumer");
    fixture.produce(10);
}

#[test]
fn indexes_are_made_anew() {
    local_only!(WHY_LOCAL);
    for clean in [true, false] {
        for extensions in [&["index"][..], &["timeindex"], &["index", "timeindex"]] {
            let mut fixture = Fixture::new();
            assert!(fixture.broker.terminate().success());
            if !clean {
                fixture.broker.restart();
                fixture.broker.kill9();
            }
            for extension in extensions {
                let index = fixture.segment(extension);
                assert!(fs::metadata(&index).expect("an index").len() > 0, "{}", index.display());
                fs::remove_file(index).expect("removed");
            }
            fixture.restart();
            fixture.assert_whole();
        }
    }
}

#[test]
fn indexes_that_hold_nonsense_lead_nobody_astray() {
    local_only!(WHY_LOCAL);
    for extension in ["index", "timeindex"] {
        for damage in
            [|path: &Path| cut_off(path, 3), |path: &Path| append(path, &[0xff; 24]), |path: &Path| flip(path, 5)]
        {
            let mut fixture = Fixture::new();
            assert!(fixture.broker.terminate().success());
            damage(&fixture.segment(extension));
            fixture.restart();
            fixture.assert_whole();
        }
    }
}

#[test]
fn the_snapshot_before_a_damaged_one_is_used() {
    local_only!(WHY_LOCAL);
    for damage in [
        |path: &Path| cut_off(path, 30),
        |path: &Path| flip(path, 40),
        |path: &Path| fs::write(path, "").expect("written"),
    ] {
        let mut fixture = Fixture::new();
        for _ in 0..2 {
            assert!(fixture.broker.terminate().success());
            fixture.broker.restart();
        }
        assert!(fixture.broker.terminate().success());
        damage(&fixture.newest("snapshots"));
        let said = fixture.restart();
        assert!(said.contains("is damaged; the snapshot before it is used"), "{said}");
        fixture.assert_whole();
    }
}

#[test]
fn what_was_not_finished_is_removed_and_strangers_are_moved_aside() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    assert!(fixture.broker.terminate().success());
    let leftovers =
        ["snapshots/00000000000000000009.snap.tmp", "logs/t-0/00000000000000000000.index.tmp", "takhin.json.tmp"];
    for leftover in leftovers {
        fs::write(fixture.path(leftover), "half").expect("written");
    }
    fs::create_dir(fixture.path("logs/foreign-3")).expect("made");
    fs::write(fixture.path("logs/foreign-3/00000000000000000000.log"), "something").expect("written");
    let said = fixture.restart();
    assert!(said.contains("foreign-3 belongs to no known topic; moved to"), "{said}");
    assert!(!fixture.path("logs/foreign-3").exists());
    for leftover in leftovers {
        assert!(!fixture.path(leftover).exists(), "{leftover} is still there. {said}");
    }
    fixture.assert_whole();
}

/// Runs the server, which must refuse to, and gives what it says. Nothing may have been changed by that.
fn refused(fixture: &Fixture) -> String {
    let (status, said) = fixture.broker.run_to_its_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked") && !said.contains("listening"), "{said}");
    said
}

#[test]
fn one_directory_is_served_by_one_server() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    let said = refused(&fixture);
    let directory = fixture.broker.data_dir();
    assert!(said.contains(&format!("takhin: {} is in use by another process", directory.display())), "{said}");
    fixture.assert_whole();
}

#[test]
fn a_format_from_the_future_is_refused() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    assert!(fixture.broker.terminate().success());
    let manifest = fixture.path("takhin.json");
    let kept = fs::read_to_string(&manifest).expect("the manifest");
    fs::write(&manifest, kept.replace("\"format\": 2", "\"format\": 3")).expect("written");
    let said = refused(&fixture);
    assert!(said.contains("takhin.json is of format 3, and this version reads formats up to 2"), "{said}");
    fs::write(&manifest, kept).expect("written");
    fixture.restart();
    fixture.assert_whole();
}

#[test]
fn a_manifest_that_is_missing_or_damaged_is_told() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    assert!(fixture.broker.terminate().success());
    let manifest = fixture.path("takhin.json");
    let kept = fs::read(&manifest).expect("the manifest");
    fs::remove_file(&manifest).expect("removed");
    assert!(refused(&fixture).contains("takhin.json is missing although there is data beside it"));
    fs::write(&manifest, "{").expect("written");
    assert!(refused(&fixture).contains("takhin.json is damaged"));
    fs::write(&manifest, kept).expect("written");
    fixture.restart();
    fixture.assert_whole();
}

#[test]
fn without_any_snapshot_a_server_does_not_pretend_to_be_empty() {
    local_only!(WHY_LOCAL);
    let mut fixture = Fixture::new();
    for _ in 0..3 {
        assert!(fixture.broker.terminate().success());
        fixture.broker.restart();
    }
    assert!(fixture.broker.terminate().success());
    for snapshot in fs::read_dir(fixture.path("snapshots")).expect("a directory") {
        fs::write(snapshot.expect("a file").path(), "nothing").expect("written");
    }
    let said = refused(&fixture);
    assert!(said.contains("no snapshot in") && said.contains("is whole"), "{said}");
}
