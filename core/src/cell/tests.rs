//! What an owner must not be led into by events that come late, never, or in another order: the simulated cluster's
//! nodes are too well behaved for these.

use alloc::{vec, vec::Vec};

use uuid::Uuid;

use super::*;
use crate::{Boot, DurationMs, FactSeq, Timestamp};

type Command = CellCommand<u64>;

const LEASE: u32 = 900;
const KEEP_ALIVE: u32 = 300;
const BEFORE: FactSeq = FactSeq(10);

struct Node {
    owner: Owner,
    id: u128,
}

impl Node {
    fn new(id: u128) -> Self {
        let config = CellConfig::new(DurationMs(LEASE), DurationMs(KEEP_ALIVE)).expect("times that go together");
        Self { owner: Owner::new(OwnerId(Uuid::from_u128(id)), config), id }
    }

    /// The owner of a cell that nobody had before, with its announcement at 0.
    fn owning() -> Self {
        let mut node = Self::new(1);
        node.offered_at(0);
        let own =
            node.told(0, CellEvent::Entries { from: at(0), entries: vec![(at(0), node.announced(1))], next: at(1) });
        assert_eq!(own, [Command::Own { boot: Boot(1), through: BEFORE }]);
        node
    }

    /// Announces itself for the first time, at an offset, and has the snapshot of an empty journal.
    fn offered_at(&mut self, offset: u64) {
        self.told(0, CellEvent::Offered);
        self.told(0, CellEvent::Announced { number: 1, at: Some(at(offset)) });
        self.told(0, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) });
    }

    fn told(&mut self, now: u64, event: CellEvent<u64>) -> Vec<Command> {
        let mut commands = Vec::new();
        self.owner.step(Timestamp(now), event, &mut commands);
        commands
    }

    fn announced(&self, number: u32) -> Entry<u64> {
        Entry::Announced(Announcement { owner: OwnerId(Uuid::from_u128(self.id)), number, lease: DurationMs(LEASE) })
    }
}

fn at(offset: u64) -> CellOffset {
    CellOffset(offset)
}

fn decided(boot: u32, fact: u64) -> CellEvent<u64> {
    CellEvent::Decided { boot: Boot(boot), after: FactSeq(fact - 1), through: FactSeq(fact), facts: fact }
}

fn facts(epoch: u64, number: u64, fact: u64) -> Entry<u64> {
    let (epoch, number) = (at(epoch), EntryNumber(number));
    Entry::Facts { epoch, number, after: FactSeq(fact - 1), through: FactSeq(fact), facts: fact }
}

fn appended(epoch: u64, number: u64, offset: Option<u64>) -> CellEvent<u64> {
    CellEvent::Appended { epoch: at(epoch), number: EntryNumber(number), at: offset.map(CellOffset) }
}

fn steps_down(commands: &[Command]) -> Option<StepDown> {
    commands.iter().find_map(|command| if let Command::StepDown(why) = command { Some(*why) } else { None })
}

#[test]
fn what_a_former_core_decides_late_is_void() {
    let mut node = Node::owning();
    node.told(1, decided(1, 11));
    assert_eq!(steps_down(&node.told(2, appended(0, 0, None))), Some(StepDown::Unsure));
    node.told(3, CellEvent::Announced { number: 2, at: Some(at(2)) });
    node.told(3, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) });
    let entries = vec![(at(0), node.announced(1)), (at(1), facts(0, 0, 11)), (at(2), node.announced(2))];
    node.told(3, CellEvent::Entries { from: at(0), entries, next: at(3) });
    assert_eq!(node.told(4, decided(1, 12)), [], "before the new core begins");
    let own = node.told(3 + u64::from(LEASE) * 9 / 8 + 1, CellEvent::Tick);
    assert!(own.contains(&Command::Own { boot: Boot(2), through: FactSeq(11) }), "{own:?}");
    assert_eq!(
        node.told(2_000, decided(1, 12)).iter().filter(|c| matches!(c, Command::Append { facts: Some(_), .. })).count(),
        0
    );
    assert!(node.told(2_001, decided(2, 12)).iter().any(|c| matches!(c, Command::Append { facts: Some(12), .. })));
}

#[test]
fn a_core_that_numbers_its_facts_wrongly_ends() {
    let mut node = Node::owning();
    assert_eq!(steps_down(&node.told(1, decided(1, 13))), Some(StepDown::Torn));
}

#[test]
fn an_announcement_that_cannot_be_made_is_made_again_ever_more_rarely() {
    let mut node = Node::new(1);
    let (mut now, mut last) = (0, node.told(0, CellEvent::Offered));
    for (number, pause) in (1..).zip([300, 600, 900, 900, 900]) {
        assert!(matches!(&last[..], [Command::Announce(announcement)] if announcement.number == number));
        assert_eq!(node.told(now, CellEvent::Announced { number, at: None }), []);
        let due = node.owner.next_deadline().expect("it tries again").0;
        assert_eq!(due - now, pause);
        now = due;
        last = node.told(now, CellEvent::Tick);
    }
}

#[test]
fn a_late_announcement_of_its_own_overtakes_nobody() {
    let mut node = Node::new(1);
    node.told(0, CellEvent::Offered);
    node.told(0, CellEvent::Announced { number: 1, at: None });
    node.told(300, CellEvent::Tick);
    node.told(300, CellEvent::Announced { number: 2, at: Some(at(0)) });
    node.told(300, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) });
    node.told(300, CellEvent::Entries { from: at(0), entries: vec![(at(0), node.announced(2))], next: at(1) });
    node.told(301, decided(1, 11));
    node.told(302, appended(0, 0, Some(2)));
    let read =
        node.told(303, CellEvent::Entries { from: at(1), entries: vec![(at(1), node.announced(1))], next: at(2) });
    assert_eq!(read, [Command::Persisted { through: FactSeq(11), next: at(3) }]);
}

#[test]
fn entries_of_its_own_in_another_order_are_not_taken_for_another_owner() {
    let mut node = Node::owning();
    node.told(1, decided(1, 11));
    node.told(1, decided(1, 12));
    node.told(2, appended(0, 1, Some(1)));
    assert_eq!(node.told(2, appended(0, 0, Some(2))), [Command::Read { from: at(1), to: at(2) }]);
    let event = CellEvent::Entries { from: at(1), entries: vec![(at(1), facts(0, 1, 12))], next: at(2) };
    let commands = node.told(3, event);
    assert!(commands.contains(&Command::Persisted { through: FactSeq(11), next: at(3) }), "{commands:?}");
    assert_eq!(steps_down(&commands), Some(StepDown::Unsure), "12 came too early, and will never apply");
}

#[test]
fn facts_that_are_missing_in_the_journal_are_missed() {
    let mut node = Node::new(2);
    let first = Node::new(1).announced(1);
    node.offered_at(4);
    // 1 and 2 had facts 11 and 12.
    let entries = vec![(at(0), first), (at(3), facts(0, 2, 13)), (at(4), node.announced(1))];
    node.told(0, CellEvent::Entries { from: at(0), entries, next: at(5) });
    assert!(node.owner.replay().is_some_and(|(replay, _)| replay.through() == BEFORE), "behind a gap nothing applies");
    let mut node = Node::new(3);
    let (first, second) = (Node::new(1).announced(1), Node::new(2).announced(1));
    node.offered_at(5);
    let entries = vec![(at(0), first), (at(3), second), (at(4), facts(3, 0, 13)), (at(5), node.announced(1))];
    let commands = node.told(0, CellEvent::Entries { from: at(0), entries, next: at(6) });
    assert_eq!(steps_down(&commands), Some(StepDown::Torn), "the second owner knew of 11 and 12");
}

#[test]
fn a_cut_of_what_is_known_ends_nobody() {
    let mut node = Node::owning();
    assert_eq!(node.told(10, CellEvent::Cut { from: at(0) }), []);
    assert_eq!(steps_down(&node.told(10, CellEvent::Cut { from: at(1) })), Some(StepDown::Overtaken));
}

#[test]
fn what_makes_no_sense_ends_whoever_reads_it() {
    let mut node = Node::owning();
    let commands = node.told(10, CellEvent::Unreadable);
    assert_eq!(commands, [Command::Resign { epoch: at(0), alone: true }, Command::StepDown(StepDown::Torn)]);
    let mut node = Node::new(1);
    assert_eq!(node.told(0, CellEvent::Unreadable), [], "before it has a part in the cell");
    node.offered_at(7);
    assert_eq!(node.told(1, CellEvent::Unreadable), [Command::StepDown(StepDown::Torn)]);
    assert!(!node.told(2, CellEvent::Tick).iter().any(|command| matches!(command, Command::Announce(_))), "it waits");
}

#[test]
fn it_serves_until_the_moment_that_it_says() {
    let mut node = Node::new(1);
    assert_eq!(node.owner.serves_until(), None);
    node.offered_at(0);
    assert_eq!(node.owner.serves_until(), None);
    let node = Node::owning();
    assert_eq!(node.owner.serves_until(), Some(Timestamp(u64::from(LEASE))));
}

#[test]
fn a_read_that_is_lost_is_asked_for_again() {
    let mut node = Node::owning();
    node.told(1, decided(1, 11));
    let read = Command::Read { from: at(1), to: at(3) };
    assert_eq!(node.told(2, appended(0, 0, Some(3))), core::slice::from_ref(&read));
    let lost = node.told(2 + u64::from(LEASE), CellEvent::Tick);
    assert!(lost.contains(&read), "{lost:?}");
    let mut node = Node::new(1);
    node.offered_at(7);
    assert!(node.told(u64::from(LEASE), CellEvent::Tick).contains(&Command::Read { from: at(0), to: at(8) }));
}

#[test]
fn whoever_has_no_acknowledgements_says_that_the_lease_ran_out() {
    let mut node = Node::owning();
    assert!(node.owner.serves(Timestamp(u64::from(LEASE) - 1)));
    let mut lapsed = Vec::new();
    for now in (0..3_000).step_by(100) {
        lapsed.extend(node.told(now, CellEvent::Tick).contains(&Command::Lapsed).then_some(now));
    }
    assert_eq!(lapsed, [u64::from(LEASE)], "once");
    assert!(!node.owner.serves(Timestamp(3_000)));
}

#[test]
fn a_longer_lease_of_who_was_there_before_is_waited_for() {
    let mut node = Node::new(2);
    node.offered_at(1);
    let long = Announcement { owner: OwnerId(Uuid::from_u128(1)), number: 1, lease: DurationMs(8_000) };
    let entries = vec![(at(0), Entry::Announced(long)), (at(1), node.announced(1))];
    node.told(0, CellEvent::Entries { from: at(0), entries, next: at(2) });
    assert!(!node.told(8_999, CellEvent::Tick).iter().any(|command| matches!(command, Command::Own { .. })));
    assert!(node.told(9_000, CellEvent::Tick).iter().any(|command| matches!(command, Command::Own { .. })));
}

#[test]
fn times_that_do_not_go_together_are_refused() {
    for (lease, keep_alive) in [(900, 0), (900, 451), (0, 0), (1, 1)] {
        assert!(CellConfig::new(DurationMs(lease), DurationMs(keep_alive)).is_err(), "{lease}, {keep_alive}");
    }
}

/// Two that are both offered the cell for ever, each with so long to recover. How much of ten minutes it was served.
fn served_of_ten_minutes(recovery: u64) -> u64 {
    const TICK: u64 = 10;
    let mut journal: Vec<Entry<u64>> = Vec::new();
    let mut nodes = [Node::new(1), Node::new(2)];
    let mut due: Vec<(u64, usize, CellEvent<u64>)> = vec![(0, 0, CellEvent::Offered), (500, 1, CellEvent::Offered)];
    let mut served = 0;
    for now in (0..600_000).step_by(10) {
        let ripe: Vec<_> =
            due.extract_if(.., |(when, ..)| *when <= now).map(|(_, node, event)| (node, event)).collect();
        for (node, event) in ripe.into_iter().chain([(0, CellEvent::Tick), (1, CellEvent::Tick)]) {
            for command in nodes[node].told(now, event) {
                let lies = Some(at(journal.len() as u64));
                let outcome = match command {
                    Command::Announce(announcement) => {
                        journal.push(Entry::Announced(announcement));
                        (TICK, CellEvent::Announced { number: announcement.number, at: lies })
                    }
                    Command::Append { epoch, number, after, through, .. } => {
                        journal.push(Entry::Facts { epoch, number, after, through, facts: 0 });
                        (TICK, CellEvent::Appended { epoch, number, at: lies })
                    }
                    Command::Resign { epoch, alone } => {
                        journal.push(Entry::Resigned { epoch, alone });
                        continue;
                    }
                    Command::ReadSnapshot => {
                        (recovery, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) })
                    }
                    Command::Read { from, to } => {
                        let read =
                            journal.iter().cloned().enumerate().map(|(offset, entry)| (at(offset as u64), entry));
                        let entries = read.filter(|(at, _)| (from..to).contains(at)).collect();
                        (TICK, CellEvent::Entries { from, entries, next: to })
                    }
                    _ => continue,
                };
                due.push((now + outcome.0, node, outcome.1));
            }
        }
        served += if nodes.iter().any(|node| node.owner.serves(Timestamp(now))) { TICK } else { 0 };
    }
    served * 100 / 600_000
}

#[test]
fn of_two_that_are_both_offered_a_cell_one_recovers_it() {
    for recovery in [10, 1_000, 3_000, 10_000] {
        let served = served_of_ten_minutes(recovery);
        assert!(served >= 40, "{served} % of the time with a recovery of {recovery} ms");
    }
}

/// The cell of somebody who announced himself at 0 and appended once, seen every 200 ms.
fn standby(upto: u64, behind: u32, from: u64, until: u64) -> (Node, Vec<(u64, Command)>) {
    let mut node = Node::new(2);
    let mut commands = Vec::new();
    for now in (from..=until).step_by(200) {
        commands.extend(
            node.told(now, CellEvent::Sighted { next: at(upto), behind }).into_iter().map(|command| (now, command)),
        );
    }
    (node, commands)
}

#[test]
fn who_watches_stands_in_once_a_lease_must_be_over_and_begins_at_once() {
    let (mut node, commands) = standby(2, 0, 1_000, 2_200);
    assert!(matches!(commands[..], [(2_200, Command::Announce(_))]), "{commands:?}");
    node.told(2_210, CellEvent::Announced { number: 1, at: Some(at(2)) });
    node.told(2_220, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) });
    let other = Node::new(1).announced(1);
    let entries = vec![(at(0), other), (at(1), facts(0, 0, 11)), (at(2), node.announced(1))];
    let own = node.told(2_230, CellEvent::Entries { from: at(0), entries, next: at(3) });
    assert_eq!(own, [Command::Apply(11), Command::Own { boot: Boot(2), through: FactSeq(11) }]);
}

#[test]
fn who_saw_less_than_lies_before_it_waits_for_a_lease() {
    let (mut node, _) = standby(1, 0, 1_000, 2_200);
    node.told(2_210, CellEvent::Announced { number: 1, at: Some(at(2)) });
    node.told(2_220, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) });
    let entries = vec![(at(0), Node::new(1).announced(1)), (at(1), facts(0, 0, 11)), (at(2), node.announced(1))];
    assert_eq!(node.told(2_230, CellEvent::Entries { from: at(0), entries, next: at(3) }), [Command::Apply(11)]);
    let begins = 2_210 + u64::from(LEASE) * 9 / 8 + 1;
    assert!(!node.told(begins - 2, CellEvent::Tick).iter().any(|command| matches!(command, Command::Own { .. })));
    assert!(node.told(begins, CellEvent::Tick).iter().any(|command| matches!(command, Command::Own { .. })));
}

#[test]
fn who_stands_in_behind_others_gives_each_of_them_time() {
    let announces = |behind| standby(2, behind, 1_000, 5_000).1.first().map(|(now, _)| *now);
    assert_eq!([0, 1, 2].map(announces), [Some(2_200), Some(2_400), Some(2_800)]);
}

#[test]
fn who_does_not_look_often_enough_does_not_stand_in() {
    let mut node = Node::new(2);
    for now in (0..20_000).step_by(KEEP_ALIVE as usize + 1) {
        assert_eq!(node.told(now, CellEvent::Sighted { next: at(2), behind: 0 }), []);
    }
}

#[test]
fn nobody_stands_in_for_a_cell_that_nobody_ever_had() {
    assert_eq!(standby(0, 0, 1_000, 20_000).1, []);
}

#[test]
fn who_only_stands_in_leaves_the_cell_to_whoever_is_offered_it() {
    let (mut node, _) = standby(2, 0, 1_000, 2_200);
    node.told(2_210, CellEvent::Announced { number: 1, at: Some(at(2)) });
    node.told(2_220, CellEvent::Snapshot { next: at(0), replay: Replay::starting_with(BEFORE) });
    let entries = vec![(at(0), Node::new(1).announced(1)), (at(1), facts(0, 0, 11)), (at(2), node.announced(1))];
    node.told(2_230, CellEvent::Entries { from: at(0), entries, next: at(3) });
    let overtaken = CellEvent::Entries { from: at(3), entries: vec![(at(3), Node::new(3).announced(1))], next: at(4) };
    let commands = node.told(2_240, overtaken);
    assert_eq!(steps_down(&commands), Some(StepDown::Overtaken));
    assert!(commands.contains(&Command::Resign { epoch: at(2), alone: true }), "{commands:?}");
    assert_eq!(node.owner.next_deadline(), None, "it does not try again by itself");
}

#[test]
fn a_resignation_of_the_one_before_ends_the_wait_for_its_lease() {
    let mut node = Node::new(3);
    node.offered_at(2);
    let entries = vec![(at(0), Node::new(1).announced(1)), (at(1), facts(0, 0, 11)), (at(2), node.announced(1))];
    assert_eq!(node.told(10, CellEvent::Entries { from: at(0), entries, next: at(3) }), [Command::Apply(11)]);
    let resigned = |epoch: u64, alone: bool| Entry::Resigned { epoch: at(epoch), alone };
    let told = |node: &mut Node, now: u64, offset: u64, entry| {
        node.told(
            now,
            CellEvent::Entries { from: at(offset), entries: vec![(at(offset), entry)], next: at(offset + 1) },
        )
    };
    assert_eq!(told(&mut node, 20, 3, resigned(1, true)), [], "of nobody");
    assert_eq!(told(&mut node, 30, 4, resigned(0, false)), [], "others before it may serve");
    let own = told(&mut node, 40, 5, resigned(0, true));
    assert_eq!(own, [Command::Own { boot: Boot(2), through: FactSeq(11) }]);
}
