//! The commands of `takhin` that talk to a server: what they print, and how they end.

use std::{fs, io::Read as _};

use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use takhin_tests::{
    broker::free_port,
    process::Signal,
    shell::{Shell, next_line, takhin, texts},
};
use tempfile::TempDir;

#[test]
fn topics_from_making_to_deletion() {
    let shell = Shell::start();
    assert_eq!(
        shell.run("topic create orders other -p 3 --retention-ms 60000"),
        "created orders, 3 partitions\ncreated other, 3 partitions\n"
    );
    assert_eq!(shell.run("topic create orders --if-not-exists"), "orders is there already\n");
    assert_eq!(shell.run("topic list --output plain"), "orders\t3\t0\nother\t3\t0\n");
    assert_eq!(
        shell.run("topic list"),
        "TOPIC   PARTITIONS  RECORDS\norders           3        0\nother            3        0\n"
    );
    assert_eq!(shell.json("topic describe orders --output json")["retention_ms"], json!(60_000));
    let altered = shell.run("topic alter orders -p 4 --retention-ms -1 --cleanup compact");
    assert!(
        altered.starts_with("orders, 4 partitions\n") && altered.contains("cleanup               compact\n"),
        "{altered}"
    );
    assert_eq!(shell.run("topic delete orders other"), "deleted orders\ndeleted other\n");
    assert_eq!(shell.json("topic list --output json"), json!([]));
}

#[test]
fn lines_keys_headers_and_json_go_there_and_back() {
    let shell = Shell::start();
    shell.run("topic create t");
    shell.feed("produce t", "one\ntwo\n\nfour");
    assert_eq!(shell.run("consume t --exit-at-end"), "one\ntwo\n\nfour\n");
    assert_eq!(shell.run("consume t -e -o 1 -n 1"), "two\n");
    assert_eq!(shell.run("consume t -e -o -1"), "four\n");
    shell.feed("produce t -K : -Z -H a=1 -H b=x=y -z zstd", "k:v:w\ngone:\nno key\n");
    let format = "%t/%p/%o|%k|%s|%K|%S|%h|%%\\x21\\n";
    assert_eq!(
        shell.run(&format!("consume t -e -o 4 -f {format}")),
        "t/0/4|k|v:w|1|3|a=1,b=x=y|%!\nt/0/5|gone||4|-1|a=1,b=x=y|%!\nt/0/6||no key|-1|6|a=1,b=x=y|%!\n"
    );
    shell.run("topic create copy");
    let lines = shell.run("consume t -e --json");
    shell.feed("produce copy --json", &lines);
    let copied = shell.run("consume copy -e --json");
    assert_eq!(copied, lines.replace("\"topic\":\"t\"", "\"topic\":\"copy\""));
    shell.feed(
        "produce copy --json",
        "{\"value\": {\"a\": 1.50}}\n\n{\"value\": \"/w==\", \"value_encoding\": \"base64\"}\n",
    );
    let last: Vec<Value> =
        shell.run("consume copy -e -o -2 --json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&last[0]["value"], &last[1]["value"], &last[1]["value_encoding"]),
        (&json!("{\"a\": 1.50}"), &json!("/w=="), &json!("base64"))
    );
}

#[test]
fn files_are_read_by_lines_or_whole() {
    let shell = Shell::start();
    shell.run("topic create t -p 2");
    let directory = TempDir::new().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    fs::write(&one, "1\n2\n").unwrap();
    fs::write(&two, "3\n").unwrap();
    let (one, two) = (one.display(), two.display());
    shell.feed(&format!("produce t -p 1 {one} - {two}"), "stdin\n");
    assert_eq!(shell.run("consume t -p 1 -e"), "1\n2\nstdin\n3\n");
    shell.run(&format!("produce t -p 0 --whole {one} {two}"));
    assert_eq!(shell.run("consume t -p 0 -e -f <%s>"), "<1\n2\n><3\n>");
    assert_eq!(shell.run("messages t -p 0 --output plain").lines().count(), 2);
    assert_eq!(shell.json("messages t -p 1 -o -1 --output json")[0]["value"], json!("3"));
}

#[test]
fn many_records_are_stored_once_and_in_order() {
    let shell = Shell::start();
    shell.run("topic create t");
    let lines = (0..20_000).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
    shell.feed("produce t", &lines);
    assert_eq!(shell.run("consume t -e"), lines);
    assert_eq!(shell.run("consume t -n 3"), "0\n1\n2\n");
    assert_eq!(shell.run("consume t -n 7 -g g"), "0\n1\n2\n3\n4\n5\n6\n");
    assert_eq!(shell.run("consume t -n 1 -g g"), "7\n");
    assert_eq!(shell.run("consume t -e -g g").lines().next_back(), Some("19999"));
    assert_eq!(shell.run("consume t -e -g g"), "");
}

#[test]
fn a_member_of_a_group_ends_at_ctrl_c_with_what_it_printed_committed() {
    let shell = Shell::start();
    shell.run("topic create t");
    shell.feed("produce t", "one\ntwo\n");
    let (mut child, mut output) = shell.go_on("consume t -g g");
    assert_eq!((next_line(&mut output), next_line(&mut output)), ("one\n".to_owned(), "two\n".to_owned()));
    let members = shell.run("group describe g --output plain");
    assert!(members.contains("takhin consume"), "{members}");
    shell.feed("produce t", "three\n");
    assert_eq!(next_line(&mut output), "three\n", "it waits for more");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(shell.run("group lag g --output plain"), "t\t0\t3\t3\t0\t0\t-\n");
}

#[test]
fn a_closed_pipe_ends_a_consumer_that_waits() {
    let shell = Shell::start();
    shell.run("topic create t");
    shell.feed("produce t", "one\n");
    for group in ["", " -g g"] {
        let (mut child, mut output) = shell.go_on(&format!("consume t{group}"));
        assert_eq!(next_line(&mut output), "one\n");
        drop(output);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{group}");
    }
}

#[test]
fn a_consumer_goes_on_over_a_restart_of_the_server() {
    let mut shell = Shell::start();
    shell.run("topic create t");
    shell.feed("produce t", "one\n");
    for line in ["consume t", "consume t -g g"] {
        let (mut child, mut output) = shell.go_on(line);
        assert_eq!(next_line(&mut output), "one\n");
        shell.broker.kill9();
        shell.broker.restart();
        shell.feed("produce t", "two\n");
        assert_eq!(next_line(&mut output), "two\n", "{line}");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        shell.run("topic delete t");
        shell.run("topic create t");
        shell.feed("produce t", "one\n");
    }
}

#[test]
fn offsets_of_a_group_are_set_after_they_were_shown() {
    let shell = Shell::start();
    shell.run("topic create t -p 2");
    shell.feed("produce t -p 0", "a\nb\nc\n");
    shell.run("consume t -g g -n 3");
    assert_eq!(shell.run("group list --output plain").split('\t').next(), Some("g"));
    assert_eq!(shell.run("group reset g --to -2 --dry-run --output plain"), "t\t0\t3\t1\n");
    assert_eq!(shell.run("group reset g --to beginning --topic t:0 --output plain"), "t\t0\t3\t0\n");
    assert_eq!(shell.run("group reset g --to +1 --output plain"), "t\t0\t0\t1\n");
    assert_eq!(shell.run("consume t -g g -n 1"), "b\n");
    assert_eq!(shell.json("group reset g --to @-1h --topic t --output json")[0]["after"], json!(0));
    let lag = shell.run("group lag g");
    assert!(lag.starts_with("TOPIC  PARTITION") && lag.ends_with("3 records behind in all\n"), "{lag}");
    let (mut child, mut output) = shell.go_on("group lag g --watch --every 1 --output plain");
    for _ in 0..4 {
        assert!(next_line(&mut output).starts_with("t\t"));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(shell.run("group delete g"), "deleted g\n");
    assert_eq!(shell.fail("group describe g", "").0, 1);
}

#[test]
fn errors_say_what_to_do_next_and_have_a_code_of_their_own() {
    let shell = Shell::start();
    shell.run("topic create t");
    for (line, input, code, say) in [
        ("topic create t", "", 1, "`takhin topic alter`"),
        ("topic describe missing", "", 1, "`takhin topic list`"),
        ("produce missing", "x\n", 1, "0 records are stored; line 1 of stdin"),
        ("produce t -p 9", "x\n", 1, "line 1 of stdin"),
        (
            "produce t --json",
            "{\"value\": 1}\n{\"valeu\": 1}\n",
            1,
            "1 records are stored: line 2 of stdin: unknown field",
        ),
        ("produce t /nowhere", "", 1, "/nowhere: No such file"),
        ("consume missing", "", 1, "`takhin topic create NAME`"),
        ("consume t -p 7", "", 1, "t has 1 partitions"),
        ("consume t -o 99", "", 1, "`takhin topic describe`"),
        ("consume t -g g -o 5", "", 2, "`takhin group reset`"),
        ("consume t -f %z", "", 2, "there is no %z"),
        ("consume t -o never", "", 2, "@MILLISECONDS"),
        ("topic alter t", "", 2, "nothing to change"),
        ("topic", "", 2, "Usage"),
        ("ping --server ftp://x", "", 2, "http://"),
        ("group describe nobody", "", 1, "`takhin group list`"),
    ] {
        let (ended, said) = shell.fail(line, input);
        assert!(ended == code && said.contains(say), "takhin {line}: {ended} {said}");
    }
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for line in ["ping", "topic list", "consume t", "produce t", "group lag g --watch"] {
        let (ended, said) = shell.fail(&format!("{line} --server {nobody}"), "x\n");
        assert!(ended == 3 && said.contains("`takhin serve`"), "takhin {line}: {ended} {said}");
    }
}

#[test]
fn a_ping_says_how_the_server_is() {
    let shell = Shell::start();
    assert!(shell.run("ping").starts_with("ok in "));
    assert_eq!(shell.run("ping -n 2 --output json").lines().count(), 2);
    assert_eq!(shell.json("ping --output json")["health"]["status"], json!("ok"));
    let address = shell.broker.url("").trim_start_matches("http://").to_owned();
    assert!(shell.run(&format!("ping --server {address} --api-key none")).starts_with("ok in "));
}

#[test]
fn shells_are_told_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (script, said) = texts(&takhin(&format!("completions {shell}")).output().unwrap());
        assert!(script.contains("exit-at-end") && script.contains("simulate"), "{shell}: {said}");
    }
}
