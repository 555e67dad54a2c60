//! Nodes that are processes of their own, which are killed, or stand still and wake.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use takhin_core::FactSeq;

use super::{
    super::super::{CellsConfig, Decide, clock},
    site::{Site, config, prefix},
};

const CELLS: u32 = 4;
const PREFIX: &str = "TAKHIN_TEST_CELLS_PREFIX";
/// After how many seconds the group misses a node.
const SESSION: &str = "TAKHIN_TEST_CELLS_SESSION_S";
/// A pause in which a process must have stood still.
const STOOD_STILL_MS: u64 = 1_500;

/// Not a test but a node, for the tests below, which start it with a prefix. It decides on facts that name its core, and
/// says which are kept.
#[test]
#[ignore = "needs brokers"]
fn a_node_of_its_own() {
    let Ok(prefix) = env::var(PREFIX) else { return };
    let site = Site::start(missed_after(&prefix, session()));
    let mut said: BTreeMap<u32, u64> = BTreeMap::new();
    let mut held: BTreeMap<u32, (Option<Decide>, u64)> = BTreeMap::new();
    let mut before = clock::now();
    loop {
        thread::sleep(Duration::from_millis(2));
        let woke = clock::now().0 - before.0 > STOOD_STILL_MS;
        if woke {
            let serves = (0..CELLS).any(|cell| site.cells.serves(cell));
            say(&format!("woke {serves}"));
        }
        before = clock::now();
        for cell in 0..CELLS {
            let (persisted, decided) = site.on(cell, |state| {
                for serves in state.serves.drain(..) {
                    say(&format!("serves {cell} {serves} of core {:?}", state.boot.map(|boot| boot.0)));
                }
                let fact = state.boot.map(|boot| format!("{} of core {}", state.facts.len(), boot.0));
                if let Some(fact) = &fact {
                    state.decide(fact);
                    held.insert(cell, (state.decide.clone(), state.facts.len() as u64));
                }
                (state.persisted, fact)
            });
            if woke && let Some((Some(decide), through)) = held.get(&cell) {
                // A core that is void may not know it yet, and decides once more.
                let fact = decided.clone().unwrap_or_else(|| {
                    decide.facts(FactSeq(*through), FactSeq(through + 1), format!("{through} too late\n").into_bytes());
                    format!("{through} too late")
                });
                say(&format!("late {cell} {fact}"));
            }
            if decided.is_some() && said.insert(cell, persisted) != Some(persisted) {
                say(&format!("persisted {cell} {persisted}"));
            }
        }
    }
}

fn session() -> Duration {
    Duration::from_secs(env::var(SESSION).map_or(6, |seconds| seconds.parse().expect("a number")))
}

fn missed_after(prefix: &str, session_timeout: Duration) -> CellsConfig {
    CellsConfig { session_timeout, ..config(prefix, CELLS) }
}

/// Without a parent there is no more to do.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    if writeln!(output, "cells: {line}").and_then(|()| output.flush()).is_err() {
        std::process::exit(1);
    }
}

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it said last to be persisted.
    persisted: BTreeMap<u32, u64>,
}

impl Process {
    fn start(prefix: &str, session: Duration) -> Self {
        let test = "cluster::cells::tests::brokers::processes::a_node_of_its_own";
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args([test, "--exact", "--ignored", "--nocapture"])
            .env(PREFIX, prefix)
            .env(SESSION, session.as_secs().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output, persisted: BTreeMap::new() }
    }

    /// What it says next.
    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).expect("its output is text") > 0 {
            if let Some((_, said)) = line.trim_end().split_once("cells: ") {
                if let ["persisted", cell, number] = said.split(' ').collect::<Vec<_>>()[..] {
                    self.persisted.insert(cell.parse().expect("a cell"), number.parse().expect("a number"));
                }
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    fn until(&mut self, what: impl Fn(&Self) -> bool) {
        while !what(self) {
            self.next().expect("it goes on");
        }
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).expect("it is there");
    }

    /// Kills it, and hears all that it had said.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        while self.next().is_some() {}
        self.child.wait().expect("it was killed");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is gone already if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that has had all cells, and a node here to which half of them went.
fn process_and_site(name: &str, session: Duration) -> (Process, Site, Vec<u32>) {
    let prefix = prefix(name);
    let mut process = Process::start(&prefix, session);
    process.until(|process| (0..CELLS).all(|cell| process.persisted.get(&cell) > Some(&100)));
    let site = Site::start(missed_after(&prefix, session));
    while site.cells.stats().read().owned < i64::from(CELLS / 2) {
        thread::sleep(Duration::from_millis(5));
    }
    let there: Vec<u32> = (0..CELLS).filter(|cell| !site.cells.serves(*cell)).collect();
    let before = process.persisted.clone();
    process.until(|process| there.iter().all(|cell| process.persisted[cell] > before[cell] + 100));
    (process, site, there)
}

#[test]
#[ignore = "needs brokers"]
fn what_a_node_said_to_be_kept_is_there_after_it_was_killed() {
    let (mut process, site, there) = process_and_site("killed", session());
    process.kill();
    let killed = Instant::now();
    for cell in &there {
        site.owns(*cell);
        println!("killed, and owned elsewhere after {:.1} s", killed.elapsed().as_secs_f64());
        let (facts, said) = (site.facts(*cell), process.persisted[cell]);
        assert!(facts.len() as u64 >= said, "{} facts are left of {said}", facts.len());
        for (number, fact) in facts.iter().enumerate() {
            assert!(fact.starts_with(&format!("{number} of core ")), "{fact} is number {number}");
        }
        site.keep(*cell, "goes on");
    }
    site.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn a_node_stands_in_for_one_that_was_killed_and_that_the_group_does_not_miss() {
    let (mut process, site, there) = process_and_site("stands-in", Duration::from_mins(15));
    process.kill();
    let killed = Instant::now();
    for cell in &there {
        site.owns(*cell);
        println!("killed, and owned elsewhere after {:.1} s", killed.elapsed().as_secs_f64());
        assert!(site.facts(*cell).len() as u64 >= process.persisted[cell]);
        site.keep(*cell, "goes on");
    }
    let counts = site.cells.stats().read();
    assert!(counts.stand_ins >= there.len() as u64, "{counts:?}");
    site.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn a_node_that_stood_still_answers_nobody_and_keeps_nothing_when_it_wakes() {
    let (mut process, site, there) = process_and_site("stood-still", session());
    process.signal(Signal::STOP);
    for cell in &there {
        site.owns(*cell);
        site.keep(*cell, "meanwhile");
    }
    process.signal(Signal::CONT);
    let (mut late, mut woke) = (Vec::new(), None);
    // What it says until it has a cell again.
    let known: BTreeMap<u32, usize> = (0..CELLS).map(|cell| (cell, site.facts(cell).len())).collect();
    loop {
        let said = process.next().expect("it goes on");
        match said.split_once(' ') {
            Some(("woke", serves)) => woke = Some(serves == "true"),
            Some(("late", fact)) => late.push(fact.to_owned()),
            _ => {}
        }
        let back = (0..CELLS).any(|cell| process.persisted.get(&cell) > Some(&(known[&cell] as u64)));
        if woke.is_some() && back && site.cells.stats().read().owned == i64::from(CELLS / 2) {
            break;
        }
    }
    assert_eq!(woke, Some(false), "its leases are over, and it knows");
    process.kill();
    site.owns_all();
    for cell in &there {
        let facts = site.facts(*cell);
        assert!(facts.contains(&"meanwhile".to_owned()));
        for fact in &late {
            let (of, fact) = fact.split_once(' ').expect("a cell and a fact");
            assert!(of != cell.to_string() || !facts.contains(&fact.to_owned()), "{fact} came too late");
        }
    }
    assert!(!late.is_empty(), "it decided on something");
    site.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn a_node_that_stood_still_for_more_than_a_lease_and_was_not_missed_goes_on_with_its_cores() {
    let prefix = prefix("not-missed");
    let mut process = Process::start(&prefix, session());
    process.until(|process| (0..CELLS).all(|cell| process.persisted.get(&cell) > Some(&10)));
    process.signal(Signal::STOP);
    // A lease is 3 s, and it takes 6 s until the group misses it.
    thread::sleep(Duration::from_secs(4));
    process.signal(Signal::CONT);
    let before = process.persisted.clone();
    let mut said: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    while said.values().filter(|said| said.len() >= 2).count() < CELLS as usize {
        let line = process.next().expect("it goes on");
        if let ["serves", cell, serves, "of", "core", number] = line.split(' ').collect::<Vec<_>>()[..] {
            let cell = cell.parse().expect("a cell");
            said.entry(cell).or_default().push(format!("{serves} {number}"));
        }
    }
    for said in said.values() {
        assert_eq!(said[..2], ["false Some(1)", "true Some(1)"]);
    }
    process.until(|process| (0..CELLS).all(|cell| process.persisted[&cell] > before[&cell] + 10));
    process.kill();
}
