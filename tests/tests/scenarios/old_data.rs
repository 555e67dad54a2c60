//! What earlier versions kept is still understood: a snapshot and facts, word for word as they were written.

use std::collections::BTreeMap;

use takhin_core::{
    Boot, Command, Config, Event, Fact, FactSeq, LogId, Offset, PollLimits, Recovery, Request, RequestId, Response,
    Timestamp, TopicId, durable::Durable, response::Bounds,
};
use takhin_tests::script::consumer;

/// Version 0.1.0, before consumers could pause, subscribe by pattern or say what they are called.
const SNAPSHOT: &str = r#"{"topics":{"1":{"name":"orders","partitions":2}},
    "groups":{"billing":{"generation":1,"last_rebalance":{"joined":"00000000-0000-0000-0000-000000000001"},
        "members":["00000000-0000-0000-0000-000000000001"],"offsets":{"1/0":3}}},
    "consumers":{"00000000-0000-0000-0000-000000000001":{"group":"billing","options":{"auto_offset_reset":"earliest",
        "session_timeout_ms":30000,"rebalance_timeout_ms":60000,"auto_commit":false,"auto_commit_interval_ms":5000},
        "subscription":{"topics":["orders"]},"target":["1/0","1/1"],"held":{"1/0":3,"1/1":0},"generation":1,"batch":1,
        "open":null}},
    "ended":[["00000000-0000-0000-0000-000000000009","session_timeout"]],"generation_floor":4}"#;

const FACTS: [&str; 14] = [
    r#"{"consumer_created":{"consumer":"00000000-0000-0000-0000-000000000002","group":"billing","options":
        {"auto_offset_reset":"latest","session_timeout_ms":30000,"rebalance_timeout_ms":60000,"auto_commit":true,
        "auto_commit_interval_ms":5000},"subscription":{"topics":["orders"]}}}"#,
    r#"{"rebalanced":{"group":"billing","generation":2,"reason":{"joined":"00000000-0000-0000-0000-000000000002"},
        "targets":{"00000000-0000-0000-0000-000000000001":["1/0"],"00000000-0000-0000-0000-000000000002":["1/1"]}}}"#,
    r#"{"released":{"consumer":"00000000-0000-0000-0000-000000000001","logs":["1/1"]}}"#,
    r#"{"granted":{"consumer":"00000000-0000-0000-0000-000000000002","positions":{"1/1":0}}}"#,
    r#"{"positioned":{"consumer":"00000000-0000-0000-0000-000000000001","batch":1,"positions":{"1/0":3},
        "open":{"batch":2,"ranges":{"1/0":[3,5]}}}}"#,
    r#"{"positioned":{"consumer":"00000000-0000-0000-0000-000000000001","batch":2,"positions":{"1/0":5}}}"#,
    r#"{"committed":{"group":"billing","offsets":{"1/0":5}}}"#,
    r#"{"topic_created":{"topic":7,"name":"visits","partitions":1}}"#,
    r#"{"partitions_added":{"topic":7,"partitions":2}}"#,
    r#"{"topic_deleted":{"topic":7}}"#,
    r#"{"consumer_created":{"consumer":"00000000-0000-0000-0000-000000000003","group":"audit","options":
        {"auto_offset_reset":"none","session_timeout_ms":30000,"rebalance_timeout_ms":60000,"auto_commit":true,
        "auto_commit_interval_ms":5000},"subscription":{"topics":["orders"]}}}"#,
    r#"{"subscription_changed":{"consumer":"00000000-0000-0000-0000-000000000003","subscription":"manual"}}"#,
    r#"{"granted":{"consumer":"00000000-0000-0000-0000-000000000003","positions":{"1/0":null}}}"#,
    r#"{"consumer_ended":{"consumer":"00000000-0000-0000-0000-000000000003","reason":"rebalance_timeout"}}"#,
];

#[test]
fn data_of_an_earlier_version_is_followed() {
    let snapshot: Durable = serde_json::from_str(SNAPSHOT).expect("an old snapshot");
    let mut recovery = Recovery::new(Config::default(), snapshot, FactSeq(10));
    for (seq, fact) in (11..).zip(FACTS) {
        let fact: Fact = serde_json::from_str(fact).unwrap_or_else(|error| panic!("{error}: {fact}"));
        recovery.apply(FactSeq(seq), &fact);
    }
    let log = |partition| LogId { topic: TopicId(1), partition };
    let end = |end| Bounds { start: Offset(0), end: Offset(end) };
    let bounds = BTreeMap::from([(log(0), end(8)), (log(1), end(1))]);
    let mut core = recovery.finish(Boot(1), Timestamp(0), &bounds);
    core.check().expect("a sound state");

    let mut commands = Vec::new();
    core.step(Timestamp(0), Event::Tick, &mut commands);
    for (n, log, from) in [(1, log(0), 5), (2, log(1), 0)] {
        let limits = PollLimits { timeout_ms: 0, ..PollLimits::default() };
        let request = Request::Consume { consumer: consumer(n), limits, after_batch: None };
        let id = RequestId::new(Boot(1), from + 1);
        core.step(Timestamp(1), Event::Request { id, request }, &mut commands);
        core.check().expect("a sound state");
        let Some(Command::Fetch { parts, .. }) = commands.last() else { panic!("{commands:?}") };
        assert_eq!((parts[0].log, parts[0].from), (log, Offset(from)));
    }
    let request = Request::Describe { consumer: consumer(3) };
    core.step(Timestamp(2), Event::Request { id: RequestId::new(Boot(1), 9), request }, &mut commands);
    assert!(matches!(commands.last(), Some(Command::Reply { response: Err(_), .. })), "{commands:?}");
    let request = Request::ListGroups;
    core.step(Timestamp(2), Event::Request { id: RequestId::new(Boot(1), 10), request }, &mut commands);
    let Some(Command::Reply { response: Ok(Response::Groups(groups)), .. }) = commands.last() else {
        panic!("{commands:?}")
    };
    assert_eq!((groups.len(), groups[0].generation.0, groups[0].members), (1, 2, 2));
}
