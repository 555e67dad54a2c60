//! `takhin backup` and `takhin restore`.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use takhin::{
    driver::{Driver, DriverConfig, TraceConfig},
    engine::local::{
        LocalConfig,
        backup::{RestoreOptions, Sum, restore},
    },
};
use takhin_core::Config;

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The server to back up, while it runs, as in <http://localhost:8080>
    #[arg(
        long,
        env = "TAKHIN_SERVER",
        value_name = "URL",
        conflicts_with = "data_dir",
        required_unless_present = "data_dir"
    )]
    server: Option<String>,

    /// A key that the server takes
    #[arg(long, env = "TAKHIN_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,

    /// A data directory to back up that no server has
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The archive to write; it must not be there
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
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
    pub(super) fn run(self) -> Result<(), String> {
        let output = self.output.display();
        if self.output.exists() {
            return Err(format!("{output} is there already"));
        }
        let part = PathBuf::from(format!("{output}.part"));
        let taken =
            self.write(&part).and_then(|()| look(&part, &RestoreOptions { keep_damaged: true, data_dir: None }));
        let (sum, damage) = taken.inspect_err(|_| {
            // What is left of it is no backup, whether it can be removed or not.
            let _ = fs::remove_file(&part);
        })?;
        fs::rename(&part, &self.output).map_err(|error| format!("{output}: {error}"))?;
        let bytes = fs::metadata(&self.output).map(|found| found.len()).unwrap_or_default();
        println!("{output}: {}, {bytes} bytes in the archive", told(sum));
        tell_damage(&damage);
        Ok(())
    }

    fn write(&self, part: &Path) -> Result<(), String> {
        let unable = |error: io::Error| format!("{}: {error}", part.display());
        let file = File::create(part).map_err(unable)?;
        match (&self.server, &self.data_dir) {
            (Some(server), _) => fetch(server, self.key.as_deref(), &file)?,
            (None, Some(data_dir)) => take(data_dir, &file)?,
            (None, None) => return Err("name a --server or a --data-dir".to_owned()),
        }
        file.sync_all().map_err(unable)
    }
}

/// Takes a running server's backup.
fn fetch(server: &str, key: Option<&str>, to: &File) -> Result<(), String> {
    let url = format!("{}/api/backup", server.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(&url);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let mut response = request.call().map_err(|error| format!("{url}: {error}"))?;
    if !response.status().is_success() {
        let text = response.body_mut().read_to_string().unwrap_or_default();
        return Err(format!("{url}: {}: {text}", response.status()));
    }
    let mut to = BufWriter::new(to);
    let copied = io::copy(&mut response.into_body().into_reader(), &mut to).and_then(|_| to.flush());
    copied.map_err(|error| format!("the backup broke off: {error}"))
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
    pub(super) fn run(self) -> Result<(), String> {
        let options = RestoreOptions { data_dir: self.data_dir.clone(), keep_damaged: self.keep_damaged };
        let (sum, damage) = look(&self.file, &options)?;
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
