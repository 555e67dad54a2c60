//! How the server is.

use crate::http::{
    openapi::{
        codes,
        operation::{Answer, Operation, number},
    },
    output::health::{HealthView, Status},
    routes::{DEFAULT_STEPS, STEPS},
};

const TAG: &str = "Server";

pub(crate) fn health() -> Operation {
    Operation::new("health", TAG, "How the server is")
        .about("Always 200: it tells, and judges nothing.")
        .answer(Answer::json::<HealthView>(200, "How it is."))
        .errors(codes::QUERY)
}

pub(crate) fn ready() -> Operation {
    Operation::new("ready", TAG, "Whether requests are welcome")
        .answer(Answer::json::<Status>(200, "They are."))
        .errors(codes::QUERY)
        .errors(&[(503, "not_ready")])
}

pub(crate) fn live() -> Operation {
    Operation::new("live", TAG, "Whether the process answers at all")
        .answer(Answer::json::<Status>(200, "It does."))
        .errors(codes::QUERY)
}

pub(crate) fn backup() -> Operation {
    Operation::new("backup", TAG, "Take a backup")
        .about("All that there is at one moment, in an archive for `takhin restore`, while the server goes on.")
        .answer(Answer::of::<String>(200, "application/zstd", "The archive: a tar file, packed with zstd."))
        .errors(codes::QUERY)
        .errors(&[(503, "backup_running"), (503, "backup_failed")])
}

pub(crate) fn trace() -> Operation {
    Operation::new("trace", TAG, "The last steps of the broker's state machine")
        .about(
            "A trace, as JSON Lines, which begins with the whole state before its steps. Names, sizes and offsets, and no \
             key or value. Empty with `--flight-recorder 0`.",
        )
        .parameter(number("steps", "How many steps at most.", STEPS).by_default(DEFAULT_STEPS))
        .answer(Answer::of::<String>(200, "application/jsonl", "The trace."))
        .errors(codes::QUERY)
        .errors(&[(422, "out_of_range"), (503, "overloaded")])
}

pub(crate) fn metrics() -> Operation {
    Operation::new("metrics", TAG, "All figures, for Prometheus")
        .answer(Answer::of::<String>(200, "application/openmetrics-text", "In the format of OpenMetrics."))
        .errors(codes::QUERY)
}

pub(crate) fn description() -> Operation {
    Operation::new("openapi", TAG, "This description")
        .about("With an `ETag`: a client that has it is answered 304.")
        .answer(Answer::json::<Description>(200, "A document of OpenAPI 3.1."))
        .errors(codes::QUERY)
}

/// A document of OpenAPI.
#[derive(schemars::JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)] // it is made by hand
struct Description {
    /// Its version.
    openapi: String,
    /// What can be asked.
    paths: std::collections::BTreeMap<String, serde_json::Value>,
}
