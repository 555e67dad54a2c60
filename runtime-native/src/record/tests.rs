//! The codec against an independent one, against damage and against nonsense.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    protocol::StrBytes,
    records::{
        Compression, Record as KafkaRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    },
};
use proptest::{collection::vec, option, prelude::*};
use takhin_core::Offset;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn record() -> impl Strategy<Value = Owned> {
    let bytes = || option::of(vec(any::<u8>(), 0..200));
    // The independent decoder keeps headers in a map, so names must differ for the comparison.
    let headers = proptest::collection::btree_map("[a-z]{0,9}", bytes(), 0..4);
    (0..4_000_000_000_000i64, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Owned {
        timestamp,
        key,
        value,
        headers: headers.into_iter().collect(),
    })
}

fn encode(owned: &[Owned]) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for record in owned {
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        builder.push(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers).unwrap();
    }
    builder.finish().unwrap()
}

fn decode(bytes: &[u8]) -> Result<Vec<(Offset, Owned)>, BatchError> {
    records(bytes)
        .map(|record| {
            record.map(|record| {
                let headers = record
                    .headers
                    .map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.map(<[u8]>::to_vec)))
                    .collect();
                let owned = Owned {
                    timestamp: record.timestamp_ms,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers,
                };
                (record.offset, owned)
            })
        })
        .collect()
}

fn to_kafka(offset: i64, owned: &Owned) -> KafkaRecord {
    KafkaRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: i32::try_from(offset).unwrap(),
        timestamp: owned.timestamp,
        key: owned.key.clone().map(Bytes::from),
        value: owned.value.clone().map(Bytes::from),
        headers: owned
            .headers
            .iter()
            .map(|(name, value)| (StrBytes::from_string(name.clone()), value.clone().map(Bytes::from)))
            .collect(),
    }
}

fn from_kafka(record: &KafkaRecord) -> Owned {
    Owned {
        timestamp: record.timestamp,
        key: record.key.as_deref().map(<[u8]>::to_vec),
        value: record.value.as_deref().map(<[u8]>::to_vec),
        headers: record
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_deref().map(<[u8]>::to_vec)))
            .collect(),
    }
}

proptest! {
    #[test]
    fn an_independent_decoder_reads_what_is_written(owned in vec(record(), 1..20), base in 0..1u64 << 40) {
        let mut batch = encode(&owned);
        batch.set_base_offset(Offset(base));
        let set = RecordBatchDecoder::decode(&mut Bytes::from(batch.bytes().to_vec())).unwrap();
        let offsets: Vec<_> = set.records.iter().map(|record| record.offset.cast_unsigned()).collect();
        prop_assert_eq!(offsets, (base..base + owned.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(set.records.iter().map(from_kafka).collect::<Vec<_>>(), owned);
    }

    #[test]
    fn what_an_independent_encoder_writes_is_read(owned in vec(record(), 1..20)) {
        let theirs: Vec<_> = (0..).zip(&owned).map(|(offset, owned)| to_kafka(offset, owned)).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
        BatchHeader::read(&bytes).unwrap().verify(&bytes).unwrap();
        let expected: Vec<_> = (0..).map(Offset).zip(owned).collect();
        prop_assert_eq!(decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn nonsense_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode_loosely(&bytes);
    }

    #[test]
    fn nonsense_behind_a_good_header_never_panics(owned in vec(record(), 1..4), noise in vec((61usize..400, any::<u8>()), 1..9)) {
        let mut bytes = encode(&owned).bytes().to_vec();
        for (at, byte) in noise {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = decode_loosely(&bytes);
    }
}

fn decode_loosely(bytes: &[u8]) -> usize {
    records(bytes).flatten().map(|record| record.headers.count()).sum()
}

fn sample() -> EncodedBatch {
    let headers = vec![("h".to_owned(), Some(b"v".to_vec())), ("none".to_owned(), None)];
    encode(&[
        Owned { timestamp: 5, key: Some(b"k".to_vec()), value: Some(vec![7; 40]), headers },
        Owned { timestamp: 3, key: None, value: None, headers: vec![] },
    ])
}

#[test]
fn the_header_says_what_was_written() {
    let batch = sample();
    let header = BatchHeader::read(batch.bytes()).unwrap();
    header.verify(batch.bytes()).unwrap();
    assert_eq!((header.base_offset, header.last_offset), (Offset(0), Offset(1)));
    assert_eq!((header.base_timestamp, header.max_timestamp, batch.max_timestamp()), (5, 5, 5));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, -1));
    assert_eq!((header.records, header.bytes, header.leader_epoch), (2, batch.bytes().len(), 0));
    let sizes: usize = records(batch.bytes()).map(|record| record.unwrap().bytes).sum();
    assert_eq!(sizes, header.record_bytes());
}

#[test]
fn every_flipped_bit_that_the_format_protects_is_detected() {
    let batch = sample();
    // The base offset and the leader epoch are outside the checksum: a log checks them against their neighbours.
    for at in (8..12).chain(16..batch.bytes().len()) {
        for bit in 0..8 {
            let mut bytes = batch.bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let found = BatchHeader::read(&bytes).and_then(|header| header.verify(&bytes));
            assert!(found.is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_batch_cut_off_anywhere_is_a_clean_error() {
    let batch = sample();
    for length in 1..batch.bytes().len() {
        let cut = &batch.bytes()[..length];
        let needed = if length < HEADER_BYTES { HEADER_BYTES } else { batch.bytes().len() };
        let found: Vec<_> = records(cut).collect();
        assert_eq!(found, [Err(BatchError::Truncated { needed, have: length })]);
    }
}

#[test]
fn compressed_batches_are_refused_and_control_batches_passed_over() {
    let mut compressed = sample().bytes().to_vec();
    compressed[22] |= 2;
    assert_eq!(records(&compressed).collect::<Vec<_>>(), [Err(BatchError::Compressed(2))]);
    let mut control = sample().bytes().to_vec();
    control[22] |= 0x20;
    control.extend_from_slice(sample().bytes());
    assert_eq!(decode(&control).unwrap().len(), 2);
}

#[test]
fn offsets_may_have_gaps() {
    let mut second = sample();
    second.set_base_offset(Offset(100));
    let bytes = [sample().bytes(), second.bytes()].concat();
    let offsets: Vec<_> = records(&bytes).map(|record| record.unwrap().offset.0).collect();
    assert_eq!(offsets, [0, 1, 100, 101]);
}

#[test]
fn a_batch_beyond_the_bound_is_refused_and_stays_as_it_was() {
    let mut builder = BatchBuilder::default();
    let big = vec![0; MAX_BATCH_BYTES];
    assert_eq!(builder.push(0, None, Some(&big), std::iter::empty()), Err(BatchTooLarge));
    builder.push(0, None, Some(b"x"), std::iter::empty()).unwrap();
    assert_eq!(records(builder.finish().unwrap().bytes()).count(), 1);
    assert_eq!(BatchBuilder::default().finish(), None);
}

#[test]
fn a_batch_may_have_gaps_between_its_records_offsets() {
    let mut builder = BatchBuilder::default();
    builder.skip(9).unwrap();
    builder.push(5, None, Some(b"a"), std::iter::empty()).unwrap();
    builder.skip(3).unwrap();
    builder.push(6, None, Some(b"b"), std::iter::empty()).unwrap();
    builder.push(7, None, Some(b"c"), std::iter::empty()).unwrap();
    assert_eq!(builder.skip(1 << 31), Err(BatchTooLarge));
    let mut batch = builder.finish().unwrap();
    batch.set_base_offset(Offset(100));
    let header = BatchHeader::read(batch.bytes()).unwrap();
    header.verify(batch.bytes()).unwrap();
    assert_eq!((header.base_offset, header.last_offset, header.records), (Offset(100), Offset(105), 3));
    let offsets: Vec<u64> = decode(batch.bytes()).unwrap().iter().map(|(offset, _)| offset.0).collect();
    assert_eq!(offsets, [100, 104, 105]);
    let kafka = RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(batch.bytes())).unwrap();
    assert_eq!(kafka.records.iter().map(|record| record.offset).collect::<Vec<_>>(), [100, 104, 105]);
}
