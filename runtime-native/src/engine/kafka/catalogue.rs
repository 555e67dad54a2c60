//! What topics the cluster has: looked at every second, and whenever somebody has changed something.
//!
//! A topic's id comes from the cluster's own, so it is the same for every node, and another one if the topic is deleted and
//! made anew. Settings of a topic are asked for when it is first seen, after a change of our own, and twice a minute.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    metadata::{Metadata, MetadataTopic},
};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use takhin_core::{LogId, TopicConfig, TopicId, TopicName};
use tokio::sync::watch;

use super::{
    KafkaConfig, RecordsStats,
    client::Context,
    error::KafkaError,
    names::{KafkaName, Names},
    native::{Described, describe_topics},
    settings::{self, TimeBounds, TopicSettings},
};

const EVERY: Duration = Duration::from_secs(1);
const SETTINGS_EVERY: Duration = Duration::from_secs(30);
/// How the id of a cluster begins that the client itself pretends to be.
const MOCK: &str = "mockCluster";
/// How many topics' settings are asked for with one request.
const SETTINGS_AT_ONCE: usize = 500;

/// The topics that can be seen, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// By name.
    pub topics: BTreeMap<TopicName, CatalogueTopic>,
    /// Our own topics, which are not shown, by their names in Kafka.
    pub own: BTreeSet<String>,
    names: FxHashMap<TopicId, TopicName>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueTopic {
    /// The same for every node; another one if the topic is made anew.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// How its logs are kept, as far as that can be told in our words. The default where it could not be asked for.
    pub config: TopicConfig,
    /// Partitions that had no leader when it was looked: nobody says how far they reach, and a question for all that
    /// waits for them would wait in vain.
    pub leaderless: BTreeSet<u32>,
    pub(super) in_kafka: KafkaName,
    pub(super) times: TimeBounds,
}

impl Catalogue {
    /// A catalogue of these.
    pub fn new(topics: BTreeMap<TopicName, CatalogueTopic>) -> Self {
        let names = topics.iter().map(|(name, topic)| (topic.id, name.clone())).collect();
        Self { topics, names, own: BTreeSet::new() }
    }

    /// What the topic with this id is called.
    pub fn name(&self, id: TopicId) -> Option<&TopicName> {
        self.names.get(&id)
    }

    /// Whether the log's partition had a leader when it was looked. A log that nobody knows is not known to have none.
    pub fn has_leader(&self, log: LogId) -> bool {
        self.topic(log.topic).is_none_or(|(_, topic)| !topic.leaderless.contains(&log.partition))
    }

    /// The topic with this id.
    pub fn topic(&self, id: TopicId) -> Option<(&TopicName, &CatalogueTopic)> {
        self.topics.get_key_value(self.names.get(&id)?)
    }
}

type Reply = Box<dyn FnOnce(Result<Arc<Catalogue>, KafkaError>) + Send>;

enum Request {
    Refresh { changed: Option<TopicName>, reply: Reply },
    Stop,
}

/// Asks the thread that looks.
#[derive(Clone, Debug)]
pub(super) struct Cataloguer {
    requests: Sender<Request>,
    current: watch::Receiver<Arc<Catalogue>>,
}

impl Cataloguer {
    /// Looks once, and then in a thread of its own until it is told to stop.
    pub(super) fn start(
        config: &KafkaConfig,
        names: Names,
        admin: Arc<AdminClient<Context>>,
        stats: Arc<RecordsStats>,
    ) -> Result<Self, KafkaError> {
        let mut look = Look {
            admin,
            names,
            timeout: config.timeout,
            settings: HashMap::new(),
            missed: HashMap::new(),
            is_mock: false,
            runtime: tokio::runtime::Builder::new_current_thread().build().map_err(|error| no_thread(&error))?,
        };
        let cluster = look.admin.inner().fetch_cluster_id(config.timeout);
        look.is_mock = cluster.is_some_and(|id| id.starts_with(MOCK));
        let first = look.look(&Catalogue::default(), &[]).map_err(|error| KafkaError::NoBroker {
            brokers: config.brokers.clone(),
            timeout_ms: config.timeout.as_millis(),
            why: error.to_string(),
        })?;
        let (sender, current) = watch::channel(Arc::new(first));
        let (requests, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("kafka-topics".to_owned())
            .spawn(move || look.run(&receiver, &sender, &stats))
            .map_err(|error| no_thread(&error))?;
        Ok(Self { requests, current })
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.current.clone()
    }

    pub(super) fn now(&self) -> Arc<Catalogue> {
        Arc::clone(&self.current.borrow())
    }

    /// Looks again; `changed` is a topic whose settings are asked for anew. The reply comes from the looking thread.
    pub(super) fn refresh(
        &self,
        changed: Option<TopicName>,
        reply: impl FnOnce(Result<Arc<Catalogue>, KafkaError>) + Send + 'static,
    ) {
        let request = Request::Refresh { changed, reply: Box::new(reply) };
        if let Err(mpsc::SendError(Request::Refresh { reply, .. })) = self.requests.send(request) {
            reply(Err(KafkaError::Request("the engine has stopped".to_owned())));
        }
    }

    /// The same, waiting for it.
    pub(super) fn refresh_and_wait(&self, timeout: Duration) -> Result<Arc<Catalogue>, KafkaError> {
        let (sender, receiver) = mpsc::channel();
        // If nobody waits any longer, nobody needs the answer.
        self.refresh(None, move |result| drop(sender.send(result)));
        receiver
            .recv_timeout(timeout)
            .unwrap_or_else(|_| Err(KafkaError::Request("the topics could not be looked at in time".to_owned())))
    }

    pub(super) fn stop(&self) {
        // If it has ended, it need not be told.
        drop(self.requests.send(Request::Stop));
    }
}

pub(super) fn no_thread(error: &io::Error) -> KafkaError {
    KafkaError::Config(format!("no thread could be started: {error}"))
}

/// The thread's own.
struct Look {
    admin: Arc<AdminClient<Context>>,
    names: Names,
    timeout: Duration,
    settings: HashMap<TopicId, (TopicSettings, Instant)>,
    /// What is missing, and since when.
    missed: HashMap<TopicName, Instant>,
    /// The client's own mock of a cluster can't be asked for topics' ids and settings.
    is_mock: bool,
    runtime: tokio::runtime::Runtime,
}

impl Look {
    fn run(mut self, requests: &Receiver<Request>, current: &watch::Sender<Arc<Catalogue>>, stats: &RecordsStats) {
        let mut failing = false;
        loop {
            let mut waiting = Vec::new();
            let mut changed = Vec::new();
            let first = requests.recv_timeout(EVERY);
            if matches!(first, Err(RecvTimeoutError::Disconnected)) {
                return;
            }
            for request in first.into_iter().chain(requests.try_iter()) {
                match request {
                    Request::Stop => return,
                    Request::Refresh { changed: topic, reply } => {
                        changed.extend(topic);
                        waiting.push(reply);
                    }
                }
            }
            let known = Arc::clone(&current.borrow());
            let result = self.look(&known, &changed).map(Arc::new);
            match &result {
                Ok(found) => {
                    failing = false;
                    current.send_if_modified(|known| {
                        let differs = *known != *found;
                        if differs {
                            *known = Arc::clone(found);
                        }
                        differs
                    });
                }
                Err(error) => {
                    stats.catalogue_failures.inc();
                    if !failing {
                        tracing::warn!(%error, "the cluster's topics can't be looked at; going on with what is known");
                    }
                    failing = true;
                }
            }
            for reply in waiting {
                reply(result.clone());
            }
        }
    }

    fn look(&mut self, before: &Catalogue, changed: &[TopicName]) -> Result<Catalogue, KafkaError> {
        let metadata = self.admin.inner().fetch_metadata(None, self.timeout)?;
        let names: Vec<&str> =
            metadata.topics().iter().map(MetadataTopic::name).filter(|name| self.names.shown(name).is_some()).collect();
        let (described, unclear) = if names.is_empty() {
            (Vec::new(), Vec::new())
        } else if self.is_mock {
            let shown = metadata.topics().iter().filter(|topic| self.names.shown(topic.name()).is_some());
            (shown.map(|topic| Described::without_id(topic.name(), topic.partitions().len())).collect(), Vec::new())
        } else {
            describe_topics(self.admin.inner(), &names, self.timeout)?
        };
        let leaderless = leaderless(&metadata);
        let mut topics = BTreeMap::new();
        for topic in described {
            let Some(name) = self.names.shown(&topic.name) else { continue };
            let (id, in_kafka) = (topic_id(&topic.name, topic.uuid), KafkaName::from(topic.name.as_str()));
            let (partitions, TopicSettings { config, times }) = (topic.partitions, TopicSettings::default());
            let leaderless = leaderless.get(&*topic.name).cloned().unwrap_or_default();
            topics.insert(name, CatalogueTopic { id, partitions, config, leaderless, in_kafka, times });
        }
        self.keep_what_may_be_there(&mut topics, before, &unclear, changed);
        self.add_settings(&mut topics, changed);
        let own = metadata.topics().iter().map(MetadataTopic::name).filter(|name| self.names.is_own(name));
        let own = own.map(str::to_owned).collect();
        Ok(Catalogue { own, ..Catalogue::new(topics) })
    }

    /// With a topic its offsets go in all groups. So one that is missing is gone only if it was deleted from here, or is
    /// missing for a while: a broker may lag behind the others. One that can't be described is there.
    fn keep_what_may_be_there(
        &mut self,
        topics: &mut BTreeMap<TopicName, CatalogueTopic>,
        before: &Catalogue,
        unclear: &[String],
        changed: &[TopicName],
    ) {
        let (mut missed, now) = (HashMap::new(), Instant::now());
        for (name, topic) in before.topics.iter().filter(|(name, _)| !changed.contains(name)) {
            if topics.contains_key(name) {
                continue;
            }
            let is_unclear = unclear.iter().any(|it| **it == *topic.in_kafka);
            let since = self.missed.get(name).copied().unwrap_or(now);
            if is_unclear || now.duration_since(since) < EVERY {
                topics.insert(name.clone(), topic.clone());
                missed.insert(name.clone(), since);
            }
        }
        self.missed = missed;
    }

    fn add_settings(&mut self, topics: &mut BTreeMap<TopicName, CatalogueTopic>, changed: &[TopicName]) {
        let now = Instant::now();
        let is_due = |(name, topic): &(&TopicName, &CatalogueTopic)| {
            let known = self.settings.get(&topic.id);
            changed.contains(name) || known.is_none_or(|(_, asked)| now.duration_since(*asked) >= SETTINGS_EVERY)
        };
        let due: Vec<&CatalogueTopic> = topics.iter().filter(is_due).map(|(_, topic)| topic).collect();
        for some in due.chunks(SETTINGS_AT_ONCE) {
            let found = self.ask_settings(some);
            for topic in some {
                let known = self.settings.get(&topic.id).map(|(settings, _)| *settings);
                let settings = found.get::<str>(&topic.in_kafka).copied().or(known).unwrap_or_default();
                self.settings.insert(topic.id, (settings, now));
            }
        }
        for topic in topics.values_mut() {
            if let Some((TopicSettings { config, times }, _)) = self.settings.get(&topic.id) {
                (topic.config, topic.times) = (*config, *times);
            }
        }
        if self.settings.len() > topics.len() {
            let there: Vec<TopicId> = topics.values().map(|topic| topic.id).collect();
            self.settings.retain(|id, _| there.contains(id));
        }
    }

    /// By their names in Kafka.
    fn ask_settings(&self, topics: &[&CatalogueTopic]) -> HashMap<String, TopicSettings> {
        if self.is_mock {
            return HashMap::new();
        }
        let specifiers: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.in_kafka)).collect();
        let options = AdminOptions::new().request_timeout(Some(self.timeout));
        let asked = self.runtime.block_on(self.admin.describe_configs(&specifiers, &options));
        let resources = asked.unwrap_or_else(|error| {
            tracing::warn!(%error, "topics' settings can't be asked for");
            Vec::new()
        });
        let known = resources.into_iter().filter_map(|resource| {
            let resource =
                resource.inspect_err(|error| tracing::debug!(%error, "a topic's settings are not told")).ok()?;
            settings::of_topic(&resource)
        });
        known.collect()
    }
}

/// The partitions without a leader, by their topics' names in Kafka.
fn leaderless(metadata: &Metadata) -> HashMap<&str, BTreeSet<u32>> {
    let of_topic = |topic: &MetadataTopic| -> BTreeSet<u32> {
        let without = topic.partitions().iter().filter(|partition| partition.leader() < 0);
        without.filter_map(|partition| u32::try_from(partition.id()).ok()).collect()
    };
    let topics = metadata.topics().iter().map(|topic| (topic.name(), of_topic(topic)));
    topics.filter(|(_, without)| !without.is_empty()).collect()
}

/// 63 bits of a hash of the cluster's own id; of the name, where brokers are too old to have one. The highest bit tells
/// these ids from those that a node makes itself.
fn topic_id(name: &str, uuid: [u8; 16]) -> TopicId {
    let digest = if uuid == [0; 16] { Sha256::digest(name.as_bytes()) } else { Sha256::digest(uuid) };
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    TopicId(u64::from_be_bytes(first) | 1 << 63)
}
