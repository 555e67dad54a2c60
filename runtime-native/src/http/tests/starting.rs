//! Readiness, before the broker is there and after it was told to stop.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};

use super::world::{Client, World};
use crate::http::{HttpConfig, Listener, Server};

fn told(address: SocketAddr, path: &str) -> (u16, String, Option<String>) {
    let answer = Client::of(address).ask("GET", path, "");
    let code = answer.json()["code"].as_str().unwrap_or("none").to_owned();
    (answer.status, code, answer.header("connection").map(str::to_owned))
}

#[test]
fn a_server_without_its_broker_lives_and_is_not_ready() {
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = socket.local_addr().expect("an address");
    let server = Server::start(HttpConfig::default(), vec![Listener { socket, tls: None }]);
    let closing = |status, code: &str| (status, code.to_owned(), Some("close".to_owned()));
    assert_eq!(told(address, "/api/health/live"), closing(200, "none"));
    assert_eq!(told(address, "/api/health/ready"), closing(503, "not_ready"));
    assert_eq!(told(address, "/api/health"), closing(503, "starting"));
    assert_eq!(told(address, "/api/topics"), closing(503, "starting"));

    let world = World::new();
    server.open(world.driver());
    assert_eq!(told(address, "/api/health/ready"), (200, "none".to_owned(), None));
    assert_eq!(told(address, "/api/topics"), (200, "none".to_owned(), None));
    runtime.block_on(server.close());
}

#[test]
fn a_server_that_is_about_to_stop_is_not_ready() {
    let world = World::new();
    assert_eq!(world.get("/api/health/ready"), json!({"status": "ok"}));
    world.driver().drain();
    let answer = world.client().ask("GET", "/api/health/ready", "");
    let told = answer.json();
    assert_eq!((answer.status, &told["code"], &told["details"]["draining"]), (503, &json!("not_ready"), &json!(true)));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(world.get("/api/health/live"), json!({"status": "ok"}));
}
