//! Load over many connections, on few threads: each connection goes round its steps, either in a closed loop or at a
//! given rate.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::{
    Failure,
    connection::{Answer, Connection, Scratch, scratch},
    consume::records_before,
    figures::Figures,
    pace::{Resting, Timetable},
};

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// What one connection sends, over and over.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) steps: Vec<Step>,
    /// Sent when a poll brought nothing, to have records again.
    pub(crate) rewind: Option<Arc<[u8]>>,
}

/// One request, and what its answer is worth.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) request: Arc<[u8]>,
    pub(crate) worth: Worth,
}

/// How records and bytes are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worth {
    /// A good answer stands for so much that was sent.
    Sent {
        records: u64,
        bytes: u64,
    },
    /// The answer is a poll's: how far its positions moved, and its body.
    Polled,
    /// The answer's body.
    Body,
    Nothing,
}

/// A load on a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) duration: Duration,
    pub(crate) threads: usize,
    /// How many requests a second all connections send together, however soon they are answered. Without it each sends
    /// its next one when it has the answer to the one before.
    pub(crate) rate: Option<f64>,
}

impl Load {
    /// Runs it, with a connection for each of `rounds`.
    pub(crate) fn run(self, rounds: Vec<Round>) -> Result<Figures, Failure> {
        let (threads, connections) = (self.threads.clamp(1, rounds.len().max(1)), rounds.len());
        let mut shares = vec![Vec::new(); threads];
        for (index, round) in rounds.into_iter().enumerate() {
            shares[index % threads].push((index, round));
        }
        let barrier = Barrier::new(threads);
        thread::scope(|scope| {
            let barrier = &barrier;
            let running: Vec<_> = shares
                .into_iter()
                .map(|share| scope.spawn(move || self.run_thread(share, connections, barrier)))
                .collect();
            let mut whole = Figures::new(Duration::ZERO);
            for thread in running {
                whole.merge(&thread.join().map_err(|_| "a thread panicked")??);
            }
            Ok(whole)
        })
    }

    fn run_thread(
        self,
        rounds: Vec<(usize, Round)>,
        connections: usize,
        barrier: &Barrier,
    ) -> Result<Figures, Failure> {
        let numbers: Vec<_> = rounds.iter().map(|(number, _)| *number).collect();
        let open = |(_, round)| Client::open(self.address, round);
        let clients: io::Result<Vec<_>> = rounds.into_iter().map(open).collect();
        // Also after an error, or the others would wait for ever.
        barrier.wait();
        let mut clients = clients?;
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        for (index, client) in clients.iter().enumerate() {
            epoll::add(&poller, &client.connection.stream, epoll::EventData::new_u64(index as u64), flags)?;
        }
        let first = Instant::now();
        let begin = first + WARM_UP;
        let end = begin + self.duration;
        let mut figures = Figures::new(self.duration);
        let (mut scratch, mut resting) = (scratch(), Resting::default());
        for (index, client) in clients.iter_mut().enumerate() {
            client.timetable = self.rate.map(|rate| Timetable::new(first, rate, numbers[index], connections));
            if let Some(due) = client.start()? {
                resting.until(due, index);
            }
        }
        let mut events = Vec::with_capacity(1024);
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(figures);
            }
            let wake = resting.first().map_or(end, |due| due.min(end));
            let left = Timespec::try_from(wake.saturating_duration_since(now))?;
            events.clear();
            epoll::wait(&poller, spare_capacity(&mut events), Some(&left))?;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                if let Some(due) = clients[index].proceed(&mut scratch, &mut figures, begin)? {
                    resting.until(due, index);
                }
            }
            let now = Instant::now();
            while let Some(index) = resting.take_due(now) {
                clients[index].send()?;
            }
        }
    }
}

struct Client {
    connection: Connection,
    round: Round,
    next: usize,
    rewinding: bool,
    request: Arc<[u8]>,
    sent: usize,
    /// When the request was sent, or was to be sent.
    sent_at: Instant,
    timetable: Option<Timetable>,
    /// Whether the next request isn't due yet.
    rests: bool,
    records_before: u64,
}

impl Client {
    fn open(address: SocketAddr, round: Round) -> io::Result<Self> {
        let connection = Connection::open(address)?;
        connection.stream.set_nonblocking(true)?;
        let request = Arc::clone(&round.steps[0].request);
        let (sent_at, records_before) = (Instant::now(), 0);
        let (next, rewinding, sent, timetable, rests) = (0, false, 0, None, true);
        Ok(Self { connection, round, next, rewinding, request, sent, sent_at, timetable, rests, records_before })
    }

    /// Sends the next request, or says when it is due.
    fn start(&mut self) -> io::Result<Option<Instant>> {
        let now = Instant::now();
        self.sent = 0;
        self.sent_at = match &mut self.timetable {
            Some(timetable) => timetable.next(),
            None => now,
        };
        self.rests = self.sent_at > now;
        if self.rests {
            return Ok(Some(self.sent_at));
        }
        self.send()?;
        Ok(None)
    }

    fn send(&mut self) -> io::Result<()> {
        self.rests = false;
        self.sent += self.connection.send(&self.request[self.sent..])?;
        Ok(())
    }

    /// Goes on as far as the socket allows, or until the next request is due, which it says.
    fn proceed(&mut self, scratch: &mut Scratch, figures: &mut Figures, begin: Instant) -> io::Result<Option<Instant>> {
        loop {
            if !self.rests && self.sent < self.request.len() {
                self.send()?;
            }
            let Some(answer) = self.connection.receive(scratch)? else {
                return Ok(None);
            };
            let now = Instant::now();
            let mut rewind = false;
            let step = &self.round.steps[self.next];
            if self.rewinding {
                self.rewinding = false;
                self.records_before = 0;
            } else {
                let (records, bytes) = step.worth.of(&answer, &mut self.records_before);
                rewind = matches!(step.worth, Worth::Polled) && records == 0;
                if now >= begin {
                    figures.requests += 1;
                    figures.records += records;
                    figures.bytes += bytes;
                    figures.latencies.note(now - self.sent_at);
                }
                self.next = (self.next + 1) % self.round.steps.len();
            }
            if !answer.is_good() {
                figures.errors += 1;
                figures.error.get_or_insert_with(|| answer.text());
            }
            self.request = match &self.round.rewind {
                Some(request) if rewind => {
                    self.rewinding = true;
                    Arc::clone(request)
                }
                _ => Arc::clone(&self.round.steps[self.next].request),
            };
            let due = self.start()?;
            if due.is_some() || self.sent == self.request.len() {
                // The answer can't be there yet, or the next event tells of it.
                return Ok(due);
            }
        }
    }
}

impl Worth {
    fn of(self, answer: &Answer<'_>, before: &mut u64) -> (u64, u64) {
        if !answer.is_good() {
            return (0, 0);
        }
        match self {
            Self::Sent { records, bytes } => (records, bytes),
            Self::Body => (0, answer.body_bytes as u64),
            Self::Nothing => (0, 0),
            Self::Polled => {
                let now = records_before(answer.tail);
                let records = now.saturating_sub(*before);
                *before = now;
                (records, if records > 0 { answer.body_bytes as u64 } else { 0 })
            }
        }
    }
}
