//! Paused partitions stay assigned and are not delivered, until their consumer resumes or loses them.

use takhin_core::{PollLimits, Refusal, Request, Response};
use takhin_tests::script::{Script, Work, consumer, earliest, manual, topic, wait};

fn two_partitions() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 3);
    script.produce("orders", 1, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script
}

fn pause(script: &mut Script, n: u128, partitions: &[u32]) -> takhin_core::RequestId {
    let partitions = Some(partitions.iter().map(|partition| (topic("orders"), *partition)).collect());
    script.ask(Request::Pause { consumer: consumer(n), partitions })
}

fn resume_all(script: &mut Script, n: u128) -> takhin_core::RequestId {
    script.ask(Request::Resume { consumer: consumer(n), partitions: None })
}

fn paused(script: &mut Script, n: u128) -> Vec<u32> {
    let Response::Consumer(told) = script.get(Request::Describe { consumer: consumer(n) }) else { panic!() };
    told.partitions.iter().filter(|status| status.paused).map(|status| status.partition).collect()
}

#[test]
fn a_paused_partition_is_not_delivered_until_it_is_resumed() {
    let mut script = two_partitions();
    pause(&mut script, 1, &[0]);
    let first = script.consume(1, wait(0));
    assert_eq!(script.brought(first), [(1, 0, 3)]);
    resume_all(&mut script, 1);
    let second = script.consume(1, wait(0));
    assert_eq!(script.brought(second), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_append_to_a_paused_partition_wakes_no_poll() {
    let mut script = two_partitions();
    script.consume(1, wait(0));
    pause(&mut script, 1, &[0]);
    let poll = script.consume(1, wait(10_000));
    script.produce("orders", 0, 1);
    assert!(script.is_open(poll));
    script.produce("orders", 1, 1);
    assert_eq!(script.brought(poll), [(1, 3, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn resuming_wakes_a_poll_that_waits() {
    let mut script = two_partitions();
    pause(&mut script, 1, &[0, 1]);
    let poll = script.consume(1, wait(10_000));
    assert!(script.is_open(poll));
    resume_all(&mut script, 1);
    assert_eq!(script.brought(poll), [(0, 0, 3), (1, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pause_takes_back_what_is_being_read() {
    let mut script = two_partitions();
    script.hold(Work::Fetch);
    let poll = script.consume(1, wait(0));
    pause(&mut script, 1, &[0]);
    script.release(Work::Fetch);
    assert_eq!(script.brought(poll), [(1, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pause_voids_what_a_waiting_poll_had_counted() {
    let mut script = two_partitions();
    let poll = script.consume(1, PollLimits { min_bytes: 700, ..wait(10_000) });
    pause(&mut script, 1, &[0]);
    script.produce("orders", 1, 1);
    assert!(script.is_open(poll), "400 bytes are there, and 700 are wanted");
    script.produce("orders", 1, 3);
    assert_eq!(script.brought(poll), [(1, 0, 7)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_paused_part_of_a_batch_that_was_lost_comes_when_it_is_resumed() {
    let mut script = two_partitions();
    let lost = script.consume(1, wait(0));
    assert_eq!(script.brought(lost), [(0, 0, 3), (1, 0, 3)]);
    pause(&mut script, 1, &[0]);
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(1, 0, 3)]);
    resume_all(&mut script, 1);
    let batch = script.consumed(again).batch.0;
    let rest = script.consume_after(1, batch, wait(0));
    assert_eq!(script.brought(rest), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pause_outlives_a_crash() {
    let mut script = two_partitions();
    pause(&mut script, 1, &[0]);
    script.crash();
    assert_eq!(paused(&mut script, 1), [0]);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(1, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pause_ends_with_the_assignment() {
    let mut script = two_partitions();
    pause(&mut script, 1, &[0, 1]);
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    script.consume(2, wait(0));
    script.commit_all(2);
    script.close(2);
    assert_eq!(paused(&mut script, 1), [0], "partition 1 came back as a new one");
    script.assign(1, "orders", &[0, 1]);
    assert_eq!(paused(&mut script, 1), [0], "partition 0 was never given up");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pause_of_a_partition_of_somebody_else_pauses_none() {
    let mut script = two_partitions();
    script.subscribe(2, "billing", &["orders"], earliest());
    let refused = pause(&mut script, 1, &[0, 1]);
    let orders = || topic("orders");
    assert_eq!(script.refusal(refused), Refusal::PartitionNotAssigned { topic: orders(), partition: 1 });
    let unknown = pause(&mut script, 1, &[2]);
    assert_eq!(script.refusal(unknown), Refusal::PartitionNotFound { topic: orders(), partition: 2, partitions: 2 });
    assert!(paused(&mut script, 1).is_empty());
    insta::assert_snapshot!(script.story());
}
