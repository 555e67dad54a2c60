//! `takhin backup` and `takhin restore`.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    pin::pin,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{ArgMatches, Args, parser::ValueSource};
use futures_util::TryStreamExt as _;
use takhin::{
    driver::{Driver, DriverConfig, TraceConfig},
    engine::local::{
        LocalConfig,
        backup::{RestoreOptions, Sum, restore},
    },
};
use takhin_core::Config;

use super::client::{Connection, Failure, run};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// A data directory to back up that no server has, instead of a server
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The archive to write; it must not be there
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The directory to make; it must be empty or not be there
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    data_dir: Option<PathBuf>,

    /// Only look whether the archive is good
    #[arg(long, conflicts_with = "data_dir")]
    verify: bool,

    /// Take batches along that were damaged before the backup was taken: reading them goes on to be an error
    #[arg(long)]
    keep_damaged: bool,
}

impl Backup {
    /// `matches` is this command's part of the command line.
    pub(super) fn run(self, matches: &ArgMatches) -> Result<(), Failure> {
        if self.data_dir.is_some() && matches.value_source("server") == Some(ValueSource::CommandLine) {
            return Err(Failure::WrongUsage("name a --data-dir or a --server, and not both".to_owned()));
        }
        let output = self.output.display();
        if self.output.exists() {
            return Err(Failure::new(format!("{output} is there already")));
        }
        let part = PathBuf::from(format!("{output}.part"));
        let look = || look(&part, &RestoreOptions { keep_damaged: true, data_dir: None }).map_err(Failure::new);
        let taken = self.write(&part).and_then(|()| look());
        let (sum, damage) = taken.inspect_err(|_| {
            // What is left of it is no backup, whether it can be removed or not.
            let _ = fs::remove_file(&part);
        })?;
        fs::rename(&part, &self.output).map_err(|error| Failure::new(format!("{output}: {error}")))?;
        let bytes = fs::metadata(&self.output).map(|found| found.len()).unwrap_or_default();
        println!("{output}: {}, {bytes} bytes in the archive", told(sum));
        tell_damage(&damage);
        Ok(())
    }

    fn write(&self, part: &Path) -> Result<(), Failure> {
        let unable = |error: io::Error| Failure::new(format!("{}: {error}", part.display()));
        let file = File::create(part).map_err(unable)?;
        match &self.data_dir {
            Some(data_dir) => take(data_dir, &file).map_err(Failure::new)?,
            None => run(fetch(&self.connection, &file, part))?,
        }
        file.sync_all().map_err(unable)
    }
}

/// Takes a running server's backup.
async fn fetch(connection: &Connection, to: &File, part: &Path) -> Result<(), Failure> {
    let unable = |error: io::Error| Failure::new(format!("{}: {error}", part.display()));
    let mut pieces = pin!(connection.once()?.admin().backup().await?);
    let mut to = BufWriter::new(to);
    while let Some(piece) =
        pieces.try_next().await.map_err(|error| Failure::from(error).about("the backup broke off"))?
    {
        to.write_all(&piece).map_err(unable)?;
    }
    to.flush().map_err(unable)
}

/// Takes the backup of a directory, by starting what a server would start, but for its HTTP.
fn take(data_dir: &Path, to: &File) -> Result<(), String> {
    if !data_dir.join("takhin.json").exists() {
        return Err(format!("{} is no data directory", data_dir.display()));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let config =
            DriverConfig { core: Config::default(), engine: LocalConfig::new(data_dir), trace: TraceConfig::default() };
        let started = tokio::task::block_in_place(|| Driver::start(config)).map_err(|error| error.to_string())?;
        for note in &started.report.notes {
            eprintln!("found: {note}");
        }
        let driver = started.driver;
        let held = driver.hold().await.map_err(|error| error.to_string());
        let written = tokio::task::block_in_place(|| {
            let mut to = BufWriter::new(to);
            held?.write(now_ms(), &mut to).map_err(|error| error.to_string())?;
            to.flush().map_err(|error| error.to_string())
        });
        let stopped = tokio::task::block_in_place(|| driver.stop());
        written.and(stopped)
    })
}

impl Restore {
    pub(super) fn run(self) -> Result<(), Failure> {
        let options = RestoreOptions { data_dir: self.data_dir.clone(), keep_damaged: self.keep_damaged };
        let (sum, damage) = look(&self.file, &options).map_err(Failure::new)?;
        match &self.data_dir {
            Some(data_dir) => println!("{}: {}", data_dir.display(), told(sum)),
            None => println!("{} is good: {}", self.file.display(), told(sum)),
        }
        tell_damage(&damage);
        Ok(())
    }
}

fn look(file: &Path, options: &RestoreOptions) -> Result<(Sum, Vec<String>), String> {
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    restore(BufReader::new(opened), options).map_err(|error| format!("{}: {error}", file.display()))
}

fn told(sum: Sum) -> String {
    format!("{} partitions, {} offsets, {} bytes of records", sum.logs, sum.offsets, sum.bytes)
}

fn tell_damage(damage: &[String]) {
    for damage in damage {
        eprintln!("damaged when the backup was taken: {damage}");
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
