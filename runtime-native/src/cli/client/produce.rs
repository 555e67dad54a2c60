//! `takhin produce TOPIC`: sends what it reads, in order, and ends with all of it stored or says what was not.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use takhin_client::{Header, Pending, Producer};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    connection::Connection,
    failure::Failure,
    format::unescaped,
    produce_input::{Kind, Making, Origin, read},
    stop::Stop,
    topic::CompressionArgument,
};

/// How many records may be under way; then reading waits.
const UNDER_WAY: usize = 100_000;

// Each is a switch of the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Args)]
pub(in crate::cli) struct Produce {
    /// The topic
    topic: String,

    /// What to read; stdin if there is none, or for -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Each line is a record in JSON, as `takhin consume --json` prints it: key, value, headers, partition, timestamp
    #[arg(long, conflicts_with_all = ["key_separator", "whole", "empty_as_null"])]
    json: bool,

    /// Each file is one record
    #[arg(short, long, conflicts_with_all = ["key_separator", "empty_as_null"])]
    whole: bool,

    /// What stands between key and value of a line: \t, \xNN, or any text
    #[arg(short = 'K', long, value_name = "SEPARATOR", value_parser = separator)]
    key_separator: Option<Separator>,

    /// A value that is empty is none: the record says that its key is gone
    #[arg(short = 'Z', long)]
    empty_as_null: bool,

    /// A header of each record; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<Header>,

    /// The partition, instead of the one that the key leads to
    #[arg(short, long, value_name = "N")]
    partition: Option<u32>,

    /// How the server stores the records, instead of as the topic is set
    #[arg(short = 'z', long, value_enum)]
    compression: Option<CompressionArgument>,

    /// How long a record waits for others to go with it
    #[arg(long, default_value_t = 5, value_name = "MS")]
    linger_ms: u64,

    /// Say nothing on a terminal either
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Debug)]
struct Separator(Vec<u8>);

fn separator(text: &str) -> Result<Separator, String> {
    match unescaped(text)? {
        bytes if bytes.is_empty() => Err("it has at least one character".to_owned()),
        bytes => Ok(Separator(bytes)),
    }
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok(Header::new(name, value.to_owned()))
}

/// What became of the records so far.
#[derive(Default)]
struct Totals {
    stored: u64,
    failed: u64,
    first_failure: Option<(Origin, Failure)>,
}

impl Produce {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut stop = Stop::at_signals()?;
        let client = self.connection.lasting().await?;
        let mut producer = client.producer_builder().linger(Duration::from_millis(self.linger_ms));
        if let Some(compression) = self.compression {
            producer = producer.compression(compression.into());
        }
        let producer = producer.build();
        let bar = self.bar()?;
        let (pending, settled) = mpsc::channel(UNDER_WAY);
        let (failed, has_failed) = tokio::sync::oneshot::channel();
        let settling = tokio::spawn(settle(settled, bar.clone(), failed));
        let began = Instant::now();
        let read = tokio::select! {
            read = self.send_all(&producer, &pending, &bar) => read,
            // What was read is sent all the same.
            () = stop.wanted() => Ok(()),
            _ = has_failed => Ok(()),
        };
        drop(pending);
        producer.flush().await;
        let totals = joined(settling).await?;
        bar.finish_and_clear();
        let is_shown = !bar.is_hidden();
        self.conclude(read, totals, began.elapsed(), is_shown)
    }

    /// Sends until there is nothing more to read, or something is wrong with it.
    async fn send_all(
        &self,
        producer: &Producer,
        pending: &mpsc::Sender<(Origin, Pending)>,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let lines =
            Kind::Lines { key_separator: self.key_separator.clone().map(|it| it.0), is_empty_null: self.empty_as_null };
        let kind = if self.json {
            Kind::Json
        } else if self.whole {
            Kind::Whole
        } else {
            lines
        };
        let (topic, headers) = (self.topic.clone(), self.headers.clone());
        let mut records = read(self.files.clone(), Making { topic, kind, partition: self.partition, headers });
        while let Some(read) = records.recv().await {
            let read = read.map_err(Failure::new)?;
            bar.inc(read.bytes as u64);
            let sent =
                producer.send(read.record).await.map_err(|error| Failure::from(error).about(&place(&read.origin)))?;
            if pending.send((read.origin, sent)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn conclude(
        &self,
        read: Result<(), Failure>,
        totals: Totals,
        took: Duration,
        is_shown: bool,
    ) -> Result<(), Failure> {
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        let rate = totals.stored as f64 / took.as_secs_f64().max(0.001);
        if is_shown {
            eprintln!("{} records to {} in {:.1} s, {rate:.0} a second", totals.stored, self.topic, took.as_secs_f64());
        }
        let stored = format!("{} records are stored", totals.stored);
        if let Some((origin, failure)) = totals.first_failure {
            let failed = if totals.failed > 1 { format!(", {} are not", totals.failed) } else { String::new() };
            return Err(failure.about(&format!("{stored}{failed}; {}", place(&origin))));
        }
        read.map_err(|failure| if totals.stored > 0 { failure.about(&stored) } else { failure })
    }

    /// The progress, where there is somebody to see it.
    fn bar(&self) -> Result<ProgressBar, Failure> {
        if self.quiet || !io::stderr().is_terminal() || (self.files.is_empty() && io::stdin().is_terminal()) {
            return Ok(ProgressBar::hidden());
        }
        let template = "{spinner} {msg} records, {bytes}, {bytes_per_sec}";
        let style = ProgressStyle::with_template(template).map_err(|error| Failure::new(error.to_string()))?;
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Ok(bar)
    }
}

/// Awaits the fate of each record, in order; `failed` is dropped or sent at the first that is not stored.
async fn settle(
    mut settled: mpsc::Receiver<(Origin, Pending)>,
    bar: ProgressBar,
    failed: tokio::sync::oneshot::Sender<()>,
) -> Totals {
    let mut totals = Totals::default();
    let mut failed = Some(failed);
    while let Some((origin, pending)) = settled.recv().await {
        match pending.await {
            Ok(_) => totals.stored += 1,
            Err(error) => {
                totals.failed += 1;
                totals.first_failure.get_or_insert_with(|| (origin, error.into()));
                if let Some(failed) = failed.take() {
                    // Reading may have ended already.
                    let _ = failed.send(());
                }
            }
        }
        if totals.stored.is_multiple_of(1_000) {
            bar.set_message(totals.stored.to_string());
        }
    }
    // Not before this, since it says that something has failed.
    drop(failed);
    totals
}

async fn joined(settling: JoinHandle<Totals>) -> Result<Totals, Failure> {
    settling.await.map_err(|error| Failure::new(error.to_string()))
}

fn place(origin: &Origin) -> String {
    let file = origin.file.as_ref().map_or("stdin".into(), |path| path.to_string_lossy());
    if origin.line == 0 { file.into_owned() } else { format!("line {} of {file}", origin.line) }
}
