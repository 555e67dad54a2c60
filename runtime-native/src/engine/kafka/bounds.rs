//! Where logs begin and end, as their leaders say now: a few requests for any number of logs.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    topic_partition_list::{Offset as ClientOffset, TopicPartitionListElem},
};
use rustc_hash::FxHashSet;
use takhin_core::{LogId, Offset, response::Bounds};

use super::{Records, client::Context, error::KafkaError, names::KafkaName};

/// How long logs may be without a leader until they are taken for logs that have none.
const WAIT_FOR_LEADERS: Duration = Duration::from_secs(2);
/// How long is waited until brokers are asked again who did not answer for all logs.
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl Records {
    /// Where logs begin and end, asked of the brokers now. The end is the last stable offset. Logs that are not there, or
    /// still have no leader after a moment, are left out: brokers learn of a new topic, or of a new leader, one after the
    /// other.
    ///
    /// # Errors
    /// The brokers can't be asked.
    pub async fn bounds(&self, logs: &[LogId]) -> Result<Vec<(LogId, Bounds)>, KafkaError> {
        self.bounds_within(logs, WAIT_FOR_LEADERS).await
    }

    /// The same, without waiting for leaders.
    ///
    /// # Errors
    /// As for [`Records::bounds`].
    pub async fn bounds_now(&self, logs: &[LogId]) -> Result<Vec<(LogId, Bounds)>, KafkaError> {
        self.bounds_within(logs, Duration::ZERO).await
    }

    async fn bounds_within(&self, logs: &[LogId], patience: Duration) -> Result<Vec<(LogId, Bounds)>, KafkaError> {
        let named =
            || -> Vec<(LogId, KafkaName)> { logs.iter().filter_map(|log| Some((*log, self.name_of(*log)?))).collect() };
        if named().len() < logs.len() {
            self.refresh().await?;
        }
        let give_up = Instant::now() + patience;
        let mut looked = false;
        loop {
            let (mut asked, catalogue) = (named(), self.inner.catalogue.now());
            let known = asked.len();
            // One that has none would have the client wait, and with it all others.
            asked.retain(|(log, _)| catalogue.has_leader(*log));
            let led = asked.len();
            let (client, timeout) = (Arc::clone(&self.inner.questions), self.inner.config.timeout);
            let answer = tokio::task::spawn_blocking(move || bounds_anew(&client, &asked, timeout));
            let found = answer.await.unwrap_or_else(|error| Err(KafkaError::Request(error.to_string())));
            let over = Instant::now() >= give_up;
            match found {
                Ok(found) if over || found.len() == known => return Ok(found),
                Err(error) if over && looked => return Err(error),
                // One may have lost its leader just now, or got one.
                Err(_) => drop(self.refresh().await?),
                Ok(_) if led < known => drop(self.refresh().await?),
                Ok(_) => {}
            }
            looked = true;
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// Asks for the first offset of each, and for the first that is not stable: records behind it may still be taken back with
/// their transaction. Logs of which there is no answer are left out, unless there is none at all.
pub(super) fn bounds(
    client: &BaseConsumer<Context>,
    logs: &[(LogId, KafkaName)],
    timeout: Duration,
) -> Result<Vec<(LogId, Bounds)>, KafkaError> {
    // The end last: it is the one that moves, and what moved until then is seen.
    let starts = offsets(client, logs, ClientOffset::Beginning, timeout)?;
    let ends = offsets(client, logs, ClientOffset::End, timeout)?;
    let both = logs.iter().zip(starts.into_iter().zip(ends));
    Ok(both.filter_map(|((log, _), (start, end))| Some((*log, Bounds { start: start?, end: end? }))).collect())
}

/// The same. If some don't answer, the client learns anew who leads them, for the next time: it may have heard last of the topic
/// when it had fewer partitions, and would go by that for minutes.
pub(super) fn bounds_anew(
    client: &BaseConsumer<Context>,
    logs: &[(LogId, KafkaName)],
    timeout: Duration,
) -> Result<Vec<(LogId, Bounds)>, KafkaError> {
    let found = bounds(client, logs, timeout);
    let known: FxHashSet<LogId> = found.iter().flatten().map(|(log, _)| *log).collect();
    let missing: BTreeSet<&str> =
        logs.iter().filter(|(log, _)| !known.contains(log)).map(|(_, name)| &**name).collect();
    for name in missing {
        if let Err(error) = client.fetch_metadata(Some(name), timeout) {
            tracing::debug!(name, %error, "nothing is learnt of a topic; it may be gone");
        }
    }
    found
}

/// Asks for the first offsets alone.
pub(super) fn starts(
    client: &BaseConsumer<Context>,
    logs: &[(LogId, KafkaName)],
    timeout: Duration,
) -> Result<Vec<(LogId, Offset)>, KafkaError> {
    let starts = offsets(client, logs, ClientOffset::Beginning, timeout)?;
    Ok(logs.iter().zip(starts).filter_map(|((log, _), start)| Some((*log, start?))).collect())
}

/// The first offset at this time or later; [`None`] if all is earlier.
pub(super) fn at_time(
    client: &BaseConsumer<Context>,
    log: LogId,
    name: &KafkaName,
    timestamp_ms: i64,
    timeout: Duration,
) -> Result<Option<Offset>, KafkaError> {
    // Negative numbers have other meanings in this request, and no record is older than this.
    let wanted = ClientOffset::Offset(timestamp_ms.max(0));
    Ok(offsets(client, &[(log, name.clone())], wanted, timeout)?.into_iter().next().flatten())
}

/// In the order of `logs`.
fn offsets(
    client: &BaseConsumer<Context>,
    logs: &[(LogId, KafkaName)],
    wanted: ClientOffset,
    timeout: Duration,
) -> Result<Vec<Option<Offset>>, KafkaError> {
    if logs.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(logs.len());
    for (log, name) in logs {
        list.add_partition_offset(name, i32::try_from(log.partition).unwrap_or(i32::MAX), wanted)?;
    }
    let answers = client.offsets_for_times(list, timeout)?;
    let mut failure = None;
    // In the order in which they were asked for.
    let answers = answers.elements();
    let offset = |answer: &TopicPartitionListElem<'_>| {
        if let Err(error) = answer.error() {
            failure = Some(KafkaError::from(error));
            return None;
        }
        match answer.offset() {
            ClientOffset::Offset(offset) => u64::try_from(offset).ok().map(Offset),
            // There is none at that time.
            _ => None,
        }
    };
    let found: Vec<Option<Offset>> = answers.iter().map(offset).collect();
    match failure {
        Some(error) if found.iter().all(Option::is_none) => Err(error),
        _ => Ok(found),
    }
}
