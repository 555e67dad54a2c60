//! What large groups cost.

use std::{collections::BTreeSet, fmt::Write as _, time::Instant};

use takhin_core::TopicId;

use super::{Assignment, Group, consumer};

/// Prints what a large group takes: `cargo test --release --test assignor -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_a_large_group_takes() {
    let all = |topics: u64| (0..topics).map(TopicId).collect::<BTreeSet<_>>();
    let window = |topics: u64, member: u64| (0..topics / 4).map(|n| TopicId((member + n) % topics)).collect();
    let hashed = |topics: u64, member: u64| {
        let drawn = |topic: &u64| (member << 20 ^ topic).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0;
        (0..topics).filter(drawn).map(TopicId).collect::<BTreeSet<_>>()
    };
    let skewed = |topics: u64, member: u64| {
        if member == 0 { all(topics) } else { BTreeSet::from([TopicId(member % topics)]) }
    };
    measure("all alike, 1 topic", 1_000, 1, 10_000, |_| all(1));
    measure("all alike, 100 topics", 1_000, 100, 100, |_| all(100));
    measure("all alike, 10,000 topics", 1_000, 10_000, 1, |_| all(10_000));
    measure("2 members, 1 topic", 2, 1, 10_000, |_| all(1));
    measure("a window of a quarter of 100 topics", 1_000, 100, 100, |member| window(100, member));
    measure("any quarter of 100 topics", 1_000, 100, 100, |member| hashed(100, member));
    measure("any quarter of 1,000 topics", 1_000, 1_000, 10, |member| hashed(1_000, member));
    measure("any quarter of 10,000 topics", 1_000, 10_000, 1, |member| hashed(10_000, member));
    measure("one has all, the others one of 100", 1_000, 100, 100, |member| skewed(100, member));
    measure("one has all, the others one of 10", 10, 20, 500, |member| skewed(20, member));
}

fn measure(name: &str, members: u64, topics: u64, partitions: u32, subscription: impl Fn(u64) -> BTreeSet<TopicId>) {
    let id = |member: u64| consumer(u128::from(member));
    let mut group = Group {
        topics: (0..topics).map(|topic| (TopicId(topic), partitions)).collect(),
        subscriptions: (0..members).map(|member| (id(member), subscription(member))).collect(),
        current: Assignment::new(),
    };
    let mut times = String::new();
    let mut run = |group: &Group, what: &str| {
        let start = Instant::now();
        let assignment = group.assign();
        write!(times, "  {what} {:.1} ms", start.elapsed().as_secs_f64() * 1e3).unwrap();
        assignment
    };
    group.current = run(&group, "new");
    run(&group, "unchanged");
    let leaver = group.subscriptions.remove(&id(members / 2)).unwrap();
    group.current = run(&group, "leave");
    group.subscriptions.insert(id(members), leaver);
    run(&group, "join");
    println!("{name}:{times}");
}
