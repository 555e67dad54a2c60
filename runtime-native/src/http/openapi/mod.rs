//! The description of the API, in OpenAPI 3.1: made from the table of routes, which says of each operation what it
//! takes and answers (`operations`), in the schemas of the types that it is read into and written from.
//!
//! It is made once, when it is asked for first. So it costs neither a start nor any other request anything.

pub(super) mod codes;
mod forms;
mod operation;
pub(super) mod operations;
pub(super) mod records;
pub(super) mod schema;

use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use operation::ErrorResponses;
pub(super) use operation::Operation;

use super::config::HttpConfig;

/// Says what an operation does.
pub(super) type Describe = fn() -> Operation;

/// What the document's tags are hashed under. Drawn once.
const TAGS: Uuid = Uuid::from_u128(0x1f6e_2a77_4c0f_4b0e_9d53_b1c6_5e0a_93d4);

/// The headings, in their order.
const HEADINGS: &[(&str, &str)] = &[
    ("Topics", "Topics, and records in and out of them without a consumer."),
    ("Consumers", "Consumers: sessions that remember where they are, alone or as members of a group."),
    ("Groups", "Consumer groups, and the offsets that they have committed."),
    ("Keys", "API keys, if the server requires them."),
    ("Server", "How the server is."),
];

const ABOUT: &str = "\
A log broker that you talk to with plain HTTP: produce, subscribe, long-poll, commit, seek, close, with real consumer groups.

Requests and answers are JSON; a request's content type is not looked at. Times are milliseconds since 1970. A field or \
query parameter that isn't described here, or is there twice, is an error. \
Where a field may be null, that counts as left out. A whole number is written without a fraction and without an exponent.

Every error has the same shape, see `Error`: its `code` is for programs, `retryable` says that the very same request may \
work later, and that repeating it applies nothing twice.";

/// The document as it is sent.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    /// A strong entity tag: it changes with the bytes.
    pub(super) tag: String,
}

impl Document {
    /// The description of these paths: with each the method and what is said of it. Bounds are those of this server.
    pub(super) fn new<'r>(
        config: &HttpConfig,
        paths: impl Iterator<Item = (&'static str, &'r [(&'static str, Describe)])>,
    ) -> Self {
        let bytes = serde_json::to_vec(&describe(config, paths)).expect("a value is JSON");
        let tag = format!("\"{}\"", Uuid::new_v5(&TAGS, &bytes).simple());
        Self { bytes, tag }
    }
}

/// The document as a value.
fn describe<'r>(
    config: &HttpConfig,
    paths: impl Iterator<Item = (&'static str, &'r [(&'static str, Describe)])>,
) -> Value {
    let (mut requests, mut answers) = (schemas(Contract::Deserialize), schemas(Contract::Serialize));
    let mut errors = ErrorResponses::default();
    let mut described = Map::new();
    for (path, operations) in paths {
        let item: Map<_, _> = operations
            .iter()
            .map(|(method, operation)| {
                ((*method).to_owned(), operation().document(&mut requests, &mut answers, &mut errors))
            })
            .collect();
        if !item.is_empty() {
            described.insert(path.to_owned(), item.into());
        }
    }
    let mut schemas = components(requests, answers);
    records::write_set_bounds(&mut schemas, config);
    let tags: Vec<Value> = HEADINGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Takhin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": described,
        "components": {
            "schemas": schemas, "responses": errors.document(), "headers": headers(),
            "securitySchemes": {"key": {
                "type": "http", "scheme": "bearer",
                "description": "An API key, if the server requires one (`--require-keys`).",
            }},
        },
        "security": [{}, {"key": []}],
    });
    plain_words(&mut document);
    document
}

fn schemas(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    SchemaGenerator::new(settings)
}

/// All named schemas. A name stands for one schema, in requests and in answers.
fn components(mut requests: SchemaGenerator, mut answers: SchemaGenerator) -> Map<String, Value> {
    let mut components = Map::from_iter([("Error".to_owned(), error()), ("ErrorCode".to_owned(), error_code())]);
    let made = requests.take_definitions(true).into_iter().chain(answers.take_definitions(true));
    for (name, schema) in made {
        if let Some(other) = components.get(&name) {
            assert_eq!(*other, schema, "two schemas are called {name}");
        }
        components.insert(name, schema);
    }
    components
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "What every error is answered with.",
        "required": ["error", "code", "retryable", "details", "request_id"],
        "properties": {
            "error": {"type": "string", "description": "What is wrong, for a person."},
            "code": {"$ref": "#/components/schemas/ErrorCode"},
            "retryable": {
                "type": "boolean",
                "description": "Whether the very same request may work later. Repeating it applies nothing twice.",
            },
            "details": {"type": "object", "description": "More, for a program: see `ErrorCode`."},
            "request_id": {"type": "string", "description": "The same as in the header `X-Request-Id`."},
        },
    })
}

fn error_code() -> Value {
    let mut seen: Vec<Value> = Vec::new();
    for (_, code, _) in codes::CODES {
        let said = json!({"const": code, "description": codes::meaning(code)});
        if !seen.contains(&said) {
            seen.push(said);
        }
    }
    json!({"type": "string", "description": "What is wrong, for a program. A code never changes its meaning.", "oneOf": seen})
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The request's id: what came in the same header, if that was short and plain, or else drawn.",
            "required": true,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        "Retry-After": {
            "description": "After how many seconds to try again.",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        },
    })
}

/// Takes out of descriptions what only a reader of the source could follow: links to items.
fn plain_words(value: &mut Value) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(plain_words),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "description" => *text = text.replace("[`", "`").replace("`]", "`"),
                    _ => plain_words(field),
                }
            }
        }
        _ => {}
    }
}
