//! What can go wrong: what the server refused, what never got an answer, and what the caller did.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What this crate's operations give.
pub type Result<T> = std::result::Result<T, Error>;

/// Every error of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error. It changed nothing unless the details say so.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// No whole answer came: refused, reset, cut off or timed out, for as long as it was tried.
    #[error("no answer from {url}: {why}")]
    Connection {
        /// Who was asked last.
        url: String,
        /// The last failure.
        why: String,
    },
    /// A record may or may not be in the log: its request got no answer, and it was given up.
    #[error("the record may or may not be in the log: {why}")]
    OutcomeUnknown {
        /// Why it was given up.
        why: String,
    },
    /// The server removed the consumer while it was silent. A later poll joins the group anew.
    #[error("the server has removed this consumer: {0}")]
    ConsumerLost(String),
    /// Another consumer with the same `instance_id` has taken this one's place. This one is of no more use.
    #[error("another consumer with this instance_id has taken over")]
    Fenced,
    /// The producer was closed, or its runtime was.
    #[error("this producer is closed")]
    Closed,
    /// What the caller asked for can't be; the text says what.
    #[error("{0}")]
    Invalid(String),
    /// The answer is none that this crate understands: something else than Takhin listens there.
    #[error("an answer that Takhin does not give: {0}")]
    UnexpectedAnswer(String),
}

/// The server's own word on what is wrong.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{message} ({status} {code})")]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What happened, for programs: `topic_not_found`, `offset_out_of_range` …
    pub code: String,
    /// What happened, for people.
    #[serde(rename = "error")]
    pub message: String,
    /// Whether the very same request may work later.
    pub retryable: bool,
    /// What the error is about: the field, its value and bounds, as the code has it.
    #[serde(default)]
    pub details: Map<String, Value>,
    /// The id under which the server's log has the request.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Whether an earlier attempt of the same request got no answer, and so may have been carried out.
    #[serde(skip)]
    pub repeated: bool,
}

impl Error {
    /// The server's word, if this is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the server refused with this code.
    pub fn is_api(&self, code: &str) -> bool {
        self.api().is_some_and(|error| error.code == code)
    }
}
