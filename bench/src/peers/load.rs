//! A closed loop over connections of any protocol: each appends its next record when it has the answer to the one before.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use super::wire::Wire;
use crate::{Failure, figures::Figures};

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    received: Vec<u8>,
    sent: usize,
    sent_at: Instant,
}

/// Appends records of so many bytes over so many connections, for a time.
pub(super) fn append(
    wire: Wire,
    address: SocketAddr,
    connections: usize,
    record_bytes: usize,
    duration: Duration,
) -> Result<Figures, Failure> {
    let value = "x".repeat(record_bytes);
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    let mut clients = Vec::new();
    for number in 0..connections {
        let stream = wire.connect(address)?;
        stream.set_nonblocking(true)?;
        epoll::add(&poller, &stream, epoll::EventData::new_u64(number as u64), flags)?;
        let request = wire.append(&stream, &value)?;
        clients.push(Client { stream, request, received: Vec::new(), sent: 0, sent_at: Instant::now() });
    }
    let begin = Instant::now() + WARM_UP;
    let end = begin + duration;
    let (mut figures, mut events) = (Figures::new(duration), Vec::with_capacity(connections));
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(figures);
        }
        events.clear();
        epoll::wait(&poller, spare_capacity(&mut events), Some(&Timespec::try_from(end - now)?))?;
        for event in &events {
            let client = &mut clients[usize::try_from(event.data.u64())?];
            while let Some(took) = client.proceed(wire)? {
                if Instant::now() >= begin {
                    (figures.requests, figures.records) = (figures.requests + 1, figures.records + 1);
                    figures.bytes += record_bytes as u64;
                    figures.latencies.note(took);
                }
            }
        }
    }
}

impl Client {
    /// Goes on as far as the socket allows. How long the answer took, if it came.
    fn proceed(&mut self, wire: Wire) -> Result<Option<Duration>, Failure> {
        let mut scratch = [0; 4096];
        loop {
            if self.sent == 0 {
                self.sent_at = Instant::now();
            }
            while self.sent < self.request.len() {
                match self.stream.write(&self.request[self.sent..]) {
                    Ok(written) => self.sent += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(length) = wire.answer(&self.received)? {
                self.received.drain(..length);
                self.sent = 0;
                return Ok(Some(self.sent_at.elapsed()));
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(read) => self.received.extend_from_slice(&scratch[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
