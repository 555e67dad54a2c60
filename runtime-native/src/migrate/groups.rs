//! Groups: where each goes on in Kafka. Their offsets are in the journals of cells, to which only a cell's owner writes, so a
//! node of the cluster is asked to set them.
//!
//! What was set may be used at once: consumers join, and commit. So a group whose offsets are neither as they are to be, nor as
//! they were set before, nor missing, is somebody's by now, and is left as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use takhin_client::{Admin, CommitOffset, Error, PartitionBounds, TopicPartition};
use takhin_core::{GroupName, durable::GroupRecord};

use super::{
    Migration,
    error::MigrateError,
    mapping::{Run, translated},
    topics::names,
    watch::Phase,
};

/// Requests under way at a time.
const AT_ONCE: usize = 8;
/// Partitions whose offsets are set with one request: with the longest metadata it takes some MiB.
const SET_AT_ONCE: usize = 1_000;
/// How often a node is asked whether it sees what was copied, and how long it is between two times.
const LOOKS: u32 = 60;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where a group goes on in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The next offset to read, in the source.
    pub source: u64,
    /// The same record's in Kafka.
    pub target: u64,
    /// What is remembered with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<str>>,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// Its offsets were set.
    Set,
    /// They were as they are to be.
    Unchanged,
    /// They were not set, and this is why.
    Refused(String),
}

/// What was done about a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Its name.
    pub group: String,
    /// What became of it.
    pub became: Became,
    /// Where it goes on.
    pub offsets: Vec<Place>,
}

/// Where partitions begin in Kafka.
type Starts = BTreeMap<TopicPartition, u64>;
/// What groups were given, or were about to be.
type Given = BTreeMap<String, Vec<Offsets>>;
/// Of a group, by topic and partition.
type Offsets = Vec<(Arc<str>, u32, u64)>;

impl Migration<'_> {
    /// Waits until the node sees all that was copied. Where the partitions begin by now: who is behind that goes on there.
    pub(super) async fn starts_at(&self, node: &Admin) -> Result<Starts, MigrateError> {
        let wanted: Vec<(TopicPartition, u64)> = self.with_state(|state| {
            let topics =
                self.source.state.topics.values().filter_map(|record| state.topics.get_key_value(&*record.name));
            let partitions = topics.flat_map(|(name, topic)| {
                let name: Arc<str> = Arc::from(&**name);
                let partitions = (0..).zip(&topic.partitions);
                partitions.map(move |(number, it)| (TopicPartition::new(Arc::clone(&name), number), it.end))
            });
            partitions.collect()
        });
        let names: BTreeSet<Arc<str>> = wanted.iter().map(|(at, _)| Arc::clone(&at.topic)).collect();
        for _ in 0..LOOKS {
            let told = stream::iter(&names).map(|name| async move { (Arc::clone(name), node.topic(name).await) });
            let told: Vec<_> = told.buffer_unordered(AT_ONCE).collect().await;
            let mut seen: BTreeMap<TopicPartition, PartitionBounds> = BTreeMap::new();
            for (name, topic) in told {
                match topic {
                    Ok(topic) => {
                        let bounds = topic.offsets.into_iter();
                        seen.extend(bounds.map(|it| (TopicPartition::new(Arc::clone(&name), it.partition), it)));
                    }
                    Err(Error::Api(error)) if error.code == "topic_not_found" => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if wanted.iter().all(|(at, end)| seen.get(at).is_some_and(|it| it.end >= *end)) {
                return Ok(seen.into_iter().map(|(at, bounds)| (at, bounds.start)).collect());
            }
            if self.watch.is_stopped() {
                return Err(MigrateError::Stopped);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(MigrateError::conflict(
            "the node does not see what was copied: is it one of a cluster on these brokers, and may the key read all topics?",
        ))
    }

    /// Sets the offsets of all groups, and says what became of each.
    pub(super) async fn move_groups(&self, node: &Admin, starts: &Starts) -> Result<Vec<GroupReport>, MigrateError> {
        let wished = self.wishes(starts)?;
        self.watch.begin(Phase::Groups, wished.len() as u64, 0);
        let mut given: Given = self.directory.read("groups.json")?.unwrap_or_default();
        let asked = stream::iter(wished).map(|(group, offsets)| {
            let given = &given;
            async move {
                let decision = decide(node, &group, &offsets, given.get(&group)).await?;
                Ok::<_, MigrateError>(GroupReport { group, became: decision, offsets })
            }
        });
        let mut reports: Vec<GroupReport> = asked.buffered(AT_ONCE).try_collect().await?;

        for report in reports.iter().filter(|report| report.became == Became::Set) {
            let wanted = report.offsets.iter().map(|it| (Arc::clone(&it.topic), it.partition, it.target)).collect();
            let versions = given.entry(report.group.clone()).or_default();
            if versions.last() != Some(&wanted) {
                versions.push(wanted);
            }
        }
        self.directory.write("groups.json", &given)?;
        let set = stream::iter(&mut reports).map(|report| async {
            if self.watch.is_stopped() {
                return Err(MigrateError::Stopped);
            }
            if report.became == Became::Set {
                report.became = set(node, report).await?;
            }
            self.watch.advance(1, 0);
            Ok(())
        });
        set.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        self.watch.settled();
        Ok(reports)
    }

    /// Where each group is to go on that has committed something.
    fn wishes(&self, starts: &Starts) -> Result<Vec<(String, Vec<Place>)>, MigrateError> {
        let (state, names) = (&self.source.state, names(&self.source.state.topics));
        let known = self.with_state(|state| state.topics.clone());
        let committed: BTreeSet<_> = state.groups.values().flat_map(|group| group.offsets.keys().copied()).collect();
        let mut runs: BTreeMap<_, (Vec<Run>, u64)> = BTreeMap::new();
        for log in committed {
            let Some(name) = names.get(&log.topic) else { continue };
            let Some(partition) = known.get(&**name).and_then(|it| it.partitions.get(log.partition as usize)) else {
                continue;
            };
            let of_log = self.directory.runs(name, log.partition as usize, partition)?;
            runs.insert(log, (of_log, partition.end));
        }
        let places = |(name, group): (&GroupName, &GroupRecord)| {
            let place = |(log, source): (&takhin_core::LogId, &takhin_core::Offset)| {
                let ((runs, end), topic) = (runs.get(log)?, names.get(&log.topic)?);
                let start = starts.get(&TopicPartition::new(Arc::clone(topic), log.partition)).copied();
                Some(Place {
                    topic: Arc::clone(topic),
                    partition: log.partition,
                    source: source.0,
                    target: translated(runs, *end, source.0).max(start.unwrap_or_default()),
                    metadata: group.metadata.get(log).cloned(),
                })
            };
            let offsets: Vec<Place> = group.offsets.iter().filter_map(place).collect();
            (!offsets.is_empty()).then(|| (name.to_string(), offsets))
        };
        Ok(state.groups.iter().filter_map(places).collect())
    }
}

/// What is to be done about a group: [`Became::Set`] is to be done yet.
async fn decide(
    node: &Admin,
    group: &str,
    wanted: &[Place],
    given: Option<&Vec<Offsets>>,
) -> Result<Became, MigrateError> {
    let found = match node.group(group).await {
        Ok(found) => found,
        Err(Error::Api(error)) if error.code == "group_not_found" => return Ok(Became::Set),
        Err(error) => return Err(error.into()),
    };
    let metadata = |at: &takhin_client::GroupPartition| at.metadata.as_deref().map(Arc::from);
    let committed: BTreeMap<TopicPartition, (u64, Option<Arc<str>>)> =
        found.partitions.iter().filter_map(|at| Some((at.partition.clone(), (at.committed?, metadata(at))))).collect();
    let given = given.into_iter().flatten().flatten();
    let given = given.map(|(topic, partition, offset)| (TopicPartition::new(Arc::clone(topic), *partition), *offset));
    let became = compared(wanted, &committed, &given.collect());
    let is_used = !found.members.is_empty() || !found.manual.is_empty();
    Ok(if became == Became::Set && is_used { in_use() } else { became })
}

fn in_use() -> Became {
    Became::Refused("it has consumers in the cluster: stop them to have its offsets set".to_owned())
}

/// Compares what is to be with what is, and with all that was ever given.
fn compared(
    wanted: &[Place],
    committed: &BTreeMap<TopicPartition, (u64, Option<Arc<str>>)>,
    given: &BTreeSet<(TopicPartition, u64)>,
) -> Became {
    let mut is_as_wanted = true;
    for place in wanted {
        let at = TopicPartition::new(Arc::clone(&place.topic), place.partition);
        match committed.get(&at) {
            Some((offset, metadata)) if *offset == place.target => is_as_wanted &= *metadata == place.metadata,
            None => is_as_wanted = false,
            Some((offset, _)) if given.contains(&(at.clone(), *offset)) => is_as_wanted = false,
            Some((offset, _)) => {
                return Became::Refused(format!(
                    "it has committed {offset} for {at} in the cluster, where {} was to be set. Delete it there to have \
                     it set",
                    place.target
                ));
            }
        }
    }
    if is_as_wanted { Became::Unchanged } else { Became::Set }
}

async fn set(node: &Admin, report: &GroupReport) -> Result<Became, MigrateError> {
    let offset = |place: &Place| CommitOffset {
        at: TopicPartition::new(Arc::clone(&place.topic), place.partition).at(place.target),
        metadata: place.metadata.as_deref().map(str::to_owned),
    };
    for places in report.offsets.chunks(SET_AT_ONCE) {
        match node.set_offsets(&report.group, &places.iter().map(offset).collect::<Vec<_>>()).await {
            Ok(_) => {}
            Err(Error::Api(error)) if error.code == "group_active" => return Ok(in_use()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Became::Set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: u32, target: u64) -> Place {
        Place { topic: "orders".into(), partition, source: target + 100, target, metadata: None }
    }

    fn at(partition: u32, offset: u64) -> (TopicPartition, (u64, Option<Arc<str>>)) {
        (TopicPartition::new("orders", partition), (offset, None))
    }

    fn given(offsets: &[(u32, u64)]) -> BTreeSet<(TopicPartition, u64)> {
        offsets.iter().map(|(partition, offset)| (TopicPartition::new("orders", *partition), *offset)).collect()
    }

    #[test]
    fn what_is_missing_or_was_given_before_is_set() {
        let wanted = [place(0, 7), place(1, 9)];
        assert_eq!(compared(&wanted, &BTreeMap::new(), &given(&[])), Became::Set);
        assert_eq!(compared(&wanted, &[at(0, 7)].into(), &given(&[])), Became::Set);
        assert_eq!(compared(&wanted, &[at(0, 7), at(1, 5)].into(), &given(&[(0, 3), (1, 5)])), Became::Set);
        assert_eq!(compared(&wanted, &[at(0, 7), at(1, 9), at(2, 1)].into(), &given(&[])), Became::Unchanged);
        let remembered = [Place { metadata: Some("m".into()), ..place(0, 7) }];
        assert_eq!(compared(&remembered, &[at(0, 7)].into(), &given(&[])), Became::Set);
    }

    #[test]
    fn what_somebody_committed_since_stays() {
        let wanted = [place(0, 7), place(1, 9)];
        for committed in [[at(0, 8), at(1, 9)], [at(0, 7), at(1, 5)]] {
            let became = compared(&wanted, &committed.into(), &given(&[(0, 7), (1, 9), (0, 5)]));
            assert!(matches!(became, Became::Refused(_)), "{became:?}");
        }
    }
}
