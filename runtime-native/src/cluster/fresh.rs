//! How far logs reach is Kafka's to say: it is asked before a request that depends on it.
//!
//! Where somebody waits, the node follows a log, and its cores hear of every append. Of any other log they know what they
//! heard last; so a request that begins at an end, or is checked against one, is preceded by a look.

use std::{collections::BTreeSet, sync::Arc};

use takhin_core::{Refusal, Request, TopicName};

use super::{Cluster, home::Home, topics::not_asked};
use crate::driver::Driver;

impl Home {
    /// Lets a core know how far the logs reach that a request is about.
    pub(super) async fn freshen(&self, core: usize, driver: &Driver, request: &Request) -> Result<(), Refusal> {
        let polls = matches!(request, Request::Consume { .. } | Request::Read { .. });
        let logs = driver.logs_touched(request);
        // What is followed is known, as far as a poll is concerned: it will hear of what comes.
        let logs = if polls { self.watching.unwatched(core, logs) } else { logs };
        if logs.is_empty() {
            return Ok(());
        }
        if polls {
            self.watching.watch(core, &logs);
            self.records.watch(logs.iter().copied());
        }
        let looks = only_looks(request);
        // Who waits for records hears of what has no leader once it has one.
        let waits = !looks && !polls;
        let found = if waits { self.records.bounds(&logs).await } else { self.records.bounds_now(&logs).await };
        let bounds = found.map_err(|error| not_asked(error.to_string()))?;
        driver.logs_moved(&bounds);
        if looks {
            // Of what has no leader now, it shows what it heard last.
            return Ok(());
        }
        if polls {
            self.watching.told(core, bounds.iter().map(|(log, _)| *log));
            return Ok(());
        }
        if bounds.len() < logs.len() {
            return Err(not_asked("some partitions have no leader at this moment".to_owned()));
        }
        Ok(())
    }
}

/// Whether a request only shows what there is, and decides nothing by how far logs reach.
fn only_looks(request: &Request) -> bool {
    matches!(
        request,
        Request::ListTopics
            | Request::DescribeTopic { .. }
            | Request::DescribeGroup { .. }
            | Request::Describe { .. }
            | Request::Committed { .. }
    )
}

impl Cluster {
    /// The partitions of a topic of which nobody says now how far they reach.
    pub(crate) fn leaderless(&self, topic: &TopicName) -> BTreeSet<u32> {
        let catalogue = self.node.home.records.catalogue();
        let catalogue = catalogue.borrow();
        catalogue.topics.get(topic).map(|topic| topic.leaderless.clone()).unwrap_or_default()
    }

    /// Lets the front know of topics that others may have made.
    pub(crate) async fn look_for_topics(&self) -> Result<(), Refusal> {
        self.node.home.catch_up(self.front()).await
    }

    /// Lets the front know how far a partition reaches.
    pub(crate) async fn look_at(&self, topic: &TopicName, partition: u32) -> Result<(), Refusal> {
        let home = Arc::clone(&self.node.home);
        let read =
            Request::Read { topic: topic.clone(), partition, offset: 0, limits: takhin_core::PollLimits::default() };
        let logs = home.front.logs_touched(&read);
        let bounds = home.records.bounds(&logs).await.map_err(|error| not_asked(error.to_string()))?;
        home.front.logs_moved(&bounds);
        if bounds.len() < logs.len() {
            return Err(not_asked("the partition has no leader at this moment".to_owned()));
        }
        Ok(())
    }
}
