//! How soon a parked poll hears of a record, and what parked polls cost.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use rustix::{
    buffer::spare_capacity,
    event::epoll,
    net::{AddressFamily, SocketType, bind, connect, ipproto, socket},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::{
    Failure,
    connection::{Connection, scratch},
    figures::Latencies,
    machine::{cpu_ns, resident_bytes},
    request::{self, Url},
};

/// Connections from one source address: fewer than there are ports for them.
const CONNECTIONS_PER_ADDRESS: usize = 20_000;

/// Connections that subscribe at the same time, so that their syncs are shared.
const SUBSCRIBE_AT_ONCE: usize = 256;

/// How long a parked poll waits: longer than the whole run.
pub(crate) const PARKED_MS: u32 = 300_000;

/// How long after an answer the waiter's next poll is given to arrive.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Idle {
    /// Polls, each of a consumer in a group of its own.
    Consumers,
    /// Reads, which need no consumer.
    Reads,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Wake {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// How many polls wait for records that never come
    #[arg(long, default_value_t = 1_000)]
    pub(crate) idle: usize,
    /// Of which kind they are
    #[arg(long, value_enum, default_value = "consumers")]
    pub(crate) kind: Idle,
    /// Records to produce, one at a time
    #[arg(long, default_value_t = 1_000)]
    pub(crate) rounds: usize,
    /// The server's process id, to measure its memory and CPU time
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// How long its CPU time is watched while nothing happens
    #[arg(long, default_value_t = 10)]
    pub(crate) idle_seconds: u64,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// From the produce's sending to its own answer.
    pub(crate) acknowledged: Latencies,
    /// From the produce's sending to the poll's answer.
    pub(crate) woken: Latencies,
    pub(crate) cost: Option<Parked>,
}

/// What parked polls cost the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    polls: u64,
    before_bytes: u64,
    after_bytes: u64,
    cpu: Duration,
    watched: Duration,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "acknowledged: {}", self.acknowledged)?;
        write!(f, "woken:        {}", self.woken)?;
        self.cost.map_or(Ok(()), |parked| write!(f, "\n{parked}"))
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { polls, before_bytes, after_bytes, cpu, watched } = self;
        let each = after_bytes.saturating_sub(*before_bytes) / (*polls).max(1);
        let (before, after) = (before_bytes >> 10, after_bytes >> 10);
        write!(f, "resident: {before} KiB, with {polls} parked polls {after} KiB: {each} bytes each; ")?;
        write!(f, "CPU while all are parked: {:.3} ms in {} s", cpu.as_secs_f64() * 1e3, watched.as_secs())
    }
}

impl Wake {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", self.measure()?);
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Found, Failure> {
        allow_files(self.idle as u64 + 100)?;
        let (quiet, busy) = (format!("quiet-{}", std::process::id()), format!("busy-{}", std::process::id()));
        let mut producer = Connection::open(self.url.0)?;
        producer.ask(&request::create_topic(&quiet, 1))?;
        producer.ask(&request::create_topic(&busy, 1))?;

        let consumer = request::consumer_id(usize::MAX & 0xffff_ffff);
        let mut waiter = Connection::open(self.url.0)?;
        waiter.ask(&request::subscribe(&consumer, "waiter", &busy, true))?;
        let poll = request::poll(&consumer, 500, PARKED_MS);

        let before_bytes = self.pid.map(resident_bytes).transpose()?;
        let parked = self.park(&quiet)?;
        waiter.send(&poll)?;
        thread::sleep(Duration::from_secs(1));
        let cost = match (self.pid, before_bytes) {
            (Some(pid), Some(before_bytes)) => Some(self.watch(pid, before_bytes)?),
            _ => None,
        };
        let produce = request::produce(&busy, &request::records(1, 1024));
        let mut connections = [producer, waiter];
        let (acknowledged, woken) = wake(self.rounds, &mut connections, &produce, &poll)?;
        drop(parked);
        Ok(Found { acknowledged, woken, cost })
    }

    /// Opens connections that each wait for a record that never comes.
    pub(crate) fn park(&self, topic: &str) -> Result<Vec<Connection>, Failure> {
        let mut all = Vec::with_capacity(self.idle);
        let mut scratch = scratch();
        while all.len() < self.idle {
            let first = all.len();
            let mut some = Vec::new();
            for number in first..self.idle.min(first + SUBSCRIBE_AT_ONCE) {
                some.push(Connection::over(connect_from(number / CONNECTIONS_PER_ADDRESS, self.url.0)?)?);
            }
            if self.kind == Idle::Consumers {
                for (connection, number) in some.iter_mut().zip(first..) {
                    let consumer = request::consumer_id(number);
                    connection.send(&request::subscribe(&consumer, &consumer, topic, true))?;
                }
                for connection in &mut some {
                    let answer = connection.receive(&mut scratch)?.ok_or("the stream does not block")?;
                    if !answer.is_good() {
                        return Err(answer.text().into());
                    }
                }
            }
            for (connection, number) in some.iter_mut().zip(first..) {
                connection.send(&match self.kind {
                    Idle::Consumers => request::poll(&request::consumer_id(number), 500, PARKED_MS),
                    Idle::Reads => request::get(&format!("/api/topics/{topic}/messages?wait_ms={PARKED_MS}")),
                })?;
            }
            all.append(&mut some);
        }
        Ok(all)
    }

    fn watch(&self, pid: u32, before_bytes: u64) -> Result<Parked, Failure> {
        let after_bytes = resident_bytes(pid)?;
        let (watched, cpu_before) = (Duration::from_secs(self.idle_seconds), cpu_ns(pid)?);
        thread::sleep(watched);
        let cpu = Duration::from_nanos(cpu_ns(pid)? - cpu_before);
        Ok(Parked { polls: self.idle as u64, before_bytes, after_bytes, cpu, watched })
    }
}

/// Produces over the first connection, and polls over the second, so often: how long each took to be answered.
pub(crate) fn wake(
    rounds: usize,
    connections: &mut [Connection; 2],
    produce: &[u8],
    poll: &[u8],
) -> Result<(Latencies, Latencies), Failure> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut latencies = [Latencies::new(), Latencies::new()];
    for (index, connection) in connections.iter().enumerate() {
        connection.stream.set_nonblocking(true)?;
        epoll::add(&poller, &connection.stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
    }
    let (mut scratch, mut events) = (scratch(), Vec::with_capacity(2));
    // What a consumer's first polls say beside records (its assignment), or without any, is not measured.
    for round in 0..=rounds {
        let sent_at = Instant::now();
        connections[0].send(produce)?;
        let mut waiting = [true, true];
        while waiting != [false, false] {
            events.clear();
            epoll::wait(&poller, spare_capacity(&mut events), None)?;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                let Some(answer) = connections[index].receive(&mut scratch)? else { continue };
                let took = sent_at.elapsed();
                if !answer.is_good() {
                    return Err(answer.text().into());
                }
                waiting[index] = false;
                if round > 0 {
                    latencies[index].note(took);
                }
                if index == 1 && round == 0 && (answer.tail.starts_with(b"{\"records\":[]") || answer.tail == b"[]") {
                    waiting[index] = true;
                    connections[1].send(poll)?;
                }
            }
        }
        connections[1].send(poll)?;
        thread::sleep(PAUSE);
    }
    let [acknowledged, woken] = latencies;
    Ok((acknowledged, woken))
}

/// Connects from the loopback address of that number.
fn connect_from(number: usize, to: SocketAddr) -> io::Result<TcpStream> {
    let IpAddr::V4(_) = to.ip() else { return TcpStream::connect(to) };
    let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP))?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, high, low, 1), 0))?;
    connect(&socket, &to)?;
    Ok(socket.into())
}

/// Raises the limit of open files as far as it is needed.
pub(crate) fn allow_files(wanted: u64) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|error| format!("{wanted} files can't be open at once: {error}").into())
}
