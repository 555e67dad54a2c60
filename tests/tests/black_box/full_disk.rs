//! The disk is full: writes are refused and say so, everything else goes on, and so do writes once there is room.
//!
//! Each test runs in a mount namespace of its own, where it may mount a small file system that nobody else sees and
//! that goes away with it. That needs `unshare` and either root or user namespaces; where there are none the tests fail.

use std::{env, fs, path::PathBuf, process::Command, thread};

use serde_json::{Value, json};
use takhin_tests::{
    api::{offsets, values},
    broker::{Broker, Options},
    client::Client,
    local_only,
};
use tempfile::TempDir;

const WHY_LOCAL: &str = "it is about the disk with the data directory";

/// Runs the test of this name anew, in its own mount namespace, or `test` if it is there already.
fn with_mounts_of_its_own(name: &str, test: impl FnOnce()) {
    const INSIDE: &str = "TAKHIN_TEST_INSIDE_NAMESPACE";
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let name = format!("full_disk::{name}");
    command.arg("--mount").arg(env::current_exe().expect("a test knows where it is"));
    let output = command.args([&*name, "--exact", "--nocapture"]).env(INSIDE, "1").output().expect("unshare runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A file system of 192 MiB, of which the journal takes 64 or twice that, with a file in it that takes most of the rest.
struct SmallDisk {
    root: TempDir,
}

impl SmallDisk {
    fn new(ballast_mib: usize) -> Self {
        let root = TempDir::new().expect("a directory");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=192m", "none"]).arg(root.path()).status();
        assert!(status.expect("mount runs").success(), "nothing could be mounted");
        let disk = Self { root };
        fs::write(disk.ballast(), vec![1; ballast_mib << 20]).expect("there is room for the ballast");
        disk
    }

    fn ballast(&self) -> PathBuf {
        self.root.path().join("ballast")
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = fs::File::options().append(true).create(true).open(self.ballast()).expect("the ballast");
        for size in [1 << 20, 4 << 10] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is thrown off");
    }

    fn broker(&self, durability: &str) -> Broker {
        let options =
            Options { durability: Some(durability.into()), data_dir: Some(self.data()), ..Options::default() };
        Broker::start(options)
    }
}

fn record(number: usize) -> String {
    format!("{number} {}", "x".repeat(100_000))
}

/// Produces until there is no room, and gives the values that were acknowledged, and the refusal.
fn produce_until_full(client: &Client) -> (Vec<String>, Value) {
    let mut acknowledged = Vec::new();
    for number in 0..2_000 {
        let body = json!({"records": [{"partition": 0, "value": record(number)}]});
        let (status, answer) = client.post("/api/topics/t/produce", &body);
        if status != 200 {
            assert_eq!((status, &answer["code"]), (503, &json!("storage_unavailable")), "{answer}");
            return (acknowledged, answer);
        }
        assert_eq!(answer["offsets"][0]["offset"], acknowledged.len());
        acknowledged.push(record(number));
    }
    panic!("the disk is never full");
}

fn assert_holds(client: &Client, expected: &[String]) {
    let found = values(&client.read_from("t", 0, 0).into());
    let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    assert_eq!((same, found.len()), (expected.len(), expected.len()), "the same, and all found");
}

fn goes_on_when_there_is_room_again(durability: &str) {
    let disk = SmallDisk::new(90);
    let mut broker = disk.broker(durability);
    let client = broker.client();
    client.create_topic("t", 1);
    client.create_topic("quiet", 1);
    let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    let quiet = client.subscribe("quiet", &["quiet"], &json!({}));
    let parked = thread::spawn({
        let (client, path) = (client.clone(), format!("{quiet}/consume"));
        move || client.post(&path, &json!({"timeout_ms": 50_000}))
    });
    client.wait_for_parked_polls(1);

    let (mut acknowledged, refusal) = produce_until_full(&client);
    assert!(!acknowledged.is_empty());
    assert_eq!((&refusal["retryable"], &refusal["details"]["applied"]), (&json!(true), &json!("nothing")), "{refusal}");
    let (status, health) = client.get("/api/health");
    assert_eq!((status, &health["status"]), (200, &json!("degraded")), "{health}");
    assert!(health["storage"].as_str().is_some_and(|why| why.contains("no space is left")), "{health}");
    let ready = client.send("GET", "/api/health/ready", &[], None).expect("an answer");
    assert_eq!((ready.status, &ready.body["code"]), (503, &json!("not_ready")), "{}", ready.body);
    assert!(!ready.header("retry-after").is_empty());
    assert_eq!(client.get("/api/health/live").0, 200);

    // What is there can be read, by readers and by consumers, and what waits goes on waiting.
    assert_holds(&client, &acknowledged);
    let polled = client.poll(&consumer, &json!({"max_records": 3, "timeout_ms": 0}));
    assert_eq!(offsets(&polled["records"]), [0, 1, 2]);
    assert_eq!(client.parked_polls(), 1);
    // Refused is refused: however often, nothing of it is seen.
    for _ in 0..5 {
        let (status, answer) = client.post("/api/topics/t/produce", &json!({"records": [{"value": record(0)}]}));
        assert_eq!((status, &answer["code"]), (503, &json!("storage_unavailable")), "{answer}");
    }
    assert_holds(&client, &acknowledged);

    disk.make_room();
    let body = json!({"records": [{"partition": 0, "value": "there is room"}]});
    loop {
        let (status, answer) = client.post("/api/topics/t/produce", &body);
        if status == 200 {
            assert_eq!(answer["offsets"][0]["offset"], acknowledged.len(), "offsets have no gap");
            break;
        }
        assert_eq!((status, &answer["code"]), (503, &json!("storage_unavailable")), "{answer}");
        thread::sleep(std::time::Duration::from_millis(20));
    }
    acknowledged.push("there is room".to_owned());
    let (_, health) = client.get("/api/health");
    assert_eq!((&health["status"], &health["storage"]), (&json!("ok"), &json!("ok")), "{health}");
    client.produce_values("quiet", 0, &["at last"]);
    let (status, answer) = parked.join().expect("no panic");
    assert_eq!((status, values(&answer["records"])), (200, vec!["at last".to_owned()]));
    assert_eq!(client.post(&format!("{consumer}/commit"), &json!({})).0, 200);

    broker.kill9();
    broker.restart();
    let client = broker.client();
    assert_holds(&client, &acknowledged);
    assert_eq!(client.get(&format!("{consumer}/committed")).1["offsets"], json!({"t": {"0": 3}}));
}

#[test]
fn writes_go_on_when_there_is_room_again() {
    local_only!(WHY_LOCAL);
    with_mounts_of_its_own("writes_go_on_when_there_is_room_again", || goes_on_when_there_is_room_again("fsync"));
}

#[test]
fn writes_that_the_system_syncs_go_on_when_there_is_room_again() {
    local_only!(WHY_LOCAL);
    with_mounts_of_its_own("writes_that_the_system_syncs_go_on_when_there_is_room_again", || {
        goes_on_when_there_is_room_again("os");
    });
}

/// A commit can't be kept either; it is refused, and not kept waiting.
#[test]
fn what_must_be_kept_is_refused_while_there_is_no_room() {
    local_only!(WHY_LOCAL);
    with_mounts_of_its_own("what_must_be_kept_is_refused_while_there_is_no_room", || {
        let disk = SmallDisk::new(90);
        let broker = disk.broker("fsync");
        let client = broker.client();
        client.create_topic("t", 1);
        let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
        let (acknowledged, _) = produce_until_full(&client);
        disk.fill();
        for (path, body) in [
            ("/api/topics", json!({"name": "one-more"})),
            ("/api/consumers/subscribe", json!({"group_id": "g", "topics": ["t"]})),
            (&format!("{consumer}/commit"), json!({"offsets": {"t": {"0": 1}}})),
        ] {
            let (status, answer) = client.post(path, &body);
            assert!(
                status == 200 || status == 201 || (status, &answer["code"]) == (503, &json!("storage_unavailable")),
                "{path}: {answer}"
            );
        }
        assert_holds(&client, &acknowledged);
    });
}

/// The server is killed while there is no room, and there is none when it comes back: it says so and ends, or it
/// serves what it has. With room it is as it was.
#[test]
fn a_start_without_room_harms_nothing() {
    local_only!(WHY_LOCAL);
    with_mounts_of_its_own("a_start_without_room_harms_nothing", || {
        let disk = SmallDisk::new(90);
        let mut broker = disk.broker("fsync");
        broker.client().create_topic("t", 1);
        let (acknowledged, _) = produce_until_full(&broker.client());
        disk.fill();
        broker.kill9();
        for _ in 0..3 {
            let (status, said) = broker.run_to_its_end();
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains("takhin: ") && said.contains("No space left"), "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        disk.make_room();
        broker.restart();
        assert_holds(&broker.client(), &acknowledged);
        broker.client().produce_values("t", 0, &["more"]);
    });
}

/// Stopping needs room for a last note. Without it the server ends all the same, and nothing is lost.
#[test]
fn a_stop_without_room_loses_nothing() {
    local_only!(WHY_LOCAL);
    with_mounts_of_its_own("a_stop_without_room_loses_nothing", || {
        let disk = SmallDisk::new(90);
        let mut broker = disk.broker("fsync");
        broker.client().create_topic("t", 1);
        let (acknowledged, _) = produce_until_full(&broker.client());
        disk.fill();
        let status = broker.terminate();
        assert!(status.code().is_some(), "it ended by itself: {status}, {}", broker.log());
        assert!(!broker.log().contains("panicked"), "{}", broker.log());
        disk.make_room();
        broker.restart();
        assert_holds(&broker.client(), &acknowledged);
    });
}
