//! Every route with every method, asked with no key, with none that is known, with all scopes but the one that it needs,
//! and with that one alone. The routes, and what they need, are those of the program: a new one is in here by itself.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use serde_json::{Value, json};
use takhin::{
    http::{HttpConfig, Need, RouteNeeds, route_needs},
    keys::Right,
};
use takhin_tests::keyed::Keyed;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Keys as they are asked for, and made once.
struct World {
    keyed: Keyed,
    keys: BTreeMap<String, String>,
    /// How many instances of `/kafka` were made.
    instances: Cell<u32>,
}

/// What the routes of a server need that is started as it is by default.
fn declared() -> Vec<RouteNeeds> {
    let needs = route_needs(&HttpConfig::default());
    assert!(needs.len() > 50, "the routes are there");
    needs
}

/// An answer's status, and its body if it is an error.
struct Seen {
    status: u16,
    challenge: Option<String>,
    error: Value,
}

impl World {
    fn key(&mut self, scopes: &Value) -> String {
        let keyed = &self.keyed;
        self.keys.entry(scopes.to_string()).or_insert_with(|| keyed.make(scopes).0).clone()
    }

    /// Asks, and reads as much as says what became of it: a stream's answer has no end.
    fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Seen {
        let mut stream = TcpStream::connect(self.keyed.admin.address()).expect("a connection");
        let authorization = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        let media = if path.starts_with("/kafka") { "Content-Type: application/vnd.kafka.v2+json\r\n" } else { "" };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: takhin\r\n{media}{authorization}");
        let request = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).expect("a status");
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let (mut challenge, mut length) = (None, 0);
        loop {
            line.clear();
            stream.read_line(&mut line).expect("a header");
            match line.trim_end().split_once(": ") {
                Some(("www-authenticate", value)) => challenge = Some(value.to_owned()),
                Some(("content-length", value)) => length = value.parse().expect("a length"),
                Some(_) => {}
                None => break,
            }
        }
        let mut error = Value::Null;
        if status >= 400 && method != "HEAD" {
            let mut bytes = vec![0; length];
            stream.read_exact(&mut bytes).expect("a body");
            error = serde_json::from_slice(&bytes).expect("an error has one shape");
        }
        Seen { status, challenge, error }
    }

    /// A path of the route in which everything is there, and a body that asks for it.
    fn request(&self, route: &RouteNeeds) -> (String, &'static str) {
        let admin = &self.keyed.admin;
        let (status, answer) = admin.post("/api/topics", &json!({"name": "orders"}));
        assert!([201, 409].contains(&status), "{answer}");
        let mut path =
            route.path.replace("{topic}", "orders").replace("{group}", "billing").replace("{partition}", "0");
        if path.starts_with("/api/consumers/{id}") {
            let consumer = admin.subscribe("billing", &["orders"], &json!({}));
            path = path.replace("/api/consumers/{id}", &consumer);
        }
        if path.contains("{instance}") {
            self.instances.set(self.instances.get() + 1);
            let name = format!("i{}", self.instances.get());
            let v2 = |path: &str, body: Value| {
                let headers = [("content-type", "application/vnd.kafka.v2+json")];
                let whole = admin.send("POST", path, &headers, Some(body.to_string().into())).expect("an answer");
                assert!([200, 204].contains(&whole.status), "{whole:?}");
            };
            v2("/kafka/consumers/billing", json!({"name": name}));
            let subscription = format!("/kafka/consumers/billing/instances/{name}/subscription");
            v2(&subscription, json!({"topics": ["orders"]}));
            path = path.replace("{instance}", &name);
        }
        if path == "/api/keys/{id}" {
            path = format!("/api/keys/{}", self.keyed.make(&json!({})).1);
        }
        if path == "/assets/{file}" {
            path = format!("/assets/{}", a_script_of_the_page());
        }
        assert!(!path.contains('{'), "say here what {} is", route.path);
        let body = match (route.method.as_str(), route.path.as_str()) {
            ("POST", "/api/consumers/subscribe") => r#"{"group_id": "billing", "topics": ["orders"]}"#,
            ("POST", "/api/topics" | "/api/topics/") => r#"{"name": "orders"}"#,
            ("POST", "/api/consumers/{id}/consume") => r#"{"timeout_ms": 0}"#,
            ("GET" | "HEAD", _) => "",
            _ if route.need == Need::InBody => panic!("say here what {} takes", route.path),
            _ => "{}",
        };
        (path, body)
    }
}

const ALL: [&str; 3] = ["read", "write", "admin"];

fn others(of: &[&'static str], right: Right) -> Vec<&'static str> {
    of.iter().copied().filter(|other| *other != right.as_str()).collect()
}

/// The scopes that are just enough, and sets of scopes that have everything else.
fn scopes(route: &RouteNeeds) -> (Value, Vec<Value>) {
    let groups_all = json!({"*": ["read", "admin"]});
    let topic = |right: Right| {
        let others = json!({"topics": {"*": others(&ALL, right), "orders2": ALL, "order": ALL}, "groups": groups_all, "cluster": ["read"]});
        (json!({"topics": {"orders": [right.as_str()]}}), vec![others])
    };
    let no_group = json!({"topics": {"*": ALL}, "groups": {"*": ["admin"], "billing2": ["read"]}, "cluster": ["read"]});
    let no_topic = json!({"topics": {"*": ["write", "admin"]}, "groups": groups_all, "cluster": ["read"]});
    match route.need {
        Need::Nothing | Need::NoKey | Need::AnyKey => (json!({}), vec![]),
        Need::Topic(right) => topic(right),
        // The topics of an instance are asked for where it is found.
        Need::Group(Right::Read) if route.path.contains("{instance}") => {
            (json!({"topics": {"orders": ["read"]}, "groups": {"billing": ["read"]}}), vec![no_group, no_topic])
        }
        Need::Group(right) => {
            let rights = others(&["read", "admin"], right);
            let others = json!({"topics": {"*": ALL}, "groups": {"*": rights, "billing2": ["read", "admin"]}, "cluster": ["read"]});
            (json!({"groups": {"billing": [right.as_str()]}}), vec![others])
        }
        Need::Cluster(right) => {
            let rights: &[&str] = if right == Right::Read { &[] } else { &["read"] };
            let others = json!({"topics": {"*": ALL}, "groups": groups_all, "cluster": rights});
            (json!({"cluster": [right.as_str()]}), vec![others])
        }
        Need::Consumer => {
            (json!({"topics": {"orders": ["read"]}, "groups": {"billing": ["read"]}}), vec![no_group, no_topic])
        }
        Need::InBody => match route.path.as_str() {
            "/api/consumers/subscribe" => {
                (json!({"topics": {"orders": ["read"]}, "groups": {"billing": ["read"]}}), vec![no_group, no_topic])
            }
            "/api/topics" | "/api/topics/" => topic(Right::Admin),
            other => panic!("say here what {other} needs"),
        },
    }
}

fn a_script_of_the_page() -> String {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../web-demo/dist/assets")).expect("the page");
    let mut names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    names.find(|name| Path::new(name).extension().is_some_and(|ending| ending == "js")).expect("a script")
}

fn refused_as_nobody(seen: &Seen, reason: &str, what: &str) {
    assert_eq!((seen.status, seen.challenge.as_deref()), (401, Some("Bearer")), "{what}");
    if seen.error.get("error_code").is_some() {
        assert_eq!(seen.error["error_code"], 401, "{what}");
    } else if !seen.error.is_null() {
        assert_eq!(
            (&seen.error["code"], &seen.error["details"]["reason"]),
            (&json!("unauthorized"), &json!(reason)),
            "{what}"
        );
    }
}

#[test]
fn every_route_lets_in_who_has_its_scope_and_nobody_else() {
    let mut world = World { keyed: Keyed::start(&[]), keys: BTreeMap::new(), instances: Cell::default() };
    for mut route in declared() {
        let methods = if route.method.as_str() == "GET" { vec!["GET", "HEAD"] } else { vec![route.method.as_str()] };
        let methods: Vec<_> = methods.into_iter().map(str::to_owned).collect();
        for method in methods {
            route.method = method.parse().expect("a method");
            let what = format!("{method} {}", route.path);
            let (right, wrong) = scopes(&route);
            let (right, wrong) = (world.key(&right), wrong.iter().map(|scopes| world.key(scopes)).collect::<Vec<_>>());
            let (path, body) = world.request(&route);
            let nobody = world.ask(&method, &path, None, body);
            let stranger = world.ask(&method, &path, Some(&"takhin_0000000000000000_".repeat(3)), body);
            if [Need::Nothing, Need::NoKey].contains(&route.need) {
                assert_eq!((nobody.status, stranger.status), (200, 200), "{what}");
            } else {
                refused_as_nobody(&nobody, "missing", &what);
                refused_as_nobody(&stranger, "unknown", &what);
            }
            for key in wrong {
                let seen = world.ask(&method, &path, Some(&key), body);
                assert_eq!(seen.status, 403, "{what}: {}", seen.error);
                if route.path.starts_with("/kafka") {
                    assert!(method == "HEAD" || seen.error["error_code"] == 403, "{what}: {}", seen.error);
                } else if method != "HEAD" {
                    assert_eq!(seen.error["code"], "forbidden", "{what}");
                    assert!(seen.error["details"]["right"].is_string(), "{what}: {}", seen.error);
                }
            }
            let seen = world.ask(&method, &path, Some(&right), body);
            assert!(![401, 403, 404, 405, 500].contains(&seen.status), "{what}: {} {}", seen.status, seen.error);
        }
    }
}

#[test]
fn a_method_that_a_route_has_not_is_nobodys_without_a_key() {
    let mut world = World { keyed: Keyed::start(&[]), keys: BTreeMap::new(), instances: Cell::default() };
    let any = world.key(&json!({}));
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for route in declared() {
        known.entry(route.path).or_default().push(route.method.to_string());
    }
    known.insert("/api/nothing".to_owned(), vec![]);
    known.insert("/kafka/nothing".to_owned(), vec![]);
    for (template, has) in known {
        let id = "00000000-0000-4000-8000-000000000000";
        let path = template
            .replace("{id}", id)
            .replace("{topic}", "t")
            .replace("{group}", "g")
            .replace("{instance}", "i")
            .replace("{partition}", "0");
        for method in METHODS {
            if has.iter().any(|one| one == method || (one == "GET" && method == "HEAD")) {
                continue;
            }
            let what = format!("{method} {path}");
            refused_as_nobody(&world.ask(method, &path, None, ""), "missing", &what);
            let expected = if has.is_empty() { 404 } else { 405 };
            assert_eq!(world.ask(method, &path, Some(&any), "").status, expected, "{what}");
        }
    }
}
