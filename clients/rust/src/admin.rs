//! Topics, groups and single records, without being a consumer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    CommitOffset, Error, Group, GroupSummary, Message, OffsetReset, ResetTarget, Result, Topic, TopicPartition,
    TopicSettings,
    consumer_options::milliseconds,
    http::{Call, Http},
    message::{WireRecord, messages},
    partitions::{ByPartition, lists, offset_map},
};

/// Topics, groups and single records, without being a consumer.
///
/// All operations fail with [`Error::Api`] if the server refuses, and with [`Error::Connection`] if it can't be reached.
#[derive(Clone)]
pub struct Admin {
    pub(crate) http: Arc<Http>,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the log's start.
    Start,
    /// At an offset.
    Offset(u64),
    /// At the first record that is not older than this time, in milliseconds since the epoch.
    TimestampMs(u64),
}

/// What a read gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The messages; none if there are none yet.
    pub messages: Vec<Message>,
    /// Where to go on.
    pub next_offset: u64,
}

/// What a server says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `ok` or `degraded`.
    pub status: String,
    /// `ok`, or what is wrong with where records are kept.
    pub storage: String,
    /// All that it says, these two included.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Deserialize)]
struct Topics {
    topics: Vec<Topic>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<GroupSummary>,
}

#[derive(Deserialize)]
struct Resets {
    offsets: Vec<OffsetReset>,
}

/// As far as it is of interest here.
#[derive(Deserialize)]
struct At {
    offset: Option<u64>,
}

impl Admin {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// All topics.
    ///
    /// # Errors
    ///
    /// See [`Admin`].
    pub async fn topics(&self) -> Result<Vec<Topic>> {
        Ok(self.get::<Topics>("/api/topics".to_owned()).await?.topics)
    }

    /// A topic.
    ///
    /// # Errors
    ///
    /// `topic_not_found`.
    pub async fn topic(&self, name: &str) -> Result<Topic> {
        self.get(topic_path(name)).await
    }

    /// Makes a topic.
    ///
    /// # Errors
    ///
    /// `topic_exists` if there is one, whatever its settings; `invalid_name`, `out_of_range`.
    pub async fn create_topic(&self, name: &str, partitions: u32, settings: &TopicSettings) -> Result<Topic> {
        let mut body = object(settings)?;
        body.insert("name".to_owned(), json!(name));
        body.insert("partitions".to_owned(), json!(partitions));
        match self.http.send(Call::new(Method::POST, "/api/topics").json(&body)?).await {
            Ok(answer) => answer.json(),
            // Made by the attempt whose answer was lost.
            Err(Error::Api(error)) if error.code == "topic_exists" && error.repeated => self.topic(name).await,
            Err(error) => Err(error),
        }
    }

    /// Changes the settings that are given; partitions may only grow.
    ///
    /// # Errors
    ///
    /// `topic_not_found`, `partitions_can_only_grow`, `out_of_range`.
    pub async fn alter_topic(&self, name: &str, partitions: Option<u32>, settings: &TopicSettings) -> Result<Topic> {
        let mut body = object(settings)?;
        if let Some(partitions) = partitions {
            body.insert("partitions".to_owned(), json!(partitions));
        }
        self.http.send(Call::new(Method::PATCH, topic_path(name)).json(&body)?).await?.json()
    }

    /// Deletes a topic with its records.
    ///
    /// # Errors
    ///
    /// `topic_not_found`.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        self.delete(topic_path(name), "topic_not_found").await
    }

    /// The first record of the partition that is not older than the time; None if there is none.
    ///
    /// # Errors
    ///
    /// `topic_not_found`, `partition_not_found`.
    pub async fn offset_at(&self, of: &TopicPartition, timestamp_ms: u64) -> Result<Option<u64>> {
        let path = format!("{}/partitions/{}/offsets?timestamp_ms={timestamp_ms}", topic_path(&of.topic), of.partition);
        Ok(self.get::<At>(path).await?.offset)
    }

    /// Reads up to `limit` records (1 to 10,000) of a partition without a group. At the log's end it waits for `wait`,
    /// up to 5 minutes.
    ///
    /// # Errors
    ///
    /// `topic_not_found`, `partition_not_found`, `offset_trimmed` (with `earliest` in its details),
    /// `offset_out_of_range`.
    pub async fn read(&self, of: &TopicPartition, from: ReadFrom, limit: u32, wait: Duration) -> Result<Page> {
        let begin = match from {
            ReadFrom::Start => String::new(),
            ReadFrom::Offset(offset) => format!("&offset={offset}"),
            ReadFrom::TimestampMs(timestamp_ms) => format!("&timestamp_ms={timestamp_ms}"),
        };
        let (topic, partition, wait_ms) = (topic_path(&of.topic), of.partition, milliseconds(wait));
        let path = format!("{topic}/messages?partition={partition}&limit={limit}&wait_ms={wait_ms}{begin}");
        let answer = self.http.send(Call::get(path).wait(wait)).await?;
        let next_offset = answer.headers.get("x-next-offset").and_then(|value| value.to_str().ok()?.parse().ok());
        let next_offset = next_offset.ok_or_else(|| Error::UnexpectedAnswer("no X-Next-Offset".to_owned()))?;
        Ok(Page { messages: messages(answer.json::<Vec<WireRecord>>()?)?, next_offset })
    }

    /// All groups.
    ///
    /// # Errors
    ///
    /// See [`Admin`].
    pub async fn groups(&self) -> Result<Vec<GroupSummary>> {
        Ok(self.get::<Groups>("/api/consumer-groups".to_owned()).await?.groups)
    }

    /// A group.
    ///
    /// # Errors
    ///
    /// `group_not_found`.
    pub async fn group(&self, name: &str) -> Result<Group> {
        self.get(group_path(name)).await
    }

    /// Sets the offsets of a group that nobody is in: all or none. `partitions` says which, unless the target does;
    /// without any, all that have a committed offset. With `dry_run` it only tells what it would be.
    ///
    /// # Errors
    ///
    /// `group_active` if somebody is in it; `topic_not_found`, `partition_not_found`, `offset_out_of_range`.
    pub async fn reset_offsets(
        &self,
        group: &str,
        target: &ResetTarget,
        partitions: Option<&[TopicPartition]>,
        dry_run: bool,
    ) -> Result<Vec<OffsetReset>> {
        let mut body = match target {
            ResetTarget::Earliest => json!({"to": "earliest"}),
            ResetTarget::Latest => json!({"to": "latest"}),
            ResetTarget::Offset(offset) => json!({"offset": offset}),
            ResetTarget::By(records) => json!({"by": records}),
            ResetTarget::TimestampMs(timestamp_ms) => json!({"timestamp_ms": timestamp_ms}),
            ResetTarget::Offsets(offsets) => json!({"offsets": offset_map(offsets)}),
        };
        body["dry_run"] = json!(dry_run);
        if let Some(partitions) = partitions {
            body["partitions"] = json!(lists(partitions));
        }
        let mut call = Call::new(Method::PUT, format!("{}/offsets", group_path(group))).json(&body)?;
        if matches!(target, ResetTarget::By(_)) && !dry_run {
            // Twice would be twice as far.
            call = call.give_up_after(Some(Duration::ZERO));
        }
        Ok(self.http.send(call).await?.json::<Resets>()?.offsets)
    }

    /// Sets these offsets of a group that nobody is in, and what is remembered with them: all or none. Makes the group, if it
    /// isn't there.
    ///
    /// # Errors
    ///
    /// As for [`Admin::reset_offsets`].
    pub async fn set_offsets(&self, group: &str, offsets: &[CommitOffset]) -> Result<Vec<OffsetReset>> {
        let (mut next, mut metadata) = (ByPartition::<u64>::new(), ByPartition::<&str>::new());
        for CommitOffset { at, metadata: text } in offsets {
            let TopicPartition { topic, partition } = &at.partition;
            next.entry(topic.clone()).or_default().insert(*partition, at.offset);
            if let Some(text) = text {
                metadata.entry(topic.clone()).or_default().insert(*partition, text);
            }
        }
        let body =
            if metadata.is_empty() { json!({"offsets": next}) } else { json!({"offsets": next, "metadata": metadata}) };
        let call = Call::new(Method::PUT, format!("{}/offsets", group_path(group))).json(&body)?;
        Ok(self.http.send(call).await?.json::<Resets>()?.offsets)
    }

    /// Deletes a group that nobody is in, with its offsets.
    ///
    /// # Errors
    ///
    /// `group_not_found`, `group_active`.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        self.delete(group_path(name), "group_not_found").await
    }

    /// What the server says of itself.
    ///
    /// # Errors
    ///
    /// See [`Admin`].
    pub async fn health(&self) -> Result<Health> {
        self.get("/api/health".to_owned()).await
    }

    /// All that the server has, in one archive, as `takhin restore` takes it. It comes in pieces, and is whole only if the
    /// last of them is no error.
    ///
    /// # Errors
    ///
    /// `backup_running`, `backup_failed`.
    pub async fn backup(&self) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        self.http.open(Call::get("/api/backup")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T> {
        self.http.send(Call::get(path)).await?.json()
    }

    /// Gone after an attempt whose answer was lost is gone as asked.
    pub(crate) async fn delete(&self, path: String, gone: &str) -> Result<()> {
        match self.http.send(Call::new(Method::DELETE, path)).await {
            Ok(_) => Ok(()),
            Err(Error::Api(error)) if error.code == gone && error.repeated => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn topic_path(name: &str) -> String {
    format!("/api/topics/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

fn group_path(name: &str) -> String {
    format!("/api/consumer-groups/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

fn object(settings: &TopicSettings) -> Result<Map<String, Value>> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Error::Invalid(format!("{other} are no settings"))),
        Err(error) => Err(Error::Invalid(error.to_string())),
    }
}
