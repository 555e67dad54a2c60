//! Backups: taken of a server that runs, or of a directory, and made a server again.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, ExitStatus},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};
use takhin_tests::{
    api::values,
    broker::{Broker, Options, program, run_to_its_end},
    client::Client,
    local_only,
};
use tempfile::TempDir;

const WHY_LOCAL: &str = "a backup of records in Kafka is Kafka's business";

fn takhin(directory: &TempDir, arguments: &[&str]) -> (ExitStatus, String) {
    run_to_its_end(Command::new(program()).args(arguments), &directory.path().join("printed"))
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().expect("a text").to_owned()
}

fn backup(broker: &Broker, directory: &TempDir) -> String {
    let file = path(directory, "backup.tar.zst");
    let (status, printed) = takhin(directory, &["backup", "--server", &broker.url(""), "-o", &file]);
    assert!(status.success(), "{printed}");
    file
}

fn restored(directory: &TempDir, file: &str) -> Broker {
    let data_dir = path(directory, "restored");
    let (status, printed) = takhin(directory, &["restore", file, "--data-dir", &data_dir]);
    assert!(status.success(), "{printed}");
    let broker = Broker::start(Options { data_dir: Some(data_dir.into()), ..Options::default() });
    let log = broker.log();
    assert!(!log.contains("damaged") && !log.contains("missing") && !log.contains("cut off"), "{log}");
    broker
}

#[test]
fn what_is_restored_is_what_was_there() {
    local_only!(WHY_LOCAL);
    let directory = TempDir::new().expect("a directory");
    let broker = Broker::start(Options::default());
    let client = broker.client();
    let settings = json!({"name": "orders", "partitions": 3, "segment_bytes": 1024, "compression": "zstd"});
    client.post("/api/topics", &settings);
    for n in 0..30 {
        client.produce_values("orders", n % 3, &[format!("{n}").repeat(200), format!("{n}-b")]);
    }
    let consumer = client.subscribe("billing", &["orders"], &json!({"auto_commit": false}));
    let polled = client.poll(&consumer, &json!({"max_records": 7}));
    client.post(&format!("{consumer}/commit"), &json!({}));
    let once = [("idempotency-key", "once")];
    let body = json!({"records": [{"value": "x", "partition": 0}]}).to_string().into_bytes();
    let sent = |client: &Client| {
        client.send("POST", "/api/topics/orders/produce", &once, Some(body.clone())).expect("an answer").body
    };
    let first = sent(&client);
    let file = backup(&broker, &directory);
    let later = client.produce_values("orders", 0, &["after the backup"]);

    let other = restored(&directory, &file);
    let client_there = other.client();
    let (described, mut expected) = (client_there.get("/api/topics/orders").1, client.get("/api/topics/orders").1);
    expected["offsets"][0]["end"] = json!(later);
    assert_eq!(described, expected);
    for partition in 0..3 {
        let mut all = client.read_from("orders", partition, 0);
        all.retain(|record| record["value"] != "after the backup");
        assert_eq!(client_there.read_from("orders", partition, 0), all);
    }
    let group = |client: &Client| {
        let mut group = client.get("/api/consumer-groups/billing").1;
        for partition in group["partitions"].as_array_mut().expect("partitions") {
            for changes in ["end", "lag", "lag_ms"] {
                partition[changes] = Value::Null;
            }
        }
        group["partitions"].clone()
    };
    assert_eq!(group(&client_there), group(&client));
    let again = sent(&client_there);
    assert_eq!((&again["duplicate"], &again["offsets"][0]["offset"]), (&json!(true), &first["offsets"][0]["offset"]));
    let next = client_there.poll(&consumer, &json!({}));
    let polled: BTreeSet<String> = values(&polled["records"]).into_iter().collect();
    let next: BTreeSet<String> = values(&next["records"]).into_iter().collect();
    assert!(!next.is_empty() && polled.is_disjoint(&next), "the consumer goes on where it was");
}

/// Tells the others of a test to stop, however it ends.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_under_load_has_no_offset_beyond_its_records() {
    local_only!(WHY_LOCAL);
    let directory = TempDir::new().expect("a directory");
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.post("/api/topics", &json!({"name": "t", "partitions": 2, "segment_bytes": 4096}));
    let stop = AtomicBool::new(false);
    let file = thread::scope(|scope| {
        let (broker, stop) = (&broker, &stop);
        scope.spawn(move || {
            let client = broker.client();
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                client.produce_values("t", n % 2, &[format!("{n}").repeat(100)]);
            }
        });
        scope.spawn(move || {
            let client = broker.client();
            let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
            while !stop.load(Ordering::Relaxed) {
                client.poll(&consumer, &json!({"timeout_ms": 20}));
                client.post(&format!("{consumer}/commit"), &json!({}));
            }
        });
        let _stopping = StopAtEnd(stop);
        while client.get("/api/consumer-groups/g").1["partitions"][0]["committed"].as_u64() < Some(20) {
            thread::yield_now();
        }
        backup(broker, &directory)
    });
    let other = restored(&directory, &file);
    let there = other.client().get("/api/consumer-groups/g").1;
    for partition in there["partitions"].as_array().expect("partitions") {
        assert!(partition["committed"].as_u64() >= Some(1), "{there}");
        assert!(partition["committed"].as_u64() <= partition["end"].as_u64(), "{there}");
    }
    for partition in 0..2 {
        let records = other.client().read_from("t", partition, 0);
        assert_eq!(records, client.read_from("t", partition, 0)[..records.len()]);
    }
}

#[test]
fn what_is_deleted_while_a_backup_is_taken_is_in_it() {
    local_only!(WHY_LOCAL);
    let directory = TempDir::new().expect("a directory");
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    // More than the buffers on the way hold, and nothing that can be packed.
    let mut seed = 1u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"0123456789abcdef"[(seed >> 60) as usize])
    };
    for _ in 0..40 {
        let text: String = (0..900_000).map(|_| noise()).collect();
        client.produce_values("t", 0, &[text]);
    }
    let mut socket = TcpStream::connect(client.address()).expect("a connection");
    socket.write_all(b"GET /api/backup HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = vec![0; 100_000];
    socket.read_exact(&mut answer).expect("the beginning");
    let (status, second) = client.get("/api/backup");
    assert_eq!((status, &second["code"]), (503, &json!("backup_running")));
    assert_eq!(client.delete("/api/topics/t").0, 200);
    client.create_topic("t", 1);
    client.produce_values("t", 0, &["another"]);
    socket.read_to_end(&mut answer).expect("the rest");
    let file = path(&directory, "file");
    fs::write(&file, unchunked(&answer)).expect("written");
    let other = restored(&directory, &file);
    assert_eq!(other.client().get("/api/topics/t").1["offsets"][0]["end"], 40);
    let held = broker.data_dir().join("backup");
    assert!(!held.exists(), "nothing is held any longer");
}

/// The body of an answer that was sent in chunks.
fn unchunked(answer: &[u8]) -> Vec<u8> {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|it| it == what).expect("it is there");
    let mut rest = &answer[find(answer, b"\r\n\r\n") + 4..];
    let mut body = Vec::new();
    loop {
        let at = find(rest, b"\r\n");
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..at]).expect("text"), 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + length]);
        rest = &rest[at + 4 + length..];
    }
}

#[test]
fn a_directory_is_backed_up_too_and_none_is_overwritten() {
    local_only!(WHY_LOCAL);
    let directory = TempDir::new().expect("a directory");
    let mut broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    client.produce_values("t", 0, &["a", "b"]);
    let (file, data) = (path(&directory, "file"), broker.data_dir().to_str().expect("text").to_owned());
    let offline = ["backup", "--data-dir", &data, "-o", &file];
    let (status, printed) = takhin(&directory, &offline);
    assert!(!status.success() && printed.contains("in use by another process"), "{printed}");
    assert!(broker.terminate().success());
    let (status, printed) = takhin(&directory, &offline);
    assert!(status.success() && printed.contains("1 partitions, 2 offsets"), "{printed}");
    let (status, printed) = takhin(&directory, &offline);
    assert!(!status.success() && printed.contains("is there already"), "{printed}");
    let (status, printed) = takhin(&directory, &["restore", &file, "--verify"]);
    assert!(status.success() && printed.contains("is good"), "{printed}");
    let (status, printed) = takhin(&directory, &["restore", &file, "--data-dir", &data]);
    assert!(!status.success() && printed.contains("is not empty"), "{printed}");
    assert_eq!(restored(&directory, &file).client().read_from("t", 0, 0).len(), 2);
}

#[test]
fn a_damaged_archive_is_an_error_that_names_the_place() {
    local_only!(WHY_LOCAL);
    let directory = TempDir::new().expect("a directory");
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    client.produce_values("t", 0, &["a", "b", "c"]);
    let file = backup(&broker, &directory);
    let good = fs::read(&file).expect("an archive");
    let bad = path(&directory, "bad");
    let target = path(&directory, "target");
    let refused = |bytes: &[u8]| {
        fs::write(&bad, bytes).expect("written");
        let (status, printed) = takhin(&directory, &["restore", &bad, "--data-dir", &target]);
        assert!(!status.success() && printed.contains("damaged"), "{printed}");
        assert!(!Path::new(&target).exists(), "nothing is left of it");
        printed
    };
    for length in [0, 3, good.len() / 2, good.len() - 1] {
        refused(&good[..length]);
    }
    for at in (8..good.len()).step_by(good.len() / 9) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        refused(&bytes);
    }
}

#[test]
fn records_damaged_before_the_backup_are_told_and_can_be_taken_along() {
    local_only!(WHY_LOCAL);
    let directory = TempDir::new().expect("a directory");
    let mut broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    for value in ["a", "b", "c"] {
        client.produce_values("t", 0, &[value]);
    }
    assert!(broker.terminate().success());
    let segment = broker.data_dir().join("logs/t-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment).expect("a segment");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&segment, bytes).expect("written");
    broker.restart();
    let file = path(&directory, "file");
    let (status, printed) = takhin(&directory, &["backup", "--server", &broker.url(""), "-o", &file]);
    let place = "logs/t-0/00000000000000000000.log at byte";
    assert!(status.success() && printed.contains(place), "{printed}");
    let target = path(&directory, "target");
    let (status, printed) = takhin(&directory, &["restore", &file, "--data-dir", &target]);
    assert!(!status.success() && printed.contains("00000000000000000000.log was damaged when"), "{printed}");
    let (status, printed) = takhin(&directory, &["restore", &file, "--data-dir", &target, "--keep-damaged"]);
    assert!(status.success() && printed.contains(place), "{printed}");
    let other = Broker::start(Options { data_dir: Some(target.into()), ..Options::default() });
    let client = other.client();
    assert_eq!(client.get("/api/topics/t/messages?offset=1").1["code"], "data_corrupt");
    assert_eq!(values(&client.get("/api/topics/t/messages?offset=2").1), ["c"]);
}
