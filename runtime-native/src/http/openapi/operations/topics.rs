//! Topics themselves.

use serde_json::json;

use crate::http::{
    input::topics::{AlterTopic, CreateTopic},
    openapi::{
        codes,
        operation::{Answer, Operation},
    },
    output::topics::{Topic, TopicDeleted, Topics},
};

const TAG: &str = "Topics";

pub(crate) fn list() -> Operation {
    Operation::new("listTopics", TAG, "List all topics")
        .answer(Answer::json::<Topics>(200, "All topics."))
        .errors(codes::QUERY)
        .errors(codes::ASKS)
}

pub(crate) fn create() -> Operation {
    let follow = ["describeTopic", "alterTopic", "deleteTopic", "produce", "readMessages"];
    let created = Answer::json::<Topic>(201, "The topic, which is there to stay.")
        .header("Location", "Where the topic is.", &json!({"type": "string"}))
        .leads_to(&follow, "topic", "$response.body#/name");
    Operation::new("createTopic", TAG, "Create a topic")
        .body::<CreateTopic>(&[
            ("Three partitions", json!({"name": "orders", "partitions": 3})),
            ("Kept for a day", json!({"name": "clicks", "retention_ms": 86_400_000, "compression": "zstd"})),
        ])
        .answer(created)
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(&[
            (400, "missing_field"),
            (409, "topic_exists"),
            (422, "invalid_name"),
            (422, "out_of_range"),
            (422, "invalid_value"),
            (429, "too_many"),
        ])
}

pub(crate) fn describe() -> Operation {
    Operation::new("describeTopic", TAG, "Look at a topic")
        .of_topic()
        .answer(Answer::json::<Topic>(200, "The topic."))
        .errors(codes::QUERY)
}

pub(crate) fn alter() -> Operation {
    Operation::new("alterTopic", TAG, "Change a topic")
        .about("Only what is given changes. All of it changes or nothing.")
        .of_topic()
        .body::<AlterTopic>(&[
            ("More partitions", json!({"partitions": 6})),
            ("A setting", json!({"retention_ms": -1})),
        ])
        .answer(Answer::json::<Topic>(200, "The topic as it is now."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(&[
            (400, "missing_field"),
            (422, "out_of_range"),
            (422, "invalid_value"),
            (422, "partitions_can_only_grow"),
            (429, "too_many"),
        ])
}

pub(crate) fn delete() -> Operation {
    Operation::new("deleteTopic", TAG, "Delete a topic with all of its records")
        .of_topic()
        .answer(Answer::json::<TopicDeleted>(200, "It is gone."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
}
