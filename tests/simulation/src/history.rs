//! Whether a history could have been: for each log, and for each group's commits of a log, there must be an order of
//! the operations, each at some moment between its request and its answer, in which every answer makes sense.
//!
//! The check goes along with the run (just-in-time linearization, Lowe 2017, after Wing and Gong 1993): it keeps every
//! state that the thing may be in, each with what of the open operations has happened in it. When one is answered, and
//! not before, those that are open are let happen in all orders up to that one. A write of which no answer comes stays
//! open, and may happen any time until the broker is started anew. Where more than [`MAX_OPEN`] operations are open, or
//! more than [`MAX_STATES`] states possible, it looks away until then.

/// Operations that may be open at a time.
const MAX_OPEN: usize = 10;
/// States that are told apart.
const MAX_STATES: usize = 128;

/// What can be asked of the thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// So many records more: from an end to another.
    Append(u64),
    /// A commit.
    Set(u64),
    /// What it is.
    Get,
}

/// Names something that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// Of nothing that is open.
    pub(crate) const NONE: Self = Self(0);

    /// One that comes after those there are.
    pub(crate) fn after(self, last: Option<Self>) -> Self {
        Self(self.max(last.unwrap_or(Self::NONE)).0 + 1)
    }
}

/// One state that the thing may be in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    value: u64,
    /// What of the open operations has happened, and the value that each met, in the order of their tickets.
    happened: Vec<(Ticket, u64)>,
}

impl State {
    fn place_of(&self, ticket: Ticket) -> Option<usize> {
        self.happened.iter().position(|(of, _)| *of == ticket)
    }

    /// The state after one more operation.
    fn after(&self, ticket: Ticket, ask: Ask) -> Self {
        let value = match ask {
            Ask::Append(records) => self.value + records,
            Ask::Set(value) => value,
            Ask::Get => self.value,
        };
        let mut happened = self.happened.clone();
        let place = happened.partition_point(|(of, _)| *of < ticket);
        happened.insert(place, (ticket, self.value));
        Self { value, happened }
    }
}

/// The history of one thing: a log's end, or what is committed.
#[derive(Clone, Debug)]
pub(crate) struct History {
    states: Vec<State>,
    open: Vec<(Ticket, Ask)>,
    tickets: u64,
    /// Whether it looks away.
    blind: bool,
}

impl History {
    pub(crate) fn new(value: u64) -> Self {
        Self { states: vec![State { value, happened: Vec::new() }], open: Vec::new(), tickets: 0, blind: false }
    }

    /// Something is asked for.
    pub(crate) fn begin(&mut self, ask: Ask) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        if self.open.len() == MAX_OPEN {
            self.look_away();
        }
        if !self.blind {
            self.open.push((ticket, ask));
        }
        ticket
    }

    /// Something is answered: it happened, and met `met` if that is known. Whether that can be.
    pub(crate) fn happened(&mut self, ticket: Ticket, met: Option<u64>) -> bool {
        self.spread(Some(ticket));
        self.close(ticket, |state| {
            let Some(place) = state.place_of(ticket) else { return false };
            let (_, before) = state.happened.remove(place);
            met.is_none_or(|met| met == before)
        })
    }

    /// Something is refused: it did not happen. Whether that can be.
    pub(crate) fn did_not_happen(&mut self, ticket: Ticket) -> bool {
        self.close(ticket, |state| state.place_of(ticket).is_none())
    }

    /// Nobody waits for what was read.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        self.close(ticket, |state| {
            state.happened.retain(|(of, _)| *of != ticket);
            true
        });
    }

    /// The broker is started anew: what is open has happened or never will. `value` is what is there.
    pub(crate) fn restart(&mut self, value: u64) -> bool {
        self.spread(None);
        let holds = self.blind || self.states.iter().any(|state| state.value == value);
        *self = Self { tickets: self.tickets, ..Self::new(value) };
        holds
    }

    /// Ends something: only states that fit it are left.
    fn close(&mut self, ticket: Ticket, fits: impl FnMut(&mut State) -> bool) -> bool {
        let Some(at) = self.open.iter().position(|(of, _)| *of == ticket) else { return true };
        self.open.remove(at);
        self.states.retain_mut(fits);
        if self.states.len() > 1 {
            self.states.sort_unstable();
            self.states.dedup();
        }
        !self.states.is_empty()
    }

    /// Adds every state that what is open can lead to, up to that in which `last` happens.
    fn spread(&mut self, last: Option<Ticket>) {
        if last.is_some_and(|last| self.open.iter().all(|(of, _)| *of != last)) {
            return;
        }
        let mut at = 0;
        while let Some(state) = self.states.get(at) {
            if last.is_none_or(|last| state.place_of(last).is_none()) {
                for n in 0..self.open.len() {
                    let (ticket, ask) = self.open[n];
                    let state = &self.states[at];
                    if state.place_of(ticket).is_none() {
                        let next = state.after(ticket, ask);
                        if !self.states.contains(&next) {
                            self.states.push(next);
                        }
                    }
                }
            }
            at += 1;
            if self.states.len() > MAX_STATES {
                return self.look_away();
            }
        }
    }

    /// Says nothing more before the next start.
    fn look_away(&mut self) {
        self.blind = true;
        self.open.clear();
        self.states.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, History};
    use crate::tape::Word;

    fn read(history: &mut History, value: u64) -> bool {
        let read = history.begin(Ask::Get);
        history.happened(read, Some(value))
    }

    #[test]
    fn a_read_sees_a_write_that_ended_before_it_and_may_see_one_that_is_open() {
        let mut log = History::new(0);
        let first = log.begin(Ask::Append(2));
        assert!(log.happened(first, Some(0)));
        let _open = log.begin(Ask::Append(3));
        assert!(read(&mut log.clone(), 2), "the open one has not happened");
        assert!(read(&mut log.clone(), 5), "the open one has happened");
        assert!(!read(&mut log.clone(), 0), "the first one is forgotten");
        assert!(read(&mut log, 5) && !read(&mut log, 2), "what was seen stays");
    }

    #[test]
    fn a_read_may_have_happened_before_a_write_that_ended_while_it_was_open() {
        let mut committed = History::new(0);
        let (read, write) = (committed.begin(Ask::Get), committed.begin(Ask::Set(9)));
        assert!(committed.happened(write, None));
        assert!(committed.clone().happened(read, Some(0)) && committed.clone().happened(read, Some(9)));
        assert!(!committed.happened(read, Some(4)));
    }

    #[test]
    fn two_appends_never_meet_the_same_end() {
        let mut log = History::new(7);
        let (one, other) = (log.begin(Ask::Append(1)), log.begin(Ask::Append(1)));
        assert!(log.happened(one, Some(7)));
        assert!(!log.happened(other, Some(7)));
    }

    #[test]
    fn what_was_refused_is_never_seen() {
        let mut committed = History::new(0);
        let refused = committed.begin(Ask::Set(9));
        assert!(committed.did_not_happen(refused));
        assert!(!read(&mut committed, 9));
    }

    #[test]
    fn a_write_without_an_answer_may_outlive_a_crash_or_not() {
        let mut committed = History::new(0);
        committed.begin(Ask::Set(9));
        assert!(committed.clone().restart(9) && committed.clone().restart(0));
        assert!(!committed.restart(4));
    }

    #[test]
    fn a_history_with_too_much_open_at_once_is_not_judged_and_takes_no_memory() {
        let mut log = History::new(0);
        for n in 1..1000 {
            log.begin(Ask::Append(n));
            assert!(read(&mut log, 0));
            assert!(log.states.len() <= super::MAX_STATES && log.open.len() <= super::MAX_OPEN);
        }
        assert!(log.restart(3) && !read(&mut log, 4), "a start makes it look again");
    }

    /// One operation as it was: when it was asked and answered, and what it is said to have met.
    #[derive(Clone, Copy, Debug)]
    struct Done {
        ask: Ask,
        began: u32,
        ended: u32,
        met: u64,
    }

    /// Whether some order of the operations explains what all of them met, by trying every one.
    fn is_explained(value: u64, left: &[Done]) -> bool {
        let first = |done: &Done| left.iter().all(|other| done.began < other.ended);
        left.is_empty()
            || left.iter().enumerate().any(|(at, done)| {
                let after = match done.ask {
                    Ask::Append(records) => value + records,
                    Ask::Set(to) => to,
                    Ask::Get => value,
                };
                let mut rest = left.to_vec();
                rest.remove(at);
                first(done) && done.met == value && is_explained(after, &rest)
            })
    }

    /// A few operations that overlap as it comes, and meet what may or may not be.
    fn some_history(seed: u64) -> Vec<Done> {
        let mut word = Word::new(crate::tape::mix(seed));
        let operation = |_| {
            let began = word.below(12);
            let ask = [Ask::Append(1), Ask::Append(2), Ask::Set(1), Ask::Get][word.index(4)];
            Done { ask, began: began * 16, ended: (began + 1 + word.below(8)) * 16, met: word.below(4).into() }
        };
        let mut done: Vec<Done> = (0..4).map(operation).collect();
        // No two things happen at the same moment.
        for (n, done) in (0..).zip(&mut done) {
            (done.began, done.ended) = (done.began + n, done.ended + 8 + n);
        }
        done
    }

    #[test]
    fn the_verdict_is_that_of_trying_every_order() {
        let (mut explained, mut refused) = (0, 0);
        for seed in 0..20_000 {
            let done = some_history(seed);
            let mut moments: Vec<(u32, usize)> =
                done.iter().enumerate().flat_map(|(at, done)| [(done.began, at), (done.ended, at)]).collect();
            moments.sort_unstable();
            let (mut history, mut tickets, mut holds) = (History::new(0), vec![None; done.len()], true);
            for (moment, at) in moments {
                match tickets[at] {
                    None => tickets[at] = Some(history.begin(done[at].ask)),
                    Some(ticket) => holds = holds && history.happened(ticket, Some(done[at].met)),
                }
                assert!(moment >= done[at].began);
            }
            assert!(!history.blind, "it looks at all of them");
            assert_eq!(holds, is_explained(0, &done), "seed {seed}: {done:?}");
            if holds { explained += 1 } else { refused += 1 }
        }
        assert!(explained > 100 && refused > 100, "{explained} explained, {refused} refused");
    }
}
