//! How quick it is, and what it takes.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::site::{Site, config, prefix};

fn percentiles(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    format!("p50 {:.2} ms, p99 {:.2} ms", times[times.len() / 2] * 1e3, times[times.len() * 99 / 100] * 1e3)
}

fn of_this_process(what: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says how a process is");
    let line = status.lines().find(|line| line.starts_with(what)).expect("it says so");
    line.trim_start_matches(what).trim_start_matches(':').trim().to_owned()
}

#[test]
#[ignore = "measures, and needs brokers"]
fn how_long_a_decision_takes_and_how_many_there_are_in_a_second() {
    let site = Site::start(config(&prefix("measures"), 64));
    site.owns_all();
    for warm_up in 0..100 {
        site.keep(0, &format!("{warm_up}"));
    }
    let fact = "x".repeat(200);
    let times = (0..1_000).map(|_| {
        let decided = Instant::now();
        site.keep(0, &fact);
        decided.elapsed().as_secs_f64()
    });
    println!("one cell, one decision after the other: {}", percentiles(times.collect()));
    let (facts, began) = (64 * 4_000_u32, Instant::now());
    let before = site.cells.stats().read().appends;
    for number in 0..facts {
        site.decide(number % 64, &fact);
    }
    for cell in 0..64 {
        let last = site.facts(cell).len() as u64;
        site.wait(cell, |state| state.persisted >= last);
    }
    let (seconds, entries) = (began.elapsed().as_secs_f64(), site.cells.stats().read().appends - before);
    println!("64 cells: {:.0} facts/s of 200 bytes, in {entries} entries", f64::from(facts) / seconds);
    site.cells.stop();
}

#[test]
#[ignore = "measures, and needs brokers"]
fn what_an_idle_node_of_64_cells_takes() {
    let before = (of_this_process("Threads"), of_this_process("VmRSS"));
    let site = Site::start(config(&prefix("idle"), 64));
    site.owns_all();
    println!("before: {before:?}; owning 64: {:?}", (of_this_process("Threads"), of_this_process("VmRSS")));
    let cpu = || {
        let stat = fs::read_to_string("/proc/self/stat").expect("Linux says how a process is");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields[11].parse::<f64>().unwrap_or(0.0) + fields[12].parse::<f64>().unwrap_or(0.0)
    };
    thread::sleep(Duration::from_secs(40));
    let used = cpu();
    thread::sleep(Duration::from_secs(20));
    println!(
        "idle for a minute: {:?}, {:.1} % of a processor",
        (of_this_process("Threads"), of_this_process("VmRSS")),
        (cpu() - used) / 20.0
    );
    site.cells.stop();
}

#[test]
#[ignore = "measures, and needs brokers"]
fn how_long_cells_take_to_move() {
    let prefix = prefix("moves");
    let began = Instant::now();
    let first = Site::start(config(&prefix, 64));
    println!("the cluster is made after {:.2} s", began.elapsed().as_secs_f64());
    first.owns_all();
    println!("and its 64 cells are owned after {:.2} s", began.elapsed().as_secs_f64());
    for number in 0..64 * 1_000_u32 {
        first.decide(number % 64, "a fact of some size, of which there are a thousand in each cell");
    }
    for cell in 0..64 {
        first.wait(cell, |state| state.persisted >= 1_000);
    }
    let began = Instant::now();
    let second = Site::start(config(&prefix, 64));
    println!("a second node has started after {:.2} s", began.elapsed().as_secs_f64());
    let owned = |site: &Site, cells| {
        while site.cells.stats().read().owned != cells {
            thread::sleep(Duration::from_millis(1));
        }
    };
    owned(&second, 32);
    println!("and owns its half, 32 cells, after {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    drop(second);
    owned(&first, 64);
    println!("it left without a word, and the first one owns all after {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    first.cells.stop();
    println!("it stops within {:.2} s", began.elapsed().as_secs_f64());
}
