//! When requests are due that come at a given rate, whether the server keeps up or not.
//!
//! In a closed loop a client that waits sends nothing, so what would have been slow meanwhile isn't counted. Here each
//! connection has a timetable. What is late because the answer before it was, counts from when it was due: a pause of
//! the server shows in all the requests that it kept waiting.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// One connection's timetable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    next: Instant,
    every: Duration,
}

impl Timetable {
    /// That of the connection with number `index` of so many, which together are to send `rate` requests a second from
    /// `begin` on, one after the other.
    pub(crate) fn new(begin: Instant, rate: f64, index: usize, connections: usize) -> Self {
        let apart = Duration::from_secs_f64(1.0 / rate);
        let times = |count: usize| apart * u32::try_from(count).unwrap_or(u32::MAX);
        Self { next: begin + times(index), every: times(connections) }
    }

    /// When the next request is due. Each time it is another one.
    pub(crate) fn next(&mut self) -> Instant {
        let due = self.next;
        self.next += self.every;
        due
    }
}

/// Connections that have an answer and nothing to send yet.
#[derive(Debug, Default)]
pub(crate) struct Resting(BinaryHeap<Reverse<(Instant, usize)>>);

impl Resting {
    pub(crate) fn until(&mut self, due: Instant, index: usize) {
        self.0.push(Reverse((due, index)));
    }

    /// When the first of them has something to send.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((due, _))| *due)
    }

    /// One that has something to send now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<usize> {
        self.first().filter(|due| *due <= now)?;
        self.0.pop().map(|Reverse((_, index))| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns() {
        let begin = Instant::now();
        let mut all: Vec<_> = (0..4).map(|index| Timetable::new(begin, 1_000.0, index, 4)).collect();
        let due: Vec<_> = (0..12).map(|turn| (all[turn % 4].next() - begin).as_millis()).collect();
        assert_eq!(due, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn who_is_due_first_goes_first() {
        let (now, mut resting) = (Instant::now(), Resting::default());
        let at = |ms| now + Duration::from_millis(ms);
        resting.until(at(2), 7);
        resting.until(at(1), 8);
        assert_eq!((resting.first(), resting.take_due(now)), (Some(at(1)), None));
        assert_eq!(
            [resting.take_due(at(2)), resting.take_due(at(2)), resting.take_due(at(2))],
            [Some(8), Some(7), None]
        );
    }
}
