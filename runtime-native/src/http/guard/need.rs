//! What a route needs.

use axum::{
    extract::FromRequestParts as _,
    http::{Method, request::Parts},
};

use super::Caller;
use crate::{
    http::{
        error::ApiResult,
        input::path::{ConsumerPath, GroupInPath, TopicInPath},
        routes::App,
    },
    keys::{Right, Scope},
};

/// What a key needs to be let in to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing, not even a key, and no limit holds.
    Nothing,
    /// No key. Limits hold.
    NoKey,
    /// A key, of whatever scopes: there is nothing to be had, or only what the key may see.
    AnyKey,
    /// A right over what the request's body names: its handler asks the caller itself.
    InBody,
    /// This right over the topic in the path.
    Topic(Right),
    /// This right over the group in the path.
    Group(Right),
    /// To read the group of the consumer in the path, and all topics that it can reach.
    Consumer,
    /// This right over the server as a whole.
    Cluster(Right),
}

/// What a route needs when it is asked with a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteNeeds {
    /// The method.
    pub method: Method,
    /// The path, its parameters in braces.
    pub path: String,
    /// What it needs.
    pub need: Need,
}

impl Need {
    /// Refuses a caller that may not. What in the path is no name is refused here as its handler would.
    pub(super) async fn check(self, caller: &Caller, parts: &mut Parts, app: &App) -> ApiResult<()> {
        match self {
            Self::Nothing | Self::NoKey | Self::AnyKey | Self::InBody => Ok(()),
            Self::Cluster(right) => caller.may(Scope::Cluster, right, ""),
            Self::Topic(right) => {
                let TopicInPath(topic) = TopicInPath::from_request_parts(parts, app).await?;
                caller.may(Scope::Topics, right, &topic)
            }
            Self::Group(right) => {
                let GroupInPath(group) = GroupInPath::from_request_parts(parts, app).await?;
                caller.may(Scope::Groups, right, &group)
            }
            Self::Consumer => {
                let ConsumerPath(consumer) = ConsumerPath::from_request_parts(parts, app).await?;
                caller.may_use(app, consumer).await
            }
        }
    }
}
