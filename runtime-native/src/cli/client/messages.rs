//! `takhin messages TOPIC`: some records of a partition, looked at once and without a group.

use std::time::Duration;

use clap::Args;
use takhin_client::{Admin, Message, ReadFrom, TopicPartition};

use super::{
    connection::Connection,
    failure::Failure,
    format::as_json,
    output::{OutputOptions, Table, or_dash},
    start_at::StartAt,
};

/// How much of a key or value a table shows.
const SHOWN_CHARS: usize = 80;

#[derive(Debug, Args)]
pub(in crate::cli) struct Messages {
    /// The topic
    topic: String,

    /// The partition
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    partition: u32,

    /// Where to begin: beginning, end, N, -N, @MILLISECONDS or @-AGE
    #[arg(short, long, default_value = "-10", allow_hyphen_values = true, value_name = "OFFSET")]
    offset: StartAt,

    /// How many at most
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,

    /// How long to wait for a record where there is none, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=300))]
    wait: u64,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

impl Messages {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.connection.once()?.admin();
        let of = TopicPartition::new(&*self.topic, self.partition);
        let from = place(&admin, &of, self.offset).await?;
        let page = admin.read(&of, from, self.count, Duration::from_secs(self.wait)).await?;
        let mut table = Table::new(["offset", "timestamp", "key", "value"]);
        for message in &page.messages {
            table.row([
                message.offset.to_string(),
                message.timestamp_ms.to_string(),
                shown(message.key.as_deref()),
                shown(message.value.as_deref()),
            ]);
        }
        let json: Vec<_> = page.messages.iter().map(as_json).collect();
        self.output.output.print(&json, &table)
    }
}

/// Where a read of the partition begins.
pub(super) async fn place(admin: &Admin, of: &TopicPartition, at: StartAt) -> Result<ReadFrom, Failure> {
    if let Some(timestamp_ms) = at.timestamp_ms() {
        return Ok(ReadFrom::TimestampMs(timestamp_ms));
    }
    let bounds = || async {
        let topic = admin.topic(&of.topic).await?;
        let found = topic.offsets.iter().find(|bounds| bounds.partition == of.partition).copied();
        found.ok_or_else(|| Failure::new(format!("{} has {} partitions, from 0 on", of.topic, topic.partitions)))
    };
    Ok(match at {
        StartAt::Offset(offset) => ReadFrom::Offset(offset),
        StartAt::End => ReadFrom::Offset(bounds().await?.end),
        StartAt::BeforeEnd(records) => {
            let bounds = bounds().await?;
            ReadFrom::Offset(bounds.end.saturating_sub(records).max(bounds.start))
        }
        _ => ReadFrom::Start,
    })
}

/// On one line, and not too long.
fn shown(bytes: Option<&[u8]>) -> String {
    let text = bytes.map(|bytes| String::from_utf8_lossy(bytes).escape_debug().to_string());
    let cut = |text: String| match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    };
    or_dash(text.map(cut))
}

/// Whatever a partition has from there on.
pub(super) async fn after(admin: &Admin, of: &TopicPartition, from: ReadFrom) -> Result<(Vec<Message>, u64), Failure> {
    /// How long the server may hold a read while there is nothing.
    const WAIT: Duration = Duration::from_secs(30);
    match admin.read(of, from, 1_000, WAIT).await {
        Ok(page) => Ok((page.messages, page.next_offset)),
        Err(error) if error.is_api("offset_trimmed") => {
            let earliest = error.api().and_then(|api| api.details.get("earliest")?.as_u64());
            earliest.map(|earliest| (Vec::new(), earliest)).ok_or_else(|| error.into())
        }
        Err(error) => Err(error.into()),
    }
}
