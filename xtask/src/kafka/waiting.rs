//! Waiting for brokers that start, until they serve and know of each other, or until it is plain that they won't.

use std::{
    fs,
    io::{self, Error, ErrorKind},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{configuration::Cluster, list, process, wire};

/// Between two attempts to get answers.
const PAUSE: Duration = Duration::from_millis(250);
/// Two minutes or more: on a machine that is busy with something else a broker takes its time.
const ATTEMPTS: u32 = 480;
/// Lines of a broker's log that tell why it ended.
const TELLING_LINES: usize = 20;

/// Waits until each of these brokers answers, and knows all of them as alive.
pub(super) fn await_answers(home: &Path, cluster: &Cluster, numbers: &[u8]) -> io::Result<()> {
    println!("waiting for {} to answer", list(numbers));
    let begin = Instant::now();
    let mut silent: Vec<(u8, Error)> = numbers.iter().map(|number| (*number, Error::other("not asked yet"))).collect();
    for _ in 0..ATTEMPTS {
        let mut still = Vec::new();
        for (number, _) in silent {
            if process::find(home, number)?.is_none() {
                return Err(ended(home, number));
            }
            match knows(cluster.broker_port(number), numbers) {
                Ok(()) => println!("broker {number} answers, after {:.1} s", begin.elapsed().as_secs_f64()),
                Err(why) => still.push((number, why)),
            }
        }
        silent = still;
        if silent.is_empty() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    let why = silent
        .iter()
        .map(|(number, why)| format!("\nbroker {number}, {}: {why}", process::log_file(home, *number).display()));
    Err(Error::new(
        ErrorKind::TimedOut,
        format!("not all brokers answer, and they are left as they are:{}", why.collect::<String>()),
    ))
}

/// Whether the broker at the port answers, and knows these brokers as alive.
fn knows(port: u16, numbers: &[u8]) -> io::Result<()> {
    let alive = wire::alive_brokers(port)?;
    if numbers.iter().all(|number| alive.contains(&i32::from(*number))) {
        return Ok(());
    }
    Err(Error::other(format!("it answers, and knows {alive:?} alone as alive")))
}

/// A broker that ended by itself, with the last lines that it wrote.
fn ended(home: &Path, number: u8) -> Error {
    let log = process::log_file(home, number);
    let told = fs::read(&log).map_or_else(
        |error| format!("it can't be read: {error}"),
        |said| {
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<_> = said.lines().collect();
            lines[lines.len().saturating_sub(TELLING_LINES)..].join("\n")
        },
    );
    Error::other(format!("broker {number} has ended. The end of {}:\n{told}", log.display()))
}
