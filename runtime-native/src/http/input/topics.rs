//! The bodies of `/api/topics`, as the core's requests.

use serde::Deserialize;
use takhin_core::{Refusal, Request, TopicName};

use super::{
    consumers::{as_given, or_default},
    offsets::topic_name,
};
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
    pub(crate) fn check(&self) -> Result<Request, ApiError> {
        let name = topic_name("name", &self.name)?;
        Ok(Request::CreateTopic { name, partitions: or_default(self.partitions, 1) })
    }

    /// A refusal of it, with the number that it gave.
    pub(crate) fn refused(&self, refusal: Refusal) -> ApiError {
        as_given(refusal, &[("partitions", self.partitions)])
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
    pub(crate) fn check(&self, name: TopicName) -> Request {
        Request::AddPartitions { name, partitions: or_default(Some(self.partitions), 1) }
    }

    /// A refusal of it, with the number that it gave.
    pub(crate) fn refused(&self, refusal: Refusal) -> ApiError {
        as_given(refusal, &[("partitions", Some(self.partitions))])
    }
}
