//! How far an instance is: `.../offsets` and `.../positions`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::IntoResponse};
use serde::Serialize;
use takhin_core::{CommitOffset, ConsumerId, MAX_METADATA_BYTES, Place, Refusal, Request, SeekTo, TopicName};

use super::{
    CommitStyle, KafkaRest,
    instances::InstanceName,
    media::JsonBody,
    no_content,
    partitions::{Offsets, PartitionOffset, Partitions},
};
use crate::{
    http::{
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            json::{object, object_or_nothing},
            offsets::bounded,
        },
        output::json,
        routes::App,
    },
    keys::{Right, Scope},
};

#[derive(Debug, Serialize)]
struct Committed {
    offsets: Vec<CommittedOffset>,
}

#[derive(Debug, Serialize)]
struct CommittedOffset {
    topic: TopicName,
    partition: u32,
    /// The next offset to read, whatever the style of commits.
    offset: u64,
    metadata: String,
}

/// Without offsets, all that was read is committed; an empty list commits nothing.
pub(super) async fn commit(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    let given = object_or_nothing::<Offsets>(&body.bytes)?.offsets;
    bounded("offsets", given.as_ref().map_or(0, Vec::len))?;
    let style = rest.config.commit;
    let entry = |(index, entry): (usize, PartitionOffset)| to_commit(index, entry, style);
    let offsets = given.map(|given| given.into_iter().enumerate().map(entry).collect::<ApiResult<Vec<_>>>());
    match offsets.transpose()? {
        Some(offsets) if offsets.is_empty() => drop(app.describe(consumer).await?),
        offsets => drop(app.offsets(Request::Commit { consumer, offsets, generation: None }).await?),
    }
    match style {
        CommitStyle::Next => json(&[(); 0]),
        CommitStyle::Raw => Ok(no_content().into_response()),
    }
}

/// Of the partitions named in the body, which a GET has here, or else of all that the instance has.
pub(super) async fn committed(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    let asked = match body.bytes.trim_ascii() {
        b"" | b"{}" => None,
        body => Some(object::<Partitions>(body)?.check()?),
    };
    let own = app.offsets(Request::Committed { consumer }).await?;
    let own = own.into_iter().map(|at| (at.topic, at.partition, at.offset, at.metadata));
    let Some(asked) = asked else { return json(&Committed { offsets: own.filter_map(told).collect() }) };
    let mut known: Vec<_> = own.collect();
    if !asked.iter().all(|(topic, partition)| known.iter().any(|(name, n, ..)| (name, n) == (topic, partition))) {
        for (topic, partition) in &asked {
            caller.may(Scope::Topics, Right::Read, topic)?;
            app.broker.bounds(topic, *partition).await?;
        }
        let group = app.group(name.group.clone()).await?;
        known = group.partitions.into_iter().map(|at| (at.topic, at.partition, at.committed, at.metadata)).collect();
    }
    let wanted = known
        .into_iter()
        .filter(|(topic, partition, ..)| asked.iter().any(|(name, number)| (name, number) == (topic, partition)));
    json(&Committed { offsets: wanted.filter_map(told).collect() })
}

pub(super) async fn seek(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    let given = object::<Offsets>(&body.bytes)?.offsets.unwrap_or_default();
    bounded("offsets", given.len())?;
    let to = |(index, entry): (usize, PartitionOffset)| {
        let (topic, partition) = entry.log(index)?;
        Ok(SeekTo { topic, partition, offset: entry.offset })
    };
    let positions = given.into_iter().enumerate().map(to).collect::<ApiResult<Vec<_>>>()?;
    if positions.is_empty() {
        return Err(Refusal::Empty { field: "offsets".to_owned() }.into());
    }
    app.consumer(Request::Seek { consumer, positions }).await?;
    Ok(no_content())
}

pub(super) async fn seek_to_beginning(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    app.seek_to_place(consumer, &body.bytes, Place::Beginning).await
}

pub(super) async fn seek_to_end(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    app.seek_to_place(consumer, &body.bytes, Place::End).await
}

impl App {
    /// Moves the partitions that the body names; an empty list stands for all, as in Kafka.
    async fn seek_to_place(&self, consumer: ConsumerId, body: &[u8], to: Place) -> ApiResult {
        let named = object::<Partitions>(body)?.check()?;
        let partitions = (!named.is_empty()).then_some(named);
        self.consumer(Request::SeekPlace { consumer, partitions, to }).await?;
        Ok(no_content())
    }
}

fn to_commit(index: usize, entry: PartitionOffset, style: CommitStyle) -> ApiResult<CommitOffset> {
    let (topic, partition) = entry.log(index)?;
    let metadata = entry.metadata.filter(|text| !text.is_empty());
    if let Some(bytes) = metadata.as_ref().map(String::len).filter(|bytes| *bytes > MAX_METADATA_BYTES as usize) {
        let field = format!("offsets[{index}].metadata");
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        return Err(ApiError::out_of_range(&field, bytes, 0, MAX_METADATA_BYTES.into()));
    }
    let offset = match style {
        CommitStyle::Next => entry.offset.saturating_add(1),
        CommitStyle::Raw => entry.offset,
    };
    Ok(CommitOffset { topic, partition, offset, metadata: metadata.map(Into::into) })
}

type Known = (TopicName, u32, Option<takhin_core::Offset>, Option<Arc<str>>);

/// Of what nothing is committed, nothing is told.
fn told((topic, partition, offset, metadata): Known) -> Option<CommittedOffset> {
    let metadata = metadata.as_deref().unwrap_or_default().to_owned();
    Some(CommittedOffset { topic, partition, offset: offset?.0, metadata })
}
