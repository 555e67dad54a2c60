//! Consumers: what they are, have, and are set to. Their polls stand in `polls`.

use serde_json::json;

use super::CONSUMER;
use crate::http::{
    input::{
        consumers::{Assign, Nothing, Which},
        subscribe::{Resubscribe, Subscribe},
    },
    openapi::{
        codes,
        operation::{Answer, Operation},
    },
    output::consumers::{AssignmentView, Closed, ConsumerView, Heartbeat, PausedPartitions, Subscription},
};

const TAG: &str = "Consumers";

/// What can be wrong with a subscription.
const SUBSCRIPTION: &[codes::Code] = &[
    (400, "missing_field"),
    (400, "conflicting_fields"),
    (404, "topic_not_found"),
    (422, "empty"),
    (422, "invalid_name"),
    (422, "invalid_pattern"),
    (422, "out_of_range"),
    (429, "too_many"),
];

pub(crate) fn subscribe() -> Operation {
    let follow = [
        "consume",
        "commit",
        "seek",
        "pause",
        "resume",
        "describeConsumer",
        "closeConsumer",
        "heartbeat",
        "position",
        "committed",
        "assignment",
        "assign",
        "subscription",
        "changeSubscription",
    ];
    let subscribed =
        Answer::json::<ConsumerView>(200, "The consumer.").leads_to(&follow, "id", "$response.body#/consumer_id");
    Operation::new("subscribe", TAG, "Subscribe to topics as a member of a group")
        .about("With a `consumer_id` of your own the very same call can be repeated, and is answered again.")
        .body::<Subscribe>(&[
            ("A group of one topic", json!({
                "group_id": "billing", "topics": ["orders"], "auto_offset_reset": "earliest", "consumer_id": CONSUMER,
            })),
            ("All topics of a pattern", json!({"group_id": "audit", "topic_pattern": "audit\\..*", "auto_commit": false})),
        ])
        .answer(subscribed)
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(SUBSCRIPTION)
        .errors(&[
            (409, "consumer_exists"),
            (409, "consumer_ended"),
            (422, "invalid_consumer_id"),
            (422, "invalid_value"),
            (422, "client_id_too_long"),
        ])
}

pub(crate) fn describe() -> Operation {
    Operation::new("describeConsumer", TAG, "Look at a consumer")
        .of_consumer()
        .answer(Answer::json::<ConsumerView>(200, "The consumer, with `lag_ms`."))
        .errors(codes::QUERY)
}

pub(crate) fn close() -> Operation {
    Operation::new("closeConsumer", TAG, "Leave")
        .about("Commits what was delivered, if the consumer has auto-commit.")
        .of_consumer()
        .answer(Answer::json::<Closed>(200, "It has left."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
}

pub(crate) fn heartbeat() -> Operation {
    Operation::new("heartbeat", TAG, "Renew a session")
        .about("Any other request for the consumer does so too.")
        .of_consumer()
        .optional_body::<Nothing>(&[])
        .answer(Answer::json::<Heartbeat>(200, "It is renewed."))
        .errors(codes::QUERY)
}

pub(crate) fn subscription() -> Operation {
    Operation::new("subscription", TAG, "The topics that a consumer subscribes to")
        .of_consumer()
        .answer(Answer::json::<Subscription>(200, "The topics; with a pattern those that match now."))
        .errors(codes::QUERY)
}

pub(crate) fn resubscribe() -> Operation {
    Operation::new("changeSubscription", TAG, "Subscribe to other topics")
        .of_consumer()
        .body::<Resubscribe>(&[("Two topics", json!({"topics": ["orders", "clicks"], "allow_missing": true}))])
        .answer(Answer::json::<ConsumerView>(200, "The consumer."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(SUBSCRIPTION)
}

pub(crate) fn assignment() -> Operation {
    Operation::new("assignment", TAG, "The partitions that a consumer has")
        .of_consumer()
        .answer(Answer::json::<AssignmentView>(200, "The partitions."))
        .errors(codes::QUERY)
}

pub(crate) fn assign() -> Operation {
    Operation::new("assign", TAG, "Take partitions by hand")
        .about("The consumer no longer takes part in its group's subscription.")
        .of_consumer()
        .body::<Assign>(&[("One partition", json!({"topics": {"orders": [0]}}))])
        .answer(Answer::json::<ConsumerView>(200, "The consumer."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(codes::PARTITION_MAP)
        .errors(&[(400, "missing_field"), (422, "out_of_range")])
}

pub(crate) fn pause() -> Operation {
    pausing("pause", "Pause partitions", "They are kept, and not delivered.")
}

pub(crate) fn resume() -> Operation {
    pausing("resume", "Resume partitions", "They are delivered again.")
}

fn pausing(id: &'static str, summary: &'static str, about: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .about(about)
        .of_consumer()
        .optional_body::<Which>(&[("One partition", json!({"partitions": {"orders": [0]}})), ("All", json!({}))])
        .answer(Answer::json::<PausedPartitions>(200, "What is paused now."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(codes::ASSIGNED)
        .errors(&[(422, "empty"), (422, "out_of_range")])
}
