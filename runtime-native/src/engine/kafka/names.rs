//! What a topic is called in Kafka, and what its clients call it: a prefix lies between the two.
//!
//! This is the one place that knows of it. What comes from Kafka is [shown](Names::shown) to those above, or is not; what
//! goes there has a [`KafkaName`].

use std::{fmt, ops::Deref, sync::Arc};

use takhin_core::TopicName;

use super::error::TopicError;

/// What the names of topics begin with in Kafka that nobody sees but those who made them.
const HIDDEN: &str = "__";

/// What Kafka calls a topic. Clones are cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct KafkaName(Arc<str>);

impl Deref for KafkaName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KafkaName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for KafkaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KafkaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Which topics of the cluster are for clients, and how their names are changed.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Before the name that clients use. May be empty.
    prefix: String,
    /// What our own topics begin with, which are not shown; empty if there are none.
    own: String,
}

impl Names {
    pub(super) fn new(prefix: &str, own: &str) -> Self {
        Self { prefix: prefix.to_owned(), own: own.to_owned() }
    }

    /// Whether a topic of the cluster is one of our own, by its name.
    pub(super) fn is_own(&self, in_kafka: &str) -> bool {
        !self.own.is_empty() && in_kafka.starts_with(&self.own)
    }

    /// What clients call a topic of the cluster, if they are to see it.
    pub(super) fn shown(&self, in_kafka: &str) -> Option<TopicName> {
        let own = self.is_own(in_kafka);
        let name = in_kafka.strip_prefix(&self.prefix)?;
        let hidden = own || in_kafka.starts_with(HIDDEN) || name.starts_with(HIDDEN);
        // What can't be named in a request can't be shown either.
        if hidden { None } else { TopicName::new(name).ok() }
    }

    /// What Kafka calls a topic.
    ///
    /// # Errors
    /// [`TopicError::Unsupported`] if Kafka takes no name that is so long, or if nobody would see the topic.
    pub(super) fn in_kafka(&self, name: &TopicName) -> Result<KafkaName, TopicError> {
        let (prefix, full) = (&self.prefix, format!("{}{name}", self.prefix));
        if full.len() > TopicName::MAX_BYTES {
            return Err(TopicError::Unsupported(format!(
                "a topic name of {} bytes, which has {prefix:?} before it in Kafka and {} bytes at most in all,",
                name.len(),
                TopicName::MAX_BYTES
            )));
        }
        if self.shown(&full).is_none() {
            return Err(TopicError::Unsupported(format!(
                "a topic that is called {full:?} in Kafka, where it is hidden,"
            )));
        }
        Ok(KafkaName(full.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).expect("a good name")
    }

    fn shown(names: &Names, in_kafka: &str) -> Option<String> {
        names.shown(in_kafka).map(|name| name.to_string())
    }

    #[test]
    fn without_a_prefix_names_are_the_same() {
        let names = Names::new("", "__takhin.");
        assert_eq!(shown(&names, "orders").as_deref(), Some("orders"));
        assert_eq!(names.in_kafka(&topic("orders")), Ok("orders".into()));
    }

    #[test]
    fn with_a_prefix_its_topics_alone_are_there() {
        let names = Names::new("shop.", "__takhin.");
        assert_eq!(names.in_kafka(&topic("orders")), Ok("shop.orders".into()));
        assert_eq!(names.in_kafka(&topic("shop.orders")), Ok("shop.shop.orders".into()));
        assert_eq!(shown(&names, "shop.orders").as_deref(), Some("orders"));
        assert_eq!(shown(&names, "shop.shop.orders").as_deref(), Some("shop.orders"));
        for other in
            ["orders", "shop", "shop.", "shopping.orders", "SHOP.orders", "my.shop.orders", "shop..", "shop..."]
        {
            assert_eq!(shown(&names, other), None, "{other}");
        }
    }

    #[test]
    fn what_begins_with_two_underscores_is_hidden_on_either_side() {
        let (none, some, odd) = (Names::new("", "__own."), Names::new("shop.", "ours."), Names::new("_", ""));
        for (names, in_kafka) in [
            (&none, "__own.journal"),
            (&none, "__consumer_offsets"),
            (&some, "shop.__x"),
            (&odd, "__x"),
            (&odd, "___x"),
        ] {
            assert_eq!(shown(names, in_kafka), None, "{in_kafka}");
        }
        for (names, name) in [(&none, "__x"), (&some, "__x"), (&odd, "_x")] {
            assert!(matches!(names.in_kafka(&topic(name)), Err(TopicError::Unsupported(_))), "{name}");
        }
        assert_eq!(odd.in_kafka(&topic("x")), Ok("_x".into()));
    }

    #[test]
    fn our_own_topics_are_not_shown_whatever_they_begin_with() {
        let names = Names::new("shop.", "shop.own.");
        assert_eq!(shown(&names, "shop.own.journal"), None);
        assert!(matches!(names.in_kafka(&topic("own.journal")), Err(TopicError::Unsupported(_))));
        assert_eq!(shown(&names, "shop.owner").as_deref(), Some("owner"));
    }

    #[test]
    fn a_name_is_as_long_as_kafka_takes_it_with_its_prefix() {
        let names = Names::new("shop.", "");
        let longest = topic(&"x".repeat(244));
        assert_eq!(names.in_kafka(&longest).map(|name| name.len()), Ok(249));
        let refused = names.in_kafka(&topic(&"x".repeat(245))).expect_err("too long");
        let TopicError::Unsupported(why) = refused else { panic!("{refused:?}") };
        assert!(why.contains("245") && why.contains("shop.") && why.contains("249"), "{why}");
    }
}
