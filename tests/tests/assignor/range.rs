//! What the assignor `range` promises, for every group, and one to read.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    collection::{btree_map, btree_set},
    prelude::*,
};
use takhin_core::{ConsumerId, LogId, TopicId, assignor::range};

use super::{Assignment, consumer};

type Topics = BTreeMap<TopicId, u32>;
type Members = Vec<(ConsumerId, BTreeSet<TopicId>)>;

fn assign(topics: &Topics, members: &Members) -> Assignment {
    range(topics, &members.iter().map(|(id, wanted)| (*id, wanted)).collect::<Vec<_>>())
}

fn any_group() -> impl Strategy<Value = (Topics, Members)> {
    let topic = (0_u64..6).prop_map(TopicId);
    let members = btree_map(0_u128..9, btree_set(topic.clone(), 0..6), 0..9);
    let members = members.prop_map(|members| members.into_iter().map(|(id, wanted)| (consumer(id), wanted)).collect());
    (btree_map(topic, 0_u32..20, 0..5), members)
}

/// Who subscribes to a topic, in the members' order.
fn subscribers(members: &Members, topic: TopicId) -> Vec<ConsumerId> {
    members.iter().filter(|(_, wanted)| wanted.contains(&topic)).map(|(id, _)| *id).collect()
}

/// How many partitions of a topic each of its subscribers has, and which, one after the other.
fn runs(assignment: &Assignment, subscribers: &[ConsumerId], topic: TopicId) -> (Vec<usize>, Vec<u32>) {
    let of = |id: &ConsumerId| assignment[id].iter().filter(|log| log.topic == topic).map(|log| log.partition);
    (subscribers.iter().map(|id| of(id).count()).collect(), subscribers.iter().flat_map(of).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_topic_is_dealt_out_in_even_runs((topics, members) in any_group()) {
        let assignment = assign(&topics, &members);
        prop_assert_eq!(assignment.len(), members.len());
        let mut given = 0;
        for (topic, partitions) in &topics {
            let subscribers = subscribers(&members, *topic);
            let (counts, order) = runs(&assignment, &subscribers, *topic);
            let all: Vec<u32> = if subscribers.is_empty() { Vec::new() } else { (0..*partitions).collect() };
            prop_assert_eq!(&order, &all);
            prop_assert!(counts.is_sorted_by(|a, b| a >= b), "the larger shares come first: {:?}", counts);
            prop_assert!(counts.first().zip(counts.last()).is_none_or(|(most, least)| most - least <= 1));
            given += order.len();
        }
        prop_assert_eq!(assignment.values().map(BTreeSet::len).sum::<usize>(), given, "and nothing else is given");
    }

    #[test]
    fn topics_that_are_alike_are_shared_alike((topics, members) in any_group(), partitions in 1_u32..20) {
        let mut topics = topics;
        let mut members = members;
        let twins = [TopicId(100), TopicId(101)];
        topics.extend(twins.map(|topic| (topic, partitions)));
        for (_, wanted) in &mut members {
            if wanted.len() % 2 == 0 {
                wanted.extend(twins);
            }
        }
        for logs in assign(&topics, &members).values() {
            let of = |topic| logs.iter().filter(|log| log.topic == topic).map(|log| log.partition).collect::<Vec<_>>();
            prop_assert_eq!(of(twins[0]), of(twins[1]));
        }
    }
}

#[test]
fn two_topics_of_three_partitions_for_two_members() {
    let topics = Topics::from([(TopicId(1), 3), (TopicId(2), 3)]);
    let wanted = BTreeSet::from([TopicId(1), TopicId(2)]);
    let members = vec![(consumer(2), wanted.clone()), (consumer(1), wanted)];
    let logs = |numbers: &[u32]| {
        let of = |topic| numbers.iter().map(move |partition| LogId { topic: TopicId(topic), partition: *partition });
        of(1).chain(of(2)).collect::<BTreeSet<_>>()
    };
    let expected = Assignment::from([(consumer(2), logs(&[0, 1])), (consumer(1), logs(&[2]))]);
    assert_eq!(assign(&topics, &members), expected, "in the order given, whatever the ids");
}
