//! Reading what a topic holds in the forms other than JSON: stored batches, lines, and server-sent events.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};

use crate::{
    Failure,
    connection::{Connection, scratch},
    figures::Figures,
    fill::{BATCH, fill},
    load::{Load, Round, Step, Worth},
    request::{self, Url},
};

/// What one event of a stream holds at most, so that it is as long as the other forms' pieces.
const EVENT_BYTES: usize = 1 << 20;

/// The value of a topic's last record, by which the end of a stream is known.
const LAST_VALUE: &str = "the last record of this topic";

/// How long a stream runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Record batches as they are stored, about 1 MiB to an answer
    Batches,
    /// A record a line (NDJSON), the whole topic to an answer
    Lines,
    /// Server-sent events, the whole topic over one connection
    Events,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Read {
    /// The server
    #[arg(long)]
    pub(crate) url: Url,
    /// How records are read
    #[arg(long, value_enum)]
    pub(crate) form: Form,
    /// How many read at a time
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// How much to fill the topic with; who has all of it begins anew
    #[arg(long, default_value_t = 64)]
    pub(crate) megabytes: usize,
    /// Bytes of each record's value
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// How long to measure
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
}

impl Read {
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("{}", self.measure()?);
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let topic = format!("read-{}", std::process::id());
        fill(self.url, &topic, 1, self.megabytes << 20, self.record_bytes)?;
        let load = Load { address: self.url.0, duration: Duration::from_secs(self.seconds), threads: 1, rate: None };
        match self.form {
            Form::Batches => load.run(vec![self.batches(&topic)?; self.connections]),
            Form::Lines => load.run(vec![lines(&topic); self.connections]),
            Form::Events => self.events(&topic),
        }
    }

    /// One answer after another, until the topic's end.
    fn batches(&self, topic: &str) -> Result<Round, Failure> {
        let records = (1 << 20) / self.record_bytes / BATCH * BATCH;
        let records = records.max(BATCH);
        let answers = (self.megabytes << 20) / self.record_bytes / records;
        let step = |answer: usize| {
            let offset = answer * records;
            let path = format!("/api/topics/{topic}/messages?partition=0&offset={offset}&limit={records}");
            let request =
                request::get_as(&format!("{path}&max_bytes=16777216"), "application/vnd.kafka.record-batches");
            Step { request: request.into(), worth: Worth::Body }
        };
        let steps: Vec<_> = (0..answers).map(step).collect();
        if steps.is_empty() {
            return Err("the topic has less than one answer takes".into());
        }
        Ok(Round { steps, rewind: None })
    }

    /// Streams the topic over and over, on as many connections.
    fn events(&self, topic: &str) -> Result<Figures, Failure> {
        let last = format!(r#"{{"records":[{{"value":"{LAST_VALUE}"}}]}}"#);
        Connection::open(self.url.0)?.ask(&request::produce(topic, &last))?;
        let (begin, stop) = (Instant::now() + WARM_UP, AtomicBool::new(false));
        let end = begin + Duration::from_secs(self.seconds);
        thread::scope(|scope| {
            let stop = &stop;
            let stream = |number| {
                let consumer = request::consumer_id(number);
                move || {
                    let streamed = self.stream(topic, &consumer, begin, end, stop);
                    // One that failed ends the others.
                    stop.fetch_or(streamed.is_err(), Ordering::Relaxed);
                    streamed
                }
            };
            let streams: Vec<_> = (0..self.connections).map(|number| scope.spawn(stream(number))).collect();
            let mut whole = Figures::new(end - begin);
            for stream in streams {
                whole.merge(&stream.join().map_err(|_| "a thread panicked")??);
            }
            Ok(whole)
        })
    }

    /// One connection's share: streams from the first record to the last, and begins anew, until the time is over.
    fn stream(
        &self,
        topic: &str,
        consumer: &str,
        begin: Instant,
        end: Instant,
        stop: &AtomicBool,
    ) -> Result<Figures, Failure> {
        let mut control = Connection::open(self.url.0)?;
        control.ask(&request::subscribe(consumer, consumer, topic, true))?;
        control.ask(&request::poll(consumer, 1, 0))?;
        let path = format!("/api/consumers/{consumer}/stream?max_records=10000&max_bytes_total={EVENT_BYTES}");
        let (mut figures, mut scratch) = (Figures::new(end - begin), scratch());
        while !stop.load(Ordering::Relaxed) {
            control.ask(&request::rewind(consumer, topic, &["0".to_owned()]))?;
            let mut connection = Connection::open(self.url.0)?;
            let (from, mut before) = (Instant::now(), 0);
            connection.send(&request::get(&path))?;
            loop {
                if let Some(answer) = connection.receive_some(&mut scratch)? {
                    return Err(format!("a stream ended: {}", answer.text()).into());
                }
                let now = Instant::now();
                let (bytes, tail) = connection.so_far();
                if (begin..end).contains(&now) {
                    figures.bytes += (bytes - before) as u64;
                }
                if now >= end {
                    return Ok(figures);
                }
                before = bytes;
                if tail.windows(LAST_VALUE.len()).any(|window| window == LAST_VALUE.as_bytes()) {
                    break;
                }
            }
            figures.requests += 1;
            figures.latencies.note(from.elapsed());
        }
        Ok(figures)
    }
}

/// The topic from its beginning to its end.
fn lines(topic: &str) -> Round {
    let request =
        request::get_as(&format!("/api/topics/{topic}/messages?partition=0&offset=0"), "application/x-ndjson");
    Round { steps: vec![Step { request: request.into(), worth: Worth::Body }], rewind: None }
}
