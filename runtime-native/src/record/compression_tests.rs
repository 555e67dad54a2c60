//! Compressed batches, against an independent codec, against damage and against bombs.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression as KafkaCompression, Record as KafkaRecord, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};
use proptest::{collection::vec, prelude::*};
use takhin_core::{Compression, Offset};

use super::{compression::compress, *};

const CODECS: [(Compression, KafkaCompression); 4] = [
    (Compression::Gzip, KafkaCompression::Gzip),
    (Compression::Snappy, KafkaCompression::Snappy),
    (Compression::Lz4, KafkaCompression::Lz4),
    (Compression::Zstd, KafkaCompression::Zstd),
];

fn packed(values: &[Vec<u8>], compression: Compression) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for (timestamp, value) in (5..).zip(values) {
        builder.push(timestamp, Some(b"key"), Some(value), std::iter::empty()).unwrap();
    }
    builder.compress(compression);
    builder.finish().unwrap()
}

/// Offsets, times and values.
fn read(bytes: &[u8]) -> Result<Vec<(Offset, i64, Vec<u8>)>, BatchError> {
    let header = BatchHeader::read(bytes)?;
    header.verify(bytes)?;
    let mut unpacked = Vec::new();
    unpack(bytes, &header, &mut unpacked)?;
    records(&unpacked).map(|record| record.map(|r| (r.offset, r.timestamp_ms, r.value.unwrap().to_vec()))).collect()
}

fn expected(values: &[Vec<u8>]) -> Vec<(Offset, i64, Vec<u8>)> {
    (0..).map(Offset).zip(5..).zip(values).map(|((offset, at), value)| (offset, at, value.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_independent_decoder_reads_what_is_compressed(values in vec(vec(0u8..4, 0..3000), 1..40)) {
        for (compression, _) in CODECS {
            let batch = packed(&values, compression);
            let set = RecordBatchDecoder::decode(&mut Bytes::from(batch.bytes().to_vec())).unwrap();
            let theirs: Vec<_> = set.records.iter().map(|r| r.value.as_deref().unwrap().to_vec()).collect();
            prop_assert_eq!(&theirs, &values);
            prop_assert_eq!(read(batch.bytes()).unwrap(), expected(&values));
        }
    }

    #[test]
    fn what_an_independent_encoder_compresses_is_read(values in vec(vec(0u8..4, 0..3000), 1..40)) {
        for (_, compression) in CODECS {
            let theirs: Vec<_> = (0..).zip(&values).map(|(offset, value)| kafka_record(offset, value)).collect();
            let mut bytes = BytesMut::new();
            RecordBatchEncoder::encode(&mut bytes, &theirs, &RecordEncodeOptions { version: 2, compression }).unwrap();
            prop_assert_eq!(read(&bytes).unwrap(), expected(&values));
        }
    }

    #[test]
    fn nonsense_behind_a_good_header_never_panics(noise in vec((61usize..200, any::<u8>()), 1..9)) {
        for (compression, _) in CODECS {
            let mut bytes = packed(&[vec![7; 5000]], compression).bytes().to_vec();
            let header = BatchHeader::read(&bytes).unwrap();
            for (at, byte) in &noise {
                if let Some(place) = bytes.get_mut(*at) {
                    *place = *byte;
                }
            }
            let mut unpacked = Vec::new();
            if unpack(&bytes, &header, &mut unpacked).is_ok() {
                prop_assert!(unpacked.len() <= HEADER_BYTES + MAX_UNPACKED_BYTES);
                let _ = records(&unpacked).count();
            }
        }
    }
}

fn kafka_record(offset: i64, value: &[u8]) -> KafkaRecord {
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
        timestamp: 5 + offset,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::copy_from_slice(value)),
        headers: kafka_protocol::indexmap::IndexMap::default(),
    }
}

#[test]
fn compressed_records_take_less_room_and_say_what_they_took() {
    let values = [vec![b'a'; 10_000]];
    let plain = packed(&values, Compression::None);
    for (compression, _) in CODECS {
        let batch = packed(&values, compression);
        assert!(batch.bytes().len() < 2_000, "{compression:?}: {}", batch.bytes().len());
        assert_eq!((batch.unpacked_bytes(), batch.records()), (plain.bytes().len(), 1));
    }
}

#[test]
fn what_does_not_get_smaller_is_stored_as_it_is() {
    for (compression, _) in CODECS {
        let batch = packed(&[vec![1, 2, 3]], compression);
        assert_eq!(BatchHeader::read(batch.bytes()).unwrap().compression(), 0, "{compression:?}");
    }
}

#[test]
fn a_bomb_is_refused_within_its_bound() {
    let zeros = vec![0; MAX_UNPACKED_BYTES + 1];
    for (compression, _) in CODECS {
        let mut bytes = packed(&[vec![0; 5000]], compression).bytes()[..HEADER_BYTES].to_vec();
        compress(compression, &zeros, &mut bytes).unwrap();
        let length = i32::try_from(bytes.len() - 12).unwrap();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let header = BatchHeader::read(&bytes).unwrap();
        let number = header.compression();
        assert_eq!(unpack(&bytes, &header, &mut Vec::new()), Err(BatchError::Unpackable(number)), "{compression:?}");
    }
}

#[test]
fn snappy_without_framing_is_read_and_an_unknown_codec_is_not() {
    let values = [vec![b'a'; 5000]];
    let plain = packed(&values, Compression::None);
    let mut bytes = packed(&values, Compression::Snappy).bytes()[..HEADER_BYTES].to_vec();
    bytes.extend(snap::raw::Encoder::new().compress_vec(&plain.bytes()[HEADER_BYTES..]).unwrap());
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let mut unpacked = Vec::new();
    unpack(&bytes, &BatchHeader::read(&bytes).unwrap(), &mut unpacked).unwrap();
    assert_eq!(unpacked[HEADER_BYTES..], plain.bytes()[HEADER_BYTES..]);
    bytes[22] = 5;
    let header = BatchHeader::read(&bytes).unwrap();
    assert_eq!(unpack(&bytes, &header, &mut Vec::new()), Err(BatchError::Compressed(5)));
}
