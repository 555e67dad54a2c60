//! What a journal takes at once. The facts of one step are one entry, and an entry has a bound; so what a single request would
//! have the journal take is looked at before anything is decided.
//!
//! Clients' own words are what makes a fact large: the metadata that is committed with offsets. All else that one request
//! decides on is bounded by how many partitions and topics it may name.

use takhin_core::{Refusal, Request};

use super::cells::MAX_ENTRY_BYTES;

/// Of a single request; the rest of an entry is its head, and what else the step decides.
const MAX_COMMIT_BYTES: usize = MAX_ENTRY_BYTES - (1 << 20);
/// A partition with its offset, and the partition once more with metadata, about.
const OFFSET_BYTES: usize = 64;

/// Refuses a commit that no entry has room for.
pub(super) fn may_be_journaled(request: &Request) -> Result<(), Refusal> {
    let bytes: usize = match request {
        Request::Commit { offsets: Some(offsets), .. } => {
            offsets.iter().map(|at| committed_bytes(at.metadata.as_deref())).sum()
        }
        Request::SetOffsets { offsets, dry_run: false, .. } => {
            offsets.iter().map(|at| committed_bytes(at.metadata.as_deref())).sum()
        }
        _ => 0,
    };
    if bytes <= MAX_COMMIT_BYTES {
        return Ok(());
    }
    let what = format!("a commit that takes {bytes} bytes with its metadata, of which {MAX_COMMIT_BYTES} is the most,");
    Err(Refusal::Unsupported { what })
}

fn committed_bytes(metadata: Option<&str>) -> usize {
    OFFSET_BYTES + metadata.map_or(0, |metadata| OFFSET_BYTES + metadata.bytes().map(in_json).sum::<usize>())
}

/// How long a byte of a text is in JSON, at most.
fn in_json(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use takhin_core::{
        ByLog, CommitOffset, ConsumerId, Fact, GroupName, LogId, Offset, OffsetTarget, SetOffset, TopicId, TopicName,
    };
    use uuid::Uuid;

    use super::*;

    const MOST: u32 = u32::MAX;

    fn commit(partitions: u32, metadata: &str) -> Request {
        let topic = TopicName::new("orders").expect("a good name");
        let metadata: Option<Arc<str>> = Some(metadata.into());
        let at = |partition| CommitOffset { topic: topic.clone(), partition, offset: 1, metadata: metadata.clone() };
        let offsets = (0..partitions).map(at).collect();
        Request::Commit { consumer: ConsumerId(Uuid::nil()), generation: None, offsets: Some(offsets) }
    }

    #[test]
    fn a_fact_is_no_longer_than_it_is_taken_for() {
        let metadata = "plain \"quoted\" back\\slash \u{1}\n\u{7f} \u{fc}\u{1f980}";
        let logs = (0..100).map(|low| LogId { topic: TopicId(u64::MAX - low), partition: MOST - 7 });
        let offsets: ByLog<Offset> = logs.map(|log| (log, Offset(u64::MAX))).collect();
        let metadata_of = offsets.logs().map(|log| (log, Arc::from(metadata))).collect();
        let group = GroupName::new("g").expect("a good name");
        let fact = Fact::Committed { group, offsets, metadata: metadata_of };
        let bytes = serde_json::to_vec(&fact).expect("a fact is plain data").len();
        assert!(bytes <= 100 * committed_bytes(Some(metadata)) + 200, "{bytes}");
    }

    #[test]
    fn a_commit_that_no_entry_has_room_for_is_refused() {
        assert_eq!(may_be_journaled(&commit(3_000, &"x".repeat(4_096))), Ok(()));
        let refused = |request: &Request| matches!(may_be_journaled(request), Err(Refusal::Unsupported { .. }));
        assert!(refused(&commit(4_000, &"x".repeat(4_096))));
        assert!(refused(&commit(2_000, &"\"".repeat(4_096))), "it is longer as it is written");
        let (topic, metadata) = (TopicName::new("orders").expect("a good name"), Some(Arc::from("x".repeat(4_096))));
        let to = OffsetTarget::By(0);
        let set = SetOffset { topic, partition: 0, to, metadata };
        let group = GroupName::new("g").expect("a good name");
        let many = |dry_run| Request::SetOffsets { group: group.clone(), offsets: vec![set.clone(); 4_000], dry_run };
        assert!(refused(&many(false)));
        assert!(!refused(&many(true)), "it decides nothing");
    }
}
