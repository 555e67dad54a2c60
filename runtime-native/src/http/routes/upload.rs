//! Records in, one in a line, for as long as they come.
//!
//! ```text
//!   body --- LineReader ---> a batch of lines --- parse_lines ---> a batch per partition --- append ---> progress
//!     ^                                                                                        |
//!     '--------------------- is read on when the batch is as durable as it is to be -----------'
//! ```
//!
//! An upload that says who it is can be sent again as a whole: its records are counted for each partition, as those of
//! an idempotent producer are. A partition that has a record already says which comes next, and what is before that is
//! passed over. So it does not matter how the lines fell into batches the first time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::IntoResponse,
};
use takhin_core::{
    AppendRefusal, ProducerStamp, Refusal, Response, StorageError, TopicConfig, TopicId, TopicName,
    response::ProducedBatch,
};
use tokio::time::{Instant, sleep};

use super::{App, mismatch, upload_wishes::wanted};
use crate::{
    driver::Bodies,
    http::{
        dispatch::Asked,
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            lines::{LineBatch, LineReader, Next},
            media::LINES,
            produce::Rules,
            produce_lines::{LineRules, ParsedLines, Selection, parse_lines},
        },
        long_work::LONG_TO_READ_BYTES,
        output::now_ms,
        progress::{BatchLine, Board, ProgressBody, Span, Sum},
        refusal::not_produced,
    },
};

/// How many sequence numbers there are.
const SEQUENCES: u32 = 1 << 31;
/// How long an upload waits for a write queue that is full, and how often it looks.
const WAIT_FOR_QUEUE: Duration = Duration::from_secs(30);
const LOOK_AT_QUEUE: Duration = Duration::from_millis(20);

impl App {
    /// Takes records in for as long as they come.
    pub(super) async fn upload(
        self: Arc<Self>,
        caller: Caller,
        topic: TopicName,
        asked: Asked,
        uri: &Uri,
        headers: &HeaderMap,
        body: Body,
    ) -> ApiResult {
        let wanted = wanted(uri, headers)?;
        let found = self.broker.topic(&topic).await?;
        let partitions = found.as_ref().map(|view| view.partitions).or(self.config.auto_create_partitions);
        let partitions = partitions.ok_or_else(|| Refusal::TopicNotFound { topic: topic.clone() })?;
        let mut next = BTreeMap::new();
        if wanted.goes_on {
            let only = wanted.lines.partition.or((partitions == 1).then_some(0)).ok_or_else(|| {
                let message = "a sequence is that of one partition: name it with partition";
                ApiError::unacceptable("partition_needed", "partition", message)
            })?;
            let sequence = wanted.producer.map_or(0, |stamp| stamp.sequence);
            next.insert(u32::try_from(only).unwrap_or(u32::MAX), sequence);
        }
        let reader = LineReader::new(body, Arc::clone(&self.config), wanted.limits, &self.bodies)?;
        let board = Arc::new(Board::default());
        let upload = Upload {
            app: self,
            caller,
            topic: found.map_or(topic, |view| view.name),
            partitions,
            id: None,
            lines: wanted.lines,
            producer: wanted.producer,
            goes_on: wanted.goes_on,
            next,
            stored: BTreeMap::new(),
            sum: Sum::default(),
            board: Arc::clone(&board),
        };
        let streaming = asked.link.uploading();
        let task = tokio::spawn(upload.run(reader));
        let answer = ProgressBody::new(Arc::clone(&board), asked.id, task.abort_handle(), streaming);
        if let Some(error) = board.begun().await {
            // The rest of the body has to be out of the way, for a client that reads nothing before it has sent it.
            let _ended: Result<(), tokio::task::JoinError> = task.await;
            return Err(error.closing());
        }
        let headers = [(header::CONTENT_TYPE, LINES), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        Ok((headers, Body::new(answer)).into_response())
    }
}

/// An upload under way.
struct Upload {
    app: Arc<App>,
    /// Who sends it, as long as they may.
    caller: Caller,
    topic: TopicName,
    /// How many the topic had when it began: keys keep their partitions as long as it lasts.
    partitions: u32,
    /// Which life of the topic's name it is.
    id: Option<TopicId>,
    lines: LineRules,
    producer: Option<ProducerStamp>,
    /// Whether the count goes on from a number that the client has named.
    goes_on: bool,
    /// The number of each partition's next record, if they are counted.
    next: BTreeMap<u32, u32>,
    /// Up to which number each partition is known to have them.
    stored: BTreeMap<u32, u32>,
    sum: Sum,
    board: Arc<Board>,
}

impl Upload {
    async fn run(mut self, mut reader: LineReader) {
        let outcome = self.take_all(&mut reader).await;
        self.board.ended(self.sum.clone(), outcome.err());
        reader.discard().await;
        self.board.close();
    }

    async fn take_all(&mut self, reader: &mut LineReader) -> Result<(), ApiError> {
        loop {
            match self.caller.while_known(reader.next()).await?? {
                Next::Batch(batch) => self.apply(&batch).await?,
                Next::Quiet => {}
                Next::End => return Ok(()),
            }
            if self.app.broker.is_draining() {
                return Err(Refusal::ShuttingDown.into());
            }
        }
    }

    /// Stores what is to be stored of a batch of lines, and tells of it.
    async fn apply(&mut self, batch: &LineBatch) -> Result<(), ApiError> {
        let until = Instant::now() + WAIT_FOR_QUEUE;
        let sticky_partition = match self.producer {
            Some(stamp) => u32::try_from(stamp.producer.0 % u64::from(self.partitions.max(1))).unwrap_or(0),
            None => self.app.sticky.next(&self.topic, self.partitions),
        };
        let mut told = BatchLine { first_line: batch.first_line, ..BatchLine::default() };
        let mut done = BTreeSet::new();
        loop {
            let (parsed, selected) = self.parse(batch, &done, sticky_partition).await?;
            let outcome = self.append(parsed.bodies, &selected.firsts, &mut told, &mut done).await;
            match outcome {
                Ok(Appended::All) => {
                    self.next = selected.next;
                    told.last_line =
                        parsed.fault.as_ref().map_or(batch.first_line + batch.lines, |(line, _)| *line) - 1;
                    told.duplicates = parsed.records - told.records;
                    self.sum.lines = told.last_line;
                    self.tell(&told);
                    return parsed.fault.map_or(Ok(()), |(_, error)| Err(error));
                }
                Ok(Appended::SomeWereThere) => {}
                Ok(Appended::QueueFull(_)) if Instant::now() < until => sleep(LOOK_AT_QUEUE).await,
                Ok(Appended::QueueFull(error)) | Err(error) => {
                    if told.records > 0 {
                        told.last_line = batch.first_line + batch.lines - 1;
                        self.tell(&told);
                    }
                    return Err(error.with("first_line", batch.first_line));
                }
            }
        }
    }

    fn tell(&mut self, told: &BatchLine) {
        self.sum.add(told);
        if told.last_line >= told.first_line {
            self.board.applied(told);
        }
    }

    async fn parse(
        &mut self,
        batch: &LineBatch,
        done: &BTreeSet<u32>,
        sticky_partition: u32,
    ) -> Result<(ParsedLines, Selected), ApiError> {
        let found = self.app.broker.topic(&self.topic).await?;
        let missing = found.is_none();
        let config = match found {
            Some(view) if self.id.is_none_or(|id| id == view.id) => {
                self.id = Some(view.id);
                view.config
            }
            None if self.id.is_none() && self.app.config.auto_create_partitions.is_some() => TopicConfig::default(),
            _ => return Err(Refusal::TopicNotFound { topic: self.topic.clone() }.into()),
        };
        let rules = Rules {
            config: &self.app.config,
            partitions: self.partitions,
            sticky_partition,
            now_ms: now_ms(),
            topic: &config,
            key: None,
        };
        let mut selected = Selected {
            producer: self.producer,
            goes_on: self.goes_on,
            stored: self.stored.clone(),
            done: done.clone(),
            next: self.next.clone(),
            firsts: BTreeMap::new(),
        };
        let long = batch.text.len() >= LONG_TO_READ_BYTES;
        let work = || parse_lines(batch, &self.lines, rules, &mut selected);
        let parsed = self.app.long_work.run(long, work).await;
        if missing && !parsed.bodies.is_empty() {
            self.app.ensure_topics(&self.caller, std::slice::from_ref(&self.topic)).await?;
        }
        Ok((parsed, selected))
    }

    /// Appends records, and notes what became of them.
    async fn append(
        &mut self,
        bodies: Bodies,
        firsts: &BTreeMap<u32, u32>,
        told: &mut BatchLine,
        done: &mut BTreeSet<u32>,
    ) -> Result<Appended, ApiError> {
        if bodies.is_empty() {
            return Ok(Appended::All);
        }
        let results = match self.app.broker.produce(self.topic.clone(), bodies, None).await {
            Ok(answer) => match answer.response {
                Response::Produced(results) => results,
                other => return Err(mismatch(&other)),
            },
            Err(Refusal::SequenceGap { partition, expected, .. }) if self.is_behind(firsts, partition, expected) => {
                self.stored.insert(partition, expected);
                return Ok(Appended::SomeWereThere);
            }
            Err(refusal @ Refusal::StorageUnavailable { error: StorageError::Overloaded, .. }) => {
                return Ok(Appended::QueueFull(refusal.into()));
            }
            Err(refusal) => return Err(self.explained(refusal.into())),
        };
        let mut outcome = Ok(Appended::All);
        for ProducedBatch { partition, records, result, duplicate, scattered } in results {
            let refused = match result {
                Ok(base) => {
                    done.insert(partition);
                    self.stored.insert(partition, firsts.get(&partition).copied().unwrap_or(0).saturating_add(records));
                    if !duplicate {
                        let count = u64::from(records);
                        told.records += count;
                        let last = scattered.last().map_or(base.0 + count - 1, |offset| offset.0);
                        told.offsets.insert(partition, Span { first: base.0, last, records: count });
                    }
                    continue;
                }
                Err(error) => error,
            };
            let next = match refused {
                StorageError::Refused(AppendRefusal::SequenceGap { expected })
                    if self.is_behind(firsts, partition, expected) =>
                {
                    self.stored.insert(partition, expected);
                    Ok(Appended::SomeWereThere)
                }
                StorageError::Overloaded => Ok(Appended::QueueFull(not_produced(StorageError::Overloaded))),
                error => Err(self.explained(not_produced(error).with("partition", partition))),
            };
            // The worst of them counts.
            outcome = match (outcome, next) {
                (Err(error), _) | (_, Err(error)) => Err(error),
                (full @ Ok(Appended::QueueFull(_)), _) | (_, full @ Ok(Appended::QueueFull(_))) => full,
                (_, next) => next,
            };
        }
        outcome
    }

    /// Whether a partition has records of this upload that were about to be appended.
    fn is_behind(&self, firsts: &BTreeMap<u32, u32>, partition: u32, expected: u32) -> bool {
        self.producer.is_some() && firsts.get(&partition).is_some_and(|first| *first < expected)
    }

    /// An upload that is recognised can be sent again, whatever became of it.
    fn explained(&self, error: ApiError) -> ApiError {
        if self.producer.is_some() { error.repeatable() } else { error }
    }
}

/// What became of an attempt.
enum Appended {
    All,
    /// Some records turned out to be there: what is left is to be appended without them.
    SomeWereThere,
    /// Some have to wait.
    QueueFull(ApiError),
}

/// Which records of a batch of lines are still to be stored.
struct Selected {
    producer: Option<ProducerStamp>,
    goes_on: bool,
    stored: BTreeMap<u32, u32>,
    done: BTreeSet<u32>,
    next: BTreeMap<u32, u32>,
    /// The number of the first record that is.
    firsts: BTreeMap<u32, u32>,
}

impl Selection for Selected {
    fn wants(&mut self, partition: u32) -> Result<bool, ApiError> {
        if self.producer.is_none() {
            return Ok(!self.done.contains(&partition));
        }
        if self.goes_on && !self.next.contains_key(&partition) {
            let message = "a sequence is that of one partition, and the record goes to another one";
            return Err(ApiError::unacceptable("several_partitions", "partition", message).with("partition", partition));
        }
        let next = self.next.entry(partition).or_default();
        if *next >= SEQUENCES {
            let message = "the producer has counted as far as it can: begin a new epoch";
            return Err(ApiError::unacceptable("out_of_range", "sequence", message).with("max", SEQUENCES - 1));
        }
        let number = *next;
        *next += 1;
        if self.stored.get(&partition).is_some_and(|stored| number < *stored) {
            return Ok(false);
        }
        self.firsts.entry(partition).or_insert(number);
        Ok(true)
    }

    fn stamp(&self, partition: u32) -> Option<ProducerStamp> {
        let sequence = *self.firsts.get(&partition)?;
        self.producer.map(|stamp| ProducerStamp { sequence, ..stamp })
    }
}
