//! What holds for every group.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    collection::{btree_map, btree_set},
    prelude::*,
    sample,
    test_runner::FileFailurePersistence,
};
use takhin_core::{ConsumerId, LogId, TopicId};

use super::{Assignment, Group, consumer};

fn cases(cases: u32) -> ProptestConfig {
    let regressions = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(regressions)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn each_subscribed_partition_has_one_owner_who_subscribes_to_it(group in any_group(LARGE)) {
        let assignment = group.assign();
        let mut given: Vec<LogId> = assignment.values().flatten().copied().collect();
        given.sort_unstable();
        prop_assert_eq!(given, group.logs());
        prop_assert!(assignment.keys().eq(group.subscriptions.keys()));
        for (id, logs) in &assignment {
            prop_assert!(logs.iter().all(|log| group.subscriptions[id].contains(&log.topic)));
        }
    }

    #[test]
    fn nothing_can_be_handed_on_to_make_it_more_even_or_move_fewer(group in any_group(LARGE)) {
        prop_assert!(!improvable(&group, &group.assign()));
    }

    #[test]
    fn members_with_equal_subscriptions_differ_by_at_most_one(group in any_group(LARGE)) {
        let assignment = group.assign();
        for (a, its) in &group.subscriptions {
            for (b, _) in group.subscriptions.iter().filter(|(_, topics)| *topics == its) {
                prop_assert!(assignment[a].len().abs_diff(assignment[b].len()) <= 1);
            }
        }
    }

    #[test]
    fn it_is_the_most_even_and_moves_the_fewest_of_all_assignments(group in any_group(SMALL)) {
        let assignment = group.assign();
        let found = (loads(&assignment), moves(&group.owners(), &owners(&assignment)));
        prop_assert_eq!(found, best_by_trying_all(&group));
    }

    #[test]
    fn a_balanced_assignment_comes_back_unchanged(group in any_group(LARGE)) {
        let settled = group.settled();
        prop_assert_eq!(settled.assign(), settled.current);
    }

    #[test]
    fn a_balanced_assignment_by_other_means_comes_back_unchanged(
        group in equal_group(LARGE), order in any::<sample::Index>(),
    ) {
        let mut group = group;
        let ids: Vec<ConsumerId> = group.subscriptions.keys().copied().collect();
        for (turn, log) in group.logs().into_iter().rev().enumerate() {
            let id = ids[(turn + order.index(ids.len())) % ids.len()];
            group.current.entry(id).or_default().insert(log);
        }
        let changed: Assignment = group.assign().into_iter().filter(|(_, logs)| !logs.is_empty()).collect();
        prop_assert_eq!(changed, group.current);
    }

    #[test]
    fn a_join_moves_only_the_joiners_share(group in equal_group(LARGE), joiner in any::<u128>()) {
        let joiner = consumer(joiner);
        prop_assume!(!group.subscriptions.contains_key(&joiner));
        let mut group = group.settled();
        group.subscriptions.insert(joiner, group.topics.keys().copied().collect());
        let assignment = group.assign();
        prop_assert_eq!(assignment[&joiner].len(), group.logs().len() / group.subscriptions.len());
        for (id, before) in &group.current {
            prop_assert!(assignment[id].is_subset(before));
        }
    }

    #[test]
    fn a_leave_moves_only_the_leavers_partitions(group in equal_group(LARGE), leaver in any::<sample::Index>()) {
        let mut group = group.settled();
        let leaver = *leaver.get(&group.subscriptions.keys().copied().collect::<Vec<_>>());
        group.subscriptions.remove(&leaver);
        for (id, after) in group.assign() {
            prop_assert!(after.is_superset(&group.current[&id]));
        }
    }

    #[test]
    fn growth_only_places_the_new_partitions(group in equal_group(LARGE), more in 1_u32..20) {
        let mut group = group.settled();
        for partitions in group.topics.values_mut() {
            *partitions += more;
        }
        for (id, after) in group.assign() {
            prop_assert!(after.is_superset(&group.current[&id]));
        }
    }

    #[test]
    fn each_topic_is_spread_evenly_over_a_new_group(group in equal_group(LARGE)) {
        let assignment = group.assign();
        for &topic in group.topics.keys() {
            let counts = assignment.values().map(|logs| logs.iter().filter(|log| log.topic == topic).count());
            let counts: Vec<usize> = counts.collect();
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
        }
    }

    #[test]
    fn which_ids_the_members_have_changes_neither_loads_nor_moves(
        (group, shuffled) in any_group(LARGE).prop_flat_map(|group| {
            let ids: Vec<ConsumerId> = group.subscriptions.keys().copied().collect();
            (Just(group), Just(ids).prop_shuffle())
        }),
    ) {
        let renamed: BTreeMap<ConsumerId, ConsumerId> = group.subscriptions.keys().copied().zip(shuffled).collect();
        let mut other = Group { topics: group.topics.clone(), ..Group::default() };
        for (id, topics) in &group.subscriptions {
            other.subscriptions.insert(renamed[id], topics.clone());
        }
        for (log, owner) in group.owners() {
            other.current.entry(renamed[&owner]).or_default().insert(log);
        }
        let (ours, theirs) = (group.assign(), other.assign());
        prop_assert_eq!(loads(&ours), loads(&theirs));
        prop_assert_eq!(moves(&group.owners(), &owners(&ours)), moves(&other.owners(), &owners(&theirs)));
    }
}

/// Bounds of what proptest makes up.
#[derive(Clone, Copy)]
struct Size {
    topics: usize,
    partitions: u32,
    members: usize,
}

const SMALL: Size = Size { topics: 3, partitions: 2, members: 4 };
const LARGE: Size = Size { topics: 5, partitions: 9, members: 9 };

impl Size {
    /// A topic that may exist, or one that can't.
    fn any_topic(self) -> impl Strategy<Value = TopicId> + Clone {
        (0..=self.topics as u64).prop_map(TopicId)
    }

    fn any_log(self) -> impl Strategy<Value = LogId> + Clone {
        (self.any_topic(), 0..=self.partitions).prop_map(|(topic, partition)| LogId { topic, partition })
    }

    /// Topics, some of them without partitions.
    fn topics(self) -> impl Strategy<Value = BTreeMap<TopicId, u32>> {
        let topic = (0..self.topics as u64).prop_map(TopicId);
        btree_map(topic, 0..=self.partitions, 0..=self.topics)
    }

    /// Members out of so few that two groups have some in common.
    fn members<T: Strategy>(self, each: T) -> impl Strategy<Value = BTreeMap<ConsumerId, T::Value>> {
        let ids = 0..u128::try_from(self.members * 2).unwrap();
        btree_map(ids.prop_map(consumer), each, 0..=self.members)
    }

    fn subscribed(self) -> impl Strategy<Value = Group> {
        let subscriptions = self.members(btree_set(self.any_topic(), 0..=self.topics));
        let nothing = Assignment::new;
        (self.topics(), subscriptions).prop_map(move |(topics, subscriptions)| Group {
            topics,
            subscriptions,
            current: nothing(),
        })
    }
}

/// Groups in which anyone may subscribe to anything, and has what it was given when all of that was different; or
/// claims to have anything: partitions that do not exist, that it does not subscribe to, that others have too.
fn any_group(size: Size) -> impl Strategy<Value = Group> {
    let claims = size.members(btree_set(size.any_log(), 0..=size.topics * 2));
    let current = prop_oneof![2 => size.subscribed().prop_map(|before| before.assign()), 1 => claims];
    (size.subscribed(), current).prop_map(|(group, current)| Group { current, ..group })
}

/// Groups with one or more members, all of whom subscribe to every topic, and nobody has anything yet.
fn equal_group(size: Size) -> impl Strategy<Value = Group> {
    (size.topics(), size.members(Just(()))).prop_filter_map("no members", |(topics, members)| {
        let everything: BTreeSet<TopicId> = topics.keys().copied().collect();
        let subscriptions = members.into_keys().map(|id| (id, everything.clone())).collect();
        let group = Group { topics, subscriptions, current: Assignment::new() };
        (!group.subscriptions.is_empty()).then_some(group)
    })
}

fn owners(assignment: &Assignment) -> BTreeMap<LogId, ConsumerId> {
    assignment.iter().flat_map(|(id, logs)| logs.iter().map(|log| (*log, *id))).collect()
}

/// The loads, the highest first.
fn loads(assignment: &Assignment) -> Vec<usize> {
    let mut loads: Vec<usize> = assignment.values().map(BTreeSet::len).collect();
    loads.sort_unstable_by(|a, b| b.cmp(a));
    loads
}

/// How many partitions had an owner who could have kept them, and have another now.
fn moves(before: &BTreeMap<LogId, ConsumerId>, after: &BTreeMap<LogId, ConsumerId>) -> usize {
    before.iter().filter(|(log, owner)| after[log] != **owner).count()
}

/// Whether partitions could be handed from member to member, along a chain or around a circle, so that the loads
/// become more even, or stay as they are with fewer moves. If not, the assignment is an optimum: what the members
/// could hand on are the arcs of a residual network, and this looks for a negative cycle in it.
fn improvable(group: &Group, assignment: &Assignment) -> bool {
    let before = group.owners();
    let ids: Vec<ConsumerId> = assignment.keys().copied().collect();
    let place = |id: ConsumerId| ids.binary_search(&id).unwrap();
    let mut gain = vec![vec![(i64::MAX / 4, 0_i64); ids.len()]; ids.len()];
    for (log, holder) in owners(assignment) {
        let moved = |to: ConsumerId| i64::from(before.get(&log).is_some_and(|owner| *owner != to));
        for taker in group.subscribers(log.topic) {
            let arc = &mut gain[place(holder)][place(taker)];
            *arc = (*arc).min((0, moved(taker) - moved(holder)));
        }
    }
    // A chain ends by making its last member one heavier, and its first one lighter.
    let load = |place: usize| i64::try_from(assignment[&ids[place]].len()).unwrap();
    for (last, first) in (0..ids.len()).flat_map(|last| (0..ids.len()).map(move |first| (last, first))) {
        if last != first {
            gain[last][first] = gain[last][first].min((load(last) + 1 - load(first), 0));
        }
    }
    for via in 0..ids.len() {
        for (from, to) in (0..ids.len()).flat_map(|from| (0..ids.len()).map(move |to| (from, to))) {
            let (a, b) = (gain[from][via], gain[via][to]);
            gain[from][to] = gain[from][to].min((a.0 + b.0, a.1 + b.1));
        }
    }
    (0..ids.len()).any(|place| gain[place][place] < (0, 0))
}

/// The most even loads, and the fewest moves with which they can be had, from trying every assignment there is.
fn best_by_trying_all(group: &Group) -> (Vec<usize>, usize) {
    fn try_all(group: &Group, logs: &[LogId], so_far: &mut Assignment, best: &mut Option<(Vec<usize>, usize)>) {
        let Some((&log, rest)) = logs.split_first() else {
            let found = (loads(so_far), moves(&group.owners(), &owners(so_far)));
            if best.as_ref().is_none_or(|best| found < *best) {
                *best = Some(found);
            }
            return;
        };
        for id in group.subscribers(log.topic) {
            so_far.get_mut(&id).unwrap().insert(log);
            try_all(group, rest, so_far, best);
            so_far.get_mut(&id).unwrap().remove(&log);
        }
    }
    let mut best = None;
    let mut nothing = group.subscriptions.keys().map(|id| (*id, BTreeSet::new())).collect();
    try_all(group, &group.logs(), &mut nothing, &mut best);
    best.unwrap()
}
