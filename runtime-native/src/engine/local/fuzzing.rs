//! The decoders of all that is read from a disk, given any bytes: for fuzzers, and for the tests beside them.
//!
//! Each function takes what a file might hold after anything, and panics if a decoder does, or gives more than the bytes
//! can have meant. Checksums are made to fit where that lets the bytes get any further.

use takhin_core::{Durable, Fact, Offset};

use super::{
    home,
    index::{Place, SparseIndex},
    journal::{Frame, scan},
    recover, snapshot,
};
use crate::record::{BatchHeader, HEADER_BYTES, MAX_UNPACKED_BYTES, Retained, records, retain, unpack};

/// Where a batch's checksum stands, and where what it covers begins.
const CHECKSUM: std::ops::Range<usize> = 17..21;

/// A batch of records, as in a segment, in a journal, and as it comes from other programs.
pub fn batch(bytes: &[u8]) {
    let Ok(header) = BatchHeader::read(bytes) else { return };
    let mut bytes = bytes.to_vec();
    if let Some(covered) = bytes.get(CHECKSUM.end..header.bytes) {
        let checksum = crc32c::crc32c(covered).to_be_bytes();
        bytes[CHECKSUM].copy_from_slice(&checksum);
        let header = BatchHeader::read(&bytes).expect("the same header with another checksum");
        assert_eq!(header.verify(&bytes), Ok(()));
    }
    let mut unpacked = Vec::new();
    let plain = match header.compression() {
        0 => bytes.get(..header.bytes),
        _ => unpack(&bytes, &header, &mut unpacked).ok().map(|()| &unpacked[..]),
    };
    assert!(unpacked.len() <= HEADER_BYTES + MAX_UNPACKED_BYTES + 1);
    let Some(plain) = plain else { return };
    let (mut whole, mut count, mut took) = (true, 0, HEADER_BYTES);
    for record in records(plain) {
        let Ok(record) = record else {
            whole = false;
            break;
        };
        count += 1;
        took += record.bytes;
        assert!((header.base_offset..=header.last_offset).contains(&record.offset), "{record:?} of {header:?}");
        let headers: usize = record.headers.map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum();
        let fields = [record.key, record.value].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
        assert!(headers + fields <= record.bytes, "{count} records of {header:?}");
    }
    assert!(count <= header.records && took <= plain.len());
    let mut kept = Vec::new();
    match retain(&bytes, &header, |record| record.offset.0 % 2 == 0, &mut kept) {
        Ok(Retained::All) => assert_eq!(kept, bytes[..header.bytes]),
        Ok(Retained::Some) => {
            let left = BatchHeader::read(&kept).expect("a batch is left");
            assert_eq!(left.verify(&kept), Ok(()));
            assert!((left.base_offset, left.last_offset) == (header.base_offset, header.last_offset));
        }
        Ok(Retained::Nothing) => assert!(kept.is_empty()),
        Err(_) => assert!(!whole || kept.is_empty()),
    }
}

/// A journal file: its number in the first eight bytes, and what it holds.
pub fn journal(bytes: &[u8]) {
    let Some((number, bytes)) = bytes.split_first_chunk() else { return };
    for followed in [false, true] {
        let found = scan(bytes, u64::from_be_bytes(*number), followed);
        assert!(found.end + found.torn <= bytes.len() as u64);
        let damaged: u64 = found.damage.iter().map(|range| range.end - range.start).sum();
        let held: usize = found.frames.iter().map(held).sum();
        assert!(damaged + held as u64 <= bytes.len() as u64);
    }
}

fn held(frame: &Frame<'_>) -> usize {
    match frame {
        Frame::Records { batch, .. } => batch.len(),
        Frame::Fact { fact, .. } => fact.len(),
        Frame::Bounds(bounds) => bounds.ends().count(),
    }
}

/// The two index files of a segment: one half of the bytes each.
pub fn index(bytes: &[u8]) {
    let (offsets, times) = bytes.split_at(bytes.len() / 2);
    let (base, before) = (Offset(7), Place { last_offset: Offset(1 << 31), position: 1 << 30 });
    let mut index = SparseIndex::decode(offsets, times, base, before);
    for target in [0, 7, 8, 1 << 20, u64::MAX] {
        let place = index.floor(base, Offset(target));
        assert!(place.is_none_or(|place| place.position < before.position && place.last_offset.0 <= target));
        assert!(index.floor_time(base, target.cast_signed()).is_none_or(|offset| offset <= before.last_offset));
    }
    let (offsets_again, times_again) = index.encode(false);
    assert!(offsets.starts_with(&offsets_again) && times.starts_with(&times_again));
    index.reopen_last(base);
}

/// A snapshot, without its checksum.
pub fn snapshot(bytes: &[u8]) {
    for magic in [snapshot::MAGIC, snapshot::MAGIC_WITHOUT_PRODUCERS] {
        let file = [magic, &crc32c::crc32c(bytes).to_be_bytes()[..], bytes].concat();
        if let Some(snapshot) = snapshot::parse(&file, 1) {
            assert!(snapshot.state.len() + snapshot.bounds.len() <= bytes.len());
            facts(&snapshot.state);
        }
        assert!(snapshot::parse(bytes, 1).is_none_or(|snapshot| snapshot.state.len() <= bytes.len()));
    }
}

/// Facts, or the state that a snapshot of them holds, one in each line.
pub fn facts(bytes: &[u8]) {
    let mut durable = Durable::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(state) = serde_json::from_slice(line) {
            durable = state;
        }
        let Ok(fact) = serde_json::from_slice::<Fact>(line) else { continue };
        let again = serde_json::to_vec(&fact).expect("a fact is plain data");
        assert_eq!(serde_json::from_slice::<Fact>(&again).ok().as_ref(), Some(&fact));
        durable.apply(&fact, 10);
    }
    let again = serde_json::to_vec(&durable).expect("a state is plain data");
    assert_eq!(serde_json::from_slice::<Durable>(&again).ok(), Some(durable));
}

/// The files that say what a directory is: of the whole, and of one log.
pub fn descriptions(bytes: &[u8]) {
    // Whether it is one or not, nothing is to come of it but that.
    let _ = home::read(bytes, "manifest".as_ref());
    let _ = recover::owner(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use takhin_core::{Compression, FactSeq, GroupName, LogId, TopicId, TopicName};

    use super::*;
    use crate::{
        near_misses::{changes, found_by_fuzzers, nearly},
        record::BatchBuilder,
    };

    fn some_batch(values: &[Vec<u8>], compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::default();
        builder.compress(compression);
        for value in values {
            let headers = std::iter::once(("name", Some(&value[..value.len() / 2])));
            builder.push(17, Some(b"key"), Some(value), headers).expect("it is small");
        }
        builder.finish().expect("it has a record").bytes().to_vec()
    }

    fn some_facts() -> Vec<u8> {
        let (topic, name) = (TopicId(1), TopicName::new("orders").expect("a name"));
        let group = GroupName::new("billing").expect("a name");
        let log = LogId { topic, partition: 0 };
        let created = Fact::TopicCreated { topic, name, partitions: 3, config: takhin_core::TopicConfig::default() };
        let offsets = std::iter::once((log, Offset(5))).collect();
        let committed = Fact::Committed { group, offsets, metadata: std::collections::BTreeMap::new() };
        let lines = [created, committed].map(|fact| serde_json::to_string(&fact).expect("plain data"));
        lines.join("\n").into_bytes()
    }

    fn some_journal(number: u64) -> Vec<u8> {
        let mut bytes = number.to_be_bytes().to_vec();
        for seq in 1..4 {
            let frame = Frame::Fact { seq: FactSeq(seq), fact: b"{}" };
            let synced_to = u32::try_from(bytes.len() - 8).expect("it is small");
            frame.put_head(&mut bytes, number, synced_to);
            bytes.extend_from_slice(frame.tail());
        }
        bytes
    }

    fn compression() -> impl Strategy<Value = Compression> {
        use Compression::{Gzip, Lz4, None, Snappy, Zstd};
        proptest::sample::select(vec![None, Gzip, Snappy, Lz4, Zstd])
    }

    #[test]
    fn what_fuzzers_found_is_read_or_refused() {
        type Decoder = (&'static str, fn(&[u8]));
        let decoders: [Decoder; 6] = [
            ("batch", batch),
            ("journal", journal),
            ("index", index),
            ("snapshot", snapshot),
            ("facts", facts),
            ("descriptions", descriptions),
        ];
        for (target, decoder) in decoders {
            for bytes in found_by_fuzzers(target) {
                decoder(&bytes);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for decoder in [batch, journal, index, snapshot, facts, descriptions] {
                decoder(&bytes);
            }
        }

        #[test]
        fn a_batch_that_is_nearly_right_is_read_or_refused(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..5),
            compression in compression(),
            changes in changes(),
            cut in 0_usize..4,
        ) {
            batch(&nearly(some_batch(&values, compression), &changes, cut));
        }

        #[test]
        fn a_journal_that_is_nearly_right_is_read(changes in changes(), cut in 0_usize..9, number in 0_u64..3) {
            journal(&nearly(some_journal(number), &changes, cut));
        }

        #[test]
        fn facts_that_are_nearly_right_are_read_or_refused(changes in changes(), cut in 0_usize..9) {
            facts(&nearly(some_facts(), &changes, cut));
        }

        #[test]
        fn an_index_that_is_nearly_right_is_read_as_far_as_it_makes_sense(
            entries in proptest::collection::vec((1_u32..50, 1_u32..9_000), 0..30),
            changes in changes(),
        ) {
            let (mut offset, mut position) = (0, 0);
            let (mut offsets, mut times) = (Vec::new(), Vec::new());
            for (more, bytes) in entries {
                (offset, position) = (offset + more, position + bytes);
                offsets.extend([offset, position].map(u32::to_be_bytes).concat());
                times.extend(i64::from(position).to_be_bytes());
                times.extend(offset.to_be_bytes());
            }
            // Halves of one length, as the decoder's fuzzer takes them.
            offsets.resize(times.len(), 0);
            index(&nearly([offsets, times].concat(), &changes, 0));
        }

        #[test]
        fn a_snapshot_that_is_nearly_right_is_read_or_refused(changes in changes(), cut in 0_usize..40) {
            let log = LogId { topic: TopicId(1), partition: 0 };
            let mut bytes = [7_u64.to_be_bytes(), 1_u64.to_be_bytes()].concat();
            bytes.extend(1_u32.to_be_bytes());
            super::super::journal::Bounds::encode(&mut bytes, std::iter::once((log, Offset(9))));
            bytes.extend(2_u32.to_be_bytes());
            bytes.extend(b"[]");
            bytes.extend(serde_json::to_vec(&Durable::default()).expect("plain data"));
            snapshot(&nearly(bytes, &changes, cut));
        }
    }
}
