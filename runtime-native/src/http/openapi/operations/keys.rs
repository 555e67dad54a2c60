//! API keys.

use serde_json::json;

use crate::http::{
    input::keys::NewKey,
    openapi::{
        codes::{self, Code},
        operation::{Answer, Operation},
    },
    output::keys::{KeyMade, KeyRevoked, Keys},
};

const TAG: &str = "Keys";
const CHANGES: &[Code] = &[(409, "keys_not_required"), (503, "keys_unavailable")];

pub(crate) fn list() -> Operation {
    Operation::new("listKeys", TAG, "List all keys, without what makes them keys")
        .answer(Answer::json::<Keys>(200, "All keys."))
        .errors(codes::QUERY)
        .errors(&[(409, "keys_not_required")])
}

pub(crate) fn create() -> Operation {
    let made = Answer::json::<KeyMade>(201, "The key. Its text is not shown again.")
        .header("Location", "Where the key is.", &json!({"type": "string"}))
        .leads_to(&["revokeKey"], "id", "$response.body#/id");
    Operation::new("createKey", TAG, "Make a key")
        .body::<NewKey>(&[
            (
                "A consumer",
                json!({"name": "billing", "topics": {"orders.*": ["read"]}, "groups": {"billing": ["read"]}}),
            ),
            ("A scraper", json!({"name": "prometheus", "cluster": ["read"]})),
        ])
        .answer(made)
        .errors(codes::QUERY)
        .errors(CHANGES)
        .errors(&[
            (400, "missing_field"),
            (422, "invalid_name"),
            (422, "invalid_scope"),
            (422, "out_of_range"),
            (429, "too_many"),
        ])
}

pub(crate) fn revoke() -> Operation {
    Operation::new("revokeKey", TAG, "Revoke a key")
        .about("It is none any more when the answer comes; what waits under it ends.")
        .path::<KeyIdText>("id", "The key's id.", "0123456789abcdef")
        .answer(Answer::json::<KeyRevoked>(200, "It is none any more."))
        .errors(codes::QUERY)
        .errors(CHANGES)
        .errors(&[(400, "invalid_key_id"), (404, "key_not_found")])
}

/// A key's id in a path.
#[derive(schemars::JsonSchema)]
#[schemars(inline, transparent)]
#[allow(dead_code)] // only its schema is of use
struct KeyIdText(#[schemars(regex(pattern = "^[0-9a-f]{16}$"))] String);
