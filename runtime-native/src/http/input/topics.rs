//! The bodies of `/api/topics`, as the core's requests.

use serde::Deserialize;
use takhin_core::{Request, TopicName};

use super::offsets::topic_name;
use crate::http::error::ApiError;

/// The body of `POST /api/topics`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTopic {
    name: String,
    partitions: Option<i64>,
}

impl CreateTopic {
    /// The creation that it asks for, of one partition unless it says how many.
    pub(crate) fn check(self) -> Result<Request, ApiError> {
        Ok(Request::CreateTopic {
            name: topic_name("name", &self.name)?,
            partitions: partition_count(self.partitions.unwrap_or(1))?,
        })
    }
}

/// The body of `PATCH /api/topics/{topic}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrowTopic {
    partitions: i64,
}

impl GrowTopic {
    /// The change that it asks for.
    pub(crate) fn check(self, name: TopicName) -> Result<Request, ApiError> {
        Ok(Request::AddPartitions { name, partitions: partition_count(self.partitions)? })
    }
}

/// The core knows how many are too many.
fn partition_count(partitions: i64) -> Result<u32, ApiError> {
    u32::try_from(partitions)
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| ApiError::out_of_range("partitions", partitions, 1, u32::MAX.into()))
}
