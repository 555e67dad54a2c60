//! `takhin bench`: what it measures is what was asked for, and nothing of it is left behind.

use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use takhin_tests::{process::Signal, shell::Shell};

/// The results of a run that printed them as JSON.
fn results(report: &Value) -> Vec<(&str, u64)> {
    let results = report["results"].as_array().unwrap();
    results.iter().map(|found| (found["what"].as_str().unwrap(), found["records"].as_u64().unwrap())).collect()
}

/// Each figure is one that can be.
fn check(report: &Value) {
    for found in report["results"].as_array().unwrap() {
        let latencies: Vec<_> =
            ["p50", "p90", "p99", "p99_9", "max"].iter().map(|at| found["latency_ms"][at].as_f64().unwrap()).collect();
        assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{found}");
        assert!(found["records_per_second"].as_f64().unwrap() > 0.0 && found["seconds"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_topic_is_made_and_removed_and_so_is_the_group() {
    let shell = Shell::start();
    for (line, what) in [
        ("bench produce -n 250 -b 100 -c 2 -s 10", vec![("produced", 250)]),
        ("bench consume -n 1000 -c 2 -b 50", vec![("consumed", 1_000)]),
        ("bench latency -n 6 -c 2 -b 2 --pause-ms 1", vec![("acknowledged", 6), ("received", 6)]),
    ] {
        let report = shell.json(&format!("{line} --output json"));
        assert_eq!(results(&report), what, "{line}");
        check(&report);
        assert_eq!(report["connections"], json!(2));
        assert_eq!(
            (shell.run("topic list --output plain"), shell.run("group list --output plain")),
            Default::default()
        );
    }
}

#[test]
fn records_come_at_the_rate_that_is_given() {
    let shell = Shell::start();
    let report = shell.json("bench produce -n 60 -b 10 -c 2 --rate 100 --output json");
    assert_eq!(results(&report), [("produced", 60)]);
    check(&report);
    // Six batches, a tenth of a second apart.
    assert!(report["results"][0]["seconds"].as_f64().unwrap() >= 0.5, "{report}");
    let slow = shell.json("bench produce -b 100 -c 2 --rate 1 -d 1 --output json");
    assert_eq!(results(&slow), [("produced", 100)], "the second batch would be due in 100 s");
}

#[test]
fn a_named_topic_is_used_and_stays() {
    let shell = Shell::start();
    shell.run("topic create t -p 3");
    shell.run("bench produce -t t -n 30 -b 10 -c 3 -s 7 --output plain");
    assert_eq!(shell.run("topic describe t --output plain"), "0\t0\t10\t10\n1\t0\t10\t10\n2\t0\t10\t10\n");
    let values = shell.run("consume t -e");
    assert!(values.lines().count() == 30 && values.lines().all(|value| value.len() == 7), "{values}");
    let report = shell.json("bench consume -t t --output json");
    assert_eq!((results(&report), &report["record_bytes"]), (vec![("consumed", 30)], &json!(7)));
    shell.run("bench latency -t t -n 5 --output plain");
    assert_eq!(shell.run("topic list --output plain"), "t\t3\t36\n", "the first exchange is not measured");
}

#[test]
fn a_run_ends_by_its_time_or_at_ctrl_c_with_what_it_has_found() {
    let shell = Shell::start();
    let table = shell.run("bench produce -d 1");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("WHAT") && lines[1].starts_with("produced"), "{table}");
    let (child, mut output) = shell.go_on("bench latency -d 86400 --output plain");
    while shell.json("topic list --output json")[0]["offsets"][0]["end"].as_u64().is_none_or(|end| end < 3) {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut output, &mut printed).unwrap();
    assert_eq!(
        printed.lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>(),
        ["acknowledged", "received"]
    );
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(shell.run("topic list --output plain"), "");
}

#[test]
fn what_can_not_be_measured_is_said() {
    let shell = Shell::start();
    shell.run("topic create empty");
    for (line, code, say) in [
        ("bench produce -t missing", 1, "`takhin topic list`"),
        ("bench consume -t empty", 1, "empty has no records"),
        ("bench consume -t empty -c 2", 2, "empty has 1 partitions"),
        ("bench latency -p 1 -c 2", 2, "1 partitions"),
        ("bench produce -t empty -p 3", 2, "--partitions"),
        ("bench produce -b 0", 2, "0 is not in"),
    ] {
        let (ended, said) = shell.fail(line, "");
        assert!(ended == code && said.contains(say), "takhin {line}: {ended} {said}");
    }
    assert_eq!(shell.run("topic list --output plain"), "empty\t1\t0\n");
}
