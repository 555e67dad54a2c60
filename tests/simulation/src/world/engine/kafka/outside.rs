//! What other clients of Kafka do, and what brokers do by themselves.

use takhin_core::{AppendId, Command, LogId, RequestId, TopicId, TopicName};

use super::{RECORD_BYTES, Topic};
use crate::{
    coverage::Rare,
    tape::{Word, mix},
    world::engine::{Engine, Record},
};

impl Engine {
    /// Makes the logs that a topic lacks.
    pub(crate) fn make_logs(&mut self, topic: TopicId, partitions: u32) {
        let logs = (0..partitions).map(|partition| LogId { topic, partition });
        let new: Vec<LogId> = logs.filter(|log| !self.records.contains_key(log)).collect();
        self.records.extend(new.into_iter().map(|log| (log, Vec::new())));
    }

    /// A topic goes, with all its records.
    pub(crate) fn delete_from_kafka(&mut self, name: &TopicName) {
        let Some(kafka) = &mut self.kafka else { return };
        let Some(Topic { id, .. }) = kafka.topics.remove(name) else { return };
        kafka.open.retain(|log, _| log.topic != id);
        kafka.adrift.retain(|(log, _)| log.topic != id);
        kafka.watching.keep(|log| log.topic != id);
        let logs: Vec<LogId> = self.logs().filter(|log| log.topic == id).collect();
        self.forget(id);
        // Whoever has not heard of it goes on as if it were there.
        self.excused.extend(logs);
    }

    /// Another client writes to a log, begins a transaction, or ends one.
    pub(crate) fn write_outside(&mut self, log: LogId, word: &mut Word) {
        if !self.has(log) {
            return;
        }
        let count = 1 + word.below(3);
        match word.below(8) {
            0..=3 => {
                for _ in 0..count {
                    self.put_anothers(log);
                }
            }
            4 => self.marks(log, count),
            5 | 6 => self.write_in_transaction(log, count),
            _ => {
                let taken_back = word.one_in(2);
                self.end_transaction(log, taken_back);
            }
        }
    }

    /// A transaction that was taken back at once, or the marker of one elsewhere.
    fn marks(&mut self, log: LogId, count: u32) {
        for _ in 0..count {
            self.put(log, None);
        }
    }

    fn write_in_transaction(&mut self, log: LogId, count: u32) {
        for _ in 0..count {
            let at = self.put_anothers(log);
            if let Some(kafka) = &mut self.kafka {
                kafka.open.entry(log).or_default().push(at);
            }
        }
    }

    fn end_transaction(&mut self, log: LogId, taken_back: bool) {
        let Some(kafka) = &mut self.kafka else { return };
        let Some(places) = kafka.open.remove(&log) else { return };
        if taken_back {
            kafka.met.push(Rare::TransactionTakenBack);
            for at in &places {
                self.empty(log, *at);
            }
        }
        self.put(log, None);
    }

    /// Something that was given up arrives.
    pub(crate) fn arrive_late(&mut self, word: &mut Word) {
        let Some(kafka) = &mut self.kafka else { return };
        if kafka.adrift.is_empty() {
            return;
        }
        let at = word.index(kafka.adrift.len());
        let (log, records) = kafka.adrift.remove(at);
        kafka.met.push(Rare::UnknownAppendArrives);
        self.put_all(log, records);
    }

    /// Nobody is in the midst of anything any more.
    pub(crate) fn calm_down(&mut self) {
        let Some(kafka) = &mut self.kafka else { return };
        let open: Vec<LogId> = kafka.open.keys().copied().collect();
        let adrift = std::mem::take(&mut kafka.adrift);
        for (n, log) in open.into_iter().enumerate() {
            self.end_transaction(log, n % 2 == 0);
        }
        for (log, records) in adrift {
            self.put_all(log, records);
        }
    }

    pub(super) fn put_anothers(&mut self, log: LogId) -> u64 {
        let Some(kafka) = &mut self.kafka else { return 0 };
        kafka.others += 1;
        let record = mix(!kafka.others) | 1;
        self.put(log, Some(record))
    }

    pub(super) fn put_all(&mut self, log: LogId, records: Vec<Record>) {
        for record in records {
            self.put(log, Some(record));
        }
    }

    /// Writes a record, or something that takes an offset and is none.
    pub(super) fn put(&mut self, log: LogId, record: Option<Record>) -> u64 {
        let Some(records) = self.records.get_mut(&log) else { return 0 };
        let at = records.len() as u64;
        records.push(record.unwrap_or_default());
        let id = AppendId { request: RequestId(0), partition: log.partition };
        let one = Command::Append { id, log, records: 1, bytes: RECORD_BYTES, expected_offset: None, producer: None };
        self.memory.execute(&one);
        if record.is_none() {
            self.empty(log, at);
        }
        at
    }

    /// There is no record at an offset.
    fn empty(&mut self, log: LogId, at: u64) {
        self.holes.entry(log).or_default().insert(at);
    }
}
