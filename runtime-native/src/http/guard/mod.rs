//! Who may do what, and how much of it: what every request passes before its handler.
//!
//! ```text
//!   routes: at(path).get(need, handler)      a route can't be written without saying what it needs
//!   Guarded: who asks?          none, unknown, expired   401 unauthorized
//!            how much already?  beyond a limit           429 rate_limited
//!            may they?          a scope is missing       403 forbidden
//!            then the handler, which is told who asks    (Caller)
//! ```
//!
//! The check is a part of the handler, behind the router: so it sees the path as the handler sees it, and no way of
//! writing a path leads around it. Where neither keys nor limits are set, a request costs one comparison.

mod bodies;
mod caller;
mod need;

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    handler::Handler,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures_util::future::Either;

pub(super) use caller::{Caller, KeyUsed};
pub use need::{Need, RouteNeeds};

use super::{
    config::HttpConfig,
    dispatch::Asked,
    error::{ApiError, ApiResult},
    input::body::discard,
    output::now_ms,
    routes::App,
};
use crate::{
    keys::{KeyRing, NotAKey},
    limits::{Addresses, Excess, Place, Rate, Usage},
};
use bodies::{Counted, Held};
use caller::unauthorized;

/// The longest `Authorization` that may be a key.
const MAX_KEY_BYTES: usize = 256;

/// Decides who is let in.
#[derive(Debug)]
pub(super) struct Guard {
    keys: Option<Arc<KeyRing>>,
    /// For who has no key: because none is required, or because what was sent is none.
    addresses: Option<Addresses>,
}

impl Guard {
    pub(super) fn new(config: &HttpConfig) -> Self {
        let addresses = config.limits.are_any().then(|| Addresses::new(config.limits));
        Self { keys: config.keys.clone(), addresses }
    }

    /// The keys, if they are required.
    pub(super) fn keys(&self) -> Option<&Arc<KeyRing>> {
        self.keys.as_ref()
    }

    /// Whether everybody may do everything, as often as they like.
    fn is_open(&self) -> bool {
        self.keys.is_none() && self.addresses.is_none()
    }

    /// Who asks.
    fn identify(&self, headers: &HeaderMap) -> ApiResult<Caller> {
        let Some(keys) = &self.keys else { return Ok(Caller::Anyone) };
        match keys.find(key_in(headers)?, now_ms()) {
            Ok(key) => Ok(Caller::Key(key)),
            Err(NotAKey::Expired) => Err(unauthorized("expired", "the key has expired")),
            Err(NotAKey::Unknown) => Err(unauthorized("unknown", "the key is none, or was revoked")),
        }
    }

    fn usage_of_address(&self, address: IpAddr, now: u64) -> Option<Usage> {
        self.addresses.as_ref().map(|addresses| addresses.usage(address, now))
    }
}

/// The key that a request brings: as `Authorization: Bearer KEY`, or bare.
fn key_in(headers: &HeaderMap) -> ApiResult<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let missing = || unauthorized("missing", "this needs a key: send it as Authorization: Bearer KEY");
    let text = given.next().ok_or_else(missing)?.to_str().unwrap_or_default().trim();
    if given.next().is_some() {
        return Err(unauthorized("several", "a request has one Authorization"));
    }
    let text = match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => text,
    };
    if text.is_empty() {
        return Err(missing());
    }
    // A longer one is none, and is not worth a hash.
    Ok(if text.len() > MAX_KEY_BYTES { "" } else { text })
}

/// A handler, and what it needs.
#[derive(Clone)]
pub(super) struct Guarded<H> {
    pub(super) need: Need,
    pub(super) handler: H,
}

impl<T, H> Handler<T, Arc<App>> for Guarded<H>
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    type Future = Either<H::Future, Pin<Box<dyn Future<Output = Response> + Send>>>;

    fn call(self, request: Request, app: Arc<App>) -> Self::Future {
        if app.guard().is_open() || self.need == Need::Nothing {
            return Either::Left(self.handler.call(request, app));
        }
        Either::Right(Box::pin(self.check_and_call(request, app)))
    }
}

impl<H> Guarded<H> {
    async fn check_and_call<T>(self, request: Request, app: Arc<App>) -> Response
    where
        H: Handler<T, Arc<App>>,
    {
        let caller = match self.need {
            Need::NoKey => Ok(Caller::Anyone),
            _ => app.guard().identify(request.headers()),
        };
        let used = caller.as_ref().ok().and_then(Caller::used);
        let (mut parts, mut body) = request.into_parts();
        let mut response = match app.admit(caller, self.need, &mut parts, &mut body).await {
            Ok(place) => {
                let response = self.handler.call(Request::from_parts(parts, body), app).await;
                if place.counts() { response.map(|body| Body::new(Held::new(body, place))) } else { response }
            }
            Err(error) => turn_away(error, &parts.headers, body, app.config()).await,
        };
        if let Some(used) = used {
            response.extensions_mut().insert(used);
        }
        response
    }
}

impl App {
    /// Lets a request in, and tells its handler who asks.
    async fn admit(
        &self,
        caller: ApiResult<Caller>,
        need: Need,
        parts: &mut Parts,
        body: &mut Body,
    ) -> ApiResult<Place> {
        let now = Rate::now();
        let address = parts.extensions.get::<Asked>().map(|asked| asked.client.0);
        let address = address.ok_or_else(|| ApiError::bug("nobody knows who asks"))?;
        let usage = match &caller {
            Ok(Caller::Key(key)) => Some(key.usage().clone()),
            Ok(Caller::Anyone) | Err(_) => self.guard().usage_of_address(address, now),
        };
        let announced = body.size_hint().exact();
        let place = match &usage {
            Some(usage) => usage.begin(now, announced).map_err(too_much)?,
            None => Place::default(),
        };
        let caller = caller?;
        if let Caller::Key(_) = &caller {
            need.check(&caller, parts, self).await?;
        }
        parts.extensions.insert(caller);
        if let Some(usage) = usage
            && announced.is_none()
            && usage.counts_bytes()
        {
            *body = Body::new(Counted::new(std::mem::take(body), usage));
        }
        Ok(place)
    }
}

/// Answers a request that is not let in. What it still sends is thrown away for a while, since a client that still sends
/// would not read the answer.
async fn turn_away(error: ApiError, headers: &HeaderMap, body: Body, config: &HttpConfig) -> Response {
    let waits = headers.contains_key(header::EXPECT);
    let whole = body.is_end_stream() || (!waits && discard(config, body).await);
    if whole { error } else { error.closing() }.into_response()
}

fn too_much(excess: Excess) -> ApiError {
    let Excess { limit, value, wait } = excess;
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let message = format!("{limit} is limited to {value} for you");
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
        .with("limit", limit)
        .with("value", value)
        .with("wait_ms", u64::try_from((wait + Duration::from_micros(999)).as_millis()).unwrap_or(u64::MAX))
        .retryable(true)
        .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(values: &[&'static str]) -> Result<String, serde_json::Value> {
        let value = |value: &&'static str| (header::AUTHORIZATION, HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in values.iter().map(value) {
            headers.append(name, value);
        }
        key_in(&headers).map(str::to_owned).map_err(|error| {
            assert_eq!((error.status().as_u16(), error.code()), (401, "unauthorized"));
            error.details()["reason"].clone()
        })
    }

    #[test]
    fn a_key_comes_bare_or_as_a_bearers() {
        for good in ["k-1", "Bearer k-1", "bearer k-1", "BEARER   k-1", " Bearer k-1 "] {
            assert_eq!(key(&[good]), Ok("k-1".to_owned()), "{good}");
        }
        assert_eq!(key(&["Basic k-1"]), Ok("Basic k-1".to_owned()), "which is no key");
    }

    #[test]
    fn no_key_and_two_keys_are_told_apart() {
        assert_eq!(key(&[]), Err("missing".into()));
        assert_eq!(key(&[""]), Err("missing".into()));
        assert_eq!(key(&["Bearer   "]), Ok("Bearer".to_owned()), "which is no key either");
        assert_eq!(key(&["a", "b"]), Err("several".into()));
    }
}
