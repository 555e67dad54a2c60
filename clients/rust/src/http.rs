//! Requests and their repetition. Whoever calls [`Http::send`] promises that the request can be repeated: that it
//! reads, or says again what is known already, so that a second arrival changes nothing.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout};

use crate::{ApiError, Error, Result, Retry, address::Address, connector::Connector};

/// What a network and a server may take to answer, beyond what a request waits for on purpose.
pub(crate) const NETWORK_TIME: Duration = Duration::from_secs(15);
/// An answer that comes piece by piece is given up if there is nothing for so long.
const SILENCE_TIME: Duration = Duration::from_mins(1);
/// A connection that nobody used for so long is not kept.
const IDLE_TIME: Duration = Duration::from_mins(1);

pub(crate) struct Http {
    addresses: Vec<Address>,
    /// Which address is asked; it moves on when one gives no answer.
    at: AtomicUsize,
    authorization: Option<HeaderValue>,
    retry: Retry,
    client: legacy::Client<Connector, Full<Bytes>>,
}

/// A request that can be repeated.
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Option<Bytes>,
    wait: Duration,
    give_up_after: Option<Duration>,
    /// It must not be done twice.
    once: bool,
}

/// An answer that came whole.
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
}

/// A failed attempt, and whether another may help.
struct Failure {
    error: Error,
    again: bool,
    answered: bool,
    /// Whether the request certainly came to nothing.
    undone: bool,
    retry_after: Duration,
}

impl Call {
    /// `path` is encoded and may have a query.
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, wait: Duration::ZERO, give_up_after: None, once: false }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_vec(body).map_err(|error| Error::Invalid(error.to_string()))?;
        self.body = Some(text.into());
        Ok(self)
    }

    pub(crate) fn text(mut self, body: String) -> Self {
        self.body = Some(body.into());
        self
    }

    /// How long the server may take to answer, beyond what a network takes.
    pub(crate) fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Instead of the client's own bound; zero is one attempt.
    pub(crate) fn give_up_after(mut self, time: Option<Duration>) -> Self {
        self.give_up_after = time;
        self
    }

    /// It can't be repeated after all, unless it is known that it came to nothing.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let start = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
            Error::UnexpectedAnswer(format!("{error}, in {start}"))
        })
    }
}

impl Http {
    pub(crate) fn new(
        addresses: Vec<Address>,
        api_key: Option<&str>,
        retry: Retry,
        connector: Connector,
    ) -> Result<Self> {
        if addresses.is_empty() {
            return Err(Error::Invalid("at least one address of the server is needed".to_owned()));
        }
        let authorization = api_key.map(|key| HeaderValue::from_str(&format!("Bearer {key}"))).transpose();
        let mut authorization =
            authorization.map_err(|_| Error::Invalid("the API key has characters that no key has".to_owned()))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector);
        Ok(Self { addresses, at: AtomicUsize::new(0), authorization, retry, client })
    }

    /// Sends until there is an answer, or the time for repetitions is over. Nothing is sent any more once the future
    /// is dropped.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer> {
        let end = Instant::now() + call.give_up_after.unwrap_or(self.retry.give_up_after);
        let mut repeated = false;
        for attempt in 1.. {
            let at = self.at.load(Ordering::Relaxed);
            let mut failure = match self.attempt(&call, &self.addresses[at % self.addresses.len()]).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if let Error::Api(error) = &mut failure.error {
                error.repeated = repeated;
            }
            let pause = self.retry.pause(attempt, failure.retry_after);
            let may_repeat = failure.again && (failure.undone || !call.once);
            if !may_repeat || Instant::now() + pause > end {
                return Err(failure.error);
            }
            if !failure.answered {
                repeated = true;
                // Whoever else found it silent at the same time has moved on already.
                let _ = self.at.compare_exchange(at, at.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
            }
            sleep(pause).await;
        }
        unreachable!("attempts end by their time")
    }

    async fn attempt(&self, call: &Call, address: &Address) -> std::result::Result<Answer, Failure> {
        let silence = |why: String| Failure::silence(address, why);
        let exchange = async {
            let (head, body) = self.begin(call, address).await?.into_parts();
            let body = body.collect().await.map_err(|error| silence(cut_off(&error)))?;
            Ok((head.status, head.headers, body.to_bytes()))
        };
        let time = call.wait + NETWORK_TIME;
        let (status, headers, body) =
            timeout(time, exchange).await.map_err(|_| silence(format!("nothing came within {time:?}")))??;
        if status.is_success() { Ok(Answer { body, headers }) } else { Err(Failure::refusal(status, &headers, &body)) }
    }

    /// Sends once, for an answer that is read piece by piece. The stream ends with an error if a piece is missing, or
    /// none comes for a minute.
    pub(crate) async fn open(&self, call: Call) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        let at = self.at.load(Ordering::Relaxed);
        let address = self.addresses[at % self.addresses.len()].clone();
        let begun = timeout(SILENCE_TIME, self.begin(&call, &address)).await;
        let late = || Failure::silence(&address, format!("nothing came within {SILENCE_TIME:?}")).error;
        let (head, body) = begun.map_err(|_| late())?.map_err(|failure| failure.error)?.into_parts();
        if !head.status.is_success() {
            let body = timeout(SILENCE_TIME, body.collect()).await.map_err(|_| late())?;
            let body = body.map_err(|error| Failure::silence(&address, cut_off(&error)).error)?;
            return Err(Failure::refusal(head.status, &head.headers, &body.to_bytes()).error);
        }
        Ok(stream::try_unfold((body, address), |(mut body, address)| async {
            loop {
                let silence = |why| Failure::silence(&address, why).error;
                let frame = timeout(SILENCE_TIME, body.frame()).await;
                let frame = frame.map_err(|_| silence(format!("nothing came within {SILENCE_TIME:?}")))?;
                let Some(frame) = frame.transpose().map_err(|error| silence(cut_off(&error)))? else { return Ok(None) };
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some((bytes, (body, address))));
                }
            }
        }))
    }

    /// As far as the head of the answer.
    async fn begin(&self, call: &Call, address: &Address) -> std::result::Result<Response<Incoming>, Failure> {
        let request = self.request(call, address).map_err(Failure::ours)?;
        let begun = self.client.request(request).await;
        // Without a connection nothing was sent.
        begun.map_err(|error| Failure { undone: error.is_connect(), ..Failure::silence(address, reason(&error)) })
    }

    fn request(&self, call: &Call, address: &Address) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(call.body.clone().unwrap_or_default()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = address.of(&call.path)?;
        let headers = request.headers_mut();
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }
}

impl Failure {
    /// A request that can't be made.
    fn ours(error: Error) -> Self {
        Self { error, again: false, answered: true, undone: true, retry_after: Duration::ZERO }
    }

    fn silence(address: &Address, why: String) -> Self {
        let error = Error::Connection { url: address.to_string(), why };
        Self { error, again: true, answered: false, undone: false, retry_after: Duration::ZERO }
    }

    fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = Duration::from_secs(seconds.unwrap_or(0));
        if let Ok(mut error) = serde_json::from_slice::<ApiError>(body) {
            error.status = status.as_u16();
            // "unknown" is what the server itself can't tell: the repetition settles it.
            let answered = error.details.get("applied").is_none_or(|applied| applied != "unknown");
            let again = error.retryable;
            return Self { again, error: Error::Api(Box::new(error)), answered, undone: answered, retry_after };
        }
        // Not the server's own words, but those of something on the way to it.
        let on_the_way = matches!(status.as_u16(), 429 | 502 | 503 | 504);
        let said = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let error = ApiError {
            status: status.as_u16(),
            code: "not_takhin".to_owned(),
            message: if said.is_empty() { format!("{status}, and nothing else") } else { said },
            retryable: on_the_way,
            details: serde_json::Map::new(),
            request_id: None,
            repeated: false,
        };
        let answered = !matches!(status.as_u16(), 502 | 504);
        Self { error: Error::Api(Box::new(error)), again: on_the_way, answered, undone: answered, retry_after }
    }
}

fn cut_off(error: &hyper::Error) -> String {
    format!("it was cut off, {}", reason(error))
}

/// The innermost cause is what says something: "connection refused", and not "client error".
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
