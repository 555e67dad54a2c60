//! The first lines of the README do what they say.

use takhin_client::{Client, Record, Reset};
use takhin_tests::broker::{Broker, Options};

/// What stands in the README, but for the address.
async fn first_lines(address: &str) -> takhin_client::Result<()> {
    // begin
    let client = Client::new(address)?;

    let producer = client.producer();
    let stored = producer.send(Record::new("orders").key("order-1").value("9.5")).await?.await?;
    println!("stored at {}", stored.offset);

    let mut consumer = client.consumer("billing").topics(["orders"]).auto_offset_reset(Reset::Earliest).build();
    let message = consumer.next().await?;
    println!("{} {:?}", message.offset, message.text());
    consumer.commit().await?;
    consumer.close().await?;
    // end
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_first_lines_work() {
    let own = include_str!("readme.rs").split("// begin\n").nth(1).unwrap().split("    // end\n").next().unwrap();
    let lines: String = own.lines().map(|line| line.trim_start().to_owned() + "\n").collect();
    let lines = lines.replace("Client::new(address)", "Client::new(\"http://localhost:8080\")");
    assert!(include_str!("../../README.md").contains(&lines), "the README does not say\n{lines}");

    let arguments = vec!["--auto-create-topics".to_owned()];
    let broker = tokio::task::block_in_place(|| Broker::start(Options { arguments, ..Options::quick() }));
    first_lines(&broker.url("")).await.unwrap();
    let group = Client::new(broker.url("")).unwrap().admin().group("billing").await.unwrap();
    assert_eq!(group.partitions[0].committed, Some(1));
}
