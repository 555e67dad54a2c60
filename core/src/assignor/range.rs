//! The assignor `range`: of each topic, a run of neighbouring partitions for each subscriber.
//!
//! A pure function of who subscribes to what, and in which order the members are given. It promises:
//!
//! 1. **Complete.** Each partition of a topic that somebody subscribes to has exactly one owner, who subscribes to it.
//! 2. **Even by topic.** Of each topic, the shares of its subscribers differ by at most 1, and the larger ones come
//!    first. So with many topics the first members have more than the last ones; that is its price.
//! 3. **In runs.** A share of a topic is a run of neighbouring partitions, and the runs are in the members' order.
//! 4. **Alike.** Topics with as many partitions and the same subscribers are shared alike: partition 3 of each goes to
//!    the same member, so that records with equal keys meet.
//!
//! What members have now is of no account. As Kafka's assignor of the same name.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{ConsumerId, LogId, TopicId};

/// Assigns the partitions of `topics` (the number of partitions of each topic that exists) to `members`, each with what
/// it subscribes to, by the rules of this module. Every member is in the result, if with nothing.
pub fn range(
    topics: &BTreeMap<TopicId, u32>,
    members: &[(ConsumerId, &BTreeSet<TopicId>)],
) -> BTreeMap<ConsumerId, BTreeSet<LogId>> {
    let mut shares: BTreeMap<ConsumerId, BTreeSet<LogId>> =
        members.iter().map(|(consumer, _)| (*consumer, BTreeSet::new())).collect();
    let mut subscribers: BTreeMap<TopicId, Vec<ConsumerId>> = BTreeMap::new();
    for (consumer, subscription) in members {
        for topic in subscription.iter().filter(|topic| topics.contains_key(topic)) {
            subscribers.entry(*topic).or_default().push(*consumer);
        }
    }
    for (topic, subscribers) in subscribers {
        let count = u32::try_from(subscribers.len()).unwrap_or(u32::MAX);
        let (each, larger) = (topics[&topic] / count, topics[&topic] % count);
        let mut next = 0;
        for (place, consumer) in (0..).zip(subscribers) {
            let end = next + each + u32::from(place < larger);
            let run = (next..end).map(|partition| LogId { topic, partition });
            shares.entry(consumer).or_default().extend(run);
            next = end;
        }
    }
    shares
}
