//! `takhin consume TOPIC…`: prints records as they come, for ever or to an end.

use std::io::{self, Write as _};

use clap::Args;
use takhin_client::{Message, Reset, TopicPartition};

use super::{
    connection::Connection,
    failure::Failure,
    format::{Format, as_json},
    sources::Source,
    start_at::StartAt,
    stop::Stop,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Consume {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Be a member of this group: share the partitions, go on at its offsets, commit what was printed
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,

    /// Where to begin: beginning, end, N, -N (so many before the end), @MILLISECONDS (since the epoch) or @-AGE (as in
    /// @-15m). With a group it only counts where that has no committed offset
    #[arg(short, long, default_value = "beginning", allow_hyphen_values = true, value_name = "OFFSET")]
    offset: StartAt,

    /// Only this partition
    #[arg(short, long, value_name = "N")]
    partition: Option<u32>,

    /// End after so many records
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<usize>,

    /// How to print a record: %t topic, %p partition, %o offset, %k key, %s value, %T timestamp, %h headers, %K and %S
    /// the sizes of key and value, \n, \t, \xNN
    #[arg(short, long, default_value = "%s\\n", value_name = "FORMAT")]
    format: Format,

    /// Print each record as a line of JSON, as `takhin produce --json` takes it
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// End once all that is there now was printed
    #[arg(short, long)]
    exit_at_end: bool,

    #[command(flatten)]
    connection: Connection,
}

impl Consume {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if self.count == Some(0) {
            return Ok(());
        }
        let mut stop = Stop::with_output()?;
        let mut source = tokio::select! {
            source = self.source() => source?,
            () = stop.wanted() => return Ok(()),
        };
        let result = self.print_all(&mut source, &mut stop).await;
        source.close(result.is_ok()).await.and(result)
    }

    async fn source(&self) -> Result<Source, Failure> {
        let client = self.connection.lasting().await?;
        let Some(group) = &self.group else {
            return Source::partitions(&client, &self.topics, self.partition, self.offset, self.exit_at_end).await;
        };
        let reset = match self.offset {
            StartAt::Beginning => Reset::Earliest,
            StartAt::End => Reset::Latest,
            StartAt::Ago(age) => Reset::ByDuration(age),
            _ => {
                let way = "a member of a group begins at its committed offset, or at -o beginning, end or @-AGE; \
                           `takhin group reset` sets the offsets of a group";
                return Err(Failure::WrongUsage(way.to_owned()));
            }
        };
        let consumer = client.consumer(group).auto_offset_reset(reset).client_id("takhin consume");
        let consumer = match self.partition {
            Some(number) => consumer.assign(self.topics.iter().map(|topic| TopicPartition::new(&**topic, number))),
            None => consumer.topics(&self.topics),
        };
        let mut consumer = Box::new(consumer.build());
        consumer.join().await?;
        Ok(Source::Group { consumer, exits_at_end: self.exit_at_end })
    }

    /// Prints until an end: its own, the topics', or the user's.
    async fn print_all(&self, source: &mut Source, stop: &mut Stop) -> Result<(), Failure> {
        let mut left = self.count.unwrap_or(usize::MAX);
        while left > 0 {
            let messages = tokio::select! {
                messages = source.next(left.min(500)) => messages?,
                () = stop.wanted() => return Ok(()),
            };
            let Some(messages) = messages else { return Ok(()) };
            let printed = &messages[..messages.len().min(left)];
            self.print(printed)?;
            left -= printed.len();
        }
        Ok(())
    }

    fn print(&self, messages: &[Message]) -> Result<(), Failure> {
        let mut out = Vec::new();
        for message in messages {
            if self.json {
                out.extend_from_slice(as_json(message).to_string().as_bytes());
                out.push(b'\n');
            } else {
                self.format.write(message, &mut out);
            }
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        Ok(stdout.flush()?)
    }
}
