//! The access log of the real program, and the request ids in it.

use std::{fs, path::Path, thread, time::Duration};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    process::Signal,
};
use tempfile::TempDir;

/// The lines of a file about a path, once there are as many.
fn lines(file: &Path, path: &str, at_least: usize) -> Vec<String> {
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found: Vec<_> = text.lines().filter(|line| line.contains(path)).map(str::to_owned).collect();
        if found.len() >= at_least {
            return found;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn each_request_is_a_line_and_no_line_tells_a_secret() {
    let directory = TempDir::new().expect("a directory");
    let (file, aside) = (directory.path().join("access.log"), directory.path().join("access.log.1"));
    let arguments = vec![format!("--access-log={}", file.display()), "--log-format=json".to_owned()];
    let mut broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    client.create_topic("t", 1);
    let body = json!({"records": [{"key": "secret-key", "value": "secret-value"}]});
    let headers = [("x-request-id", "mine-1"), ("authorization", "Bearer secret-token")];
    let whole =
        client.send("POST", "/api/topics/t/produce", &headers, Some(body.to_string().into())).expect("an answer");
    assert_eq!((whole.status, whole.header("x-request-id")), (200, "mine-1"));
    client.get("/api/topics/t/messages?partition=0&wait_ms=0");
    client.get("/api/topics/none/messages?partition=0");

    let line: Value = serde_json::from_str(&lines(&file, "/api/topics/t/produce", 1)[0]).expect("JSON");
    let expected = json!({
        "time": line["time"], "client": "127.0.0.1", "method": "POST", "route": "/api/topics/{topic}/produce",
        "path": "/api/topics/t/produce", "status": 200, "bytes_in": body.to_string().len(),
        "bytes_out": line["bytes_out"], "duration_us": line["duration_us"], "request_id": "mine-1",
    });
    assert_eq!(line, expected);
    let line: Value = serde_json::from_str(&lines(&file, "/api/topics/none/messages", 1)[0]).expect("JSON");
    assert_eq!((&line["status"], &line["error"]), (&json!(404), &json!("topic_not_found")));

    fs::rename(&file, &aside).expect("renamed");
    broker.signal(Signal::HUP);
    while !file.exists() {
        client.get("/api/health/live");
    }
    client.get("/api/health/live");
    lines(&file, "/api/health/live", 1);
    broker.terminate();
    for text in [fs::read_to_string(&file), fs::read_to_string(&aside), Ok(broker.log())] {
        let text = text.expect("a file");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn who_asks_is_told_by_the_header_that_proxies_are_said_to_use_and_by_no_other() {
    let says = [
        ("x-forwarded-for", "203.0.113.1, 203.0.113.2"),
        ("forwarded", "for=203.0.113.9;proto=https, for=203.0.113.3"),
        ("x-real-ip", "203.0.113.4"),
    ];
    for (header, client_address) in
        [("x-forwarded-for", "203.0.113.2"), ("forwarded", "203.0.113.3"), ("x-real-ip", "203.0.113.4")]
    {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("access.log");
        let arguments = [
            format!("--access-log={}", file.display()),
            "--log-format=json".to_owned(),
            "--trusted-proxy=127.0.0.0/8".to_owned(),
            format!("--proxy-header={header}"),
        ];
        let broker = Broker::start(Options { arguments: arguments.to_vec(), ..Options::quick() });
        broker.client().send("GET", "/api/topics", &says, None).expect("an answer");
        let line: Value = serde_json::from_str(&lines(&file, "/api/topics", 1)[0]).expect("JSON");
        assert_eq!(line["client"], client_address, "{header}");
        let others: Vec<_> = says.into_iter().filter(|(name, _)| *name != header).collect();
        broker.client().send("GET", "/api/consumer-groups", &others, None).expect("an answer");
        let line: Value = serde_json::from_str(&lines(&file, "/api/consumer-groups", 1)[0]).expect("JSON");
        assert_eq!(line["client"], "127.0.0.1", "{header}");
    }
}

#[test]
fn it_is_off_unless_it_is_asked_for_and_goes_to_stderr_if_nothing_else_is_said() {
    let broker = Broker::start(Options::quick());
    broker.client().get("/api/health/live");
    let asked = Broker::start(Options { arguments: vec!["--access-log".to_owned()], ..Options::quick() });
    asked.client().get("/api/health/live");
    while !asked.log().contains(" GET /api/health/live /api/health/live 200 in=0 out=15 ") {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!broker.log().contains("/api/health"), "{}", broker.log());
}
