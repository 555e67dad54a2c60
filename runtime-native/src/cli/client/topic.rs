//! `takhin topic`: make, list, look at, change and delete topics.

use clap::{Args, Subcommand, ValueEnum};
use takhin_client::{Cleanup, Compression, Topic, TopicSettings};

use super::{
    connection::Connection,
    failure::Failure,
    output::{OutputOptions, Table, or_dash, print},
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TopicCommand {
    /// Make topics
    Create(Create),
    /// List all topics
    List(List),
    /// Show a topic's partitions and settings
    Describe(Describe),
    /// Change a topic's settings, or add partitions
    Alter(Alter),
    /// Delete topics with all their records
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// How many partitions each has
    #[arg(short, long, default_value_t = 1, value_name = "N")]
    partitions: u32,

    #[command(flatten)]
    settings: Settings,

    /// Leave a topic that is there already as it is
    #[arg(long)]
    if_not_exists: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Describe {
    topic: String,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Alter {
    topic: String,

    /// How many partitions it shall have; keys then lead to other ones
    #[arg(short, long, value_name = "N")]
    partitions: Option<u32>,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    #[command(flatten)]
    connection: Connection,
}

/// A topic's settings, as the HTTP API names them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// How old records get; -1 for ever
    #[arg(long, allow_negative_numbers = true, value_name = "MS")]
    retention_ms: Option<i64>,

    /// How large a partition gets; -1 without limit
    #[arg(long, allow_negative_numbers = true, value_name = "BYTES")]
    retention_bytes: Option<i64>,

    /// How large a segment gets
    #[arg(long, value_name = "BYTES")]
    segment_bytes: Option<u64>,

    /// How long a segment is written to
    #[arg(long, value_name = "MS")]
    segment_ms: Option<u64>,

    /// The largest record
    #[arg(long, value_name = "BYTES")]
    max_message_bytes: Option<u64>,

    /// What becomes of old records
    #[arg(long, value_enum)]
    cleanup: Option<CleanupArgument>,

    /// How long a record stays before a later one of its key may replace it
    #[arg(long, value_name = "MS")]
    min_compaction_lag_ms: Option<u64>,

    /// How long a record without a value stays in a topic that is compacted
    #[arg(long, value_name = "MS")]
    delete_retention_ms: Option<u64>,

    /// How records are stored
    #[arg(long, value_enum)]
    compression: Option<CompressionArgument>,

    /// When an append is answered: once it survives the loss of power (fsync), or the death of the process (os), or as the
    /// server is set
    #[arg(long, value_parser = ["fsync", "os", "server"])]
    durability: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CleanupArgument {
    Delete,
    Compact,
    Both,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CompressionArgument {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<CompressionArgument> for Compression {
    fn from(argument: CompressionArgument) -> Self {
        match argument {
            CompressionArgument::None => Self::None,
            CompressionArgument::Gzip => Self::Gzip,
            CompressionArgument::Snappy => Self::Snappy,
            CompressionArgument::Lz4 => Self::Lz4,
            CompressionArgument::Zstd => Self::Zstd,
        }
    }
}

impl Settings {
    fn wanted(&self) -> TopicSettings {
        TopicSettings {
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            segment_bytes: self.segment_bytes,
            segment_ms: self.segment_ms,
            max_message_bytes: self.max_message_bytes,
            cleanup: self.cleanup.map(|cleanup| match cleanup {
                CleanupArgument::Delete => Cleanup::Delete,
                CleanupArgument::Compact => Cleanup::Compact,
                CleanupArgument::Both => Cleanup::Both,
            }),
            min_compaction_lag_ms: self.min_compaction_lag_ms,
            delete_retention_ms: self.delete_retention_ms,
            compression: self.compression.map(Compression::from),
            durability: self.durability.clone(),
        }
    }
}

impl TopicCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Describe(describe) => describe.run().await,
            Self::Alter(alter) => alter.run().await,
            Self::Delete(delete) => delete.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let admin = self.connection.once()?.admin();
        for name in &self.topics {
            match admin.create_topic(name, self.partitions, &self.settings.wanted()).await {
                Ok(topic) => print(&format!("created {name}, {}\n", partitions(topic.partitions)))?,
                Err(error) if self.if_not_exists && error.is_api("topic_exists") => {
                    print(&format!("{name} is there already\n"))?;
                }
                Err(error) => return Err(Failure::from(error).about(name)),
            }
        }
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let topics = self.connection.once()?.admin().topics().await?;
        let mut table = Table::new(["topic", "partitions", "records"]);
        for topic in &topics {
            let records: u64 = topic.offsets.iter().map(|bounds| bounds.end - bounds.start).sum();
            table.row([topic.name.clone(), topic.partitions.to_string(), records.to_string()]);
        }
        self.output.output.print(&topics, &table)
    }
}

impl Describe {
    async fn run(self) -> Result<(), Failure> {
        let topic = self.connection.once()?.admin().topic(&self.topic).await?;
        let table = bounds_of(&topic);
        if self.output.output == super::output::Output::Table {
            print(&settings_of(&topic))?;
        }
        self.output.output.print(&topic, &table)
    }
}

impl Alter {
    async fn run(self) -> Result<(), Failure> {
        let settings = self.settings.wanted();
        if self.partitions.is_none() && settings == TopicSettings::default() {
            return Err(Failure::WrongUsage("nothing to change: name --partitions or a setting".to_owned()));
        }
        let topic = self.connection.once()?.admin().alter_topic(&self.topic, self.partitions, &settings).await?;
        print(&settings_of(&topic))
    }
}

impl Delete {
    async fn run(self) -> Result<(), Failure> {
        let admin = self.connection.once()?.admin();
        for name in &self.topics {
            admin.delete_topic(name).await.map_err(|error| Failure::from(error).about(name))?;
            print(&format!("deleted {name}\n"))?;
        }
        Ok(())
    }
}

fn partitions(count: u32) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

/// A row for each partition. Whether it has a leader stands behind it only where one has none.
fn bounds_of(topic: &Topic) -> Table {
    let all_led = topic.offsets.iter().all(|bounds| !bounds.leaderless);
    let mut table = if all_led {
        Table::new(["partition", "start", "end", "records"])
    } else {
        Table::new(["partition", "start", "end", "records", "leader"])
    };
    for bounds in &topic.offsets {
        let values = [u64::from(bounds.partition), bounds.start, bounds.end, bounds.end - bounds.start];
        let leader = if bounds.leaderless { "none" } else { "yes" };
        table.row(values.map(|value| value.to_string()).into_iter().chain((!all_led).then(|| leader.to_owned())));
    }
    table
}

/// A line for each setting.
fn settings_of(topic: &Topic) -> String {
    let settings = &topic.settings;
    let cleanup = settings.cleanup.map(|cleanup| match cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
        Cleanup::Both => "both",
    });
    let lines = [
        ("retention_ms", or_dash(settings.retention_ms)),
        ("retention_bytes", or_dash(settings.retention_bytes)),
        ("segment_bytes", or_dash(settings.segment_bytes)),
        ("segment_ms", or_dash(settings.segment_ms)),
        ("max_message_bytes", or_dash(settings.max_message_bytes)),
        ("cleanup", or_dash(cleanup)),
        ("min_compaction_lag_ms", or_dash(settings.min_compaction_lag_ms)),
        ("delete_retention_ms", or_dash(settings.delete_retention_ms)),
        ("compression", or_dash(settings.compression)),
        ("durability", or_dash(settings.durability.as_deref())),
    ];
    let lines = lines.map(|(name, value)| format!("  {name:<22}{value}\n")).concat();
    format!("{}, {}\n{lines}", topic.name, partitions(topic.partitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(offsets: &str) -> Topic {
        let text = format!(r#"{{"name": "orders", "partitions": 2, "offsets": [{offsets}]}}"#);
        serde_json::from_str(&text).expect("a topic")
    }

    #[test]
    fn a_partition_without_a_leader_is_shown() {
        let led = r#"{"partition": 0, "start": 2, "end": 5}"#;
        let leaderless = r#"{"partition": 1, "start": 0, "end": 0, "leaderless": true}"#;
        assert_eq!(bounds_of(&topic(led)).plain(), "0\t2\t5\t3\n");
        let both = bounds_of(&topic(&format!("{led}, {leaderless}")));
        assert_eq!(both.plain(), "0\t2\t5\t3\tyes\n1\t0\t0\t0\tnone\n");
    }
}
