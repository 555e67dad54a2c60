//! Why a migration did not come to its end.

use std::{io, path::Path};

use crate::{
    driver::StartError,
    engine::kafka::{CopyError, KafkaError, TopicError},
};

/// Why a migration did not come to its end. What was copied until then is kept, and another run goes on with it.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The data directory can't be read.
    #[error(transparent)]
    Source(#[from] StartError),
    /// Kafka can't be reached, or does not do what it is asked for.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A topic can't be made or set as it is to be.
    #[error("{topic}: {error}")]
    Topic {
        /// Its name.
        topic: String,
        /// Why.
        error: TopicError,
    },
    /// Records can't be copied.
    #[error("{topic}/{partition}: {error}")]
    Copy {
        /// Of which topic.
        topic: String,
        /// Of which partition.
        partition: u32,
        /// Why.
        error: CopyError,
    },
    /// The node of the cluster does not do what it is asked for.
    #[error("the node of the cluster: {0}")]
    Node(#[from] takhin_client::Error),
    /// What was found is not what can be gone on with; all of it, a line each.
    #[error("{}", .0.join("\n"))]
    Conflicts(Vec<String>),
    /// A file of the migration's own can't be read or written.
    #[error("{path}: {error}")]
    State {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It was told to stop.
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

impl MigrateError {
    pub(super) fn conflict(why: impl Into<String>) -> Self {
        Self::Conflicts(vec![why.into()])
    }

    /// To be handed what went wrong with a file.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::State { path: path.display().to_string(), error }
    }
}
