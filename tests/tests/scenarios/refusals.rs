//! Every way in which a request can be refused, reached and shown as a client reads it.

use std::fmt::Write as _;

use takhin_core::{
    Command, Config, ConsumerOptions, Event, FetchedPart, Offset, OffsetReset, OffsetTarget, Parts, PollLimits,
    ProduceBatch, ProducerId, ProducerStamp, ReadError, Refusal, Request, SetOffset, StorageError, StorageState,
};
use takhin_tests::script::{Script, Work, consumer, group, manual, topic, wait};

/// The names of all refusals; one that is added is to be reached here too.
fn name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::TopicNotFound { .. } => "topic_not_found",
        Refusal::TopicExists { .. } => "topic_exists",
        Refusal::PartitionNotFound { .. } => "partition_not_found",
        Refusal::PartitionsCanOnlyGrow { .. } => "partitions_can_only_grow",
        Refusal::TooMany { .. } => "too_many",
        Refusal::OutOfRange { .. } => "out_of_range",
        Refusal::InvalidPattern { .. } => "invalid_pattern",
        Refusal::Empty { .. } => "empty",
        Refusal::GroupActive { .. } => "group_active",
        Refusal::NothingCommitted { .. } => "nothing_committed",
        Refusal::GroupNotFound { .. } => "group_not_found",
        Refusal::ConsumerNotFound { .. } => "consumer_not_found",
        Refusal::ConsumerExists { .. } => "consumer_exists",
        Refusal::ConsumerEnded { .. } => "consumer_ended",
        Refusal::ConsumerExpired { .. } => "consumer_expired",
        Refusal::ConsumerGone { .. } => "consumer_gone",
        Refusal::PollSuperseded { .. } => "poll_superseded",
        Refusal::NoCommittedOffset { .. } => "no_committed_offset",
        Refusal::PartitionNotAssigned { .. } => "partition_not_assigned",
        Refusal::StaleGeneration { .. } => "stale_generation",
        Refusal::GenerationUnknown { .. } => "generation_unknown",
        Refusal::OffsetOutOfRange { .. } => "offset_out_of_range",
        Refusal::OffsetTrimmed { .. } => "offset_trimmed",
        Refusal::BatchUnknown { .. } => "batch_unknown",
        Refusal::DataCorrupt { .. } => "data_corrupt",
        Refusal::OffsetMismatch { .. } => "offset_mismatch",
        Refusal::SequenceGap { .. } => "sequence_gap",
        Refusal::ProducerFenced { .. } => "producer_fenced",
        Refusal::IdempotencyKeyReused { .. } => "idempotency_key_reused",
        Refusal::RecordsRefused { .. } => "records_refused",
        Refusal::StorageUnavailable { .. } => "storage_unavailable",
        Refusal::ShuttingDown => "shutting_down",
        // Given by runtimes alone.
        Refusal::GroupMoving { .. } => "group_moving",
        Refusal::Unsupported { .. } => "unsupported",
    }
}

#[test]
fn every_refusal_is_reached() {
    let config = Config {
        max_topics: 2,
        max_partitions: 6,
        max_consumers: 4,
        max_groups: 3,
        max_parked: 1,
        ..Config::default()
    };
    let mut script = Script::new(config);
    script.create("orders", 2);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    let mut refused = vec![
        script.create("orders", 1),
        script.create("huge", 10_001),
        script.create("large", 5),
        script.grow("orders", 2),
        script.delete("visits"),
        script.produce("visits", 0, 1),
        script.produce("orders", 2, 1),
        script.produce_at("orders", 6, 1),
        script.produce_as(7, 1, 1, 1),
        script.produce("orders", 0, 0),
        script.ask(Request::Produce { topic: topic("orders"), batches: Parts::new() }),
        script.read("orders", 0, 6, wait(0)),
        script.ask(Request::DescribeGroup { group: group("nobody") }),
        script.ask(Request::DeleteGroup { group: group("billing") }),
        script.ask(Request::SetOffsets {
            group: group("audit"),
            offsets: vec![SetOffset { topic: topic("orders"), partition: 0, to: OffsetTarget::By(-1), metadata: None }],
            dry_run: true,
        }),
        script.describe(9),
        script.subscribe(1, "audit", &["orders"], manual()),
        script.subscribe(2, "audit", &[], manual()),
        script.subscribe(2, "audit", &["visits"], manual()),
        script.subscribe(2, "audit", &["orders"], ConsumerOptions { session_timeout_ms: 1, ..manual() }),
        script.consume(1, PollLimits { max_records: 0, ..wait(0) }),
        script.consume(1, PollLimits { min_bytes: 11, max_bytes: 10, ..wait(0) }),
        script.consume(1, PollLimits { timeout_ms: 300_001, ..wait(0) }),
        script.consume_after(1, 7, wait(0)),
        script.commit(1, "orders", 0, -1),
        script.commit_in(1, 0, "orders", 0, 1),
        script.commit_in(1, 2, "orders", 0, 1),
        script.seek(1, "orders", 0, 6),
        script.ask(Request::Seek { consumer: consumer(1), positions: vec![] }),
    ];
    refused.push(script.subscribe_matching(2, "audit", "*", manual()));
    script.create("visits", 1);
    refused.push(script.create("third", 1));
    refused.push(script.commit(1, "visits", 0, 0));
    script.subscribe(2, "audit", &["orders"], ConsumerOptions { auto_offset_reset: OffsetReset::None, ..manual() });
    refused.push(script.consume(2, wait(0)));
    script.subscribe(3, "search", &["visits"], manual());
    refused.push(script.subscribe(4, "fourth", &["visits"], manual()));
    script.subscribe(4, "search", &["visits"], manual());
    refused.push(script.subscribe(5, "search", &["visits"], manual()));
    let parked = script.consume(3, wait(60_000));
    refused.push(script.consume(4, wait(10_000)));
    refused.push(script.read("visits", 0, 0, wait(10_000)));
    let newer = script.consume(3, wait(60_000));
    refused.push(parked);
    script.close(3);
    refused.push(newer);
    refused.extend(idempotent_producers(&mut script));
    refused.push(records_that_storage_never_takes(&mut script));
    refused.extend(reads_that_fail(&mut script));
    script.pass(30_000);
    refused.push(script.describe(1));
    refused.push(script.subscribe(1, "billing", &["orders"], manual()));
    script.storage(StorageState::Failed(StorageError::Failed("fsync".into())));
    refused.push(script.create("third", 1));
    script.event(Event::Drain);
    refused.push(script.produce("orders", 0, 1));
    insta::assert_snapshot!(told(&script, &refused));
    let names: Vec<_> = refused.iter().map(|id| name(&script.refusal(*id))).collect();
    let mut distinct = names;
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 32, "{distinct:?}");
}

/// A producer of an older epoch, and an idempotency key that came before with another request.
fn idempotent_producers(script: &mut Script) -> [takhin_core::RequestId; 2] {
    script.produce_as(7, 1, 0, 1);
    let fenced = script.produce_as(7, 0, 0, 1);
    let keyed = |sequence| ProducerStamp { producer: ProducerId::keyed(1), epoch: 0, sequence };
    script.produce_stamped(keyed(1), 1);
    [fenced, script.produce_stamped(keyed(2), 1)]
}

fn records_that_storage_never_takes(script: &mut Script) -> takhin_core::RequestId {
    script.hold(Work::Append);
    let refused = script.produce("orders", 0, 1);
    for command in script.take(Work::Append) {
        let Command::Append { id, log, .. } = command else { continue };
        let result = Err(StorageError::Unacceptable("their time is too far off".into()));
        script.event(Event::Appended { id, log, result });
    }
    script.release(Work::Append);
    refused
}

/// A poll over a damaged record, and a read of a trimmed one.
fn reads_that_fail(script: &mut Script) -> Vec<takhin_core::RequestId> {
    script.hold(Work::Fetch);
    let damaged = script.consume(1, wait(0));
    for command in script.take(Work::Fetch) {
        let Command::Fetch { id, parts, .. } = command else { continue };
        let (log, from) = (parts[0].log, parts[0].from);
        let error = Some(ReadError::Corrupt { at: Offset(0), next: Offset(2) });
        let part = FetchedPart { log, from, next: from, records: 0, bytes: 0, error };
        script.event(Event::Fetched { id, parts: Parts::from_elem(part, 1) });
    }
    let unreadable = script.read("orders", 0, 0, wait(0));
    for command in script.take(Work::Fetch) {
        let Command::Fetch { id, parts, .. } = command else { continue };
        let (log, from) = (parts[0].log, parts[0].from);
        let error = Some(ReadError::Storage(StorageError::Failed("a bad block".into())));
        let part = FetchedPart { log, from, next: from, records: 0, bytes: 0, error };
        script.event(Event::Fetched { id, parts: Parts::from_elem(part, 1) });
    }
    script.release(Work::Fetch);
    script.trim("orders", 0, 2);
    vec![damaged, unreadable, script.read("orders", 0, 1, wait(0))]
}

fn told(script: &Script, refused: &[takhin_core::RequestId]) -> String {
    let mut told = String::new();
    for id in refused {
        let refusal = script.refusal(*id);
        let _ = writeln!(told, "{:<26} {refusal}", name(&refusal));
    }
    told
}

#[test]
fn a_produce_request_with_one_bad_partition_appends_nothing() {
    let mut script = Script::default();
    script.create("orders", 1);
    let batch = |partition| ProduceBatch { partition, records: 1, bytes: 100, ..ProduceBatch::default() };
    let batches = Parts::from_vec(vec![batch(0), batch(1)]);
    let id = script.ask(Request::Produce { topic: topic("orders"), batches });
    assert!(matches!(script.refusal(id), Refusal::PartitionNotFound { partition: 1, .. }));
    let read = script.read("orders", 0, 0, wait(0));
    assert!(script.answer(read).is_ok());
    insta::assert_snapshot!(script.story());
}
