//! What requests cost a server beside more and more of everything: its CPU time, since it is less disturbed by others than
//! the time that a request takes.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{Growing, Point};
use crate::{
    Failure,
    connection::{Connection, scratch},
    machine::cpu_ns,
    request::{self, Url},
    server::Server,
    wake::{Idle, Wake, allow_files},
};

const TOPIC: &str = "orders";
const QUIET: &str = "quiet";

/// How much there is of something at most. A poll that waits takes a file on either side, and a system seldom grants more;
/// more topics and partitions, with their directories, take minutes to make.
pub(super) const fn most(growing: Growing) -> u32 {
    match growing {
        Growing::Topics | Growing::Partitions | Growing::Parked => 10_000,
        Growing::Groups | Growing::Consumers | Growing::Age => 100_000,
    }
}

/// Requests of each kind between two looks at the CPU time, and how often that is done. The least counts.
const REQUESTS: usize = 500;
const PASSES: usize = 5;
/// No further pass begins after this.
const LONGEST: Duration = Duration::from_secs(5);

/// A server, and two connections to it.
struct Probe {
    pid: u32,
    asking: Connection,
    producing: Connection,
    consumer: String,
}

/// Measures the requests with so much of what grows.
pub(super) fn measure(
    program: &Path,
    directory: &Path,
    growing: Growing,
    size: u32,
) -> Result<Vec<(&'static str, Point)>, Failure> {
    if growing == Growing::Parked {
        allow_files(u64::from(size) + 5_000)?;
    }
    let server = Server::roomy(program, directory)?;
    let consumer = request::consumer_id(usize::try_from(size)? + 1);
    let (asking, producing) = (Connection::open(server.url.0)?, Connection::open(server.url.0)?);
    let mut probe = Probe { pid: server.pid(), asking, producing, consumer };
    let partitions = if growing == Growing::Partitions { size } else { 1 };
    probe.asking.ask(&request::create_topic(TOPIC, partitions))?;
    probe.asking.ask(&request::create_topic(QUIET, 1))?;
    probe.asking.ask(&request::subscribe_patiently(&probe.consumer, TOPIC))?;
    probe.asking.ask(&request::poll(&probe.consumer, 1, 0))?;
    let _waiting = probe.populate(server.url, growing, size)?;
    settle(probe.pid)?;
    // What was opened before may have been idle for so long that the server has closed it.
    (probe.asking, probe.producing) = (Connection::open(server.url.0)?, Connection::open(server.url.0)?);
    let produce = probe.least(Probe::produce)?;
    // As many again as both kinds of polls need.
    for _ in 0..REQUESTS * PASSES {
        probe.produce()?;
    }
    let found = [
        ("produce", produce),
        ("poll that finds a record", probe.least(Probe::poll)?),
        ("such a poll, and its commit", probe.least(Probe::poll_and_commit)?),
        ("poll that waits, and the produce that wakes it", probe.wake()?),
    ];
    Ok(found.into_iter().map(|(operation, ns)| (operation, Point { size, ns, allocations: None })).collect())
}

/// Waits until a server has nothing left to do: what was made is synced behind the answers.
fn settle(pid: u32) -> Result<(), Failure> {
    const LOOK: Duration = Duration::from_millis(300);
    const BUSY_NS: u64 = 3_000_000;
    let deadline = Instant::now() + Duration::from_mins(2);
    let mut before = cpu_ns(pid)?;
    while Instant::now() < deadline {
        thread::sleep(LOOK);
        let now = cpu_ns(pid)?;
        if now - before < BUSY_NS {
            return Ok(());
        }
        before = now;
    }
    Err("a server does not come to rest".into())
}

impl Probe {
    /// Makes so much of what grows. Gives the connections of polls that wait.
    fn populate(&mut self, url: Url, growing: Growing, size: u32) -> Result<Vec<Connection>, Failure> {
        match growing {
            Growing::Partitions => {}
            Growing::Parked => {
                let (idle, kind) = (usize::try_from(size)?, Idle::Consumers);
                return Wake { url, idle, kind, rounds: 0, pid: None, idle_seconds: 0 }.park(QUIET);
            }
            _ => {
                for number in 0..usize::try_from(size)? {
                    self.add(growing, number)?;
                }
            }
        }
        Ok(Vec::new())
    }

    /// One more of what grows.
    fn add(&mut self, growing: Growing, number: usize) -> Result<(), Failure> {
        if growing == Growing::Age {
            return self.live();
        }
        if growing == Growing::Topics {
            self.asking.ask(&request::create_topic(&format!("other-{number}"), 1))?;
            return Ok(());
        }
        let (consumer, topic) = (request::consumer_id(number), if growing == Growing::Groups { QUIET } else { TOPIC });
        self.asking.ask(&request::subscribe_patiently(&consumer, topic))?;
        self.asking.ask(&request::poll(&consumer, 1, 0))?;
        Ok(())
    }

    /// A record is produced, read and committed.
    fn live(&mut self) -> Result<(), Failure> {
        self.produce()?;
        self.poll_and_commit()
    }

    fn poll_and_commit(&mut self) -> Result<(), Failure> {
        self.poll()?;
        self.commit()
    }

    fn produce(&mut self) -> Result<(), Failure> {
        let body = format!(r#"{{"records":[{{"value":"{}","partition":0}}]}}"#, "x".repeat(1024));
        self.producing.ask(&request::produce(TOPIC, &body))?;
        Ok(())
    }

    /// Of the one record that is next.
    fn poll(&mut self) -> Result<(), Failure> {
        let answer = self.asking.ask(&request::poll(&self.consumer, 1, 0))?;
        if answer.starts_with(r#"{"records":[]"#) { Err("a poll found nothing".into()) } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.asking.ask(&request::commit(&self.consumer))?;
        Ok(())
    }

    /// Lets polls wait at the log's end, and wakes each by a produce.
    fn wake(&mut self) -> Result<f64, Failure> {
        let seek = request::post(&format!("/api/consumers/{}/seek", self.consumer), r#"{"to":"end"}"#);
        self.asking.ask(&seek)?;
        self.asking.ask(&request::poll(&self.consumer, 1, 0))?;
        self.least(|probe| {
            probe.asking.send(&request::poll(&probe.consumer, 1, 30_000))?;
            probe.produce()?;
            let mut scratch = scratch();
            let answer = probe.asking.receive(&mut scratch)?.ok_or("the stream does not block")?;
            if answer.is_good() { Ok(()) } else { Err(answer.text().into()) }
        })
    }

    /// The CPU time of one, in nanoseconds: the least of several passes.
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    fn least(&mut self, mut ask: impl FnMut(&mut Self) -> Result<(), Failure>) -> Result<f64, Failure> {
        let (mut least, began) = (u64::MAX, Instant::now());
        for pass in 0..PASSES {
            if pass > 0 && began.elapsed() > LONGEST {
                break;
            }
            let before = cpu_ns(self.pid)?;
            for _ in 0..REQUESTS {
                ask(self)?;
            }
            least = least.min(cpu_ns(self.pid)? - before);
        }
        Ok(least as f64 / REQUESTS as f64)
    }
}
