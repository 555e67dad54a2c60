//! `cargo xtask kafka`: a real Kafka cluster on this machine's loopback, for tests and for whoever develops.
//!
//! It outlives the task that starts it. All of it lies in `kafka` within the target directory; one task at a time changes it,
//! and a second one waits. A broker is signalled only if it is a process that was started here.

mod arguments;
mod configuration;
mod fetching;
mod process;
mod testing;
mod waiting;
mod wire;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Error, ErrorKind},
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(crate) use self::testing::{share, test, test_share};
use self::{
    arguments::{HELP, Task},
    configuration::{Cluster, MOST_BROKERS},
    process::Signal,
    waiting::await_answers,
};
use crate::place::target;

const DEFAULT_BROKERS: u8 = 3;
/// What `status` ends with if no broker runs.
const NONE_RUNS: u8 = 3;

/// Looks at brokers that were asked to stop, at ten in a second, before they are killed. Whoever leads the quorum takes five
/// seconds to find that nobody takes over.
const LOOKS_BEFORE_KILL: u32 = 300;
/// Does what the words say.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let task = match arguments::parse(words) {
        Ok(task) => task,
        Err(wrong) => {
            eprintln!("cargo xtask kafka: {wrong}. `cargo xtask kafka help` says what can be asked");
            return ExitCode::from(2);
        }
    };
    carry_out(&task).unwrap_or_else(|error| {
        eprintln!("cargo xtask kafka: {error}");
        ExitCode::FAILURE
    })
}

fn carry_out(task: &Task) -> io::Result<ExitCode> {
    if *task == Task::Help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "brokers are told from other processes by what Linux alone tells",
        ));
    }
    let home = &target().join("kafka");
    if *task == Task::Status {
        return status(home);
    }
    let _lock = lock(home)?;
    match *task {
        Task::Up { brokers } => up(home, brokers)?,
        Task::Down { keep_data } => down(home, keep_data)?,
        Task::Start(number) => start(home, number)?,
        Task::Kill(number) => said(number, process::kill(home, number)?, "is killed")?,
        Task::Pause(number) => said(number, process::signal(home, number, Signal::STOP)?, "is paused")?,
        Task::Resume(number) => said(number, process::signal(home, number, Signal::CONT)?, "goes on")?,
        Task::Status | Task::Help => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn up(home: &Path, asked: Option<u8>) -> io::Result<()> {
    let kept = Cluster::read(home)?;
    if let (Some(cluster), Some(asked)) = (&kept, asked)
        && cluster.brokers != asked
    {
        let there = cluster.brokers;
        return Err(Error::other(format!(
            "there is a cluster of {there} already, running or kept: `cargo xtask kafka down` removes it"
        )));
    }
    fetching::provide_kafka(home)?;
    let is_new = kept.is_none();
    let mut cluster = if let Some(cluster) = kept {
        cluster
    } else {
        // What runs here without being written down belongs to nothing.
        stop_all(home)?;
        Cluster::lay_out(home, asked.unwrap_or(DEFAULT_BROKERS))?
    };
    let all: Vec<u8> = cluster.numbers().collect();
    let (mut stopped, mut paused) = (Vec::new(), Vec::new());
    for number in &all {
        match process::find(home, *number)? {
            None => stopped.push(*number),
            Some(process) if process.is_paused => paused.push(*number),
            Some(_) => {}
        }
    }
    if stopped.is_empty() && paused.is_empty() {
        println!("the cluster is up already");
    }
    if stopped == all && !is_new {
        println!("the cluster goes on with the data that it has");
        cluster.refresh(home)?;
    }
    for number in paused {
        said(number, process::signal(home, number, Signal::CONT)?, "was paused, and goes on")?;
    }
    for number in stopped {
        drop(process::start(home, number)?);
    }
    await_answers(home, &cluster, &all)?;
    println!("`cargo xtask kafka down` stops it, `help` says what else there is");
    println!("brokers {}", cluster.bootstrap());
    Ok(())
}

fn start(home: &Path, number: u8) -> io::Result<()> {
    let cluster = Cluster::read(home)?.ok_or_else(no_cluster)?;
    if number > cluster.brokers {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("the cluster has {} brokers, and no {number}", cluster.brokers),
        ));
    }
    if let Some(process) = process::find(home, number)? {
        println!("broker {number} runs already{}", if process.is_paused { ", and is paused" } else { "" });
        return Ok(());
    }
    fetching::provide_kafka(home)?;
    drop(process::start(home, number)?);
    let mut awake = Vec::new();
    for number in cluster.numbers() {
        if process::find(home, number)?.is_some_and(|process| !process.is_paused) {
            awake.push(number);
        }
    }
    if 2 * awake.len() > usize::from(cluster.brokers) {
        return await_answers(home, &cluster, &awake);
    }
    println!(
        "broker {number} starts, and will answer once more than half of the {} brokers run; it is not waited for",
        cluster.brokers
    );
    Ok(())
}

fn down(home: &Path, keep_data: bool) -> io::Result<()> {
    let stopped = stop_all(home)?;
    match &stopped[..] {
        [] => println!("no broker runs"),
        numbers => println!("{} stopped", list(numbers)),
    }
    if keep_data {
        println!("what they hold is kept for the next `up`");
        return Ok(());
    }
    configuration::remove_cluster(home)
}

/// Stops whatever broker runs, and gives their numbers.
fn stop_all(home: &Path) -> io::Result<Vec<u8>> {
    let mut asked = Vec::new();
    for number in 1..=MOST_BROKERS {
        // A paused one could not heed the other signal.
        if process::signal(home, number, Signal::TERM)? && process::signal(home, number, Signal::CONT)? {
            asked.push(number);
        }
    }
    if !asked.is_empty() {
        println!("waiting for {} to stop", list(&asked));
    }
    for number in process::await_ends(home, &asked, LOOKS_BEFORE_KILL)? {
        // Or it has stopped in this very moment.
        if process::kill(home, number)? {
            println!("broker {number} did not stop, and was killed");
        }
    }
    Ok(asked)
}

fn status(home: &Path) -> io::Result<ExitCode> {
    let Some(cluster) = Cluster::read(home)? else {
        println!("{}", no_cluster());
        return Ok(ExitCode::from(NONE_RUNS));
    };
    let mut lines = Vec::new();
    let (mut run, mut leader) = (0, None);
    for number in cluster.numbers() {
        let port = cluster.broker_port(number);
        let Some(process) = process::find(home, number)? else {
            lines.push((number, format!("stopped  127.0.0.1:{port}")));
            continue;
        };
        let answers = !process.is_paused && wire::alive_brokers(port).is_ok();
        if answers && leader.is_none() {
            // A broker that can't tell, since it has lost the others, is no reason to tell less of them all.
            leader = wire::quorum_leader(port).ok().flatten();
        }
        run += u8::from(!process.is_paused);
        let state = match (process.is_paused, answers) {
            (true, _) => "paused ",
            (false, true) => "runs   ",
            (false, false) => "silent ",
        };
        let mebibytes = process.resident_bytes >> 20;
        lines.push((number, format!("{state}  127.0.0.1:{port}  process {:<7}  {mebibytes:>4} MiB", process.pid)));
    }
    for (number, line) in lines {
        let leads = if leader == Some(i32::from(number)) { "  leads the quorum" } else { "" };
        println!("broker {number}  {line}{leads}");
    }
    if run > 0 {
        println!("brokers {}", cluster.bootstrap());
    }
    Ok(match run {
        0 => ExitCode::from(NONE_RUNS),
        run if run == cluster.brokers => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn no_cluster() -> Error {
    Error::new(ErrorKind::NotFound, "there is no cluster: `cargo xtask kafka up` starts one")
}

/// Says what happened to a broker, or that it does not run.
fn said(number: u8, runs: bool, what: &str) -> io::Result<()> {
    if !runs {
        return Err(Error::new(ErrorKind::NotFound, format!("broker {number} does not run")));
    }
    println!("broker {number} {what}");
    Ok(())
}

fn list(numbers: &[u8]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u8::to_string).collect();
    format!("broker{} {}", if numbers.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

/// Waits until no other task changes the cluster, and keeps others off for as long as what it gives lives.
fn lock(home: &Path) -> io::Result<File> {
    fs::create_dir_all(home).map_err(at(home))?;
    let path = home.join("lock");
    let lock = File::create(&path).map_err(at(&path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("waiting for another `cargo xtask kafka` to end");
            lock.lock().map_err(at(&path))?;
        }
        Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
    }
    Ok(lock)
}

/// Names the file or directory that an error is about.
fn at(path: &Path) -> impl Fn(Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |error| Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Writes a file as a whole: one that is cut off would be taken for something else, or for nothing.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(at(path))
}

/// Removes a file or a directory with all that it holds, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
