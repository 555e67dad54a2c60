//! Connections that break and servers that die: every record once, in order, and commits that hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use takhin_client::{Client, Error, Record, Reset, Retry, TopicPartition, TopicSettings};
use takhin_tests::broker::{Broker, Options};
use tokio::task::block_in_place;

use crate::{
    breaking_way::BreakingWay,
    losing_way::LosingWay,
    server::{committed, from_start, numbers, store_numbers, take, with_topic},
};

#[tokio::test(flavor = "multi_thread")]
async fn over_connections_that_break_at_any_byte() {
    let (broker, direct) = with_topic(1).await;
    let seed = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()) | 1;
    let way = BreakingWay::new(broker.client().address(), seed, 4_000).await;
    let retry = Retry { longest_pause: Duration::from_millis(100), ..Retry::default() };
    let client = Client::builder(&way.url).retry(retry).build().unwrap();

    let sending = tokio::spawn({
        let client = client.clone();
        async move {
            let producer = client.producer_builder().linger(Duration::ZERO).max_batch_records(20).build();
            for number in 0..600 {
                let sent = producer.send(Record::new("t").value(number.to_string())).await.unwrap();
                if number % 10 == 9 {
                    assert_eq!(sent.await.unwrap().offset, number);
                }
            }
            producer.close().await;
        }
    });
    let consumer = client.consumer("g").topics(["t"]).auto_offset_reset(Reset::Earliest);
    let mut consumer = consumer.max_poll_records(30).auto_commit_interval(Duration::from_millis(20)).build();
    assert_eq!(take(&mut consumer, 600).await, numbers(0..600));
    sending.await.unwrap();
    consumer.commit().await.unwrap();
    consumer.close().await.unwrap();
    assert!(way.cuts() > 10, "{} cuts", way.cuts());
    assert_eq!(committed(&direct, "g").await, Some(600));
    assert_eq!(direct.admin().topic("t").await.unwrap().offsets[0].end, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_server_that_is_killed_again_and_again() {
    let mut broker = block_in_place(|| Broker::start(Options::default()));
    let client = Client::new(broker.url("")).unwrap();
    client.admin().create_topic("t", 1, &TopicSettings::default()).await.unwrap();
    let consuming = tokio::spawn({
        let client = client.clone();
        async move {
            let consumer = client.consumer("g").topics(["t"]).auto_offset_reset(Reset::Earliest);
            let mut consumer = consumer.auto_commit_interval(Duration::from_millis(20)).build();
            let values = take(&mut consumer, 400).await;
            consumer.commit().await.unwrap();
            consumer.close().await.unwrap();
            values
        }
    });
    let producer = client.producer_builder().linger(Duration::ZERO).max_batch_records(7).build();
    for number in 0..400_u64 {
        let sent = producer.send(Record::new("t").value(number.to_string())).await.unwrap();
        if number % 10 == 9 {
            assert_eq!(sent.await.unwrap().offset, number);
        }
        if number % 80 == 40 {
            block_in_place(|| {
                if number % 160 == 40 {
                    broker.kill9();
                }
                broker.restart();
            });
        }
    }
    producer.close().await;
    assert_eq!(consuming.await.unwrap(), numbers(0..400));
    assert_eq!(committed(&client, "g").await, Some(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_does_not_come_again_after_a_death_without_a_goodbye() {
    let mut broker = block_in_place(|| Broker::start(Options::default()));
    let client = Client::new(broker.url("")).unwrap();
    client.admin().create_topic("t", 1, &TopicSettings::default()).await.unwrap();
    store_numbers(&client, 0, 100).await;
    let worker = || client.consumer("g").topics(["t"]).auto_offset_reset(Reset::Earliest).instance_id("one");
    let mut dying = worker().auto_commit(false).max_poll_records(10).build();
    assert_eq!(take(&mut dying, 30).await, numbers(0..30));
    dying.commit().await.unwrap();
    assert_eq!(take(&mut dying, 5).await, numbers(30..35));
    drop(dying);
    block_in_place(|| {
        broker.kill9();
        broker.restart();
    });
    let mut next = worker().build();
    assert_eq!(take(&mut next, 70).await, numbers(30..100));
    next.close().await.unwrap();
}

/// The server made no position durable after the last poll, and doesn't know the batch that it is asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_the_last_batch_is_reminded() {
    let mut broker = block_in_place(|| Broker::start(Options::default()));
    let client = Client::new(broker.url("")).unwrap();
    client.admin().create_topic("t", 1, &TopicSettings::default()).await.unwrap();
    store_numbers(&client, 0, 50).await;
    let mut consumer = from_start(&client, "g");
    let mut seen = Vec::new();
    for _ in 0..5 {
        // Each poll is an exchange of its own, quicker than positions are written down.
        let batch = consumer.poll_up_to(5, Duration::from_secs(30)).await.unwrap();
        seen.extend(batch.messages.iter().map(|message| message.text().unwrap().to_owned()));
    }
    block_in_place(|| {
        broker.kill9();
        broker.restart();
    });
    while seen.len() < 50 {
        let batch = consumer.poll_up_to(5, Duration::from_secs(30)).await.unwrap();
        seen.extend(batch.messages.iter().map(|message| message.text().unwrap().to_owned()));
    }
    assert_eq!(seen, numbers(0..50));
    consumer.close().await.unwrap();
    assert_eq!(committed(&client, "g").await, Some(50));
}

/// The poll that follows on that is one that can be repeated, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_to_a_consumer_that_just_reminded_the_server_is_given_again() {
    let mut broker = block_in_place(|| Broker::start(Options::default()));
    let direct = Client::new(broker.url("")).unwrap();
    direct.admin().create_topic("t", 1, &TopicSettings::default()).await.unwrap();
    store_numbers(&direct, 0, 50).await;
    let way = LosingWay::new(broker.client().address()).await;
    let mut consumer = from_start(&Client::new(&way.url).unwrap(), "g");
    let mut seen = Vec::new();
    while seen.len() < 50 {
        if seen.len() == 25 {
            block_in_place(|| {
                broker.kill9();
                broker.restart();
            });
        }
        let batch = consumer.poll_up_to(5, Duration::from_secs(30)).await.unwrap();
        seen.extend(batch.messages.iter().map(|message| message.text().unwrap().to_owned()));
        if seen.last().is_some_and(|last| last == "49") {
            break;
        }
    }
    assert_eq!(seen, numbers(0..50));
    assert_eq!(way.lost(), 1);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_joined_anew_and_its_partitions_are_told() {
    let (broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 4).await;
    let mut consumer = from_start(&client, "g");
    assert_eq!(take(&mut consumer, 2).await, numbers(0..2));
    consumer.commit().await.unwrap();
    let first = consumer.id().unwrap();
    assert_eq!(broker.client().delete(&format!("/api/consumers/{first}")).0, 200);

    let lost = consumer.poll(Duration::from_secs(30)).await.unwrap();
    let rest: Vec<_> = lost.messages.iter().map(|message| message.offset).collect();
    assert_eq!(rest, [2, 3], "what had arrived is handed out first");
    let batch = consumer.poll(Duration::from_secs(30)).await.unwrap();
    assert_eq!((batch.lost, batch.assigned), (vec![TopicPartition::new("t", 0)], vec![TopicPartition::new("t", 0)]));
    assert_ne!(consumer.id().unwrap(), first);
    assert_eq!(take(&mut consumer, 2).await, numbers(2..4), "it was not committed, so it comes again");
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_a_slow_worker_in_its_group() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 2).await;
    let consumer = client.consumer("g").topics(["t"]).auto_offset_reset(Reset::Earliest).rejoin(false);
    let mut consumer = consumer.session_timeout(Duration::from_secs(1)).build();
    assert_eq!(take(&mut consumer, 1).await, numbers(0..1));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(take(&mut consumer, 1).await, numbers(1..2));
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_so_and_the_next_address_is_asked() {
    let (broker, _) = with_topic(1).await;
    let nobody = format!("http://127.0.0.1:{}", takhin_tests::broker::free_port());
    let client = Client::builder(&nobody).give_up_after(Duration::ZERO).build().unwrap();
    match client.admin().topics().await {
        Err(Error::Connection { url, why }) => assert!(url == nobody && why.contains("refused"), "{url} {why}"),
        other => panic!("{other:?}"),
    }
    let client = Client::builder(&nobody).or_at(broker.url("")).build().unwrap();
    assert_eq!(client.admin().topics().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_poll_loses_nothing() {
    let (_broker, client) = with_topic(1).await;
    let mut consumer = from_start(&client, "g");
    consumer.join().await.unwrap();
    let producer = client.producer();
    let mut seen = Vec::new();
    for number in 0..40_u32 {
        let sent = producer.send(Record::new("t").value(number.to_string())).await.unwrap();
        // Dropped at any moment of the exchange.
        tokio::select! {
            batch = consumer.poll(Duration::from_secs(30)) => seen.extend(batch.unwrap().messages),
            () = tokio::time::sleep(Duration::from_micros(u64::from(number) * 300)) => {}
        }
        sent.await.unwrap();
    }
    while seen.len() < 40 {
        seen.extend(consumer.poll(Duration::from_secs(30)).await.unwrap().messages);
    }
    let values: Vec<_> = seen.iter().map(|message| message.text().unwrap().to_owned()).collect();
    assert_eq!(values, numbers(0..40));
}
