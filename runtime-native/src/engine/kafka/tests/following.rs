//! Logs that somebody waits at.

use takhin_core::{LogId, Offset, TopicId};

use super::{super::*, harness::*};

#[test]
fn what_is_appended_can_be_read_from_memory_when_it_is_told() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    append(&world.records, log, values(&["before"])).unwrap();
    let ear = Ear::new(&world.records);
    world.records.watch([log]);
    assert_eq!(ear.hears_end(log, 1), Bounds { start: Offset(0), end: Offset(1) });
    for number in 1..200 {
        append(&world.records, log, values(&[&number.to_string()])).unwrap();
        ear.hears_end(log, number + 1);
        let (read, outcome) = read(&world.records, &part(log, number, number + 1), ReadMode::NoWait).unwrap();
        assert_eq!((texts(&read), outcome.next.0), (vec![(number, number.to_string())], number + 1));
    }
    let old = read(&world.records, &part(log, 0, 1), ReadMode::NoWait);
    assert_eq!(old.unwrap_err(), ReadError::WouldBlock);
    assert_eq!(read_all(&world.records, log, 0, 200).len(), 200);
}

#[test]
fn what_others_write_is_told_and_can_be_read_from_memory() {
    let world = world(&["orders", "returns"]);
    let (first, second) = (world.log("orders", 2), world.log("returns", 2));
    let ear = Ear::new(&world.records);
    world.records.watch([first, second]);
    ear.hears_end(first, 0);
    ear.hears_end(second, 0);
    let other = world.other();
    other.write("orders", 2, &[own("a"), own("b")]);
    other.write("returns", 2, &[own("c")]);
    ear.hears_end(first, 2);
    ear.hears_end(second, 1);
    let now = |log, to| texts(&read(&world.records, &part(log, 0, to), ReadMode::NoWait).unwrap().0);
    assert_eq!(now(first, 2), [(0, "a".to_owned()), (1, "b".to_owned())]);
    assert_eq!(now(second, 1), [(0, "c".to_owned())]);
}

#[test]
fn our_records_and_those_of_others_stand_in_the_order_of_the_log() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    let ear = Ear::new(&world.records);
    world.records.watch([log]);
    ear.hears_end(log, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|_| drop(append(&world.records, log, values(&["our", "our"])).unwrap())));
        let other = world.other();
        (0..100).for_each(|_| other.write("orders", 0, &[own("their"), own("their")]));
    });
    ear.hears_end(log, 400);
    let (from_memory, _) = read(&world.records, &part(log, 0, 400), ReadMode::NoWait).unwrap();
    let offsets: Vec<u64> = from_memory.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..400).collect::<Vec<_>>());
    // Another node has nothing in memory.
    let elsewhere = Records::connect(&config(&world.cluster.bootstrap_servers())).unwrap();
    assert_eq!(read_all(&elsewhere, log, 0, 400), from_memory);
}

#[test]
fn memory_is_bounded_and_the_oldest_goes_first() {
    let world = world_with(&["orders"], |config| config.cache_bytes = 256 << 10);
    let logs = [world.log("orders", 0), world.log("orders", 1)];
    let ear = Ear::new(&world.records);
    world.records.watch(logs);
    for log in logs {
        ear.hears_end(log, 0);
    }
    // Six of these fit.
    let large = "x".repeat(40 << 10);
    for end in 1..=10 {
        for log in logs {
            append(&world.records, log, values(&[&large])).unwrap();
            ear.hears_end(log, end);
        }
    }
    for log in logs {
        let from_memory =
            |offset| read(&world.records, &part(log, offset, 10), ReadMode::NoWait).map(|(read, _)| read.len());
        assert_eq!(from_memory(0), Err(ReadError::WouldBlock));
        assert_eq!(from_memory(6), Err(ReadError::WouldBlock));
        assert_eq!(from_memory(7), Ok(3));
        assert_eq!(read_all(&world.records, log, 0, 10).len(), 10);
    }
    let cached = world.records.stats().read().cached_bytes;
    assert!((240 << 10..=256 << 10).contains(&cached), "{cached}");
}

#[test]
fn a_waiting_read_gets_what_comes() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    let ear = Ear::new(&world.records);
    world.records.watch([log]);
    ear.hears_end(log, 0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| read_all(&world.records, log, 0, 1));
        world.other().write("orders", 0, &[own("a")]);
        assert_eq!(texts(&waiting.join().unwrap()), [(0, "a".to_owned())]);
    });
}

#[test]
fn a_log_that_is_not_there_is_not_followed_until_it_is() {
    let world = world(&[]);
    let ear = Ear::new(&world.records);
    let unknown = LogId { topic: TopicId(7), partition: 0 };
    world.records.watch([unknown]);
    world.cluster.create_topic("late", 1, 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let topic = runtime.block_on(world.records.refresh()).unwrap().topics["late"].id;
    let log = LogId { topic, partition: 0 };
    world.records.watch([log, unknown]);
    ear.hears_end(log, 0);
    assert_eq!(world.records.stats().read().followed, 1);
}

#[test]
fn following_survives_that_all_brokers_are_away() {
    let world = world_with(&["orders"], |config| config.timeout = Duration::from_secs(3));
    let log = world.log("orders", 0);
    let ear = Ear::new(&world.records);
    world.records.watch([log]);
    ear.hears_end(log, 0);
    world.cluster.broker_down(-1).unwrap();
    assert!(append(&world.records, log, values(&["a"])).is_err());
    world.cluster.broker_up(-1).unwrap();
    let mut end = 0;
    eventually("appends are taken again", || match append(&world.records, log, values(&["b"])) {
        Ok(appended) => {
            end = appended.at.end.0;
            true
        }
        Err(_) => false,
    });
    ear.hears_end(log, end);
    let read = texts(&read_all(&world.records, log, end - 1, end));
    assert_eq!(read, [(end - 1, "b".to_owned())]);
}

#[test]
fn a_log_without_a_leader_keeps_nobody_from_the_others() {
    let world = world(&["orders", "users"]);
    let (led, leaderless) = (world.log("orders", 0), world.log("users", 1));
    append(&world.records, led, values(&["a"])).unwrap();
    world.cluster.partition_leader("users", 1, None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        world.records.refresh().await.unwrap();
        let found = world.records.bounds_now(&[led, leaderless]).await.unwrap();
        assert_eq!(found, [(led, Bounds { start: Offset(0), end: Offset(1) })]);
        assert_eq!(world.records.bounds_now(&[leaderless]).await.unwrap(), []);
        assert_eq!(world.records.bounds(&[leaderless, led]).await.unwrap(), found);
    });
    let ear = Ear::new(&world.records);
    world.records.watch([leaderless, led]);
    ear.hears_end(led, 1);
    assert_eq!(world.records.catalogue().borrow().topics["users"].leaderless, [1].into());
    world.cluster.partition_leader("users", 1, Some(1)).unwrap();
    ear.hears_end(leaderless, 0);
}

#[test]
fn a_log_that_has_lost_its_leader_unnoticed_is_left_out_once_that_is_seen() {
    let world = world_with(&["orders", "users"], |config| config.timeout = Duration::from_secs(2));
    let (led, leaderless) = (world.log("orders", 0), world.log("users", 1));
    world.cluster.partition_leader("users", 1, None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let found = runtime.block_on(world.records.bounds_now(&[led, leaderless])).unwrap();
    assert_eq!(found, [(led, Bounds { start: Offset(0), end: Offset(0) })]);
}
