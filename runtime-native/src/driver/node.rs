//! What a node of a cluster needs of a driver: which logs a request is about, what it knows of topics, and requests under
//! ids that are given from outside.

use std::collections::BTreeMap;

use takhin_core::{Event, Fact, LogId, Refusal, Request, RequestId, TopicConfig, TopicId, TopicName, response::Bounds};

use super::{Answer, Bodies, Driver, Form};

/// A topic as a core knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownTopic {
    pub(crate) id: TopicId,
    pub(crate) partitions: u32,
    pub(crate) config: TopicConfig,
}

/// In which form records are wanted.
pub(crate) use super::fetch::Form as RecordForm;

impl Driver {
    /// Asks, in either form.
    pub(crate) async fn ask_in(&self, request: Request, form: Form) -> Result<Answer, Refusal> {
        self.ask_with(None, request, Bodies::new(), form).await
    }

    /// Asks under an id that is given, and that nobody has had.
    pub(crate) async fn ask_as(&self, id: RequestId, request: Request) -> Result<Answer, Refusal> {
        self.ask_with(Some(id), request, Bodies::new(), Form::Records).await
    }

    /// The turn to tell it of topics.
    pub(crate) async fn taught(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.taught.lock().await
    }

    /// Logs reach from here to there: known to the core when this returns.
    pub(crate) fn logs_moved(&self, logs: &[(LogId, Bounds)]) {
        for (log, Bounds { start, end }) in logs {
            self.bring(Event::LogMoved { log: *log, start: *start, end: *end });
        }
    }

    /// All topics that it knows.
    pub(crate) fn known_topics(&self) -> BTreeMap<TopicName, KnownTopic> {
        let state = self.lock();
        let topics = state.core.durable().topics.iter();
        let known = topics.map(|(id, record)| {
            (record.name.clone(), KnownTopic { id: *id, partitions: record.partitions, config: record.config })
        });
        known.collect()
    }

    /// The logs of which a request needs to know how far they reach, each once.
    pub(crate) fn logs_touched(&self, request: &Request) -> Vec<LogId> {
        self.lock().core.logs_touched(request)
    }

    /// Whoever waits for an answer is to ask again, here or elsewhere; the core goes on.
    pub(crate) fn turn_away(&self) {
        self.lock().turn_away();
    }
}

/// Facts as they are journaled: each a line of JSON.
pub(crate) fn fact_lines(bytes: &[u8]) -> impl Iterator<Item = Result<Fact, serde_json::Error>> + '_ {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice)
}
