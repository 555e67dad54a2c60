//! Who asks, and what they may: the one place where a handler asks for rights.

use std::{fmt, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
};
use takhin_core::{ConsumerId, TopicName, Topics, response::Consumed};

use crate::{
    http::{
        error::{ApiError, ApiResult},
        output::now_ms,
        routes::App,
    },
    keys::{Ended, Key, KeyId, Right, Scope},
};

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// No keys are required: everybody may do everything.
    Anyone,
    /// Who holds this key.
    Key(Arc<Key>),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Key(key) => key.record().id.fmt(f),
        }
    }
}

/// Which key a request came with, as its answer bears it to the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUsed(pub(crate) KeyId);

impl Caller {
    pub(super) fn used(&self) -> Option<KeyUsed> {
        match self {
            Self::Anyone => None,
            Self::Key(key) => Some(KeyUsed(key.record().id)),
        }
    }

    /// Whether they have this right over this.
    pub(crate) fn has(&self, scope: Scope, right: Right, name: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Key(key) => key.record().scopes.allow(scope, right, name),
        }
    }

    /// Asks for a right.
    ///
    /// # Errors
    /// 403 `forbidden`, with what is missing.
    pub(crate) fn may(&self, scope: Scope, right: Right, name: &str) -> ApiResult<()> {
        if self.has(scope, right, name) { Ok(()) } else { Err(forbidden(scope, right, Some(name))) }
    }

    /// Asks whether they may read a topic that the request did not name.
    fn may_be_told_of(&self, topic: &TopicName) -> ApiResult<()> {
        if self.has(Scope::Topics, Right::Read, topic) {
            Ok(())
        } else {
            Err(forbidden(Scope::Topics, Right::Read, None))
        }
    }

    /// Asks for what a subscription needs: to read all of its topics, those too that a pattern may match later. What a
    /// consumer subscribes to is the same whoever polls it, so a pattern is not narrowed to what the key may read; one
    /// that could match more is refused.
    pub(crate) fn may_subscribe(&self, topics: &Topics) -> ApiResult<()> {
        let Self::Key(key) = self else { return Ok(()) };
        let scopes = &key.record().scopes;
        match topics {
            Topics::Named(names) => names.iter().try_for_each(|name| self.may(Scope::Topics, Right::Read, name)),
            Topics::Matching(pattern) => {
                // What is no pattern is the core's to refuse.
                let Ok(_) = pattern.compile() else { return Ok(()) };
                let readable = |beginning: &takhin_core::Beginning| {
                    let name = &beginning.text;
                    if beginning.is_whole {
                        scopes.allow(Scope::Topics, Right::Read, name)
                    } else {
                        scopes.allow_reading_all(name)
                    }
                };
                match pattern.beginnings() {
                    Some(beginnings) if beginnings.iter().all(readable) => Ok(()),
                    None if scopes.allow_reading_all("") => Ok(()),
                    _ => {
                        let message = "this pattern could match topics that the key may not read: let it begin with \
                                       what its topics begin with, as in orders\\..*";
                        Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
                            .with("scope", Scope::Topics.as_str())
                            .with("right", Right::Read.as_str())
                            .with("topic_pattern", &**pattern))
                    }
                }
            }
        }
    }

    /// Asks for what a consumer needs: to read its group and every topic that it can reach. A consumer that isn't there
    /// is the core's to refuse.
    pub(crate) async fn may_use(&self, app: &App, consumer: ConsumerId) -> ApiResult<()> {
        let Self::Key(_) = self else { return Ok(()) };
        let mut topics = Ok(());
        let reached = app.broker().reach(consumer, |topic| {
            if topics.is_ok() {
                topics = self.may_be_told_of(topic);
            }
        });
        let group = reached.await?;
        match group {
            Some(group) if !self.has(Scope::Groups, Right::Read, &group) => {
                Err(forbidden(Scope::Groups, Right::Read, None))
            }
            _ => topics,
        }
    }

    /// Asks whether they may have a poll's answer: what a consumer can reach may have changed while the poll waited.
    pub(crate) fn may_have(&self, answer: &Consumed) -> ApiResult<()> {
        let Self::Key(_) = self else { return Ok(()) };
        let records = answer.parts.iter().map(|part| &part.topic);
        let mut topics = records.chain(answer.positions.iter().map(|status| &status.topic));
        topics.try_for_each(|topic| self.may_be_told_of(topic))
    }

    /// Asks whether they still may: what takes long to send may be whole only after its key was revoked.
    ///
    /// # Errors
    /// 401 `unauthorized`.
    pub(crate) fn is_still_known(&self) -> ApiResult<()> {
        match self {
            Self::Anyone => Ok(()),
            Self::Key(key) => key.has_ended(now_ms()).map_or(Ok(()), |ended| Err(over(ended))),
        }
    }

    /// Waits for something, but no longer than the key is one. What is waited for then is dropped.
    ///
    /// # Errors
    /// 401 `unauthorized`.
    pub(crate) async fn while_known<T>(&self, work: impl Future<Output = T>) -> ApiResult<T> {
        let Self::Key(key) = self else { return Ok(work.await) };
        tokio::select! {
            biased;
            done = work => Ok(done),
            ended = key.ended(now_ms()) => Err(over(ended)),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if app.guard().keys().is_none() {
            return Ok(Self::Anyone);
        }
        // A route that needs nothing has no caller, and then nobody may do anything.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::bug("a handler asks who asks, and nobody does"))
    }
}

/// 401.
pub(super) fn unauthorized(reason: &'static str, message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        .with("reason", reason)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn over(ended: Ended) -> ApiError {
    match ended {
        Ended::Expired => unauthorized("expired", "the key has expired"),
        Ended::Revoked => unauthorized("unknown", "the key is none, or was revoked"),
    }
}

/// 403. What the request did not name is not named in the answer.
fn forbidden(scope: Scope, right: Right, name: Option<&str>) -> ApiError {
    let what = match (scope, name) {
        (Scope::Cluster, _) => "the cluster".to_owned(),
        (Scope::Topics, Some(name)) => format!("the topic {name:?}"),
        (Scope::Groups, Some(name)) => format!("the group {name:?}"),
        (Scope::Topics, None) => "all topics of this consumer".to_owned(),
        (Scope::Groups, None) => "the group of this consumer".to_owned(),
    };
    let message = format!("the key lacks the right {right} over {what}");
    let error = ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
        .with("scope", scope.as_str())
        .with("right", right.as_str());
    match name.filter(|_| scope != Scope::Cluster) {
        Some(name) => error.with("name", name),
        None => error,
    }
}
