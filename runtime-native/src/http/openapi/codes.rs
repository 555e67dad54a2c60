//! Every code that an error can have: with which status, and what it means.
//!
//! This is what the description of the API and the table in `docs/http-api.md` go by. An error that isn't here can't be
//! sent where debug assertions are on, so no test of that passes.

/// A status and a code.
pub(crate) type Code = (u16, &'static str);

/// All codes with their statuses and meaning, in the order of the statuses.
pub(crate) const CODES: &[(u16, &str, &str)] = &[
    (400, "malformed_json", "The body is not JSON. `details`: line, column."),
    (400, "not_an_object", "The body is JSON, and not the object that it has to be. `details`: line, column."),
    (400, "invalid_field", "A field has the wrong type. `details`: field."),
    (400, "unknown_field", "There is no such field. `details`: field."),
    (400, "missing_field", "A field is needed. `details`: field."),
    (400, "conflicting_fields", "Two fields exclude each other. `details`: field."),
    (400, "invalid_parameter", "A query parameter is no whole number, or is there twice. `details`: parameter."),
    (400, "unknown_parameter", "There is no such query parameter. `details`: parameter, known."),
    (400, "missing_parameter", "A query parameter is needed. `details`: parameter."),
    (400, "conflicting_parameters", "Two query parameters exclude each other. `details`: parameter."),
    (400, "invalid_consumer_id", "The path's consumer id is no UUID. `details`: value."),
    (400, "invalid_partition", "The path's partition is no number from 0. `details`: value."),
    (400, "malformed_url", "The path or the query is not percent-encoded UTF-8."),
    (400, "malformed_request", "It can't be read as a request of HTTP/1. The connection is closed."),
    (400, "incomplete_body", "The body ended too soon. The connection is closed."),
    (400, "invalid_last_event_id", "The header `Last-Event-ID` is no id of an event of this stream. `details`: value."),
    (400, "tls_required", "Plain HTTP came to an address that speaks TLS. The connection is closed."),
    (400, "invalid_key_id", "The path's id of a key is none. `details`: value."),
    (401, "unauthorized", "The request needs a key that is known. `details`: reason."),
    (403, "forbidden", "The key lacks a right. `details`: scope, right, name."),
    (
        403,
        "origin_not_allowed",
        "A browser asks, or sends what would change something, for a page of an origin that may not. `details`: origin.",
    ),
    (404, "route_not_found", "There is nothing at this path. `details`: method, path."),
    (404, "topic_not_found", "There is no such topic. `details`: topic."),
    (404, "partition_not_found", "The topic has no such partition. `details`: partition, partitions."),
    (404, "consumer_not_found", "There is no such consumer. `details`: consumer."),
    (404, "consumer_expired", "The consumer was removed; subscribe again. `details`: consumer, reason."),
    (404, "group_not_found", "There is no such group. `details`: group."),
    (404, "key_not_found", "There is no such key. `details`: id."),
    (405, "method_not_allowed", "The path knows other methods, which the header `Allow` names. `details`: allow."),
    (408, "body_too_slow", "The body came too slowly. The connection is closed."),
    (409, "topic_exists", "There is a topic of that name. `details`: topic."),
    (409, "group_active", "The group has consumers. `details`: group, consumers."),
    (409, "consumer_exists", "The consumer id is taken by a subscription with other parameters. `details`: consumer."),
    (409, "consumer_ended", "The consumer id was used by a consumer that is gone. `details`: consumer, reason."),
    (
        409,
        "consumer_fenced",
        "A later consumer with the same `instance_id` took this one's place. `details`: consumer.",
    ),
    (409, "poll_superseded", "A newer poll of the same consumer took this one's place. `details`: consumer."),
    (409, "no_committed_offset", "Nothing usable was committed, and nothing else says where to begin."),
    (409, "partition_not_assigned", "The partition is not the consumer's. `details`: topic, partition."),
    (409, "stale_generation", "The consumer's assignment has changed since that generation. `details`: current."),
    (409, "generation_unknown", "The consumer has not had that generation yet. `details`: current."),
    (409, "batch_unknown", "The consumer got no such batch. `details`: last, previous."),
    (409, "data_corrupt", "A stored record is damaged; `next` is where to go on. `details`: offset, next."),
    (409, "sequence_gap", "A batch before this one is missing. `details`: expected."),
    (409, "producer_fenced", "The producer has begun a later epoch. `details`: current."),
    (409, "keys_not_required", "The server requires no keys, and so has none."),
    (410, "consumer_expired", "The consumer was removed while this poll waited. `details`: consumer, reason."),
    (410, "consumer_fenced", "The consumer was replaced while this poll waited. `details`: consumer, reason."),
    (410, "offset_trimmed", "The record is no longer there. `details`: earliest."),
    (412, "offset_mismatch", "The log ends somewhere else. `details`: end."),
    (413, "body_too_large", "The body is too long. `details`: max_bytes."),
    (413, "too_many_records", "A request may not have so many records. `details`: max."),
    (413, "record_too_large", "A record is larger than its topic allows. `details`: field, bytes, max_bytes."),
    (413, "batch_too_large", "The records for one partition are too large together. `details`: field."),
    (413, "line_too_long", "A line of an upload is too long. `details`: line, max_bytes."),
    (414, "uri_too_long", "The URI is too long, where lines may be longer than by default. Else it is 431."),
    (422, "out_of_range", "A number is too small or too large. `details`: field, value, min, max."),
    (422, "offset_out_of_range", "The log has no such offset. `details`: offset, start, end."),
    (422, "empty", "A list needs an entry. `details`: field."),
    (422, "invalid_name", "A name is not possible. `details`: field, value."),
    (422, "invalid_pattern", "The pattern is no regular expression, or grows too large. `details`: problem."),
    (422, "invalid_value", "A word is none of those that are possible. `details`: field."),
    (422, "invalid_consumer_id", "The consumer id is no UUID. `details`: field, value."),
    (422, "invalid_partition", "A partition, as a key of a map, is no number from 0. `details`: field, value."),
    (422, "invalid_base64", "What should be base64 is not. `details`: field."),
    (422, "client_id_too_long", "The client id is too long. `details`: field, bytes, max_bytes."),
    (422, "metadata_without_offset", "There is metadata for a partition without an offset. `details`: field."),
    (422, "partitions_can_only_grow", "A topic can't have fewer partitions than before. `details`: partitions."),
    (422, "key_needed", "The topic is compacted, and a record has no key. `details`: field."),
    (422, "partition_needed", "Only chance would say where a record goes. `details`: field."),
    (422, "several_partitions", "The records go to several partitions, and must go to one. `details`: partitions."),
    (422, "damaged_batch", "A record batch is not whole, or was changed on its way. `details`: field."),
    (
        422,
        "invalid_batch",
        "A record batch says what is not so, or what only a broker may say. `details`: field, record.",
    ),
    (422, "invalid_idempotency_key", "The header `Idempotency-Key` is empty or too long."),
    (422, "idempotency_key_reused", "The same key came with another body before. `details`: topic, partition."),
    (
        422,
        "records_refused",
        "In a cluster: Kafka takes none of the records, since they are not as the topic is set to have them. `details`: topic, partition, reason.",
    ),
    (422, "invalid_scope", "A key can't have that scope. `details`: field."),
    (
        429,
        "too_many",
        "There are as many as there may be: topics, partitions, consumers, groups, patterns, or keys. `details`: what, limit.",
    ),
    (429, "rate_limited", "The client is beyond one of its limits. `details`: limit, value, wait_ms."),
    (431, "headers_too_large", "The request's line and headers are too long, or too many. The connection is closed."),
    (500, "internal", "A bug."),
    (501, "unsupported", "The engine that the server runs on has no means for this. `details`: what."),
    (503, "storage_unavailable", "Storage takes no writes. `details`: applied (`nothing` or `unknown`)."),
    (503, "partly_produced", "Some records were not appended. `details`: offsets, null where a record was not."),
    (503, "overloaded", "There is no room for more request bodies, or for more answers that clients have not taken."),
    (503, "too_many", "As many polls wait as may. `details`: what, limit."),
    (503, "too_many_connections", "There are as many connections as there may be. The connection is closed."),
    (503, "starting", "The server reads what it has on disk. The connection is closed."),
    (503, "group_moving", "The group is moving from one node to another. `details`: applied (`nothing` or `unknown`)."),
    (503, "shutting_down", "The server is about to stop."),
    (503, "backup_running", "Another backup is being taken."),
    (503, "backup_failed", "No backup could be begun."),
    (
        503,
        "not_ready",
        "Storage takes no writes, or the server is starting or about to stop. `details`: storage, draining; starting.",
    ),
    (503, "keys_unavailable", "The keys can't be changed; the server's log says why."),
];

/// What a code means in general: as with the first status that it comes with.
pub(crate) fn meaning(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(_, known, _)| *known == code).map(|(_, _, meaning)| *meaning)
}

/// Whether errors can have that status and code.
pub(crate) fn is_known((status, code): Code) -> bool {
    CODES.iter().any(|known| (known.0, known.1) == (status, code))
}

/// What every request can be answered with.
pub(crate) const ANY: &[Code] = &[
    (400, "malformed_url"),
    (400, "malformed_request"),
    (400, "tls_required"),
    (401, "unauthorized"),
    (403, "forbidden"),
    (414, "uri_too_long"),
    (429, "rate_limited"),
    (431, "headers_too_large"),
    (500, "internal"),
    (503, "starting"),
    (503, "too_many_connections"),
];

/// A query, even if no parameter is known.
pub(crate) const QUERY: &[Code] = &[(400, "unknown_parameter")];

/// A body that is taken in and read as JSON.
pub(crate) const BODY: &[Code] = &[
    (400, "malformed_json"),
    (400, "not_an_object"),
    (400, "invalid_field"),
    (400, "unknown_field"),
    (400, "incomplete_body"),
    (408, "body_too_slow"),
    (413, "body_too_large"),
    (503, "overloaded"),
];

/// Whatever asks the broker's state machine.
pub(crate) const ASKS: &[Code] = &[(501, "unsupported"), (503, "group_moving"), (503, "shutting_down")];

/// Whatever changes something that is kept.
pub(crate) const WRITES: &[Code] =
    &[(501, "unsupported"), (503, "storage_unavailable"), (503, "group_moving"), (503, "shutting_down")];

/// A consumer named by the path.
pub(crate) const CONSUMER: &[Code] =
    &[(400, "invalid_consumer_id"), (404, "consumer_not_found"), (404, "consumer_expired"), (409, "consumer_fenced")];

/// A map of partitions in the body.
pub(crate) const PARTITION_MAP: &[Code] =
    &[(404, "topic_not_found"), (404, "partition_not_found"), (422, "invalid_name")];

/// Partitions that have to be the consumer's.
pub(crate) const ASSIGNED: &[Code] =
    &[(404, "topic_not_found"), (404, "partition_not_found"), (409, "partition_not_assigned"), (422, "invalid_name")];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_stands_once_with_each_status() {
        let pairs: BTreeSet<_> = CODES.iter().map(|(status, code, _)| (status, code)).collect();
        assert_eq!(pairs.len(), CODES.len());
        assert!(CODES.is_sorted_by_key(|(status, ..)| status));
    }

    /// The table of errors in the documentation, as pairs.
    #[test]
    fn the_documentation_has_exactly_these_codes() {
        let page = include_str!("../../../../docs/http-api.md");
        let errors = page.split("## Errors").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
        let mut told = BTreeSet::new();
        for row in errors.lines().filter_map(|line| line.strip_prefix("| ")) {
            let (status, codes) = row.split_once(" | ").expect("two columns");
            let Ok(status) = status.trim().parse::<u16>() else { continue };
            // What stands in brackets are details.
            let mut depth = 0_i32;
            let bare = codes.chars().filter(|c| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth == 0
            });
            let bare: String = bare.collect();
            let words = bare
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|word| word.chars().all(|c| c.is_lowercase() || c == '_' || c.is_ascii_digit()));
            told.extend(words.map(|code| (status, code.to_owned())));
        }
        let known: BTreeSet<_> = CODES.iter().map(|(status, code, _)| (*status, (*code).to_owned())).collect();
        assert_eq!(told, known);
    }
}
