//! Writes snapshots, on a thread of its own: sends the chunks, reads them back, and then cuts away what nobody needs.
//!
//! Two complete snapshots stay, and the journal from the end of the older one on: if the latest one should turn out to be
//! broken, nothing is lost.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, sync_channel},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use uuid::Uuid;

use super::{
    chunk::{self, Found, Snapshot},
    config::{CellsConfig, Names},
    logged::{self, Logged},
    message::Message,
    reader::Job,
    topics::blocking,
};

/// How long to wait for deliveries before looking whether all have come.
const POLL: Duration = Duration::from_millis(20);

/// A snapshot to be kept.
#[derive(Debug)]
pub(super) struct Keep {
    pub(super) cell: u32,
    pub(super) snapshot: Snapshot,
}

/// Why a chunk was not taken.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        logged::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        logged::trouble(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
    }
}

/// Who keeps snapshots.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) config: CellsConfig,
    pub(super) names: Names,
    pub(super) jobs: Receiver<Keep>,
    pub(super) reader: Sender<Job>,
    pub(super) queue: Sender<Message>,
}

impl Keeper {
    /// Keeps snapshots until nobody is left to have any.
    pub(super) fn run(self) {
        while let Ok(Keep { cell, snapshot }) = self.jobs.recv() {
            let next = snapshot.next;
            let kept = self.keep(cell, &snapshot);
            if let Err(why) = &kept {
                tracing::warn!(cell, why, "a snapshot was not kept");
            }
            // Nobody listens once the cells have stopped.
            let _ = self.queue.send(Message::SnapshotKept { cell, next, kept });
        }
    }

    fn keep(&self, cell: u32, snapshot: &Snapshot) -> Result<(), String> {
        let id = Uuid::new_v4();
        self.write(cell, id, snapshot)?;
        let found = self.read_back(cell)?;
        let last = found.latest.as_ref().ok_or("it can't be found")?;
        if !found.complete.iter().any(|complete| complete.id == id) {
            return Err("it can't be read back".to_owned());
        }
        if last.id == id && last.snapshot != *snapshot {
            return Err("it was read back as something else".to_owned());
        }
        // It is kept. Whatever isn't cut away now is cut away after the next one.
        if let Err(why) = self.cut(cell, &found) {
            tracing::warn!(cell, why, "what a snapshot made superfluous stays for now");
        }
        Ok(())
    }

    fn write(&self, cell: u32, id: Uuid, snapshot: &Snapshot) -> Result<(), String> {
        let deliveries = Deliveries::default();
        let producer = BaseProducer::from_config_and_context(&self.config.producer_client(), deliveries.clone());
        let producer: BaseProducer<Deliveries> = producer.map_err(|error| error.to_string())?;
        for chunk in chunk::chunks(cell, id, snapshot) {
            let partition = i32::try_from(cell).unwrap_or(i32::MAX);
            let mut record: BaseRecord<'_, (), _> =
                BaseRecord::to(&self.names.snapshots).partition(partition).payload(&chunk);
            while let Err((error, refused)) = producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error.to_string());
                }
                producer.poll(POLL);
                record = refused;
            }
        }
        // Each of them is given up in the end.
        while producer.in_flight_count() > 0 {
            producer.poll(POLL);
        }
        let failed = deliveries.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(error.to_string()))
    }

    fn read_back(&self, cell: u32) -> Result<Found, String> {
        let (reply, found) = sync_channel(1);
        let job = Job::Snapshots { cell, reply: Some(reply) };
        self.reader.send(job).map_err(|_| "the cells are stopping")?;
        found.recv_timeout(self.config.timeout * 2).map_err(|_| "it could not be read back".to_owned())
    }

    /// Cuts away the snapshots before the last two, and what of the journal is in the older of these.
    fn cut(&self, cell: u32, found: &Found) -> Result<(), String> {
        let [.., before, last] = found.complete.as_slice() else { return Ok(()) };
        let partition = i32::try_from(cell).unwrap_or(i32::MAX);
        let mut offsets = TopicPartitionList::new();
        let next = i64::try_from(before.next.0).map_err(|error| error.to_string())?;
        for (topic, offset) in [(&self.names.snapshots, before.at.min(last.at)), (&self.names.journal, next)] {
            let added = offsets.add_partition_offset(topic, partition, Offset::Offset(offset));
            added.map_err(|error| error.to_string())?;
        }
        let started = Instant::now();
        let admin: AdminClient<Logged> = AdminClient::from_config_and_context(&self.config.admin_client(), Logged)
            .map_err(|error| error.to_string())?;
        let options =
            AdminOptions::new().request_timeout(Some(self.config.timeout)).operation_timeout(Some(self.config.timeout));
        let cut = blocking(admin.delete_records(&offsets, &options)).map_err(|error| error.to_string())?;
        for partition in cut.map_err(|error| error.to_string())?.elements() {
            partition.error().map_err(|error| format!("{}: {error}", partition.topic()))?;
        }
        tracing::debug!(cell, next, seconds = started.elapsed().as_secs_f64(), "cut a journal");
        Ok(())
    }
}
