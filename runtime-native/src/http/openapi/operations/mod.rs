//! What each operation does: one function for each, which the table of routes names beside its handler.

pub(crate) mod consumers;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod polls;
pub(crate) mod records;
pub(crate) mod server;
pub(crate) mod topics;

use takhin_core::{ConsumerId, GroupName, TopicName};

use super::{codes, operation::Operation};

/// A consumer's id, in examples.
const CONSUMER: &str = "550e8400-e29b-41d4-a716-446655440000";

impl Operation {
    /// It is about the consumer that the path names.
    #[must_use]
    fn of_consumer(self) -> Self {
        self.path::<ConsumerId>("id", "The consumer's id, as subscribe gave it.", CONSUMER)
            .errors(codes::CONSUMER)
            .errors(codes::ASKS)
    }

    /// It is about the group that the path names.
    #[must_use]
    fn of_group(self) -> Self {
        self.path::<GroupName>("group", "The group's id.", "billing")
            .errors(&[(422, "invalid_name")])
            .errors(codes::ASKS)
    }

    /// It is about the topic that the path names.
    #[must_use]
    fn of_topic(self) -> Self {
        self.path::<TopicName>("topic", "The topic's name.", "orders")
            .errors(&[(404, "topic_not_found"), (422, "invalid_name")])
            .errors(codes::ASKS)
    }
}
