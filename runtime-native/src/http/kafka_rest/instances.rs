//! Which of our consumers a group's instance of some name stands for.
//!
//! An instance is a consumer and nothing else. What it was created with and a consumer has no option for (its name, its
//! format, how it likes to be answered) stands in the consumer's `client_id`, which is as durable as the consumer:
//!
//! ```text
//!   kafka-rest:json:1:1000:till-3      format, least bytes, longest wait in milliseconds if it has one, name
//! ```
//!
//! The table from names to consumers is only an index of that. It is made from the broker's groups when it is first
//! needed, and looked through once it may have doubled since, so it has at most about twice as many entries as there
//! are instances, or a thousand.

use std::{
    hash::BuildHasher,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use rustc_hash::{FxBuildHasher, FxHashMap};
use takhin_core::{ClientId, ConsumerId, GroupName, Refusal, response::ConsumerDescription};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::media::Format;
use crate::http::{
    error::{ApiError, ApiResult},
    input::path::segments,
    routes::App,
};

/// The longest name of an instance, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 200;

/// So many entries are always worth keeping.
const FEW: usize = 1_000;

/// How an instance reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) format: Format,
    /// How many bytes are worth an answer.
    pub(super) min_bytes: u32,
    /// How long it waits at most, if it said so.
    pub(super) timeout_ms: Option<u32>,
}

/// An instance that was found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) consumer: ConsumerId,
    pub(super) manner: Manner,
}

/// What a path says of an instance: its group and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InstanceName {
    pub(super) group: GroupName,
    pub(super) name: Box<str>,
}

/// The index.
pub(super) struct Instances {
    made: OnceCell<()>,
    table: Mutex<FxHashMap<InstanceName, Instance>>,
    /// How many entries the table may have before those of consumers that are gone are looked for.
    may_have: AtomicUsize,
    /// Held while an instance is created, one for all names of a hash.
    creating: [tokio::sync::Mutex<()>; 64],
}

impl Default for Instances {
    fn default() -> Self {
        Self {
            made: OnceCell::new(),
            table: Mutex::default(),
            may_have: AtomicUsize::new(FEW),
            creating: [const { tokio::sync::Mutex::const_new(()) }; 64],
        }
    }
}

impl Instances {
    /// The instance of that name, which may be one that has ended.
    pub(super) async fn find(&self, app: &App, name: &InstanceName) -> ApiResult<Instance> {
        self.made.get_or_try_init(|| self.look_through_groups(app)).await?;
        // Nobody has the nil UUID: it says nothing but that there is none.
        let none = || Refusal::ConsumerNotFound { consumer: ConsumerId(Uuid::nil()) };
        self.lock().get(name).copied().ok_or_else(|| ApiError::from(none()).saying(&not_found(name)))
    }

    /// Creates an instance with what `create` does, if there is none of that name. Of several that want the same name
    /// exactly one gets it.
    pub(super) async fn create(
        &self,
        app: &App,
        name: &InstanceName,
        manner: Manner,
        create: impl AsyncFnOnce(ConsumerId) -> ApiResult<()>,
    ) -> ApiResult<()> {
        let slot = FxBuildHasher.hash_one(name) % self.creating.len() as u64;
        let _turn = self.creating[usize::try_from(slot).unwrap_or_default()].lock().await;
        if let Ok(instance) = self.find(app, name).await
            && app.describe(instance.consumer).await.is_ok()
        {
            let message = format!("Consumer instance {:?} already exists in group {:?}", name.name, &*name.group);
            return Err(ApiError::new(StatusCode::CONFLICT, "consumer_exists", message));
        }
        if self.lock().len() >= self.may_have.load(Ordering::Relaxed) {
            self.look_through_groups(app).await?;
            self.may_have.store((self.lock().len() * 2).max(FEW), Ordering::Relaxed);
        }
        // Known before it is there: a client that hangs up meanwhile may leave it behind, and has to find it then.
        let consumer = app.broker().draw_consumer_id(&name.group);
        self.lock().insert(name.clone(), Instance { consumer, manner });
        let created = create(consumer).await;
        if created.is_err() {
            self.forget(name, consumer);
        }
        created
    }

    /// The instance is no more.
    pub(super) fn forget(&self, name: &InstanceName, consumer: ConsumerId) {
        let mut table = self.lock();
        if table.get(name).is_some_and(|instance| instance.consumer == consumer) {
            table.remove(name);
        }
    }

    /// Takes in all instances that there are, and leaves out those that have ended. What is created meanwhile stays.
    async fn look_through_groups(&self, app: &App) -> ApiResult<()> {
        let before = self.lock().clone();
        let mut found = FxHashMap::default();
        for group in app.groups().await? {
            match app.group(group.group).await {
                Ok(group) => found.extend(group.members.iter().chain(&group.manual).filter_map(instance_of)),
                // It was forgotten meanwhile.
                Err(error) if error.code() == "group_not_found" => {}
                Err(error) => return Err(error),
            }
        }
        let mut table = self.lock();
        table.retain(|name, instance| before.get(name) != Some(instance) || found.contains_key(name));
        for (name, instance) in found {
            table.entry(name).or_insert(instance);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<InstanceName, Instance>> {
        // Nothing is ever half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(name: &InstanceName) -> String {
    format!("Consumer instance {:?} of group {:?} not found", name.name, &*name.group)
}

/// The `client_id` of an instance's consumer.
pub(super) fn label(name: &str, manner: Manner) -> String {
    let Manner { format, min_bytes, timeout_ms } = manner;
    let timeout = timeout_ms.map(|ms| ms.to_string()).unwrap_or_default();
    format!("kafka-rest:{}:{min_bytes}:{timeout}:{name}", format.name())
}

/// The name and the manner that a `client_id` tells.
fn read_label(label: &ClientId) -> Option<(&str, Manner)> {
    let mut parts = label.strip_prefix("kafka-rest:")?.splitn(4, ':');
    let format = Format::named(parts.next()?)?;
    let min_bytes = parts.next()?.parse().ok()?;
    let timeout_ms = match parts.next()? {
        "" => None,
        ms => Some(ms.parse().ok()?),
    };
    Some((parts.next()?, Manner { format, min_bytes, timeout_ms }))
}

fn instance_of(consumer: &ConsumerDescription) -> Option<(InstanceName, Instance)> {
    let (name, manner) = read_label(consumer.options.client_id.as_ref()?)?;
    let name = InstanceName { group: consumer.group.clone(), name: name.into() };
    Some((name, Instance { consumer: consumer.consumer, manner }))
}

impl<S: Send + Sync> FromRequestParts<S> for InstanceName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [group, name] = segments(parts, state).await?;
        let group = GroupName::new(&group)
            .map_err(|error| ApiError::new(StatusCode::NOT_FOUND, "consumer_not_found", format!("group: {error}")))?;
        Ok(Self { group, name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_tells_what_it_was_made_of() {
        for (format, timeout_ms, name) in
            [(Format::Json, Some(0), "till-3"), (Format::Binary, None, ""), (Format::Text, Some(300_000), "a:b: c")]
        {
            let manner = Manner { format, min_bytes: 7, timeout_ms };
            let label = ClientId::new(&label(name, manner)).expect("a client id");
            assert_eq!(read_label(&label), Some((name, manner)));
        }
    }

    #[test]
    fn what_others_call_themselves_is_no_label() {
        for other in ["till-3", "kafka-rest", "kafka-rest:avro:1::x", "kafka-rest:json:x::x", "kafka-rest:json:1:"] {
            assert_eq!(read_label(&ClientId::new(other).expect("a client id")), None, "{other}");
        }
    }

    #[test]
    fn the_longest_name_fits() {
        let manner = Manner { format: Format::Binary, min_bytes: u32::MAX, timeout_ms: Some(u32::MAX) };
        assert!(ClientId::new(&label(&"x".repeat(MAX_NAME_BYTES), manner)).is_ok());
    }
}
