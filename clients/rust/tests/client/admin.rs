//! Topics and groups.

use std::time::Duration;

use takhin_client::{Cleanup, GroupState, OffsetReset, ReadFrom, ResetTarget, TopicPartition, TopicSettings};

use crate::server::{from_start, store_numbers, take, with_topic};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_changed_and_deleted() {
    let (_broker, client) = with_topic(1).await;
    let admin = client.admin();
    let settings = TopicSettings { cleanup: Some(Cleanup::Compact), retention_ms: Some(5_000), ..Default::default() };
    let topic = admin.create_topic("new", 3, &settings).await.unwrap();
    assert_eq!((topic.partitions, topic.settings.cleanup), (3, Some(Cleanup::Compact)));
    assert!(admin.create_topic("new", 1, &settings).await.unwrap_err().is_api("topic_exists"));
    let settings = TopicSettings { retention_ms: Some(-1), ..Default::default() };
    let topic = admin.alter_topic("new", Some(4), &settings).await.unwrap();
    assert_eq!((topic.partitions, topic.settings.retention_ms, topic.offsets.len()), (4, Some(-1), 4));
    let names: Vec<_> = admin.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["new", "t"]);
    admin.delete_topic("new").await.unwrap();
    assert!(admin.delete_topic("new").await.unwrap_err().is_api("topic_not_found"));
    assert_eq!(admin.health().await.unwrap().status, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_without_a_group() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 5).await;
    let (admin, of) = (client.admin(), TopicPartition::new("t", 0));
    let page = admin.read(&of, ReadFrom::Offset(3), 10, Duration::ZERO).await.unwrap();
    assert_eq!((page.messages.len(), page.next_offset), (2, 5));
    assert_eq!(admin.read(&of, ReadFrom::Start, 2, Duration::ZERO).await.unwrap().next_offset, 2);
    let first = page.messages[0].timestamp_ms.try_into().unwrap();
    assert!(admin.offset_at(&of, first).await.unwrap().is_some());
    assert_eq!(admin.offset_at(&of, first + 3_600_000).await.unwrap(), None);
    let (end, waits) = (ReadFrom::Offset(5), Duration::from_millis(50));
    assert!(admin.read(&of, end, 10, waits).await.unwrap().messages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_an_empty_group_are_set() {
    let (_broker, client) = with_topic(1).await;
    store_numbers(&client, 0, 5).await;
    let (admin, of) = (client.admin(), TopicPartition::new("t", 0));
    let mut consumer = from_start(&client, "g");
    take(&mut consumer, 5).await;
    consumer.commit().await.unwrap();
    let error = admin.reset_offsets("g", &ResetTarget::Earliest, None, false).await.unwrap_err();
    assert!(error.is_api("group_active"), "{error}");
    let group = admin.group("g").await.unwrap();
    assert_eq!((group.state, group.members.len()), (GroupState::Stable, 1));
    assert_eq!(group.partitions[0].owner, consumer.id().map(|id| id.to_string()));
    consumer.close().await.unwrap();

    let set = |resets: Vec<OffsetReset>| (resets[0].before, resets[0].after);
    let dry = admin.reset_offsets("g", &ResetTarget::By(-2), None, true).await.unwrap();
    assert_eq!(set(dry), (Some(5), Some(3)));
    let to = ResetTarget::Offsets(vec![of.clone().at(1)]);
    assert_eq!(set(admin.reset_offsets("g", &to, None, false).await.unwrap()), (Some(5), Some(1)));
    let latest = admin.reset_offsets("g", &ResetTarget::Latest, Some(&[of]), false).await.unwrap();
    assert_eq!(set(latest), (Some(1), Some(5)));
    assert_eq!(admin.groups().await.unwrap()[0].state, GroupState::Empty);
    admin.delete_group("g").await.unwrap();
    assert!(admin.delete_group("g").await.unwrap_err().is_api("group_not_found"));
}
