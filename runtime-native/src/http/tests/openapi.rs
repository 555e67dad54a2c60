//! The description of the API: whole, as its documentation says, and served.

use std::collections::BTreeSet;

use serde_json::Value;

use super::world::World;
use crate::http::{
    HttpConfig,
    openapi::codes::is_known,
    routes::{document, left_out},
};

const PAGE: &str = include_str!("../../../../docs/http-api.md");

fn description() -> Value {
    serde_json::from_slice(&document(&HttpConfig::default()).bytes).expect("JSON")
}

/// All operations, with method and path.
fn operations(description: &Value) -> Vec<(String, &str, &Value)> {
    let paths = description["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods.iter().map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    });
    each.collect()
}

fn texts<'v>(values: &'v Value, field: &str) -> BTreeSet<&'v str> {
    values.as_array().into_iter().flatten().filter_map(|value| value[field].as_str()).collect()
}

#[test]
fn only_another_name_and_the_page_are_left_out_of_the_description() {
    assert_eq!(left_out(), ["/api/topics/", "/api/docs", "/api/docs/page.js", "/api/docs/page.css"]);
}

#[test]
fn every_operation_is_described_whole() {
    let description = description();
    let headings = texts(&description["tags"], "name");
    let operations = operations(&description);
    let ids: BTreeSet<_> = operations.iter().filter_map(|(.., said)| said["operationId"].as_str()).collect();
    assert_eq!(ids.len(), operations.len(), "every operation has an id of its own");
    for (method, path, said) in &operations {
        let what = format!("{method} {path}");
        assert!(headings.contains(said["tags"][0].as_str().expect("a tag")), "{what}");
        assert!(!said["summary"].as_str().expect("a summary").is_empty(), "{what}");
        let parameters = said["parameters"].as_array().into_iter().flatten();
        let in_path: BTreeSet<_> =
            parameters.filter(|it| it["in"] == "path").filter_map(|it| it["name"].as_str()).collect();
        let template: BTreeSet<_> = path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(in_path, template, "{what}");
        let responses = said["responses"].as_object().expect("answers");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{what}");
        for link in responses.values().filter_map(|response| response["links"].as_object()).flat_map(|it| it.values()) {
            assert!(ids.contains(link["operationId"].as_str().expect("an operation")), "{what}: {link}");
        }
    }
}

#[test]
fn every_error_described_is_one_that_there_is() {
    let description = description();
    let shared = description["components"]["responses"].as_object().expect("answers with errors");
    for (name, response) in shared {
        let status = name["Error".len()..].split('_').next().and_then(|it| it.parse().ok()).expect("a status");
        let codes = &response["content"]["application/json"]["schema"]["properties"]["code"]["enum"];
        for code in codes.as_array().expect("codes") {
            let code = code.as_str().expect("a word").to_owned().leak();
            assert!(is_known((status, code)), "{status} {code}");
        }
    }
}

/// As the documentation spells them: the routes of a consumer without what they have in common.
fn spellings(method: &str, path: &str) -> [String; 2] {
    [format!("`{method} {path}`"), format!("`{method} {}`", path.strip_prefix("/api/consumers").unwrap_or(path))]
}

#[test]
fn every_operation_is_in_the_documentation_and_the_other_way_round() {
    let description = description();
    let operations = operations(&description);
    let mut known = BTreeSet::new();
    for (method, path, _) in &operations {
        let spelled = spellings(method, path);
        assert!(spelled.iter().any(|it| PAGE.contains(it.as_str())), "docs/http-api.md has no {method} {path}");
        known.extend(spelled);
    }
    known.insert("`GET /api/docs`".to_owned());
    for told in PAGE.split('`').skip(1).step_by(2) {
        let method = told.split(' ').next().unwrap_or_default();
        if ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method) && told.contains('/') {
            assert!(known.contains(&format!("`{told}`")), "docs/http-api.md has {told}, which there isn't");
        }
    }
}

#[test]
fn every_parameter_and_field_is_in_the_documentation() {
    let description = description();
    let spelled = |name: &str| [format!("`{name}`"), format!("`{name}: "), format!("\"{name}\"")];
    let is_told = |name: &str| spelled(name).iter().any(|spelling| PAGE.contains(spelling.as_str()));
    for (method, path, said) in operations(&description) {
        for parameter in said["parameters"].as_array().into_iter().flatten().filter(|it| it["in"] != "path") {
            let name = parameter["name"].as_str().expect("a name");
            assert!(is_told(name), "docs/http-api.md lacks {name} of {method} {path}");
        }
    }
    for (schema, said) in description["components"]["schemas"].as_object().expect("schemas") {
        for name in said["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(is_told(name), "docs/http-api.md lacks {name} of {schema}");
        }
    }
}

/// The query parameters that a route knows, whatever form a request and its answer have: an error about another one names
/// them.
fn known_parameters(world: &World, method: &str, path: &str) -> BTreeSet<String> {
    let forms = ["application/json", "application/x-ndjson", "application/vnd.kafka.record-batches"];
    let is_of_keys = path.starts_with("/api/keys");
    let path = path.split('/').map(|part| match part {
        "{id}" if is_of_keys => "0123456789abcdef",
        "{id}" => "550e8400-e29b-41d4-a716-446655440000",
        "{partition}" => "0",
        part if part.starts_with('{') => "x",
        part => part,
    });
    let path: Vec<_> = path.collect();
    let known = forms.iter().flat_map(|form| {
        let mut client = world.client();
        let path = path.join("/");
        client.send(&format!(
            "{method} {path}?nosuch=1 HTTP/1.1\r\nHost: t\r\nAccept: {form}\r\nContent-Type: {form}\r\nContent-Length: 2\r\n\r\n{{}}"
        ));
        let answer = client.answer();
        if answer.status != 400 {
            return Vec::new();
        }
        let error = answer.json();
        assert_eq!(error["code"], "unknown_parameter", "{method} {path}: {error}");
        error["details"]["known"].as_array().expect("names").clone()
    });
    known.map(|name| name.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_query_parameters_described_are_those_that_routes_know() {
    let world = World::new();
    let description = description();
    let mut any = false;
    for (method, path, said) in operations(&description) {
        let parameters = said["parameters"].as_array().into_iter().flatten().filter(|it| it["in"] == "query");
        let described: BTreeSet<_> = parameters.map(|it| it["name"].as_str().expect("a name").to_owned()).collect();
        any |= !described.is_empty();
        assert_eq!(described, known_parameters(&world, &method, path), "{method} {path}");
    }
    assert!(any, "some route has parameters");
}

#[test]
fn the_description_has_every_form_of_records() {
    let description = description();
    let forms = |pointer: &str| {
        let content = description.pointer(pointer).and_then(Value::as_object).expect("a body");
        content.keys().cloned().collect::<Vec<_>>()
    };
    let all = ["application/json", "application/vnd.kafka.record-batches", "application/x-ndjson"];
    let produce = "/paths/~1api~1topics~1{topic}~1produce/post";
    assert_eq!(forms(&format!("{produce}/requestBody/content")), all);
    assert_eq!(forms(&format!("{produce}/responses/200/content")), [all[0], all[2]]);
    for read in ["/paths/~1api~1topics~1{topic}~1messages/get", "/paths/~1api~1consumers~1{id}~1consume/post"] {
        assert_eq!(forms(&format!("{read}/responses/200/content")), all);
    }
}

#[test]
fn the_description_is_sent_once_to_a_client_that_keeps_it() {
    let world = World::new();
    let first = world.client().ask("GET", "/openapi.json", "");
    assert_eq!(first.status, 200);
    assert_eq!(first.json()["openapi"], "3.1.0");
    let tag = first.header("etag").expect("a tag").to_owned();
    let with_tag = |tags: &str| {
        let mut client = world.client();
        client.send(&format!("GET /openapi.json HTTP/1.1\r\nHost: takhin\r\nIf-None-Match: {tags}\r\n\r\n"));
        client.answer()
    };
    let again = with_tag(&format!("\"x\", W/{tag}"));
    assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(tag.as_str()), 0));
    assert_eq!(with_tag("\"x\"").status, 200);
}

#[test]
fn the_page_is_served_and_may_ask_this_server_only() {
    let world = World::new();
    for (path, content_type) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/page.js", "text/javascript; charset=utf-8"),
        ("/api/docs/page.css", "text/css; charset=utf-8"),
    ] {
        let answer = world.client().ask("GET", path, "");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(answer.body.clone()).expect("text");
        assert!(!text.contains("://"), "{path} names another host");
    }
}

#[test]
fn bounds_are_those_that_the_server_is_set_to() {
    let config = HttpConfig { max_records_per_request: 7, max_headers_per_record: 3, ..HttpConfig::default() };
    let document: Value = serde_json::from_slice(&document(&config).bytes).expect("JSON");
    let bound = |pointer: &str| document.pointer(&format!("/components/schemas/{pointer}")).cloned();
    assert_eq!(bound("Produce/properties/records/maxItems"), Some(7.into()));
    assert_eq!(bound("NewRecord/properties/headers/maxProperties"), Some(3.into()));
    assert_eq!(bound("NewRecord/properties/headers_list/maxItems"), Some(3.into()));
}
