//! Groups, commits, seeks and pauses.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, pin_mut};
use takhin_client::{CommitOffset, Committed, Place, Reset, TopicPartition};

use crate::server::{committed, from_start, numbers, store_numbers, take, with_topic};

fn partition(number: u32) -> TopicPartition {
    TopicPartition::new("t", number)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_each_message_and_leaves_the_last_one_open() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 5).await;
    let mut consumer = from_start(&client, "g");
    {
        let stream = consumer.stream().take(3);
        pin_mut!(stream);
        let offsets: Vec<_> = stream.map_ok(|message| message.offset).try_collect().await.unwrap();
        assert_eq!(offsets, [0, 1, 2]);
    }
    consumer.close().await.unwrap();
    assert_eq!(committed(&client, "g").await, Some(2), "the last message was being worked on");
    let mut next = from_start(&client, "g");
    assert_eq!(take(&mut next, 3).await, numbers(2..5));
    next.commit().await.unwrap();
    next.leave().await.unwrap();
    assert_eq!(committed(&client, "g").await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_poll_gave_is_worked_on_at_the_close_and_not_if_it_is_left() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 5).await;
    let mut consumer = from_start(&client, "g");
    let batch = consumer.poll_up_to(2, Duration::from_secs(30)).await.unwrap();
    assert_eq!((batch.assigned, batch.messages.len()), (vec![partition(0)], 2));
    consumer.close().await.unwrap();
    assert_eq!(committed(&client, "g").await, Some(2));
    let mut consumer = from_start(&client, "g");
    assert_eq!(take(&mut consumer, 3).await, numbers(2..5));
    consumer.leave().await.unwrap();
    assert_eq!(committed(&client, "g").await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_takes_its_share_over_where_the_first_had_got() {
    let (_broker, client) = with_topic(2).await;
    store_numbers(&client, 0, 10).await;
    store_numbers(&client, 1, 10).await;
    let mut first = from_start(&client, "g");
    let mut seen = 0;
    while seen < 20 {
        seen += first.poll(Duration::from_secs(30)).await.unwrap().messages.len();
    }
    let mut second = from_start(&client, "g");
    second.join().await.unwrap();
    let revoked = loop {
        let batch = first.poll(Duration::from_secs(30)).await.unwrap();
        if !batch.revoked.is_empty() {
            break batch.revoked;
        }
    };
    assert_eq!(revoked.len(), 1);
    // Its next poll gives the partition up, with a commit of what was done.
    assert!(first.poll(Duration::ZERO).await.unwrap().messages.is_empty());
    while second.assignment().is_empty() {
        assert!(second.poll(Duration::from_secs(30)).await.unwrap().messages.is_empty(), "all was committed");
    }
    assert_eq!(second.assignment(), revoked);
    assert_eq!(second.committed(&revoked[0]).await.unwrap(), Some(Committed { offset: 10, metadata: None }));
    first.close().await.unwrap();
    second.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn seeks_and_positions() {
    let (_broker, client) = with_topic(2).await;
    store_numbers(&client, 0, 10).await;
    let mut consumer = client.consumer("g").assign([partition(0), partition(1)]).build();
    consumer.seek(&[partition(0).at(7)]).await.unwrap();
    assert_eq!(consumer.position(&partition(0)).await.unwrap(), Some(7));
    assert_eq!(take(&mut consumer, 1).await, ["7"]);
    assert_eq!(consumer.position(&partition(0)).await.unwrap(), Some(8), "two more wait here");
    consumer.seek_to(Place::Beginning, None).await.unwrap();
    assert_eq!(take(&mut consumer, 10).await, numbers(0..10));
    consumer.seek_to(Place::End, Some(&[partition(0)])).await.unwrap();
    assert_eq!(consumer.position(&partition(0)).await.unwrap(), Some(10));
    consumer.seek_to(Place::TimestampMs(0), Some(&[partition(0)])).await.unwrap();
    assert_eq!(take(&mut consumer, 2).await, numbers(0..2));
    let error = consumer.seek(&[partition(0).at(11)]).await.unwrap_err();
    assert!(error.is_api("offset_out_of_range"), "{error}");
    let error = consumer.seek(&[partition(2).at(0)]).await.unwrap_err();
    assert!(error.is_api("partition_not_found"), "{error}");
    assert_eq!(take(&mut consumer, 1).await, numbers(2..3), "a seek that is refused moves nothing");
    assert_eq!(consumer.lag().map(|(of, lag)| (of.partition, lag)).collect::<Vec<_>>(), [(0, Some(0)), (1, Some(0))]);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_partition_waits() {
    let (_broker, client) = with_topic(2).await;
    store_numbers(&client, 0, 4).await;
    let mut consumer = from_start(&client, "g");
    assert_eq!(take(&mut consumer, 2).await, numbers(0..2));
    consumer.pause(Some(&[partition(0)])).await.unwrap();
    assert_eq!(consumer.paused(), [partition(0)]);
    assert!(consumer.poll(Duration::ZERO).await.unwrap().messages.is_empty());
    consumer.resume(None).await.unwrap();
    assert_eq!(take(&mut consumer, 2).await, numbers(2..4));
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_may_carry_a_note_and_be_anywhere() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 4).await;
    let mut consumer = from_start(&client, "g");
    consumer.join().await.unwrap();
    let note = CommitOffset { at: partition(0).at(3), metadata: Some("a note".to_owned()) };
    consumer.commit_offsets(&[note]).await.unwrap();
    let committed = Committed { offset: 3, metadata: Some("a note".to_owned()) };
    assert_eq!(consumer.committed(&partition(0)).await.unwrap(), Some(committed));
    let error = consumer.commit_offsets(&[partition(0).at(5).into()]).await.unwrap_err();
    assert!(error.is_api("offset_out_of_range"), "{error}");
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_begins_where_it_is_told_to() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 4).await;
    let begins = |reset| client.consumer("g").topics(["t"]).auto_offset_reset(reset).build();
    let mut hour = begins(Reset::ByDuration(Duration::from_hours(1)));
    assert_eq!(take(&mut hour, 1).await, ["0"]);
    hour.leave().await.unwrap();
    let mut nowhere = begins(Reset::None);
    assert!(nowhere.next().await.unwrap_err().is_api("no_committed_offset"));
    nowhere.seek(&[partition(0).at(2)]).await.unwrap();
    assert_eq!(take(&mut nowhere, 1).await, ["2"]);
    nowhere.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_can_be_changed_and_be_a_pattern() {
    let (_broker, client) = with_topic(2).await;
    store_numbers(&client, 1, 2).await;
    let mut consumer = client.consumer("g").auto_offset_reset(Reset::Earliest).build();
    assert!(consumer.join().await.unwrap_err().to_string().contains("nothing to read yet"));
    consumer.subscribe_pattern("t.*").await.unwrap();
    assert_eq!(take(&mut consumer, 2).await, numbers(0..2));
    assert_eq!(consumer.subscription().await.unwrap(), ["t"]);
    consumer.assign([partition(0)]).await.unwrap();
    assert_eq!(consumer.assignment(), [partition(0)]);
    let error = consumer.subscribe(["missing"]).await.unwrap_err();
    assert!(error.is_api("topic_not_found"), "{error}");
    consumer.close().await.unwrap();
}
