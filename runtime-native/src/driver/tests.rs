//! The driver with the local engine in a fresh directory, without HTTP.

use std::path::Path;

use smallvec::smallvec;
use takhin_core::{
    Config, ConsumerId, ConsumerOptions, GroupName, OffsetReset, PollLimits, Refusal, Request, Response, TopicConfig,
    TopicName,
};
use uuid::Uuid;

use super::{Answer, Bodies, Driver, DriverConfig, Message, Next, TraceConfig, fetch};
use crate::{engine::local::LocalConfig, record::BatchBuilder};

fn start(directory: &Path) -> Driver {
    let config =
        DriverConfig { core: Config::default(), engine: LocalConfig::new(directory), trace: TraceConfig::default() };
    Driver::start(config).expect("a broker").driver
}

fn topic() -> TopicName {
    TopicName::new("orders").expect("a good name")
}

async fn create(driver: &Driver) {
    driver
        .ask(Request::CreateTopic { name: topic(), partitions: 1, config: TopicConfig::default() })
        .await
        .expect("a topic");
}

async fn produce(driver: &Driver, value: &str) {
    let mut batch = BatchBuilder::with_capacity(64);
    batch.push(7, Some(b"k"), Some(value.as_bytes()), std::iter::empty()).expect("a small record");
    driver.produce(topic(), smallvec![(0, batch.finish().expect("a record"))], None).await.expect("appended");
}

async fn subscribe(driver: &Driver, consumer: ConsumerId) {
    let options = ConsumerOptions { auto_offset_reset: OffsetReset::Earliest, ..ConsumerOptions::default() };
    let group = GroupName::new("billing").expect("a good id");
    let request =
        Request::Subscribe { consumer, group, topics: [topic()].into_iter().collect(), options, allow_missing: false };
    driver.ask(request).await.expect("subscribed");
}

async fn poll(driver: &Driver, consumer: ConsumerId, timeout_ms: u32) -> Result<Answer, Refusal> {
    let limits = PollLimits { timeout_ms, ..PollLimits::default() };
    driver.ask(Request::Consume { consumer, limits, after_batch: None }).await
}

fn values(answer: &Answer) -> Vec<String> {
    let Response::Consumed(consumed) = &answer.response else { panic!("{answer:?}") };
    let records = consumed.parts.iter().flat_map(|part| answer.records.as_ref().expect("records").records(part.log));
    records.map(|record| String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_poll_wakes_and_a_restart_keeps_everything() {
    let directory = tempfile::tempdir().expect("a directory");
    let consumer = ConsumerId(Uuid::from_u128(1));
    let driver = start(directory.path());
    create(&driver).await;
    produce(&driver, "one").await;
    subscribe(&driver, consumer).await;
    assert_eq!(values(&poll(&driver, consumer, 0).await.expect("a batch")), ["one"]);

    let parked = tokio::spawn({
        let driver = driver.clone();
        async move { poll(&driver, consumer, 60_000).await }
    });
    while driver.health().parked_polls == 0 {
        tokio::task::yield_now().await;
    }
    produce(&driver, "two").await;
    assert_eq!(values(&parked.await.expect("no panic").expect("a batch")), ["two"]);
    let commit = Request::Commit { consumer, offsets: None, generation: None };
    driver.ask(commit).await.expect("committed");
    driver.drain();
    driver.stop().expect("a clean stop");
    drop(driver);

    let driver = start(directory.path());
    produce(&driver, "three").await;
    assert_eq!(values(&poll(&driver, consumer, 0).await.expect("the session is kept")), ["three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_is_dropped_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let consumer = ConsumerId(Uuid::from_u128(1));
    let driver = start(directory.path());
    create(&driver).await;
    subscribe(&driver, consumer).await;
    let parked = tokio::spawn({
        let driver = driver.clone();
        async move { poll(&driver, consumer, 60_000).await }
    });
    while driver.health().parked_polls == 0 {
        tokio::task::yield_now().await;
    }
    parked.abort();
    while driver.health().parked_polls == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(driver.lock().core.open_requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_on_its_way_to_a_client_that_hangs_up_is_not_taken_for_delivered() {
    let directory = tempfile::tempdir().expect("a directory");
    let driver = start(directory.path());
    driver
        .ask(Request::CreateTopic { name: topic(), partitions: 2, config: TopicConfig::default() })
        .await
        .expect("a topic");
    let [first, second] = [1, 2].map(|number| ConsumerId(Uuid::from_u128(number)));
    subscribe(&driver, first).await;
    poll(&driver, first, 0).await.expect("nothing to read yet");
    let mut parked = Box::pin(poll(&driver, first, 60_000));
    assert!(is_pending(parked.as_mut()).await);
    // The first is told to give a partition up as soon as that is durable, which it is when this is answered.
    subscribe(&driver, second).await;
    drop(parked);
    let answer = poll(&driver, first, 0).await.expect("an answer").response;
    let Response::Consumed(consumed) = answer else { panic!("{answer:?}") };
    let revoked = consumed.rebalance.expect("what the first has not heard yet").revoked;
    assert_eq!(revoked.len(), 1, "{revoked:?}");
    assert_eq!(driver.lock().core.open_requests(), 0);
}

/// Whether the future has not ended when it is polled once.
async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_is_superseded_while_it_reads_hears_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let consumer = ConsumerId(Uuid::from_u128(1));
    let driver = start(directory.path());
    create(&driver).await;
    produce(&driver, "one").await;
    subscribe(&driver, consumer).await;
    let consume = Request::Consume { consumer, limits: PollLimits::default(), after_batch: None };
    let (mut call, next) = driver.begin(None, consume, Bodies::new());
    let Next::Now(Message::Fetch(plan)) = next else { panic!("there is something to read") };
    assert_eq!(values(&poll(&driver, consumer, 0).await.expect("the newer poll")), ["one"]);
    let (parts, fetched) = fetch::carry_out(&driver.shared.reader, plan.clone(), fetch::Form::Records).await;
    let heard = driver.fetched(&mut call, plan.id, parts, fetched);
    assert!(matches!(heard, Next::Now(Message::Reply(Err(Refusal::PollSuperseded { .. }), None))));
}
