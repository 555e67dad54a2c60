//! Our errors under the numbers of Kafka's REST proxies: a status, and two digits more that say which error of it.

use axum::http::StatusCode;

use crate::http::error::ApiError;

/// A storage that may work again, and one that may not, as the answer to one record says it.
pub(super) const RETRIABLE: u32 = 50_003;
pub(super) const KAFKA_ERROR: u32 = 50_002;

/// The same error as a client of theirs knows it. What has no number of its own has that of its status.
pub(super) fn translated(error: ApiError) -> ApiError {
    let code = match error.code() {
        "topic_not_found" => 40_401,
        "partition_not_found" => 40_402,
        "consumer_not_found" | "consumer_expired" | "consumer_fenced" => 40_403,
        "format_mismatch" | "record_not_in_format" => 40_601,
        "consumer_exists" => 40_902,
        "partition_not_assigned" | "poll_superseded" | "already_subscribed" | "not_subscribed" => 40_903,
        "invalid_consumer_config" => 42_204,
        "invalid_consumer_config_constraint" => 40_001,
        "invalid_base64" => 42_203,
        "no_committed_offset" | "data_corrupt" | "internal" => KAFKA_ERROR,
        "storage_unavailable" | "overloaded" | "too_many" | "group_moving" | "shutting_down" => RETRIABLE,
        // A body that is JSON and not what it should be is a violated constraint there.
        "invalid_field" | "unknown_field" | "missing_field" | "conflicting_fields" => 422,
        _ => u32::from(error.status().as_u16()),
    };
    let status = match code {
        // Alone of all numbers this one does not begin with its status.
        40_001 => StatusCode::UNPROCESSABLE_ENTITY,
        // Why it is refused for now, 429 or 503, stays in the status, with `Retry-After`.
        RETRIABLE => error.status(),
        code => u16::try_from(if code >= 10_000 { code / 100 } else { code })
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(error.status()),
    };
    let code = if status == StatusCode::TOO_MANY_REQUESTS { 42_901 } else { code };
    error.for_kafka_rest(status, code)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(status: u16, code: &'static str) -> (u16, Value) {
        let error = ApiError::new(StatusCode::from_u16(status).expect("a status"), code, "why");
        let error = translated(error);
        (error.status().as_u16(), serde_json::from_slice(&error.body("r-1")).expect("JSON"))
    }

    #[test]
    fn each_error_has_its_number_and_its_status() {
        for (status, code, expected_status, number) in [
            (404, "topic_not_found", 404, 40_401),
            (410, "consumer_expired", 404, 40_403),
            (409, "consumer_fenced", 404, 40_403),
            (409, "consumer_exists", 409, 40_902),
            (400, "unknown_field", 422, 422),
            (400, "malformed_json", 400, 400),
            (400, "not_an_object", 400, 400),
            (409, "no_committed_offset", 500, 50_002),
            (503, "storage_unavailable", 503, 50_003),
            (429, "too_many", 429, 42_901),
            (422, "invalid_consumer_config_constraint", 422, 40_001),
            (413, "body_too_large", 413, 413),
        ] {
            assert_eq!(
                seen(status, code),
                (expected_status, json!({"error_code": number, "message": "why"})),
                "{code}"
            );
        }
    }
}
