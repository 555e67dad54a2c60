//! The cluster's topics: made if they are missing, by whichever node comes first, and looked at before they are used.

use std::time::{Duration, Instant};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
};

use super::{
    config::{CellsConfig, CellsError, MAX_ENTRY_BYTES},
    logged::Logged,
};

/// Of how many brokers' copies each append is to be in before it is acknowledged, if there are enough.
const BROKERS: usize = 3;
/// The largest batch that a journal has to take: the largest entry, and what Kafka puts around it. Brokers take a million bytes
/// unless a topic says otherwise.
pub(super) const MAX_BATCH_BYTES: usize = MAX_ENTRY_BYTES + (64 << 10);
/// How long to wait between looks at topics that are being made.
const LOOKS_EVERY: Duration = Duration::from_millis(50);
/// How often settings are looked at again that are not as they have to be: for a second or two.
const LOOKS_AT_SETTINGS: u32 = 30;

/// Makes sure that the topics are there. Says how many cells there are.
pub(super) fn prepare(config: &CellsConfig) -> Result<u32, CellsError> {
    let admin: AdminClient<Logged> = AdminClient::from_config_and_context(&config.admin_client(), Logged)
        .map_err(CellsError::kafka("making a client"))?;
    let until = Instant::now() + config.timeout;
    let names = config.names();
    let mut asked = [false; 2];
    loop {
        let metadata = all(&admin, config.timeout)?;
        let [journal, snapshots, cluster] =
            [&names.journal, &names.snapshots, &names.cluster].map(|name| partitions(&metadata, name));
        if let (Some(journal), Some(snapshots), Some(cluster)) = (journal, snapshots, cluster) {
            let cells = check(config, journal, snapshots, cluster)?;
            return settle(config, &admin).map(|()| cells);
        }
        // The journal first: of nodes that start at once with different numbers of cells, one decides for all.
        let step = usize::from(journal.is_some());
        if asked[step] {
            if Instant::now() >= until {
                return Err(CellsError::Late("making the topics of the cluster", config.timeout));
            }
            std::thread::sleep(LOOKS_EVERY);
        } else {
            create(config, &admin, metadata.brokers().len(), journal)?;
            asked[step] = true;
        }
    }
}

fn all(admin: &AdminClient<Logged>, timeout: Duration) -> Result<Metadata, CellsError> {
    let looked = admin.inner().fetch_metadata(None, timeout);
    looked.map_err(CellsError::kafka("asking which topics there are"))
}

/// How many partitions a topic has, once all of them have a leader.
fn partitions(metadata: &Metadata, name: &str) -> Option<usize> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name)?;
    let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
    (topic.error().is_none() && led).then(|| topic.partitions().len()).filter(|partitions| *partitions > 0)
}

fn check(config: &CellsConfig, journal: usize, snapshots: usize, cluster: usize) -> Result<u32, CellsError> {
    let names = config.names();
    let wrong = |topic: String, has: usize, needs: usize| CellsError::Topic {
        topic,
        wrong: format!("has {has} partitions, and needs {needs}"),
    };
    if snapshots != journal {
        return Err(wrong(names.snapshots, snapshots, journal));
    }
    if cluster != 1 {
        return Err(wrong(names.cluster, cluster, 1));
    }
    u32::try_from(journal).map_err(|error| CellsError::System(error.to_string()))
}

/// A broker knows of a new topic a moment before it knows of its settings.
fn settle(config: &CellsConfig, admin: &AdminClient<Logged>) -> Result<(), CellsError> {
    let mut looks = 0;
    loop {
        match check_settings(config, admin) {
            Err(CellsError::Topic { .. }) if looks < LOOKS_AT_SETTINGS => std::thread::sleep(LOOKS_EVERY),
            outcome => return outcome,
        }
        looks += 1;
    }
}

/// What was made here is as it has to be. Somebody else may have been quicker, and have thought of a topic as of others.
fn check_settings(config: &CellsConfig, admin: &AdminClient<Logged>) -> Result<(), CellsError> {
    let names = config.names();
    let topics = [&names.journal, &names.snapshots, &names.cluster].map(|name| ResourceSpecifier::Topic(name));
    let options = AdminOptions::new().request_timeout(Some(config.timeout));
    let described = blocking(admin.describe_configs(&topics, &options))?;
    let described = described.map_err(CellsError::kafka("asking for the settings of topics"))?;
    let forever: &[_] = &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
    let compacted: &[_] = &[("cleanup.policy", "compact")];
    let needs = [(&names.journal, forever), (&names.snapshots, forever), (&names.cluster, compacted)];
    for ((topic, needs), described) in needs.into_iter().zip(described) {
        let described = match described {
            Ok(described) => described,
            Err(code) => {
                // Not everybody who may write to a topic may see its settings.
                tracing::warn!(topic, %code, "the settings of a topic can't be seen; it must lose nothing by itself");
                continue;
            }
        };
        for (key, needed) in needs {
            let value = described.get(key).and_then(|entry| entry.value.as_deref());
            if value != Some(needed) {
                let wrong = format!("has {key}={}, and needs {needed}", value.unwrap_or_default());
                return Err(CellsError::Topic { topic: topic.clone(), wrong });
            }
        }
        let takes = described.get("max.message.bytes").and_then(|entry| entry.value.as_deref()?.parse::<usize>().ok());
        if let Some(takes) = takes.filter(|takes| *topic == names.journal && *takes < MAX_BATCH_BYTES) {
            let wrong = format!("has max.message.bytes={takes}, and needs {MAX_BATCH_BYTES}");
            return Err(CellsError::Topic { topic: topic.clone(), wrong });
        }
    }
    Ok(())
}

fn create(
    config: &CellsConfig,
    admin: &AdminClient<Logged>,
    brokers: usize,
    journal: Option<usize>,
) -> Result<(), CellsError> {
    let names = config.names();
    let cells = i32::try_from(journal.unwrap_or(config.cells as usize)).unwrap_or(i32::MAX);
    let copies = config.replication.map_or(brokers.clamp(1, BROKERS), usize::from);
    let in_sync = if copies >= BROKERS { "2" } else { "1" };
    let max_bytes = MAX_BATCH_BYTES.to_string();
    let copies = i32::try_from(copies).unwrap_or(i32::MAX);
    let topic = |name, partitions| {
        NewTopic::new(name, partitions, TopicReplication::Fixed(copies))
            .set("min.insync.replicas", in_sync)
            .set("unclean.leader.election.enable", "false")
    };
    let kept = |name| {
        topic(name, cells).set("cleanup.policy", "delete").set("retention.ms", "-1").set("retention.bytes", "-1")
    };
    let missing = if journal.is_none() {
        vec![kept(&names.journal).set("max.message.bytes", &max_bytes)]
    } else {
        // The first settings count, so they must not be compacted away before their writer's rivals have seen them.
        let cluster = topic(&names.cluster, 1)
            .set("cleanup.policy", "compact")
            .set("min.compaction.lag.ms", "3600000")
            .set("segment.ms", "3600000")
            .set("min.cleanable.dirty.ratio", "0.1");
        vec![kept(&names.snapshots), cluster]
    };
    let options = AdminOptions::new().request_timeout(Some(config.timeout)).operation_timeout(Some(config.timeout));
    let made = blocking(admin.create_topics(&missing, &options))?;
    for outcome in made.map_err(CellsError::kafka("making the topics of the cluster"))? {
        match outcome {
            Ok(name) => tracing::info!(topic = name, "made"),
            // Another node was quicker.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(CellsError::Kafka {
                    doing: format!("making the topic {name}"),
                    error: KafkaError::AdminOp(code),
                });
            }
        }
    }
    Ok(())
}

/// Waits for what an admin client does.
pub(super) fn blocking<T>(outcome: impl Future<Output = T>) -> Result<T, CellsError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    Ok(runtime.map_err(|error| CellsError::System(format!("no runtime: {error}")))?.block_on(outcome))
}
