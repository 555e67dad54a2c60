//! A few groups to read.

use std::fmt::Write as _;

use takhin_core::{LogId, TopicId};

use super::{Group, consumer};

/// A group to read: topics by name, members by number.
fn group(topics: &[(&str, u32)], subscriptions: &[(u128, &[&str])]) -> Group {
    let mut group = Group::default();
    for (name, partitions) in topics {
        group.topics.insert(topic(name), *partitions);
    }
    for (number, topics) in subscriptions {
        group.subscriptions.insert(consumer(*number), topics.iter().map(|name| topic(name)).collect());
    }
    group
}

const NAMES: [&str; 3] = ["orders", "payments", "users"];

fn topic(name: &str) -> TopicId {
    TopicId(NAMES.iter().position(|known| *known == name).unwrap() as u64)
}

/// One line for each member; what it has not had before is marked.
fn read(group: &Group) -> String {
    let mut text = String::new();
    for (id, logs) in group.assign() {
        write!(text, "{}:", id.0.as_u128()).unwrap();
        for log in logs {
            let name = NAMES[usize::try_from(log.topic.0).unwrap()];
            let had = group.current.get(&id).is_some_and(|current| current.contains(&log));
            write!(text, " {}{name}-{}", if had { "" } else { "+" }, log.partition).unwrap();
        }
        text.push('\n');
    }
    text
}

const BOTH: &[&str] = &["orders", "users"];

fn three_members() -> Group {
    group(&[("orders", 5), ("users", 4)], &[(1, BOTH), (2, BOTH), (3, BOTH)])
}

#[test]
fn three_members_share_two_topics() {
    insta::assert_snapshot!(read(&three_members()), @r"
    1: +orders-0 +orders-3 +users-1
    2: +orders-1 +orders-4 +users-2
    3: +orders-2 +users-0 +users-3
    ");
}

#[test]
fn a_fourth_member_joins() {
    let mut group = three_members().settled();
    group.subscriptions.insert(consumer(4), group.topics.keys().copied().collect());
    insta::assert_snapshot!(read(&group), @r"
    1: orders-0 orders-3 users-1
    2: orders-1 users-2
    3: orders-2 users-0
    4: +orders-4 +users-3
    ");
}

#[test]
fn the_second_member_leaves() {
    let mut group = three_members().settled();
    group.subscriptions.remove(&consumer(2));
    insta::assert_snapshot!(read(&group), @r"
    1: orders-0 orders-3 +orders-4 users-1 +users-2
    3: +orders-1 orders-2 users-0 users-3
    ");
}

#[test]
fn a_topic_grows() {
    let mut group = three_members().settled();
    group.topics.insert(topic("users"), 8);
    insta::assert_snapshot!(read(&group), @r"
    1: orders-0 orders-3 users-1 +users-4 +users-6
    2: orders-1 orders-4 users-2 +users-5
    3: orders-2 users-0 users-3 +users-7
    ");
}

#[test]
fn a_topic_is_deleted() {
    let mut group = three_members().settled();
    group.topics.remove(&topic("users"));
    insta::assert_snapshot!(read(&group), @r"
    1: orders-0 orders-3
    2: orders-1 orders-4
    3: orders-2
    ");
}

#[test]
fn members_subscribe_to_different_topics() {
    let topics = [("orders", 4), ("payments", 2), ("users", 4)];
    let group = group(&topics, &[(1, &["orders"]), (2, BOTH), (3, &["payments", "users"]), (4, &["payments"])]);
    insta::assert_snapshot!(read(&group), @r"
    1: +orders-0 +orders-1 +orders-2
    2: +orders-3 +users-0 +users-2
    3: +users-1 +users-3
    4: +payments-0 +payments-1
    ");
}

#[test]
fn a_chain_of_moves_makes_room_for_a_member() {
    let topics = [("orders", 3), ("users", 1)];
    let mut group = group(&topics, &[(1, &["orders"]), (2, BOTH), (3, &["users"])]);
    let log = |name, partition| LogId { topic: topic(name), partition };
    group.current.insert(consumer(1), (0..3).map(|partition| log("orders", partition)).collect());
    group.current.insert(consumer(2), [log("users", 0)].into());
    insta::assert_snapshot!(read(&group), @r"
    1: orders-0 orders-1
    2: +orders-2
    3: +users-0
    ");
}
