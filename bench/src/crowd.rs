//! Many polls that wait for the same partition, and one record for all of them.

use std::time::{Duration, Instant};

use clap::Args;
use rustix::{buffer::spare_capacity, event::epoll};

use crate::{
    Failure,
    connection::{Connection, scratch},
    figures::{Latencies, Ms},
    request::{self, Url},
    wake::{Idle, PARKED_MS, Wake, allow_files},
};

/// How long after the last answer the next polls are given to arrive.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Args)]
pub(crate) struct Crowd {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// How many polls wait, each of a consumer in a group of its own
    #[arg(long, default_value_t = 1_000)]
    pub(crate) polls: usize,
    /// Records to produce, one at a time
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: usize,
}

impl Crowd {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (each, last) = self.measure()?;
        println!("a poll's answer: {each}");
        println!("the last of {}:  p50 {} ms, max {} ms", self.polls, Ms(last.at(50.0)), Ms(last.at(100.0)));
        Ok(())
    }

    /// From the sending of the produce to each answer, and to the last one of each round.
    pub(crate) fn measure(&self) -> Result<(Latencies, Latencies), Failure> {
        allow_files(self.polls as u64 + 100)?;
        let topic = format!("crowd-{}", std::process::id());
        let mut producer = Connection::open(self.url.0)?;
        producer.ask(&request::create_topic(&topic, 1))?;
        let (url, idle, kind) = (self.url, self.polls, Idle::Consumers);
        let mut polls = Wake { url, idle, kind, rounds: 0, pid: None, idle_seconds: 0 }.park(&topic)?;
        let requests: Vec<_> =
            (0..self.polls).map(|number| request::poll(&request::consumer_id(number), 500, PARKED_MS)).collect();
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, connection) in polls.iter().enumerate() {
            connection.stream.set_nonblocking(true)?;
            epoll::add(&poller, &connection.stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        }
        let produce = request::produce(&topic, &request::records(1, 1024));
        let (mut each, mut last) = (Latencies::new(), Latencies::new());
        let (mut scratch, mut events) = (scratch(), Vec::with_capacity(1_024));
        // What a consumer's first polls say without a record (its assignment) is not measured.
        for round in 0..=self.rounds {
            std::thread::sleep(PAUSE);
            let sent_at = Instant::now();
            producer.send(&produce)?;
            let mut waiting = self.polls;
            while waiting > 0 {
                events.clear();
                epoll::wait(&poller, spare_capacity(&mut events), None)?;
                for event in &events {
                    let index = usize::try_from(event.data.u64())?;
                    let Some(answer) = polls[index].receive(&mut scratch)? else { continue };
                    let took = sent_at.elapsed();
                    if !answer.is_good() {
                        return Err(answer.text().into());
                    }
                    if answer.tail.starts_with(b"{\"records\":[]") {
                        polls[index].send(&requests[index])?;
                        continue;
                    }
                    waiting -= 1;
                    if round > 0 {
                        each.note(took);
                    }
                    if round > 0 && waiting == 0 {
                        last.note(took);
                    }
                }
            }
            let answer = producer.receive(&mut scratch)?.ok_or("the stream does not block")?;
            if !answer.is_good() {
                return Err(answer.text().into());
            }
            for (connection, request) in polls.iter_mut().zip(&requests) {
                connection.send(request)?;
            }
        }
        Ok((each, last))
    }
}
