//! What a run that did not end by itself has left in Kafka: records that were written, and not written down.
//!
//! A copier's records lie one behind the other, and nobody else writes there. So whatever lies behind what is known has to
//! be what comes next in the source; each record is compared, and then it counts as copied. Anything else was not written by
//! a migration, and is never gone on behind.
//!
//! What such a run had sent may also still be on its way: in buffers of the network, or waiting in a broker for its
//! replicas. It is waited for until nothing comes any more. If something came even later than that, the copier would find its
//! own records at other offsets than it meant them for, and say so.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use takhin_core::{LogId, Offset, response::Bounds};

use super::{Migration, copying::Part, error::MigrateError, source::Found};
use crate::{
    engine::{Chunk, ReadError, ReadMode, ReadPart, kafka::KafkaError},
    record::RecordRef,
};

/// How long nothing has to come.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How much is read back at once.
const READ_BYTES: usize = 4 << 20;
/// For how long a read may give nothing of what is there.
const PATIENCE: Duration = Duration::from_secs(30);

impl Migration<'_> {
    /// Takes in what Kafka has of these beyond what is known. Whether the last run has ended by itself says `is_settled`.
    pub(super) async fn take_in(&self, parts: &[Part], is_settled: bool) -> Result<(), MigrateError> {
        let logs: Vec<LogId> = parts.iter().map(|part| part.target).collect();
        let mut ends = self.ends(&logs).await?;
        let known = |part: &Part| self.with_state(|state| state.topics[&part.topic].partitions[part.number()].end);
        if !is_settled && !parts.is_empty() {
            self.watch.note("the last run did not end by itself: waiting until nothing more of it arrives");
            ends = self.settled(&logs, ends).await?;
        }
        for part in parts {
            let (known, end) = (known(part), ends[&part.target]);
            let (topic, number) = (&part.topic, part.number());
            if end < known {
                return Err(MigrateError::conflict(format!(
                    "{topic}/{number} ends at {end} in Kafka, and was copied up to {known}: it has lost records. Delete \
                     the topic there, and it is copied anew"
                )));
            }
            tokio::task::block_in_place(|| self.take_in_tail(part, end))?;
        }
        Ok(())
    }

    async fn ends(&self, logs: &[LogId]) -> Result<HashMap<LogId, u64>, MigrateError> {
        let bounds = self.records.bounds(logs).await?;
        let ends: HashMap<LogId, u64> = bounds.into_iter().map(|(log, Bounds { end, .. })| (log, end.0)).collect();
        if ends.len() < logs.len() {
            return Err(KafkaError::Request("some partitions have no leader now".to_owned()).into());
        }
        Ok(ends)
    }

    async fn settled(
        &self,
        logs: &[LogId],
        mut ends: HashMap<LogId, u64>,
    ) -> Result<HashMap<LogId, u64>, MigrateError> {
        let mut since = Instant::now();
        while since.elapsed() < SETTLED_AFTER {
            if self.watch.is_stopped() {
                return Err(MigrateError::Stopped);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.ends(logs).await?;
            if now != ends {
                (ends, since) = (now, Instant::now());
            }
        }
        Ok(ends)
    }

    /// Compares what lies behind what is known with the source, record by record, up to `end`.
    fn take_in_tail(&self, part: &Part, end: u64) -> Result<(), MigrateError> {
        let (mut chunk, mut theirs) = (Chunk::default(), Chunk::default());
        loop {
            let known = self.with_state(|state| state.topics[&part.topic].partitions[part.number()].clone());
            if known.end >= end {
                return Ok(());
            }
            if self.watch.is_stopped() {
                return Err(MigrateError::Stopped);
            }
            if known.next >= part.end {
                return Err(foreign(part, known.end));
            }
            let Found::Records(outcome) = self.read_source(part, known.next, &mut chunk)? else { continue };
            let (mut runs, mut at, mut next, mut bytes) = (known.runs(), known.end, known.next, 0);
            let mut ours = chunk.records(&outcome).peekable();
            while at < end && ours.peek().is_some() {
                let read = self.read_back(part, at, end, &mut theirs)?;
                for copy in theirs.records(&read) {
                    let Some(record) = ours.next() else { break };
                    if copy.offset.0 != at || !is_copy(&record, &copy) {
                        return Err(foreign(part, at));
                    }
                    runs.note(record.offset.0, at);
                    (at, next, bytes) = (at + 1, record.offset.0 + 1, bytes + record.bytes as u64);
                }
            }
            if ours.peek().is_none() {
                next = outcome.next.0;
            }
            self.with_state(|state| {
                let partition = &mut state.topics.get_mut(&part.topic).expect("it was there").partitions[part.number()];
                partition.copied(next, at, bytes, runs);
            });
        }
    }

    /// Reads records of Kafka's, at least one.
    fn read_back(
        &self,
        part: &Part,
        from: u64,
        end: u64,
        out: &mut Chunk,
    ) -> Result<crate::engine::ReadOutcome, MigrateError> {
        let (from, to) = (Offset(from), Offset(end));
        let wanted = ReadPart { log: part.target, from, to, max_bytes: READ_BYTES, max_records: u32::MAX };
        let unread = |why: String| KafkaError::Request(format!("{}/{}: {why}", part.topic, part.number()));
        let began = Instant::now();
        loop {
            out.clear();
            match self.records.read(&wanted, ReadMode::Blocking, out) {
                Ok(outcome) if outcome.records > 0 => return Ok(outcome),
                Ok(_) | Err(ReadError::Failed(_)) if began.elapsed() < PATIENCE => {}
                Ok(_) => return Err(unread(format!("nothing can be read from offset {} on", from.0)).into()),
                // A log's beginning may go meanwhile, but not what was written last.
                Err(ReadError::BeforeStart { .. }) => return Err(foreign(part, from.0)),
                Err(error) => return Err(unread(error.to_string()).into()),
            }
        }
    }
}

fn foreign(part: &Part, at: u64) -> MigrateError {
    let (topic, number) = (&part.topic, part.number());
    MigrateError::conflict(format!(
        "{topic}/{number} has records in Kafka from offset {at} on that were not copied from here: something else writes to \
         it. Delete the topic there, and it is copied anew"
    ))
}

/// Whether Kafka has the record as the source has it.
fn is_copy(record: &RecordRef<'_>, copy: &RecordRef<'_>) -> bool {
    // What has no time gets one when it is sent, and 0 is no time to Kafka's client.
    let is_timed = record.timestamp_ms < 0 || copy.timestamp_ms == record.timestamp_ms.max(1);
    is_timed && record.key == copy.key && record.value == copy.value && record.headers.clone().eq(copy.headers.clone())
}
