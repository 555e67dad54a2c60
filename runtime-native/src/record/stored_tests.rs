//! Batches that an independent encoder made, and batches that claim what is not so.

use bytes::BytesMut;
use kafka_protocol::records::{
    Compression, Record as KafkaRecord, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use takhin_core::{Offset, ProducerId, ProducerStamp};

use super::*;

fn theirs(count: i32, compression: Compression, producer: i64) -> Vec<u8> {
    let record = |n: i32| KafkaRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 7,
        producer_id: producer,
        producer_epoch: if producer < 0 { -1 } else { 2 },
        timestamp_type: TimestampType::Creation,
        offset: i64::from(n) + 40,
        sequence: if producer < 0 { n - 1 } else { n + 5 },
        timestamp: 1_000 + i64::from(n),
        key: Some("key".into()),
        value: Some(vec![b'v'; 100].into()),
        headers: [].into_iter().collect(),
    };
    let records: Vec<_> = (0..count).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.to_vec()
}

fn take(bytes: &[u8]) -> Result<(EncodedBatch, usize), NotTaken> {
    EncodedBatch::from_client(bytes, true, |_| Ok(()))
}

/// Changes a batch, and makes its checksum right.
fn changed(at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = theirs(3, Compression::None, -1);
    bytes[at] = byte;
    let checksum = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

#[test]
fn what_an_independent_encoder_made_is_taken_as_it_is() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let mut bytes = theirs(20, compression, -1);
        let length = bytes.len();
        bytes.extend_from_slice(b"what follows");
        let (batch, taken) = take(&bytes).unwrap();
        assert_eq!((batch.records(), batch.max_timestamp(), taken), (20, 1_019, length));
        assert_eq!(batch.producer(), None);
        assert_eq!(batch.bytes()[16..], bytes[16..length], "{compression:?}: what the checksum covers stays");
        let header = BatchHeader::read(batch.bytes()).unwrap();
        header.verify(batch.bytes()).unwrap();
        assert_eq!((header.base_offset, header.leader_epoch), (Offset(0), 0));
        assert!(batch.unpacked_bytes() > 2_000, "{compression:?}");
    }
}

#[test]
fn a_producer_is_recognised() {
    let (batch, _) = take(&theirs(2, Compression::None, 9)).unwrap();
    let stamp = ProducerStamp { producer: ProducerId(9), epoch: 2, sequence: 5 };
    assert_eq!(batch.producer(), Some(stamp));
    let foreign = theirs(2, Compression::None, 1 << 60);
    assert!(matches!(take(&foreign), Err(NotTaken::Header(_))));
    let (batch, _) = EncodedBatch::from_client(&foreign, false, |_| Ok(())).unwrap();
    let header = BatchHeader::read(batch.bytes()).unwrap();
    header.verify(batch.bytes()).unwrap();
    assert_eq!((batch.producer(), header.producer_id, header.producer_epoch, header.base_sequence), (None, -1, -1, -1));
}

#[test]
fn what_a_header_must_not_say_is_refused() {
    assert!(take(&changed(43, 255)).is_ok(), "the change itself is no damage");
    for (what, at, byte) in [
        ("a log's own time", 22, 0x08),
        ("a transaction", 22, 0x10),
        ("a control batch", 22, 0x20),
        ("an unknown attribute", 21, 0x01),
        ("another greatest timestamp", 42, 1),
        ("more offsets than records", 26, 7),
        ("fewer records than there are", 60, 2),
    ] {
        assert!(take(&changed(at, byte)).is_err(), "{what}");
    }
}

#[test]
fn damage_and_nonsense_are_refused() {
    let good = theirs(3, Compression::Zstd, -1);
    // The offset and the epoch, which a broker writes, may be any.
    for at in 16..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        assert!(take(&bytes).is_err(), "byte {at}");
    }
    for length in 0..good.len() {
        assert!(matches!(take(&good[..length]), Err(NotTaken::Batch(BatchError::Truncated { .. }))), "{length}");
    }
    let refused =
        EncodedBatch::from_client(&good, true, |record| if record.offset.0 == 41 { Err("no".into()) } else { Ok(()) });
    assert_eq!(refused.unwrap_err().to_string(), "record 1 of the batch: no");
}
