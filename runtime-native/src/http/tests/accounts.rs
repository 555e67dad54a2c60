//! What those hear who want to hear of each request.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use axum::http::HeaderValue;
use serde_json::json;

use super::world::{World, request, until};
use crate::http::{Exchange, HttpConfig, Observer, TrustedProxies};

#[derive(Debug)]
struct Listener(Mutex<Sender<Exchange>>);

impl Observer for Listener {
    fn ended(&self, exchange: &Exchange) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(exchange.clone());
    }
}

fn world() -> (World, Receiver<Exchange>) {
    let (sender, heard) = mpsc::channel();
    let observers: Arc<[Arc<dyn Observer>]> = Arc::new([Arc::new(Listener(Mutex::new(sender)))]);
    let networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let trusted_proxies = TrustedProxies { networks, ..TrustedProxies::default() };
    (World::with(HttpConfig { trusted_proxies, observers, ..HttpConfig::default() }), heard)
}

fn told(exchange: &Exchange) -> (&str, Option<&'static str>, Option<u16>, Option<&'static str>, u64) {
    let status = exchange.status.map(|status| status.as_u16());
    (&exchange.path, exchange.route, status, exchange.error, exchange.bytes_in)
}

#[test]
fn a_request_is_told_with_its_sizes_its_client_and_what_became_of_it() {
    let (world, heard) = world();
    let body = json!({"name": "orders"}).to_string();
    let answer = world.client().ask("POST", "/api/topics?secret=1", &body);
    let exchange = heard.recv().expect("an exchange");
    assert_eq!(answer.status, 400, "a query is not expected");
    assert_eq!(told(&exchange), ("/api/topics", Some("/api/topics"), Some(400), Some("unknown_parameter"), 0));
    assert_eq!(exchange.bytes_out, answer.body.len() as u64);

    let mut client = world.client();
    client.send(&request("POST", "/api/topics", &body).replacen(
        "\r\n",
        "\r\nX-Forwarded-For: 192.0.2.9\r\nX-Request-Id: mine\r\ntraceparent: 00-1-2-01\r\n",
        1,
    ));
    let answer = client.answer();
    let exchange = heard.recv().expect("an exchange");
    assert_eq!(told(&exchange), ("/api/topics", Some("/api/topics"), Some(201), None, body.len() as u64));
    assert_eq!(exchange.bytes_out, answer.body.len() as u64);
    assert_eq!(exchange.client, IpAddr::from([192, 0, 2, 9]));
    assert_eq!((exchange.request_id.as_bytes(), answer.header("x-request-id")), (&b"mine"[..], Some("mine")));
    assert_eq!(exchange.traceparent.as_ref().map(HeaderValue::as_bytes), Some(&b"00-1-2-01"[..]));

    world.client().ask("GET", "/nowhere", "");
    let exchange = heard.recv().expect("an exchange");
    assert_eq!(told(&exchange), ("/nowhere", None, Some(404), Some("route_not_found"), 0));
    assert_eq!(exchange.client, IpAddr::from([127, 0, 0, 1]));
}

#[test]
fn a_client_that_goes_while_it_waits_is_told_of_too() {
    let (world, heard) = world();
    let id = world.consumer_of("orders");
    let path = format!("/api/consumers/{id}/consume");
    let mut client = world.client();
    client.send(&request("POST", &path, ""));
    until(|| world.get("/api/health")["parked_polls"] == 1);
    drop(client);
    let exchange = heard.iter().find(|exchange| *exchange.path == *path).expect("an exchange");
    assert_eq!(told(&exchange), (&*path, Some("/api/consumers/{id}/consume"), None, None, 0));
}

#[test]
fn a_stream_is_over_when_its_client_leaves() {
    let (world, heard) = world();
    let id = world.consumer_of("orders");
    let path = format!("/api/consumers/{id}/stream");
    let mut client = world.client();
    client.send(&request("GET", &format!("{path}?heartbeat_ms=1000"), ""));
    while !client.line().contains(": heartbeat") {}
    assert!(heard.try_iter().all(|exchange| *exchange.path != *path), "it goes on");
    drop(client);
    let exchange = heard.iter().find(|exchange| *exchange.path == *path).expect("an exchange");
    assert_eq!(exchange.status.map(|status| status.as_u16()), Some(200));
    assert!(exchange.bytes_out > 0 && exchange.took >= Duration::from_secs(1), "{exchange:?}");
}
