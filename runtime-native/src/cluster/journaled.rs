//! What a journal takes at once: an entry has a bound.
//!
//! The facts of one step are one entry if there is room for them, and else several. If a node dies between these, some of the
//! first facts are all that is left of the step, as it may be after the loss of power on one server; a core recovers from any.
//!
//! One fact can't be divided, so what a single request would have the journal take is looked at before anything is decided.
//! Clients' own words are what makes a fact large: the metadata that is committed with offsets. All else grows with the
//! partitions of a group alone, of which a fact has room for more than 400,000.

use takhin_core::{FactSeq, Refusal, Request};

use super::cells::MAX_ENTRY_BYTES;

/// Facts in one entry, unless a single one is larger; the rest is the entry's head, and what Kafka puts around it.
const MAX_FACTS_BYTES: usize = MAX_ENTRY_BYTES - (64 << 10);
/// Of a single request.
const MAX_COMMIT_BYTES: usize = MAX_ENTRY_BYTES - (1 << 20);
/// A partition with its offset, and the partition once more with metadata, about.
const OFFSET_BYTES: usize = 64;

/// What goes into one entry.
pub(super) struct Lines {
    /// The last fact in it.
    pub(super) through: FactSeq,
    /// The facts, each a line.
    pub(super) bytes: Vec<u8>,
}

/// The entries for the facts of one step.
pub(super) fn entries(facts: &[(FactSeq, Vec<u8>)]) -> Vec<Lines> {
    let mut entries: Vec<Lines> = Vec::new();
    for (seq, fact) in facts {
        let length = fact.len() + 1;
        match entries.last_mut() {
            Some(last) if last.bytes.len() + length <= MAX_FACTS_BYTES => last.through = *seq,
            _ => entries.push(Lines { through: *seq, bytes: Vec::with_capacity(length) }),
        }
        if let Some(last) = entries.last_mut() {
            last.bytes.extend_from_slice(fact);
            last.bytes.push(b'\n');
        }
    }
    entries
}

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
    use std::{collections::BTreeMap, sync::Arc};

    use takhin_core::{
        ByLog, CommitOffset, ConsumerId, Fact, Generation, GroupName, LogId, Offset, OffsetTarget, SetOffset, TopicId,
        TopicName, fact::RebalanceReason,
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
    fn an_entry_has_room_for_all_that_a_large_group_decides_of_one_consumer() {
        let count = 400_000_u32;
        let logs = || (0..count).map(|partition| LogId { topic: TopicId(u64::MAX), partition });
        let consumer = ConsumerId(Uuid::nil());
        let group = GroupName::new("g").expect("a good name");
        let targets = BTreeMap::from([(consumer, logs().collect())]);
        let reason = RebalanceReason::Recovered;
        let rebalanced = Fact::Rebalanced { group, generation: Generation(1), reason, targets, at: None };
        let positions = logs().map(|log| (log, Some(Offset(9_999_999)))).collect();
        let granted = Fact::Granted { consumer, positions, lookups: BTreeMap::new() };
        for fact in [rebalanced, granted] {
            let bytes = serde_json::to_vec(&fact).expect("a fact is plain data").len();
            assert!(bytes <= MAX_FACTS_BYTES, "{bytes}");
        }
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
