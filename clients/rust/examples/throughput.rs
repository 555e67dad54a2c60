//! How many records a second one producer sends, or one consumer polls. `bench/clients/run.py` runs it beside the others.
//!
//!     cargo run --release -p takhin-client --example throughput -- URL produce|consume TOPIC RECORDS BYTES

use std::{
    env,
    time::{Duration, Instant},
};

use takhin_client::{Client, Record, Reset, TopicPartition};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, what, topic, records, bytes] = &arguments[..] else {
        return Err("URL produce|consume TOPIC RECORDS BYTES".into());
    };
    let (records, bytes): (usize, usize) = (records.parse()?, bytes.parse()?);
    let client = Client::new(url)?;
    let began = Instant::now();
    match &**what {
        "produce" => {
            let producer = client.producer_builder().linger(Duration::from_millis(5)).build();
            let value = "x".repeat(bytes);
            let mut last = None;
            for _ in 0..records {
                last = Some(producer.send(Record::new(topic).value(value.clone())).await?);
            }
            producer.close().await;
            if let Some(last) = last {
                last.await?;
            }
        }
        "consume" => {
            let consumer = client.consumer("throughput").assign([TopicPartition::new(&**topic, 0)]);
            let consumer = consumer.auto_offset_reset(Reset::Earliest).auto_commit(false);
            let mut consumer = consumer.max_poll_records(5_000).max_poll_bytes(4 << 20).build();
            let mut left = records;
            while left > 0 {
                left = left.saturating_sub(consumer.poll(Duration::from_secs(30)).await?.messages.len());
            }
            consumer.leave().await?;
        }
        _ => return Err("produce or consume".into()),
    }
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let per_second = records as f64 / began.elapsed().as_secs_f64();
    println!("{per_second:.0}");
    Ok(())
}
