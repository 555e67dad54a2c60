//! The answers of `/api/health`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::driver::Health;

/// `GET /api/health/live`, and `ready` when all is well.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status {
    status: Word,
}

/// In a word.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Condition")]
enum Word {
    /// All is well.
    Ok,
    /// Storage takes no writes, or the audit found something broken.
    Degraded,
}

/// How the server is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub(crate) struct HealthView<'a> {
    status: Word,
    /// `ok`, or why it takes no writes.
    storage: &'a str,
    /// `ok`, or what the audit found to be broken.
    audit: &'a str,
    /// Whether it is about to stop.
    draining: bool,
    /// How many topics there are.
    topics: usize,
    /// How many consumers there are.
    consumers: usize,
    /// How many polls and reads wait.
    parked_polls: usize,
}

impl Status {
    pub(crate) const OK: Self = Self { status: Word::Ok };
}

impl<'a> HealthView<'a> {
    pub(crate) fn new(health: &'a Health) -> Self {
        Self {
            status: if health.storage.is_ok() && health.audit.is_ok() { Word::Ok } else { Word::Degraded },
            storage: storage(health),
            audit: health.audit.as_ref().err().map_or("ok", String::as_str),
            draining: health.draining,
            topics: health.topics,
            consumers: health.consumers,
            parked_polls: health.parked_polls,
        }
    }
}

/// What storage says of itself.
pub(crate) fn storage(health: &Health) -> &str {
    health.storage.as_ref().err().map_or("ok", String::as_str)
}
