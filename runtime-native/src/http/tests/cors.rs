//! What a browser needs before a page of another origin may ask and read.

use std::time::Duration;

use super::world::{Answer, World};
use crate::http::{Cors, HttpConfig};

fn world_for(origins: &[&str]) -> World {
    let origins = origins.iter().map(|origin| origin.parse().expect("an origin")).collect();
    let cors = Some(Cors { origins, max_age: Duration::from_mins(1) });
    World::with(HttpConfig { cors, ..HttpConfig::default() })
}

fn ask(world: &World, line: &str, headers: &str) -> Answer {
    let mut client = world.client();
    client.send(&format!("{line} HTTP/1.1\r\nHost: takhin\r\n{headers}\r\n"));
    client.answer()
}

const PREFLIGHT: &str = "Origin: https://app.example.com\r\nAccess-Control-Request-Method: POST\r\n\
                         Access-Control-Request-Headers: authorization,content-type\r\n";

#[test]
fn a_page_of_a_named_origin_may_ask_with_any_header_and_read_every_one() {
    let world = world_for(&["http://localhost:3000", "https://app.example.com"]);
    let preflight = ask(&world, "OPTIONS /api/topics/orders/produce", PREFLIGHT);
    assert_eq!((preflight.status, preflight.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("access-control-allow-headers", "authorization,content-type"),
        ("access-control-max-age", "60"),
        ("vary", "origin, access-control-request-headers"),
    ] {
        assert_eq!(preflight.header(name), Some(value), "{name}");
    }
    assert!(preflight.header("x-request-id").is_some());
    for (path, status) in [("/api/health", 200), ("/nowhere", 404)] {
        let answer = ask(&world, &format!("GET {path}"), "Origin: https://app.example.com\r\n");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
        assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

#[test]
fn a_page_of_another_origin_is_told_nothing() {
    let world = world_for(&["http://localhost:3000"]);
    let preflight = ask(&world, "OPTIONS /api/topics", PREFLIGHT);
    assert_eq!((preflight.status, &preflight.json()["code"]), (403, &"origin_not_allowed".into()));
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    let answer = ask(&world, "GET /api/health", "Origin: https://app.example.com\r\n");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    assert_eq!(answer.header("vary"), Some("origin, access-control-request-headers"));
    let without = ask(&world, "GET /api/health", "");
    assert_eq!((without.status, without.header("access-control-allow-origin")), (200, None));
}

#[test]
fn a_star_is_every_origin() {
    let world = world_for(&["*"]);
    assert_eq!(ask(&world, "OPTIONS /x", PREFLIGHT).header("access-control-allow-origin"), Some("*"));
    let answer = ask(&world, "GET /api/health", "Origin: https://app.example.com\r\n");
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), (Some("*"), None));
}

#[test]
fn without_any_it_is_as_if_there_were_no_browsers() {
    let world = World::new();
    assert_eq!(ask(&world, "OPTIONS /api/topics", PREFLIGHT).status, 405);
    let answer = ask(&world, "GET /api/health", "Origin: https://app.example.com\r\n");
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), (None, None));
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let form = |world: &World, origin: &str| {
        let mut client = world.client();
        let body = r#"{"name":"orders"}"#;
        let length = body.len();
        client.send(&format!(
            "POST /api/topics HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: text/plain\r\n{origin}\
             Content-Length: {length}\r\n\r\n{body}"
        ));
        let answer = client.answer();
        (answer.status, answer.json()["code"].as_str().map(str::to_owned))
    };
    let refused = (403, Some("origin_not_allowed".to_owned()));
    for foreign in [
        "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n",
        "Origin: http://localhost:3000\r\nSec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: http://localhost:3000\r\n",
        "Origin: null\r\n",
    ] {
        assert_eq!(form(&World::new(), foreign), refused, "{foreign}");
        assert_eq!(form(&world_for(&["https://app.example.com"]), foreign), refused, "{foreign}");
    }
    for own in [
        "",
        "Sec-Fetch-Site: none\r\n",
        "Origin: http://localhost:8080\r\n",
        "Origin: https://behind-a-proxy.example\r\nSec-Fetch-Site: same-origin\r\n",
    ] {
        assert_eq!(form(&World::new(), own).0, 201, "{own}");
    }
    let allowed = "Origin: https://app.example.com\r\nSec-Fetch-Site: cross-site\r\n";
    assert_eq!(form(&world_for(&["https://app.example.com"]), allowed).0, 201);
    assert_eq!(form(&world_for(&["*"]), allowed).0, 201);
    let looked = ask(&World::new(), "GET /api/topics", "Origin: https://evil.example\r\n");
    assert_eq!((looked.status, looked.header("access-control-allow-origin")), (200, None), "reading changes nothing");
}
