//! Batches of which records were taken out, read by an independent decoder too.

use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;
use proptest::{collection::vec, prelude::*};
use takhin_core::{Compression, Offset};

use super::*;

fn batch(values: &[u8], compression: Compression) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(7, Some(&[*value]), Some(&[*value; 50]), std::iter::empty()).unwrap();
    }
    builder.compress(compression);
    let mut batch = builder.finish().unwrap();
    batch.set_base_offset(Offset(100));
    batch
}

proptest! {
    #[test]
    fn what_is_left_keeps_its_offsets_and_the_batch_its_own(values in vec(0u8..6, 1..40)) {
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
            let before = batch(&values, compression);
            let header = BatchHeader::read(before.bytes()).unwrap();
            let mut out = Vec::new();
            let retained = retain(before.bytes(), &header, |record| record.key.unwrap()[0] < 3, &mut out).unwrap();
            let kept: Vec<_> = (100u64..).zip(&values).filter(|(_, value)| **value < 3).map(|(at, _)| at).collect();
            if kept.is_empty() {
                prop_assert_eq!((retained, out.len()), (Retained::Nothing, 0));
                continue;
            }
            prop_assert_eq!(retained == Retained::All, kept.len() == values.len());
            let after = BatchHeader::read(&out).unwrap();
            after.verify(&out).unwrap();
            prop_assert_eq!((after.base_offset, after.last_offset), (header.base_offset, header.last_offset));
            prop_assert_eq!((after.bytes, after.records as usize), (out.len(), kept.len()));
            let theirs = RecordBatchDecoder::decode(&mut Bytes::from(out)).unwrap();
            let theirs: Vec<_> = theirs.records.iter().map(|record| record.offset.cast_unsigned()).collect();
            prop_assert_eq!(theirs, kept);
        }
    }
}

#[test]
fn a_batch_without_records_stands_for_its_offsets() {
    let bytes = filler(Offset(40), Offset(1_000_000));
    let header = BatchHeader::read(&bytes).unwrap();
    header.verify(&bytes).unwrap();
    assert_eq!((header.base_offset, header.end_offset(), header.records), (Offset(40), Offset(1_000_001), 0));
    assert_eq!((header.producer(), header.max_timestamp), (None, -1));
    assert_eq!(records(&bytes).count(), 0);
    let theirs = RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(&bytes)).unwrap();
    assert_eq!(theirs.records.len(), 0);
}
