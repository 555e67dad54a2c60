//! A server that does not know producers: nothing that may have been stored is sent again.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::{Value, json};
use takhin_client::{Client, Error, Record};

/// A request's first line and its body.
fn request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some((head.lines().next().unwrap().to_owned(), serde_json::from_slice(&body).unwrap_or_default()))
}

fn answer(stream: &mut TcpStream, status: &str, body: &Value) {
    let body = body.to_string();
    let length = body.len();
    let whole =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(whole.as_bytes()).unwrap();
}

/// A server with a topic of one partition, which takes what has no number; but a record with the value `lost` costs it its
/// connection. It tells of each request to append.
fn server() -> (Client, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (tell, appends) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            thread::spawn(move || {
                while let Some((line, body)) = request(&mut stream) {
                    if line.starts_with("get ") {
                        answer(&mut stream, "200 OK", &json!({"partitions": 1}));
                        continue;
                    }
                    tell.send(body.clone()).unwrap();
                    if body.get("producer_id").is_some() {
                        let refused = json!({
                            "code": "unsupported", "error": "no", "retryable": false, "details": {"what": "producers"},
                        });
                        answer(&mut stream, "501 Not Implemented", &refused);
                    } else if body["records"][0]["value"] == "lost" {
                        return;
                    } else {
                        answer(
                            &mut stream,
                            "200 OK",
                            &json!({"offsets": [{"partition": 0, "offset": 7, "timestamp": 1}]}),
                        );
                    }
                }
            });
        }
    });
    (client, appends)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_no_producers_is_sent_no_numbers_and_nothing_twice() {
    let (client, appends) = server();
    let producer = client.producer();
    let send = async |value: &'static str| producer.send(Record::new("t").value(value)).await.unwrap().await;
    assert_eq!(send("one").await.unwrap().offset, 7);
    let lost = send("lost").await;
    assert!(matches!(lost, Err(Error::OutcomeUnknown { .. })), "{lost:?}");
    assert_eq!(send("two").await.unwrap().offset, 7);
    let told: Vec<_> = appends.try_iter().collect();
    let seen: Vec<_> =
        told.iter().map(|body| (&body["records"][0]["value"], body.get("producer_id").is_some())).collect();
    assert_eq!(seen, [(&json!("one"), true), (&json!("one"), false), (&json!("lost"), false), (&json!("two"), false)]);
}
