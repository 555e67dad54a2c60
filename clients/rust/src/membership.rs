//! One consumer at the server, from subscribe to goodbye: its id, its session and the heartbeats that keep it, and the
//! requests that are made under its id. It repeats what may be repeated, and knows when it is over.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::{
    Error, Result,
    consumer_options::{ConsumerOptions, Wish, milliseconds},
    http::{Call, Http},
    message::WireRecord,
    partitions::{ByPartition, PartitionLists, lists},
};

/// A consumer as the server describes it.
#[derive(Deserialize)]
pub(crate) struct Described {
    pub(crate) topics: Vec<String>,
    pub(crate) assignment: PartitionLists,
    #[serde(default)]
    pub(crate) revoking: PartitionLists,
    pub(crate) lag: ByPartition<Option<u64>>,
    session_timeout_ms: u64,
}

/// An answer to a poll.
#[derive(Deserialize)]
pub(crate) struct Polled {
    pub(crate) records: Vec<WireRecord>,
    pub(crate) batch_id: u64,
    pub(crate) lag: ByPartition<Option<u64>>,
    pub(crate) rebalance: Option<Rebalance>,
}

#[derive(Deserialize)]
pub(crate) struct Rebalance {
    pub(crate) assigned: PartitionLists,
    pub(crate) revoked: PartitionLists,
}

/// Whose heartbeats stop when it is dropped.
pub(crate) struct Membership {
    session: Arc<Session>,
    heartbeats: AbortHandle,
}

struct Session {
    http: Arc<Http>,
    id: Uuid,
    /// Why it is over, if it is.
    over: OnceLock<Error>,
    /// How many requests are under way: none of them needs a heartbeat beside it.
    asking: AtomicUsize,
    last_asked: Mutex<Instant>,
}

/// How long one request may take.
#[derive(Clone, Copy, Default)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) give_up_after: Option<Duration>,
}

impl Membership {
    /// The id is chosen by the caller, so that a subscribe whose answer was lost is the same subscribe again.
    pub(crate) async fn join(
        http: &Arc<Http>,
        options: &ConsumerOptions,
        wish: &Wish,
        id: Uuid,
    ) -> Result<(Self, Described)> {
        let call = Call::new(Method::POST, "/api/consumers/subscribe").json(&options.subscribe_body(wish, id))?;
        let described: Described = http.send(call).await?.json()?;
        let session = Arc::new(Session {
            http: http.clone(),
            id,
            over: OnceLock::new(),
            asking: AtomicUsize::new(0),
            last_asked: Mutex::new(Instant::now()),
        });
        let every = Duration::from_millis(described.session_timeout_ms.max(4) / 4);
        let heartbeats = tokio::spawn(session.clone().keep_alive(every)).abort_handle();
        let member = Self { session, heartbeats };
        if matches!(wish, Wish::Assigned(_)) {
            let described = member.subscribe(options, wish).await?;
            return Ok((member, described));
        }
        Ok((member, described))
    }

    pub(crate) fn id(&self) -> Uuid {
        self.session.id
    }

    /// Why it is over, if it is.
    pub(crate) fn over(&self) -> Option<&Error> {
        self.session.over.get()
    }

    pub(crate) async fn poll(
        &self,
        options: &ConsumerOptions,
        after: u64,
        wait: Duration,
        max_records: usize,
    ) -> Result<Polled> {
        let mut body = json!({
            "after_batch": after,
            "timeout_ms": milliseconds(wait),
            "max_records": max_records,
            "max_bytes_total": options.max_poll_bytes,
        });
        if !wait.is_zero() {
            body["min_bytes"] = json!(options.fetch_min_bytes);
        }
        self.ask(Method::POST, "/consume", Some(&body), Patience { wait, give_up_after: None }).await
    }

    pub(crate) async fn subscribe(&self, options: &ConsumerOptions, wish: &Wish) -> Result<Described> {
        let (path, body) = match wish {
            Wish::Assigned(partitions) => ("/assignment", json!({"topics": lists(partitions)})),
            other => ("/subscription", Value::Object(options.wanted(other))),
        };
        self.ask(Method::PUT, path, Some(&body), Patience::default()).await
    }

    pub(crate) async fn describe(&self) -> Result<Described> {
        self.ask(Method::GET, "", None, Patience::default()).await
    }

    /// A request for this consumer; `path` is what follows its id.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Patience,
    ) -> Result<T> {
        self.session.ask(method, path, body, patience).await
    }

    pub(crate) async fn leave(&self, give_up_after: Option<Duration>) -> Result<()> {
        self.heartbeats.abort();
        if self.over().is_some() {
            return Ok(());
        }
        let patience = Patience { give_up_after, ..Patience::default() };
        match self.ask::<Value>(Method::DELETE, "", None, patience).await {
            // Gone is what was asked for.
            Ok(_) | Err(Error::ConsumerLost(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.heartbeats.abort();
    }
}

impl Session {
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Patience,
    ) -> Result<T> {
        if let Some(error) = self.over.get() {
            return Err(error.clone());
        }
        let mut call = Call::new(method, format!("/api/consumers/{}{path}", self.id));
        if let Some(body) = body {
            call = call.json(body)?;
        }
        let _asking = Asking::begin(self);
        let answer = self.http.send(call.wait(patience.wait).give_up_after(patience.give_up_after)).await;
        answer.map_err(|error| self.judged(error))?.json()
    }

    /// The server's word that this consumer is no more ends it.
    fn judged(&self, error: Error) -> Error {
        let end = match error.api().map(|api| &*api.code) {
            Some("consumer_fenced") => Error::Fenced,
            Some("consumer_expired" | "consumer_not_found" | "consumer_ended") => {
                Error::ConsumerLost(error.to_string())
            }
            _ => return error,
        };
        self.over.get_or_init(|| end).clone()
    }

    async fn keep_alive(self: Arc<Self>, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.over.get().is_none() {
            ticks.tick().await;
            let silent_for = self.last_asked.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if self.asking.load(Ordering::Relaxed) > 0 || silent_for < every {
                continue;
            }
            // One that fails tells nothing that the next poll won't tell; one that ends the consumer is remembered.
            let patience = Patience { give_up_after: Some(every), ..Patience::default() };
            let _ = self.ask::<Value>(Method::POST, "/heartbeat", None, patience).await;
        }
    }
}

/// A request that is under way, until it is dropped: by its end, or because nobody waits for it any more.
struct Asking<'a>(&'a Session);

impl<'a> Asking<'a> {
    fn begin(session: &'a Session) -> Self {
        session.asking.fetch_add(1, Ordering::Relaxed);
        Self(session)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
        *self.0.last_asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}
