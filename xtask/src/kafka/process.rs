//! The brokers' processes: started so that they outlive the task, found again by the next one, and signalled.
//!
//! A broker's process is written down with the time of its start and the boot of the machine that it belongs to. A process
//! that merely has the same number now is never taken for it, and so never signalled.

use std::{
    fs::{self, File},
    io::{self, Error, ErrorKind},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Child,
    str::FromStr,
    thread,
    time::Duration,
};

use rustix::process::{Pid, kill_process};

pub(super) use rustix::process::Signal;

use super::{at, fetching::java, remove, write};

/// A broker's Java. A small heap: several brokers share a developer's machine, or CI's, with what is built and tested there.
const JAVA_OPTIONS: [&str; 3] = ["-Xmx384m", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=log4j2.properties"];

/// Between two looks at whether a process has ended.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks after SIGKILL: even then a process may first have to finish what the kernel does for it.
const LOOKS_AFTER_KILL: u32 = 100;

/// What tells a process from all others that ran or will run on this machine.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    pid: i32,
    /// In the kernel's clock ticks after the boot.
    start_ticks: u64,
    boot: String,
}

/// A broker's process that runs, or is paused.
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) is_paused: bool,
    /// What it holds of the machine's memory.
    pub(super) resident_bytes: u64,
}

/// Where broker `number` leaves what it says.
pub(super) fn log_file(home: &Path, number: u8) -> PathBuf {
    home.join("logs").join(format!("n{number}.log"))
}

fn pid_file(home: &Path, number: u8) -> PathBuf {
    home.join("run").join(format!("n{number}.pid"))
}

/// Starts a broker that does not run. The caller may drop what it gets: the broker lives on.
pub(super) fn start(home: &Path, number: u8) -> io::Result<Child> {
    let (log, pid_file) = (log_file(home, number), pid_file(home, number));
    for directory in [log.parent(), pid_file.parent()].into_iter().flatten() {
        fs::create_dir_all(directory).map_err(at(directory))?;
    }
    let output = File::options().create(true).append(true).open(&log).map_err(at(&log))?;
    let mut broker = java(home, &JAVA_OPTIONS, "kafka.Kafka");
    broker.arg(format!("n{number}.properties")).stdout(output.try_clone()?).stderr(output);
    // A group of its own: what is typed at the terminal to end the task does not end the broker.
    broker.process_group(0);
    let mut child =
        broker.spawn().map_err(|error| Error::new(error.kind(), format!("java could not be started: {error}")))?;
    let written = pid_of(&child).and_then(identity_of).and_then(|identity| write(&pid_file, &identity.to_string()));
    if let Err(error) = written {
        // Nobody would find it again.
        let ended = child.kill().and_then(|()| child.wait());
        let left = ended.err().map(|why| format!(", and process {} is left running: {why}", child.id()));
        return Err(Error::new(error.kind(), format!("{error}{}", left.unwrap_or_default())));
    }
    Ok(child)
}

/// Broker `number`'s process, unless it has ended.
pub(super) fn find(home: &Path, number: u8) -> io::Result<Option<Process>> {
    let file = pid_file(home, number);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&file)(error)),
    };
    let written: Identity = text.parse().map_err(at(&file))?;
    let Some(now) = proc_file(written.pid, "stat")? else { return Ok(None) };
    let Stat { state, start_ticks } = now.parse()?;
    if start_ticks != written.start_ticks || boot()? != written.boot || matches!(state, 'Z' | 'X') {
        return Ok(None);
    }
    let status = proc_file(written.pid, "status")?.unwrap_or_default();
    Ok(Some(Process { pid: written.pid, is_paused: state == 'T', resident_bytes: resident_bytes(&status) }))
}

/// Sends a signal to broker `number`; false if it does not run.
pub(super) fn signal(home: &Path, number: u8, signal: Signal) -> io::Result<bool> {
    let Some(process) = find(home, number)? else { return Ok(false) };
    let pid =
        Pid::from_raw(process.pid).ok_or_else(|| Error::new(ErrorKind::InvalidData, "no process has number 0"))?;
    match kill_process(pid, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => {
            let error = Error::from(error);
            Err(Error::new(
                error.kind(),
                format!("broker {number}, process {}, can't be signalled: {error}", process.pid),
            ))
        }
    }
}

/// Ends broker `number` at once, and returns when it has ended; false if it did not run.
pub(super) fn kill(home: &Path, number: u8) -> io::Result<bool> {
    if !signal(home, number, Signal::KILL)? {
        return Ok(false);
    }
    match await_ends(home, &[number], LOOKS_AFTER_KILL)?[..] {
        [] => Ok(true),
        _ => Err(Error::new(ErrorKind::TimedOut, format!("broker {number} was killed and has not ended"))),
    }
}

/// Looks this often whether the brokers have ended, and gives those that have not.
pub(super) fn await_ends(home: &Path, numbers: &[u8], looks: u32) -> io::Result<Vec<u8>> {
    let mut left = numbers.to_vec();
    for _ in 0..looks {
        let mut still = Vec::new();
        for number in left {
            if find(home, number)?.is_some() {
                still.push(number);
            } else {
                remove(&pid_file(home, number))?;
            }
        }
        left = still;
        if left.is_empty() {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(left)
}

fn pid_of(child: &Child) -> io::Result<i32> {
    i32::try_from(child.id()).map_err(Error::other)
}

fn identity_of(pid: i32) -> io::Result<Identity> {
    let stat = proc_file(pid, "stat")?.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no process {pid}")))?;
    let Stat { start_ticks, .. } = stat.parse()?;
    Ok(Identity { pid, start_ticks, boot: boot()? })
}

/// What the kernel tells of a process; nothing if there is none.
fn proc_file(pid: i32, name: &str) -> io::Result<Option<String>> {
    let path = PathBuf::from(format!("/proc/{pid}/{name}"));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        // Or it ended while it was read.
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(error) => Err(at(&path)(error)),
    }
}

const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();

fn boot() -> io::Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    Ok(fs::read_to_string(path).map_err(at(path))?.trim().to_owned())
}

fn malformed(what: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("this tells of no {what}: {text:?}"))
}

impl std::fmt::Display for Identity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "{} {} {}", self.pid, self.start_ticks, self.boot)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let identity = match text.split_whitespace().collect::<Vec<_>>()[..] {
            [pid, start_ticks, boot] => pid
                .parse()
                .ok()
                .filter(|pid| *pid > 0)
                .zip(start_ticks.parse().ok())
                .map(|(pid, start_ticks)| Self { pid, start_ticks, boot: boot.to_owned() }),
            _ => None,
        };
        identity.ok_or_else(|| malformed("process", text))
    }
}

/// Of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_ticks: u64,
}

impl FromStr for Stat {
    type Err = Error;

    fn from_str(text: &str) -> io::Result<Self> {
        // The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut fields = fields.split_whitespace();
        let state = fields.next().and_then(|state| state.chars().next());
        // The 22nd of all, with the state as the third.
        let start_ticks = fields.nth(22 - 4).and_then(|ticks| ticks.parse().ok());
        let stat = state.zip(start_ticks).map(|(state, start_ticks)| Self { state, start_ticks });
        stat.ok_or_else(|| malformed("process's state and start", text))
    }
}

/// Of `/proc/PID/status`; nothing of a process that is about to end.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

// They run real processes, and Linux alone tells of them what is needed here.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio, id};

    use super::*;

    #[test]
    fn a_process_is_read_as_it_was_written() {
        let written = Identity { pid: 4711, start_ticks: 123_456_789, boot: "c0ffee".to_owned() };
        assert_eq!(written.to_string(), "4711 123456789 c0ffee\n");
        assert_eq!(written.to_string().parse::<Identity>().expect("as written"), written);
        for wrong in ["", "4711", "4711 1", "0 1 c0ffee", "-1 1 c0ffee", "4711 soon c0ffee", "4711 1 c0ffee more"] {
            wrong.parse::<Identity>().expect_err(wrong);
        }
    }

    #[test]
    fn what_the_kernel_tells_is_found_behind_any_name() {
        let text = "77 (a) b (c) T 1 77 77 0 -1 4194560 10 0 0 0 1 2 0 0 20 0 9 0 424242 1000 50 184\n";
        assert_eq!(text.parse::<Stat>().expect("a line of the kernel"), Stat { state: 'T', start_ticks: 424_242 });
        "77 (java) S 1 77".parse::<Stat>().expect_err("it is cut off");
        assert_eq!(resident_bytes("Name:\tjava\nVmRSS:\t  236856 kB\nVmSwap:\t0 kB\n"), 236_856 << 10);
        assert_eq!(resident_bytes("Name:\tjava\nState:\tZ (zombie)\n"), 0);
    }

    /// A directory with a pid file for broker 1.
    fn home_with(test: &str, identity: &Identity) -> PathBuf {
        let home = std::env::temp_dir().join(format!("takhin-xtask-{test}-{}", id()));
        fs::create_dir_all(home.join("run")).expect("a directory for the test");
        fs::write(pid_file(&home, 1), identity.to_string()).expect("a pid file");
        home
    }

    #[test]
    fn a_process_that_has_but_the_same_number_is_not_taken_for_the_broker() {
        let own = identity_of(i32::try_from(id()).expect("a number of a process")).expect("this process");
        let home = home_with("reused", &own);
        let found = find(&home, 1).expect("a pid file").expect("this process runs");
        assert_eq!(found.pid, own.pid);
        assert!(!found.is_paused && found.resident_bytes > 0);
        assert!(find(&home, 2).expect("no pid file").is_none());

        let others = [
            Identity { start_ticks: own.start_ticks + 1, boot: own.boot.clone(), ..own },
            Identity { boot: "another".to_owned(), ..own },
        ];
        for other in others {
            fs::write(pid_file(&home, 1), other.to_string()).expect("a pid file");
            assert!(find(&home, 1).expect("a pid file").is_none());
            assert!(!signal(&home, 1, Signal::KILL).expect("nothing to signal"), "or this test would have ended");
        }
        fs::remove_dir_all(&home).expect("the test's directory");
    }

    #[test]
    fn a_process_is_paused_resumed_and_killed() {
        let mut child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep");
        let home = home_with("signals", &identity_of(pid_of(&child).expect("its number")).expect("it runs"));
        assert!(signal(&home, 1, Signal::STOP).expect("it runs"));
        // The kernel stops it when it is next to run, and says so from then on.
        while !find(&home, 1).expect("a pid file").expect("it runs").is_paused {
            thread::yield_now();
        }
        assert!(signal(&home, 1, Signal::CONT).expect("it runs"));
        while find(&home, 1).expect("a pid file").expect("it runs").is_paused {
            thread::yield_now();
        }
        assert!(kill(&home, 1).expect("it runs"));
        assert!(find(&home, 1).expect("no pid file any more").is_none());
        assert!(!kill(&home, 1).expect("it does not run"));
        child.wait().expect("it has ended");
        fs::remove_dir_all(&home).expect("the test's directory");
    }
}
