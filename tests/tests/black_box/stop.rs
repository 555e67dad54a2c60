//! How the server is started and stopped: signals, addresses, environment, and what it says to nonsense.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use takhin_tests::{
    api::values,
    broker::{Broker, Options, free_port, program, run_to_its_end},
    client::Client,
    engine::Engine,
    local_only,
    process::{Process, Signal},
};
use tempfile::TempDir;

#[test]
fn a_stop_ends_polls_with_what_they_have_and_loses_nothing() {
    for durability in ["fsync", "interval:1000", "os"] {
        let mut broker = Broker::start(Options { durability: Some(durability.into()), ..Options::default() });
        let client = broker.client();
        client.create_topic("t", 1);
        client.create_topic("quiet", 1);
        let consumers: Vec<_> = (0..20).map(|n| client.subscribe(&format!("g{n}"), &["quiet"], &json!({}))).collect();
        let acknowledged = AtomicUsize::new(0);
        let mut known: BTreeMap<u64, String> = BTreeMap::new();
        thread::scope(|scope| {
            let polls: Vec<_> = consumers
                .iter()
                .map(|consumer| {
                    let (client, path) = (broker.client(), format!("{consumer}/consume"));
                    scope.spawn(move || client.post(&path, &json!({"timeout_ms": 60_000})))
                })
                .collect();
            let read = scope.spawn({
                let client = broker.client();
                move || client.get("/api/topics/quiet/messages?wait_ms=60000")
            });
            client.wait_for_parked_polls(21);
            let producers: Vec<_> = (0..4)
                .map(|number| {
                    let (client, acknowledged) = (broker.client(), &acknowledged);
                    scope.spawn(move || produce_until_refused(&client, number, acknowledged))
                })
                .collect();
            while acknowledged.load(Ordering::Relaxed) < 100 {
                thread::yield_now();
            }
            let status = broker.terminate();
            assert_eq!(status.code(), Some(0), "{}", broker.log());
            for poll in polls {
                let (status, answer) = poll.join().expect("an answer");
                assert_eq!((status, &answer["records"]), (200, &json!([])), "{answer}");
            }
            assert_eq!(read.join().expect("an answer"), (200, json!([])));
            for producer in producers {
                known.extend(producer.join().expect("no panic"));
            }
        });
        assert!(broker.log().contains(stopped()), "{}", broker.log());

        let log = broker.log().len();
        broker.restart();
        let said = broker.log()[log..].to_owned();
        if Engine::of_this_run() == Engine::Local {
            assert!(said.contains("0 batches from the journal") && said.contains("20 consumers"), "{said}");
        }
        assert!(!said.contains("cut off") && !said.contains("damaged"), "{said}");
        let client = broker.client();
        let found: BTreeMap<u64, String> = client
            .read_from("t", 0, 0)
            .iter()
            .map(|record| {
                (record["offset"].as_u64().expect("an offset"), record["value"].as_str().expect("a text").into())
            })
            .collect();
        let lost: Vec<_> = known.iter().filter(|(offset, value)| found.get(offset) != Some(value)).collect();
        assert!(lost.is_empty(), "acknowledged, and not found: {lost:?}");
        for consumer in &consumers {
            assert_eq!(client.get(consumer).0, 200, "consumers go on");
        }
    }
}

/// Writes until the server is gone, and gives what was acknowledged.
fn produce_until_refused(client: &Client, producer: u32, acknowledged: &AtomicUsize) -> BTreeMap<u64, String> {
    let mut known = BTreeMap::new();
    for number in 0.. {
        let value = format!("{producer}-{number}");
        let body = json!({"records": [{"value": value}]});
        match client.request("POST", "/api/topics/t/produce", Some(&body)) {
            Ok((200, answer)) => {
                known.insert(answer["offsets"][0]["offset"].as_u64().expect("an offset"), value);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok((status, answer)) => assert_eq!((status, &answer["code"]), (503, &json!("shutting_down")), "{answer}"),
            Err(_) => break,
        }
    }
    known
}

/// What a server says last.
fn stopped() -> &'static str {
    match Engine::of_this_run() {
        Engine::Local => "stopped; everything is on disk",
        Engine::Kafka => "stopped; everything is in Kafka",
    }
}

#[test]
fn ctrl_c_is_as_good() {
    let mut broker = Broker::start(Options::quick());
    broker.client().create_topic("t", 1);
    broker.signal(Signal::INT);
    assert_eq!(broker.terminate().code(), Some(0));
    assert!(broker.log().contains(stopped()), "{}", broker.log());
}

/// Neither who says nothing nor who stops in the middle of a word keeps the server from ending.
#[test]
fn clients_that_say_nothing_do_not_delay_a_stop() {
    let mut broker = Broker::start(Options::quick());
    let address = broker.client().address();
    let mut connections: Vec<_> = (0..3).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    connections[1].write_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut answer = [0; 12];
    connections[1].read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    connections[2].write_all(b"POST /api/topics HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{").expect("sent");
    assert_eq!(broker.terminate().code(), Some(0), "{}", broker.log());
}

/// Runs the server with these arguments and this environment until it answers at each of the ports, and gives it back
/// with what it has printed.
fn serving(directory: &Path, ports: &[u16], arguments: &[&str], environment: &[(&str, &str)]) -> (Process, String) {
    let mut command = Command::new(program());
    command.arg("serve").args(arguments).envs(environment.iter().copied()).current_dir(directory);
    let mut process = Process::start(&mut command, &directory.join("log")).expect("it starts");
    for port in ports {
        let client = Client::new(&format!("http://127.0.0.1:{port}"));
        while !client.request("GET", "/api/health/ready", None).is_ok_and(|(status, _)| status == 200) {
            assert!(process.ended().is_none(), "{}", process.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
    while !process.log().contains("Try it") {
        thread::sleep(Duration::from_millis(5));
    }
    let log = process.log();
    (process, log)
}

#[test]
fn it_listens_on_every_address() {
    let directory = TempDir::new().expect("a directory");
    let ports = [(); 3].map(|()| free_port());
    let [first, second, third] = ports.map(|port| format!("127.0.0.1:{port}"));
    let both = format!("{first},{second}");
    let arguments = ["--listen", &both, "--listen", &third, "--data-dir", "data"];
    let (process, log) = serving(directory.path(), &ports, &arguments, &[]);
    for address in [first, second, third] {
        assert!(log.contains(&format!("listening   http://{address}")), "{log}");
    }
    assert_eq!(process.terminate().code(), Some(0));
}

#[test]
fn everything_can_be_set_by_the_environment_and_arguments_win() {
    let directory = TempDir::new().expect("a directory");
    let ports = [(); 3].map(|()| free_port());
    let [first, second, third] = ports.map(|port| format!("127.0.0.1:{port}"));
    let environment = [
        ("TAKHIN_LISTEN", format!("{first},{second}")),
        ("TAKHIN_DATA_DIR", "from-the-environment".to_owned()),
        ("TAKHIN_DURABILITY", "interval:250".to_owned()),
        ("TAKHIN_AUTO_CREATE_TOPICS", "7".to_owned()),
        ("TAKHIN_LOG", "takhin=debug".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (process, log) = serving(directory.path(), &ports[..2], &[], &environment);
    assert!(log.contains("from-the-environment, synced to disk every 250 ms (interval)"), "{log}");
    let client = Client::new(&format!("http://{second}"));
    client.produce("made", &json!([{"value": "v"}]));
    assert_eq!(client.get("/api/topics/made").1["partitions"], 7);
    assert!(process.log().contains("DEBUG"), "{}", process.log());
    assert_eq!(process.terminate().code(), Some(0));
    assert!(directory.path().join("from-the-environment/takhin.json").is_file());

    let arguments = ["--listen", &third, "--data-dir", "from-the-arguments", "--durability", "os"];
    let (process, log) = serving(directory.path(), &ports[2..], &arguments, &environment);
    assert!(log.contains("from-the-arguments, synced to disk when the system sees fit (os)"), "{log}");
    assert!(TcpStream::connect(&first).is_err(), "an address given replaces those of the environment");
    assert_eq!(process.terminate().code(), Some(0));
}

#[test]
fn nonsense_is_answered_with_what_is_wrong() {
    let directory = TempDir::new().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let taken = taken.local_addr().expect("an address").to_string();
    let free = format!("127.0.0.1:{}", free_port());
    let file = directory.path().join("a-file");
    fs::write(&file, "").expect("written");
    let (file, data) = (file.to_str().expect("text"), directory.path().join("data"));
    let data = data.to_str().expect("text");
    for (arguments, code, message) in [
        (&[][..], 2, "Usage: "),
        (&["sevre"], 2, "unrecognized subcommand 'sevre'"),
        (&["serve", "--lisen", "x"], 2, "unexpected argument '--lisen'"),
        (&["serve", "--durability", "always"], 2, "expected fsync, interval:MS or os"),
        (&["serve", "--durability", "interval:0"], 2, "interval is from 1 to 3600000 milliseconds"),
        (&["serve", "--auto-create-topics=10001"], 2, "a number of partitions from 1 to 10000"),
        (&["serve", "--auto-create-topics=many"], 2, "invalid value 'many'"),
        (&["serve", "--data-dir"], 2, "a value is required for '--data-dir <DIR>'"),
        (&["serve", "--log", "takhin=loud", "--data-dir", data], 2, "invalid value 'takhin=loud' for '--log <FILTER>'"),
        (&["serve", "--listen", "nowhere", "--data-dir", data], 2, "expected host:port, http://host:port or "),
        (&["serve", "--listen", "127.0.0.1:99999", "--data-dir", data], 2, "expected host:port, http://host:port or "),
        (&["serve", "--listen", "ftp://127.0.0.1:1", "--data-dir", data], 2, "ftp is neither http nor https"),
        (&["serve", "--listen", &taken, "--data-dir", data], 1, &format!("takhin: can't listen on {taken}: ")),
        (&["serve", "--listen", &free, "--data-dir", file], 1, &format!("takhin: {file}: ")),
        (
            &["serve", "--listen", &free, "--data-dir", &format!("{file}/inside")],
            1,
            &format!("takhin: {file}/inside: "),
        ),
    ] {
        let (status, said) = run_to_its_end(Command::new(program()).args(arguments), &directory.path().join("log"));
        assert!(status.code() == Some(code) && said.contains(message), "{arguments:?}: {status}, {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(!Path::new(data).exists(), "nothing was made for a server that could not start");
}

#[test]
fn help_and_version_are_told() {
    let directory = TempDir::new().expect("a directory");
    let said = |arguments: &[&str]| {
        let (status, said) = run_to_its_end(Command::new(program()).args(arguments), &directory.path().join("log"));
        assert_eq!(status.code(), Some(0), "{said}");
        said
    };
    assert_eq!(said(&["--version"]), format!("takhin {}\n", env!("CARGO_PKG_VERSION")));
    let help = said(&["serve", "--help"]);
    for option in ["--listen", "--data-dir", "--durability", "--auto-create-topics", "--log", "TAKHIN_LISTEN"] {
        assert!(help.contains(option), "{help}");
    }
}

#[test]
fn health_says_how_it_is() {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    let whole = |topics: u32, consumers: u32| {
        json!({"status": "ok", "storage": "ok", "audit": "ok", "draining": false, "topics": topics, "consumers": consumers,
            "parked_polls": 0})
    };
    assert_eq!(client.get("/api/health"), (200, whole(0, 0)));
    client.create_topic("t", 1);
    let consumer = client.subscribe("g", &["t"], &Value::Object(serde_json::Map::new()));
    assert_eq!(client.get("/api/health"), (200, whole(1, 1)));
    client.delete(&consumer);
    assert_eq!(client.get("/api/health"), (200, whole(1, 0)));
    assert_eq!(client.get("/api/health/ready"), (200, json!({"status": "ok"})));
    assert_eq!(client.get("/api/health/live"), (200, json!({"status": "ok"})));
}

#[test]
fn a_data_directory_that_is_taken_away_is_noticed() {
    local_only!("a node keeps no records in its data directory");
    let mut broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    client.produce_values("t", 0, &["kept"]);
    let (data, aside) = (broker.data_dir(), broker.data_dir().with_extension("aside"));
    fs::rename(&data, &aside).expect("moved away");
    while client.get("/api/health/ready").0 == 200 {
        thread::sleep(Duration::from_millis(10));
    }
    let health = client.get("/api/health").1;
    assert_eq!(health["status"], "degraded");
    assert!(health["storage"].as_str().is_some_and(|said| said.contains("was removed or replaced")), "{health}");
    let (status, refused) = client.post("/api/topics/t/produce", &json!({"records": [{"value": "lost"}]}));
    assert_eq!((status, &refused["code"]), (503, &json!("storage_unavailable")));
    assert_eq!(values(&client.read_from("t", 0, 0).into()), ["kept"], "reads go on");

    broker.kill9();
    fs::rename(&aside, &data).expect("put back");
    broker.restart();
    assert_eq!(values(&broker.client().read_from("t", 0, 0).into()), ["kept"]);
}
