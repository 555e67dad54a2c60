//! Instructions that a request costs the server, counted by callgrind: what time can't tell on a machine that others use
//! as well, this tells within a percent.
//!
//! The server runs under valgrind, one request is answered after the other, and each kind's instructions are the whole
//! process's while so many of that kind were answered. What it does now and then by itself falls into one pass or the
//! other, so the least of several counts.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use tempfile::TempDir;

use crate::{Failure, connection::Connection, connection::scratch, request, server::Server};

/// What is counted may be so much more than what was recorded, in percent.
const TOLERATED_PERCENT: f64 = 5.0;

/// Where records come one at a time, and where they come in batches.
const SINGLES: &str = "singles";
const BATCHES: &str = "batches";
const RECORD_BYTES: usize = 1024;
/// How often each kind is counted.
const PASSES: u32 = 12;
/// Records of a big request, and of a poll's answer.
const MANY: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// The release build of `takhin`
    #[arg(long)]
    server: PathBuf,
    /// What was counted before, as JSON: it is an error if a request costs 5 % more now
    #[arg(long)]
    expect: Option<PathBuf>,
    /// Write what is counted there instead
    #[arg(long, requires = "expect")]
    record: bool,
}

/// Instructions of one request, by its kind.
type Counts = BTreeMap<String, u64>;

impl Instructions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let counts = Counted::begin(&self.server)?.count_all()?;
        let recorded = self.expect.as_deref().filter(|_| !self.record).map(read).transpose()?;
        println!("| request | instructions | recorded | |\n|---|---:|---:|---:|");
        let mut grown = Vec::new();
        for (kind, count) in &counts {
            let Some(before) = recorded.as_ref().and_then(|recorded| recorded.get(kind)) else {
                println!("| {kind} | {count} | – | |");
                continue;
            };
            let percent = 100.0 * (as_float(*count) / as_float(*before) - 1.0);
            println!("| {kind} | {count} | {before} | {percent:+.1} % |");
            if percent > TOLERATED_PERCENT {
                grown.push(format!("{kind}: {percent:+.1} %"));
            }
        }
        if let (true, Some(path)) = (self.record, &self.expect) {
            fs::write(path, serde_json::to_string_pretty(&counts)? + "\n")?;
        }
        let unknown = recorded.iter().flat_map(BTreeMap::keys).find(|kind| !counts.contains_key(*kind));
        if let Some(kind) = unknown {
            return Err(format!("{kind} was recorded, and is counted no more").into());
        }
        let fresh = recorded.as_ref().and_then(|recorded| counts.keys().find(|kind| !recorded.contains_key(*kind)));
        if let Some(kind) = fresh {
            return Err(format!("{kind} is counted, and was never recorded").into());
        }
        if grown.is_empty() {
            return Ok(());
        }
        Err(format!(
            "more instructions than recorded, {}; if that is worth it, record them with --record",
            grown.join(", ")
        )
        .into())
    }
}

fn read(path: &Path) -> Result<Counts, Failure> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn as_float(count: u64) -> f64 {
    count as f64
}

/// A server under callgrind, and a connection to it.
struct Counted {
    server: Server,
    connection: Connection,
    counts: Counts,
    files: TempDir,
    dumps: u32,
}

impl Counted {
    fn begin(program: &Path) -> Result<Self, Failure> {
        let files = tempfile::tempdir()?;
        let server = Server::counted(program, files.path(), &files.path().join("count"))?;
        let mut connection = Connection::open(server.url.0)?;
        for topic in [SINGLES, BATCHES] {
            connection.ask(&request::create_topic(topic, 1))?;
        }
        Ok(Self { server, connection, counts: Counts::new(), files, dumps: 0 })
    }

    fn count_all(mut self) -> Result<Counts, Failure> {
        let one = request::produce(SINGLES, &request::records(1, RECORD_BYTES));
        self.count("produce 1 x 1 KiB", 300, |connection| connection.ask(&one))?;
        let many = request::produce(BATCHES, &request::records(MANY, RECORD_BYTES));
        self.count("produce 100 x 1 KiB", 40, |connection| connection.ask(&many))?;
        let consumer = request::consumer_id(0);
        self.connection.ask(&request::subscribe(&consumer, "billing", BATCHES, false))?;
        let poll = request::poll(&consumer, MANY, 0);
        self.count("consume 100 x 1 KiB", 30, |connection| connection.ask(&poll))?;
        let commit = request::post(
            &format!("/api/consumers/{consumer}/commit"),
            &format!(r#"{{"offsets":{{"{BATCHES}":{{"0":1}}}}}}"#),
        );
        self.count("commit", 200, |connection| connection.ask(&commit))?;
        // To the end of the log, where polls wait.
        let end = r#"{"to":"end"}"#;
        self.connection.ask(&request::post(&format!("/api/consumers/{consumer}/seek"), end))?;
        let poll = request::poll(&consumer, MANY, 30_000);
        let wake = request::produce(BATCHES, &request::records(1, RECORD_BYTES));
        let mut producer = Connection::open(self.server.url.0)?;
        self.count("poll that waits, and the produce that wakes it", 100, |connection| {
            connection.send(&poll)?;
            producer.ask(&wake)?;
            let mut scratch = scratch();
            let answer = connection.receive(&mut scratch)?.ok_or("the stream does not block")?;
            if answer.is_good() { Ok(answer.text()) } else { Err(answer.text().into()) }
        })?;
        Ok(self.counts)
    }

    /// Counts so many requests of a kind in each pass, after some that make it warm.
    fn count(
        &mut self,
        kind: &str,
        requests: u32,
        mut ask: impl FnMut(&mut Connection) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        for _ in 0..requests / 4 {
            ask(&mut self.connection)?;
        }
        self.dump()?;
        let mut least = u64::MAX;
        for _ in 0..PASSES {
            for _ in 0..requests {
                ask(&mut self.connection)?;
            }
            least = least.min(self.dump()?);
        }
        self.counts.insert(kind.to_owned(), least / u64::from(requests));
        Ok(())
    }

    /// What was counted since the last time.
    fn dump(&mut self) -> Result<u64, Failure> {
        let mut command = Command::new("vgdb");
        let said = command.arg(format!("--pid={}", self.server.pid())).arg("dump").output()?;
        if !said.status.success() {
            return Err(format!("vgdb: {}", String::from_utf8_lossy(&said.stderr)).into());
        }
        self.dumps += 1;
        let text = fs::read_to_string(self.files.path().join(format!("count.{}", self.dumps)))?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
        Ok(total.ok_or("callgrind tells no total")?.trim().parse()?)
    }
}
