//! What the black-box tests rely on: programs that end as they are told to, failures that say why, and answers
//! that come back as they are.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    process::Command,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
    process::Process,
};
use tempfile::TempDir;

/// A server that answers one request with `response`, and hands over what it was asked.
fn answering(response: &'static str) -> (Client, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()));
    let server = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            stream.read_line(&mut head).unwrap();
            if let Some(value) = head[start..].to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(response.as_bytes()).unwrap();
        format!("{} {}", head.lines().next().unwrap(), String::from_utf8(body).unwrap())
    });
    (client, server)
}

#[test]
fn a_refusal_is_an_answer() {
    let (client, server) = answering("HTTP/1.1 409 Conflict\r\ncontent-length: 6\r\n\r\nfenced");
    assert_eq!(client.post("/api/x", &json!({"a": [1]})), (409, json!("fenced")));
    assert_eq!(server.join().unwrap(), "POST /api/x HTTP/1.1 {\"a\":[1]}");
}

#[test]
fn a_body_that_is_json_comes_back_as_json() {
    let (client, server) = answering("HTTP/1.1 500 Oops\r\ncontent-length: 17\r\n\r\n{\"code\":\"fenced\"}");
    assert_eq!(client.get("/api/x?y=1"), (500, json!({"code": "fenced"})));
    assert_eq!(server.join().unwrap(), "GET /api/x?y=1 HTTP/1.1 ");
}

#[test]
fn an_empty_body_comes_back_as_null() {
    let (client, server) = answering("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.delete("/api/x"), (204, Value::Null));
    assert_eq!(server.join().unwrap(), "DELETE /api/x HTTP/1.1 ");
}

#[test]
fn a_server_that_breaks_off_is_an_error() {
    let (client, server) = answering("");
    assert!(client.request("PUT", "/api/x", Some(&json!({}))).is_err());
    assert_eq!(server.join().unwrap(), "PUT /api/x HTTP/1.1 {}");
}

/// A shell script, started and past its first line of output.
fn script(text: &str) -> (TempDir, Process) {
    let directory = TempDir::new().unwrap();
    let process = Process::start(Command::new("sh").args(["-c", text]), &directory.path().join("log")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while process.log().is_empty() {
        assert!(Instant::now() < deadline, "nothing was printed");
        thread::sleep(Duration::from_millis(5));
    }
    (directory, process)
}

const WAIT: &str = "while :; do sleep 0.01; done";

#[test]
fn a_terminated_program_ends_as_it_likes() {
    let (_directory, process) = script(&format!("trap 'exit 7' TERM; echo up; {WAIT}"));
    assert_eq!(process.terminate().code(), Some(7));
}

#[test]
fn a_killed_program_has_no_say() {
    let (_directory, process) = script(&format!("trap 'exit 7' TERM; echo up; {WAIT}"));
    assert_eq!(process.kill9().signal(), Some(9));
}

#[test]
fn both_outputs_are_kept() {
    let (_directory, mut process) = script("echo out; echo err >&2; exit 3");
    while process.ended().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((process.log().as_str(), process.ended().unwrap().code()), ("out\nerr\n", Some(3)));
}

/// `echo` stands in for a server that ends as soon as it has said something.
#[test]
#[should_panic(expected = "ended before it was healthy, exit status: 0. It printed:\nserve --listen 127.0.0.1:")]
fn a_server_that_does_not_start_is_a_failure_with_its_output() {
    let program = Some("echo".into());
    Broker::start(Options { program, ..Options::quick() });
}
