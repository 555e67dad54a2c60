//! Whether the topics are there in which the cluster keeps what it knows. Somebody may delete them: then no cell can be served
//! any more, and nothing that this node does brings them back.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use super::home::Home;

/// How often it is looked: as often as the topics are.
const EVERY: Duration = Duration::from_secs(1);
/// After how many looks in a row topics are taken for gone: a broker may lag behind the others.
const LOOKS: u32 = 3;

/// The topics, and how often they were missed.
#[derive(Debug)]
pub(super) struct OwnTopics {
    names: [String; 3],
    missed: Mutex<Missed>,
}

#[derive(Debug, Default)]
struct Missed {
    looks: u32,
    topics: Vec<String>,
}

impl OwnTopics {
    pub(super) fn new(names: [String; 3]) -> Self {
        Self { names, missed: Mutex::default() }
    }

    /// Kafka was seen to have these. Says once that some are gone, and that all are back.
    fn seen(&self, there: &BTreeSet<String>) {
        let missing: Vec<String> = self.names.iter().filter(|name| !there.contains(*name)).cloned().collect();
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let were_gone = missed.looks >= LOOKS;
        *missed = if missing.is_empty() {
            Missed::default()
        } else {
            Missed { looks: missed.looks.saturating_add(1), topics: missing }
        };
        let topics = &missed.topics;
        match (were_gone, missed.looks >= LOOKS) {
            (false, true) => tracing::error!(
                ?topics,
                "topics of the cluster's own are gone from Kafka; groups can't be served. If they were deleted, what the \
                 cluster knew of groups is lost: stop all nodes, and start them anew"
            ),
            (true, false) => tracing::warn!("the cluster's own topics are there again"),
            _ => {}
        }
    }

    /// What is wrong with them, in words.
    pub(super) fn wrong(&self) -> Option<String> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        (missed.looks >= LOOKS).then(|| format!("gone from Kafka: {}", missed.topics.join(", ")))
    }
}

/// Looks for as long as the node lives.
pub(super) async fn look_after(home: Weak<Home>) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let Some(home) = home.upgrade() else { return };
        let catalogue = home.records.catalogue().borrow().clone();
        home.own_topics.seen(&catalogue.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_count_as_gone_once_they_were_missed_for_a_while() {
        let all = ["__t.journal", "__t.snapshots", "__t.cluster"].map(str::to_owned);
        let (own, whole) = (OwnTopics::new(all.clone()), BTreeSet::from(all.clone()));
        let without: BTreeSet<String> = all[1..].iter().cloned().collect();
        own.seen(&without);
        own.seen(&whole);
        for _ in 1..LOOKS {
            own.seen(&without);
            assert_eq!(own.wrong(), None);
        }
        own.seen(&without);
        assert_eq!(own.wrong().as_deref(), Some("gone from Kafka: __t.journal"));
        own.seen(&BTreeSet::new());
        assert_eq!(own.wrong().as_deref(), Some("gone from Kafka: __t.journal, __t.snapshots, __t.cluster"));
        own.seen(&whole);
        assert_eq!(own.wrong(), None);
    }
}
