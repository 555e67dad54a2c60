//! Records on their way in and out, by themselves: JSON to a batch, a batch to JSON, and what a batch costs to be built,
//! checked and walked over. With the memory that each takes.
//!
//!     cargo bench -p takhin-bench

#![allow(missing_docs)] // divan's macros make items of their own.

use std::hint::black_box;

use divan::{
    AllocProfiler, Bencher,
    counter::{BytesCount, ItemsCount},
};
use takhin::{
    http::fuzzing::{records_in, records_out},
    record::{BatchBuilder, BatchHeader, EncodedBatch, partition_for_key, records},
};
use takhin_core::RecordFormat;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const VALUE_BYTES: usize = 1024;
/// Records in a request.
const RECORDS: [usize; 3] = [1, 10, 100];

fn main() {
    divan::main();
}

/// Text that needs no escape, as most values that are text.
fn plain() -> String {
    "x".repeat(VALUE_BYTES)
}

/// Text with a quote at each sixteenth place, as JSON in a string has it.
fn quoted() -> String {
    "fifteen of them\"".repeat(VALUE_BYTES / 16)
}

fn body(value: &str, count: usize) -> String {
    let value = serde_json::to_string(value).expect("text");
    let record = format!(r#"{{"key":"order-17","value":{value}}}"#);
    format!(r#"{{"records":[{}]}}"#, vec![record; count].join(","))
}

fn batch(value: &str, count: usize) -> EncodedBatch {
    let mut builder = BatchBuilder::with_capacity(count * (VALUE_BYTES + 64));
    for _ in 0..count {
        builder.push(0, Some(b"order-17"), Some(value.as_bytes()), std::iter::empty()).expect("small enough");
    }
    builder.finish().expect("records")
}

#[divan::bench(args = RECORDS)]
fn json_in(bencher: Bencher<'_, '_>, count: usize) {
    taken(bencher, &body(&plain(), count), count);
}

#[divan::bench(args = RECORDS)]
fn json_in_with_escapes(bencher: Bencher<'_, '_>, count: usize) {
    taken(bencher, &body(&quoted(), count), count);
}

fn taken(bencher: Bencher<'_, '_>, body: &str, count: usize) {
    let counted = bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(body.len()));
    counted.bench_local(|| records_in(black_box(body.as_bytes())).expect("good records"));
}

#[divan::bench(args = RECORDS)]
fn json_out(bencher: Bencher<'_, '_>, count: usize) {
    given(bencher, &batch(&plain(), count), count);
}

#[divan::bench(args = RECORDS)]
fn json_out_with_escapes(bencher: Bencher<'_, '_>, count: usize) {
    given(bencher, &batch(&quoted(), count), count);
}

fn given(bencher: Bencher<'_, '_>, batch: &EncodedBatch, count: usize) {
    let mut out = Vec::new();
    records_out(batch, RecordFormat::Text, &mut out);
    let counted = bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(out.len()));
    counted.bench_local(|| {
        out.clear();
        records_out(black_box(batch), RecordFormat::Text, &mut out);
    });
}

#[divan::bench(args = RECORDS)]
fn batch_built(bencher: Bencher<'_, '_>, count: usize) {
    let value = plain();
    let counted = bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(count * VALUE_BYTES));
    counted.bench_local(|| batch(black_box(&value), count));
}

#[divan::bench(args = RECORDS)]
fn batch_checked(bencher: Bencher<'_, '_>, count: usize) {
    let batch = batch(&plain(), count);
    let counted = bencher.counter(BytesCount::new(batch.bytes().len()));
    counted.bench_local(|| {
        let bytes = black_box(batch.bytes());
        BatchHeader::read(bytes).and_then(|header| header.verify(bytes)).expect("a good batch");
    });
}

#[divan::bench(args = RECORDS)]
fn batch_walked(bencher: Bencher<'_, '_>, count: usize) {
    let batch = batch(&plain(), count);
    let counted = bencher.counter(ItemsCount::new(count));
    counted.bench_local(|| records(black_box(batch.bytes())).filter_map(Result::ok).count());
}

#[divan::bench]
fn partition_of_a_key() -> u32 {
    partition_for_key(black_box(b"order-17"), 12)
}
