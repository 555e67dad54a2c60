//! Where a stream stands, as a token that its client can give back: `orders/0:17,orders/1:5`.
//!
//! It is the id of an event and names the next offset of each of the consumer's partitions after that event. A client
//! that comes back with it goes on there, whatever became of what was sent after it.

use std::fmt::Write as _;

use takhin_core::{
    Offset, SeekTo, TopicName,
    response::{Bounds, ConsumerDescription, PartitionStatus},
};

use super::error::ApiError;

/// The token of these positions.
pub(super) fn token(positions: &[PartitionStatus]) -> String {
    let mut token = String::new();
    for status in positions {
        if let Some(Offset(offset)) = status.position {
            let comma = if token.is_empty() { "" } else { "," };
            let _ = write!(token, "{comma}{}/{}:{offset}", status.topic, status.partition);
        }
    }
    token
}

/// What has to be sought for the consumer to stand where the token says, as far as the logs have these offsets. A partition
/// that it no longer has is left as it is: the broker knows better.
pub(super) fn seeks(token: &str, consumer: &ConsumerDescription) -> Result<Vec<SeekTo>, ApiError> {
    let mut seeks = Vec::new();
    for entry in token.split(',').filter(|entry| !entry.is_empty()) {
        let (topic, partition, offset) = parse(entry).ok_or_else(|| {
            let message = "Last-Event-ID is the id of an event of this stream, as in orders/0:17,orders/1:5";
            ApiError::malformed("invalid_last_event_id", message).with("value", entry)
        })?;
        let mut held = consumer.partitions.iter().filter(|status| !status.revoking);
        let Some(status) = held.find(|status| status.partition == partition && status.topic == topic) else {
            continue;
        };
        if status.position != Some(Offset(offset)) {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            seeks.push(SeekTo { topic: status.topic.clone(), partition, offset });
        }
    }
    Ok(seeks)
}

/// Whether a log that reaches so far has the offset that is sought, or ends there.
pub(super) fn is_within(to: &SeekTo, log: Bounds) -> bool {
    u64::try_from(to.offset).is_ok_and(|offset| (log.start.0..=log.end.0).contains(&offset))
}

fn parse(entry: &str) -> Option<(TopicName, u32, u64)> {
    let (log, offset) = entry.rsplit_once(':')?;
    let (topic, partition) = log.rsplit_once('/')?;
    Some((TopicName::new(topic).ok()?, partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use takhin_core::{ConsumerId, ConsumerOptions, Generation, GroupName};
    use uuid::Uuid;

    use super::*;

    fn status(topic: &str, partition: u32, position: Option<u64>) -> PartitionStatus {
        let topic = TopicName::new(topic).expect("a name");
        PartitionStatus {
            topic,
            partition,
            position: position.map(Offset),
            end: Offset(20),
            revoking: false,
            paused: false,
        }
    }

    fn consumer(partitions: Vec<PartitionStatus>) -> ConsumerDescription {
        ConsumerDescription {
            consumer: ConsumerId(Uuid::from_u128(1)),
            group: GroupName::new("g").expect("a name"),
            topics: Vec::new(),
            pattern: None,
            away: false,
            manual: false,
            options: ConsumerOptions::default(),
            generation: Generation::default(),
            partitions,
        }
    }

    fn sought(token: &str, consumer: &ConsumerDescription) -> Option<Vec<(String, u32, i64)>> {
        let seeks = seeks(token, consumer).ok()?;
        Some(seeks.into_iter().map(|to| (to.topic.to_string(), to.partition, to.offset)).collect())
    }

    #[test]
    fn a_token_leads_back_to_where_it_was_given() {
        let then = [status("a.b", 0, Some(7)), status("a.b", 1, None), status("c", 0, Some(9))];
        let token = token(&then);
        assert_eq!(token, "a.b/0:7,c/0:9");
        let now = consumer(vec![status("a.b", 0, Some(12)), status("c", 0, Some(9))]);
        assert_eq!(sought(&token, &now), Some(vec![("a.b".to_owned(), 0, 7)]));
    }

    #[test]
    fn what_is_no_longer_there_is_left_as_it_is() {
        let mut leaving = status("a", 1, Some(12));
        leaving.revoking = true;
        let now = consumer(vec![status("a", 0, Some(12)), leaving]);
        assert_eq!(sought("a/1:7,b/0:9", &now), Some(vec![]));
        assert_eq!(sought("", &now), Some(vec![]));
    }

    #[test]
    fn an_offset_that_the_log_no_longer_has_is_not_sought() {
        let log = Bounds { start: Offset(5), end: Offset(20) };
        let to = |offset| SeekTo { topic: TopicName::new("a").expect("a name"), partition: 0, offset };
        let within: Vec<_> = [4, 5, 20, 21].into_iter().filter(|offset| is_within(&to(*offset), log)).collect();
        assert_eq!(within, [5, 20]);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for wrong in ["7", "a/0", "a:0", "a/x:1", "a/0:-1", "a/0:1;a/1:2"] {
            assert_eq!(sought(wrong, &consumer(Vec::new())), None, "{wrong}");
        }
    }
}
