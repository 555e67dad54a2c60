//! What monitoring asks for: how far all logs reach, and how far all groups are behind.

use alloc::vec::Vec;

use super::Core;
use crate::{
    ids::{GroupName, LogId, TopicName},
    response::Bounds,
};

/// All logs and groups at one moment, in order of their names.
///
/// It is for whoever operates the broker and not an answer to a client: what it says of commits may be ahead of what
/// is durable by as much as is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Every partition that can be used.
    pub logs: Vec<LogFigures>,
    /// Every group.
    pub groups: Vec<GroupFigures>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFigures {
    /// Its topic.
    pub topic: TopicName,
    /// Its number.
    pub partition: u32,
    /// What can be read of it.
    pub bounds: Bounds,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFigures {
    /// Its id.
    pub group: GroupName,
    /// How many consumers it has as members.
    pub members: u32,
    /// How many records it is behind the end of each partition that it committed in.
    pub lags: Vec<(TopicName, u32, u64)>,
}

impl Core {
    /// Looks at all logs and all groups, in time proportional to their number.
    pub fn figures(&self) -> Figures {
        let logs = self.topics.iter().flat_map(|(name, topic)| {
            let logs = (0..topic.usable).map(|partition| LogId { topic: topic.id, partition });
            logs.map(|log| LogFigures { topic: name.clone(), partition: log.partition, bounds: self.logs[&log].bounds })
        });
        let groups = self.durable.groups.iter().map(|(group, record)| {
            let behind = record.offsets.iter().filter_map(|(id, committed)| {
                let end = self.logs.get(id)?.bounds.end;
                Some((self.topic_name(*id), id.partition, end.0.saturating_sub(committed.0)))
            });
            let members = u32::try_from(record.members.len()).unwrap_or(u32::MAX);
            GroupFigures { group: group.clone(), members, lags: behind.collect() }
        });
        Figures { logs: logs.collect(), groups: groups.collect() }
    }

    /// How many topics, partitions, consumers and open requests there are: what it takes to copy the core is
    /// proportional to that.
    pub fn size(&self) -> usize {
        self.topics.len() + self.logs.len() + self.sessions.len() + self.requests.len()
    }
}
