//! `takhin group reset GROUP --to …`: sets the committed offsets of a group that nobody is in, or says what it would be.

use std::str::FromStr;

use clap::Args;
use takhin_client::{Admin, ResetTarget, TopicPartition};

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, OutputOptions, Table, or_dash, print},
    start_at::StartAt,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Reset {
    group: String,

    /// Where to: beginning, end, N, -N or +N (so many records from the committed offset), @MILLISECONDS or @-AGE
    #[arg(long, allow_hyphen_values = true, value_name = "OFFSET")]
    to: Target,

    /// Only this topic, or some of its partitions; may be repeated. Else all that have a committed offset
    #[arg(short, long = "topic", value_name = "TOPIC[:P,P…]")]
    topics: Vec<Which>,

    /// Only say what it would be
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    At(StartAt),
    By(i64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(['+', '-']) {
            return text.parse().map(Self::By).map_err(|error| error.to_string());
        }
        text.parse().map(Self::At)
    }
}

#[derive(Clone, Debug)]
struct Which {
    topic: String,
    /// All if there are none.
    partitions: Vec<u32>,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A topic's name has no colon.
        let (topic, numbers) = text.split_once(':').map_or((text, None), |(topic, numbers)| (topic, Some(numbers)));
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no partition"));
        let partitions = numbers.map(|numbers| numbers.split(',').map(number).collect()).transpose()?;
        Ok(Self { topic: topic.to_owned(), partitions: partitions.unwrap_or_default() })
    }
}

impl Reset {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.connection.once()?.admin();
        let target = match self.to {
            Target::By(records) => ResetTarget::By(records),
            Target::At(StartAt::Beginning) => ResetTarget::Earliest,
            Target::At(StartAt::Offset(offset)) => ResetTarget::Offset(offset),
            Target::At(at) => at.timestamp_ms().map_or(ResetTarget::Latest, ResetTarget::TimestampMs),
        };
        let partitions = self.partitions(&admin).await?;
        let resets = admin.reset_offsets(&self.group, &target, partitions.as_deref(), self.dry_run).await?;
        let mut table = Table::new(["topic", "partition", "before", "after"]);
        for reset in &resets {
            let (topic, number) = (reset.partition.topic.to_string(), reset.partition.partition.to_string());
            table.row([topic, number, or_dash(reset.before), or_dash(reset.after)]);
        }
        self.output.output.print(&resets, &table)?;
        match self.output.output {
            Output::Table if resets.is_empty() => print("nothing is committed; --topic says what to set\n"),
            Output::Table if self.dry_run => print("nothing was changed: this is what it would be\n"),
            _ => Ok(()),
        }
    }

    async fn partitions(&self, admin: &Admin) -> Result<Option<Vec<TopicPartition>>, Failure> {
        let mut all = Vec::new();
        for which in &self.topics {
            let mut numbers = which.partitions.clone();
            if numbers.is_empty() {
                numbers = (0..admin.topic(&which.topic).await?.partitions).collect();
            }
            all.extend(numbers.into_iter().map(|number| TopicPartition::new(&*which.topic, number)));
        }
        Ok((!self.topics.is_empty()).then_some(all))
    }
}
