//! Who reads which partition: the assignor `uniform`; beside it, [`range`].
//!
//! A pure function of who subscribes to what and of who has what now. It promises, in this order:
//!
//! 1. **Complete.** Each partition of a topic that somebody subscribes to has exactly one owner, who subscribes
//!    to that topic. Nothing else is assigned.
//! 2. **Balanced.** The loads (numbers of partitions) of all members are as even as the subscriptions allow: no
//!    handing on of partitions, be it through any number of members, takes one from a member with `n` to the gain
//!    of one with `n - 2` or less. So members with equal subscriptions differ by at most 1.
//! 3. **Sticky.** Among all balanced assignments it is one that leaves as many partitions as possible where they
//!    are. So a balanced assignment comes back unchanged; a member that joins is given its share and no more
//!    moves; of a member that leaves, or a topic that grows, only those partitions move, unless balance needs it.
//! 4. **Spread.** Where that leaves a choice, each topic goes round the members, in order of their ids.
//!
//! How it works: *how many* partitions go from where to where is a flow through a small network, in which topics
//! with the same subscribers are one node and members with the same subscription share one:
//!
//! ```text
//!                      +---- has some of it now: as many, for 0 -----> member --+
//!     topics with the  |                                                 ^      |   load n: the
//!     same subscribers +-- for 1 --> members with one subscription --0---+      +-> n-th costs n,
//!     (their audience) |                                                 v      |   before all else
//!                      +---- ... -----------------------------------> member --+
//! ```
//!
//! and *which* they are is then decided by dealing them out one at a time.
//!
//! Cost: with `p` partitions, `n` members, a greatest load of `l` and `e` arcs in the network, about
//! `O(p log p + l e)`. For equal subscriptions `e` is at most `2n + 1`, so that is `O(p log p)`; at worst, when no
//! two members and no two topics are alike, `e` is the number of (topic, subscriber) pairs.

mod flow;
mod range;

use alloc::{collections::BTreeMap, collections::BTreeSet, vec, vec::Vec};
use core::cmp::Reverse;

use self::flow::{ArcId, Network, NodeId};
pub use self::range::range;
use crate::{ConsumerId, LogId, TopicId};

/// A member of a group, as far as the assignor wants to know it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// What it subscribes to. Topics that do not exist are of no account.
    pub topics: &'a BTreeSet<TopicId>,
    /// What it has now. Partitions that do not exist, that it no longer subscribes to, or that a member with a
    /// lower id has as well, are of no account.
    pub current: &'a BTreeSet<LogId>,
}

/// Assigns the partitions of `topics` (the number of partitions of each topic that exists) to `members`, by the
/// rules of this [module](self). Every member is in the result, if with nothing.
pub fn uniform(
    topics: &BTreeMap<TopicId, u32>,
    members: &BTreeMap<ConsumerId, Member<'_>>,
) -> BTreeMap<ConsumerId, BTreeSet<LogId>> {
    let group = Group::new(topics, members);
    let holdings = Holdings::new(topics, members, &group);
    let shares = Shares::new(&group, &holdings);
    let mut deal = Deal::new(&group, holdings, &shares);
    deal.round(&group);
    members.keys().copied().zip(deal.hands).collect()
}

/// A group with what is alike put together. Members, subscriptions and audiences go by their places here.
struct Group {
    /// The subscription of each member.
    subscription_of: Vec<usize>,
    /// How many different subscriptions there are.
    subscriptions: usize,
    /// The audience of each topic that has one.
    audience_of: BTreeMap<TopicId, usize>,
    /// For each audience, the subscriptions that it is made of.
    audiences: Vec<Vec<usize>>,
}

impl Group {
    fn new(topics: &BTreeMap<TopicId, u32>, members: &BTreeMap<ConsumerId, Member<'_>>) -> Self {
        let mut subscriptions: BTreeMap<&BTreeSet<TopicId>, usize> = BTreeMap::new();
        let mut subscription_of = Vec::with_capacity(members.len());
        let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for member in members.values() {
            let known = subscriptions.len();
            let subscription = *subscriptions.entry(member.topics).or_insert(known);
            subscription_of.push(subscription);
            if subscription == known {
                for topic in member.topics.iter().filter(|topic| topics.contains_key(topic)) {
                    subscribers.entry(*topic).or_default().push(subscription);
                }
            }
        }

        let mut audiences: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut audience_of = BTreeMap::new();
        for (topic, subscribers) in subscribers {
            let known = audiences.len();
            audience_of.insert(topic, *audiences.entry(subscribers).or_insert(known));
        }
        let mut in_order = vec![Vec::new(); audiences.len()];
        for (subscribers, audience) in audiences {
            in_order[audience] = subscribers;
        }
        Self { subscription_of, subscriptions: subscriptions.len(), audience_of, audiences: in_order }
    }
}

/// Where the partitions are before anything is decided.
struct Holdings {
    /// What a member has of the topics of an audience, by (audience, member).
    held: BTreeMap<(usize, usize), Vec<LogId>>,
    /// What nobody has, by audience.
    free: Vec<Vec<LogId>>,
}

impl Holdings {
    fn new(topics: &BTreeMap<TopicId, u32>, members: &BTreeMap<ConsumerId, Member<'_>>, group: &Group) -> Self {
        let mut held: BTreeMap<(usize, usize), Vec<LogId>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (place, member) in members.values().enumerate() {
            for &log in member.current {
                let exists = topics.get(&log.topic).is_some_and(|&partitions| log.partition < partitions);
                if exists && member.topics.contains(&log.topic) && taken.insert(log) {
                    held.entry((group.audience_of[&log.topic], place)).or_default().push(log);
                }
            }
        }
        let mut free = vec![Vec::new(); group.audiences.len()];
        for (topic, &audience) in &group.audience_of {
            let logs = (0..topics[topic]).map(|partition| LogId { topic: *topic, partition });
            free[audience].extend(logs.filter(|log| !taken.contains(log)));
        }
        Self { held, free }
    }

    /// How many partitions the topics of each audience have in all.
    fn totals(&self) -> Vec<usize> {
        let mut totals: Vec<usize> = self.free.iter().map(Vec::len).collect();
        for (&(audience, _), logs) in &self.held {
            totals[audience] += logs.len();
        }
        totals
    }
}

/// How many partitions go from where to where, in a balanced assignment that moves as few as possible.
struct Shares {
    /// How many of its partitions a member keeps, by (audience, member).
    kept: BTreeMap<(usize, usize), usize>,
    /// How many partitions of each audience go to other members than now, by the subscription of those.
    moved: Vec<Vec<(usize, usize)>>,
    /// How many partitions each member gets on top of what it keeps.
    gained: Vec<usize>,
}

impl Shares {
    fn new(group: &Group, holdings: &Holdings) -> Self {
        let mut network = Network::default();
        let totals = holdings.totals();
        let sources: Vec<NodeId> = totals.iter().map(|&total| network.source(total)).collect();
        let joints: Vec<NodeId> = (0..group.subscriptions).map(|_| network.junction()).collect();
        let sinks: Vec<NodeId> = group.subscription_of.iter().map(|_| network.sink()).collect();

        let mut keep = |(&(audience, member), logs): (&(usize, usize), &Vec<LogId>)| {
            ((audience, member), network.connect(sources[audience], sinks[member], logs.len(), 0))
        };
        let keeps: Vec<((usize, usize), ArcId)> = holdings.held.iter().map(&mut keep).collect();
        let mut moves: Vec<Vec<(usize, ArcId)>> = Vec::with_capacity(group.audiences.len());
        for (audience, subscriptions) in group.audiences.iter().enumerate() {
            let (source, total) = (sources[audience], totals[audience]);
            let mut arc = |&to: &usize| (to, network.connect(source, joints[to], total, 1));
            moves.push(subscriptions.iter().map(&mut arc).collect());
        }
        let all = totals.iter().sum();
        let mut gain = |(member, &from): (usize, &usize)| network.connect(joints[from], sinks[member], all, 0);
        let gains: Vec<ArcId> = group.subscription_of.iter().enumerate().map(&mut gain).collect();

        network.send();
        let counted = |&(to, arc): &(usize, ArcId)| (to, network.flow(arc));
        Self {
            kept: keeps.into_iter().map(|(key, arc)| (key, network.flow(arc))).collect(),
            moved: moves.iter().map(|arcs| arcs.iter().map(counted).collect()).collect(),
            gained: gains.into_iter().map(|arc| network.flow(arc)).collect(),
        }
    }
}

/// A member that is still owed partitions. The least is served first: who has fewest of the topic in hand, then
/// who is owed most, then who has the lowest id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Taker {
    of_topic: usize,
    owed: Reverse<usize>,
    member: usize,
}

/// Partitions on their way from the members that give them up, and from nobody, to those that are owed some.
struct Deal {
    /// What each member has by now.
    hands: Vec<BTreeSet<LogId>>,
    /// Who has how many of a topic once all have given up what they do not keep.
    kept_of_topic: BTreeMap<TopicId, BTreeMap<usize, usize>>,
    /// What is to be dealt, by audience.
    stock: Vec<Vec<LogId>>,
    /// How much of it goes to whom: for each audience, the subscription that is owed most first.
    quotas: Vec<BTreeSet<(Reverse<usize>, usize)>>,
    /// The members that are owed some, by subscription.
    takers: Vec<BTreeSet<Taker>>,
    /// How many partitions each member is still owed.
    owed: Vec<usize>,
}

impl Deal {
    /// Every member gives up what it does not keep: of each topic as evenly as it can, the highest partitions.
    fn new(group: &Group, holdings: Holdings, shares: &Shares) -> Self {
        let mut hands = vec![BTreeSet::new(); group.subscription_of.len()];
        let mut kept_of_topic: BTreeMap<TopicId, BTreeMap<usize, usize>> = BTreeMap::new();
        let mut stock = holdings.free;
        for ((audience, member), logs) in holdings.held {
            let mut logs = in_turns(&logs);
            stock[audience].extend(logs.drain(shares.kept[&(audience, member)]..));
            for log in &logs {
                *kept_of_topic.entry(log.topic).or_default().entry(member).or_default() += 1;
            }
            hands[member].extend(logs);
        }
        for logs in &mut stock {
            logs.sort_unstable();
        }

        let quota = |&(to, count): &(usize, usize)| (count > 0).then_some((Reverse(count), to));
        let quotas = shares.moved.iter().map(|moved| moved.iter().filter_map(quota).collect()).collect();
        let mut takers = vec![BTreeSet::new(); group.subscriptions];
        for (member, &owed) in shares.gained.iter().enumerate().filter(|&(_, &owed)| owed > 0) {
            takers[group.subscription_of[member]].insert(Taker { of_topic: 0, owed: Reverse(owed), member });
        }
        Self { hands, kept_of_topic, stock, quotas, takers, owed: shares.gained.clone() }
    }

    /// Deals everything out, topic by topic.
    fn round(&mut self, group: &Group) {
        for (audience, stock) in core::mem::take(&mut self.stock).into_iter().enumerate() {
            for logs in stock.chunk_by(|a, b| a.topic == b.topic) {
                let mut of_topic = self.kept_of_topic.remove(&logs[0].topic).unwrap_or_default();
                for (&member, &count) in &of_topic {
                    self.reseat(group, member, 0, count);
                }
                for &log in logs {
                    let member = self.give(audience, log);
                    *of_topic.entry(member).or_default() += 1;
                }
                for (&member, &count) in &of_topic {
                    self.reseat(group, member, count, 0);
                }
            }
        }
    }

    /// Gives `log` to the member whose turn it is, and says who that is.
    fn give(&mut self, audience: usize, log: LogId) -> usize {
        let (Reverse(quota), to) = self.quotas[audience].pop_first().expect("as much is owed as is there");
        if quota > 1 {
            self.quotas[audience].insert((Reverse(quota - 1), to));
        }
        let Taker { of_topic, owed: Reverse(owed), member } =
            self.takers[to].pop_first().expect("what goes to a subscription is owed to its members");
        self.owed[member] = owed - 1;
        if owed > 1 {
            self.takers[to].insert(Taker { of_topic: of_topic + 1, owed: Reverse(owed - 1), member });
        }
        self.hands[member].insert(log);
        member
    }

    /// Changes the turn of `member`, if it is still owed anything, from having `from` of a topic to having `to`.
    fn reseat(&mut self, group: &Group, member: usize, from: usize, to: usize) {
        let takers = &mut self.takers[group.subscription_of[member]];
        let owed = Reverse(self.owed[member]);
        if takers.remove(&Taker { of_topic: from, owed, member }) {
            takers.insert(Taker { of_topic: to, owed, member });
        }
    }
}

/// The same partitions (given in order), one of each topic at a time.
fn in_turns(logs: &[LogId]) -> Vec<LogId> {
    let turns = logs.chunk_by(|a, b| a.topic == b.topic).flat_map(|of_topic| of_topic.iter().enumerate());
    let mut turns: Vec<(usize, &LogId)> = turns.collect();
    turns.sort_unstable();
    turns.into_iter().map(|(_, log)| *log).collect()
}
