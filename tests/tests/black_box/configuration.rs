//! Settings from a file, the environment and flags: which of them holds, and what is said of a wrong one.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use takhin_tests::broker::{self, Broker, Options};
use tempfile::TempDir;

struct Fixture(TempDir);

impl Fixture {
    fn with_file(text: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        fs::write(directory.path().join("takhin.toml"), text).expect("a file");
        Self(directory)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("takhin.toml")
    }

    /// Runs `takhin` with these arguments and variables, and gives its exit code and what it printed.
    fn takhin(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Command::new(broker::program());
        command.args(arguments).current_dir(self.0.path()).envs(environment.iter().copied());
        let (status, printed) = broker::run_to_its_end(&mut command, &self.0.path().join("log"));
        (status.code(), printed)
    }

    fn shown(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
        let arguments = [&["config", "show", "--output", "json"], arguments].concat();
        let (code, printed) = self.takhin(&arguments, environment);
        assert_eq!(code, Some(0), "{printed}");
        serde_json::from_str(&printed).expect("JSON")
    }
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let fixture = Fixture::with_file("max-topics = 1\nmax-groups = 1\nmax-consumers = 1\nlisten = [\"localhost:1\"]\n");
    let environment = [("TAKHIN_MAX_TOPICS", "2"), ("TAKHIN_MAX_GROUPS", "2"), ("TAKHIN_MAX_CONSUMERS", "")];
    let shown = fixture.shown(&["--config", "takhin.toml", "--max-topics", "3"], &environment);
    assert_eq!(shown["max-topics"], json!({"value": 3, "from": "flag"}));
    assert_eq!(shown["max-groups"], json!({"value": 2, "from": "environment"}));
    assert_eq!(shown["max-consumers"], json!({"value": 1, "from": "file"}));
    assert_eq!(shown["listen"], json!({"value": ["localhost:1"], "from": "file"}));
    assert_eq!(shown["max-partitions"], json!({"value": 100_000, "from": "default"}));
    assert_eq!(shown["audit"], json!({"value": false, "from": "default"}));
    assert_eq!(shown["record"], json!({"value": null, "from": "default"}));
}

#[test]
fn what_is_shown_as_toml_sets_the_same() {
    let fixture = Fixture::with_file("auto-create-topics = true\nlog = \"info,takhin=debug\"\nmax-topics = 1_000\n");
    let (code, toml) = fixture.takhin(&["config", "show", "--config", "takhin.toml", "--output", "toml"], &[]);
    assert_eq!(code, Some(0), "{toml}");
    let before = fixture.shown(&["--config", "takhin.toml"], &[]);
    fs::write(fixture.file(), toml).expect("a file");
    let after = fixture.shown(&["--config", "takhin.toml"], &[]);
    let values = |shown: &Value| -> Vec<(String, Value)> {
        let all = shown.as_object().expect("an object");
        all.iter().map(|(name, found)| (name.clone(), found["value"].clone())).collect()
    };
    assert_eq!(values(&before), values(&after));
    assert_eq!(after["log"], json!({"value": "info,takhin=debug", "from": "file"}));
}

#[test]
fn a_server_does_as_its_file_says() {
    let fixture =
        Fixture::with_file("auto-create-topics = 3\nmax-body-bytes = 2048\nmax-session-timeout-ms = 60_000\n");
    let environment = vec![("TAKHIN_CONFIG".to_owned(), fixture.file().display().to_string())];
    let broker = Broker::start(Options { environment, ..Options::quick() });
    let client = broker.client();
    let wish = |timeout_ms| json!({"group_id": "g", "topics": ["new"], "session_timeout_ms": timeout_ms});
    let (status, consumer) = client.post("/api/consumers/subscribe", &wish(60_000));
    assert_eq!((status, consumer["assignment"]["new"].as_array().map(Vec::len)), (200, Some(3)));
    let (status, error) = client.post("/api/consumers/subscribe", &wish(60_001));
    assert_eq!((status, &error["code"], &error["details"]["max"]), (422, &json!("out_of_range"), &json!(60_000)));
    let (status, error) = client.post("/api/topics/new/produce", &json!({"records": [{"value": "x".repeat(2048)}]}));
    assert_eq!((status, &error["details"]["max_bytes"]), (413, &json!(2048)), "{error}");
}

#[test]
fn a_wrong_file_is_told_by_check_and_starts_nothing() {
    let fixture = Fixture::with_file("max-topics = 0\nmax-bdy-bytes = 1\n");
    let expected = "takhin: takhin.toml:1:14: max-topics: 0 is not in 1..=1000000\n\
                    takhin: takhin.toml:2:1: max-bdy-bytes is no setting; max-body-bytes is one\n";
    for arguments in [["config", "check", "--config", "takhin.toml"].as_slice(), &["serve", "--config", "takhin.toml"]]
    {
        assert_eq!(fixture.takhin(arguments, &[]), (Some(1), expected.to_owned()));
    }
    assert!(!fixture.0.path().join("takhin-data").exists());
    let (code, printed) = fixture.takhin(&["config", "check", "--config", "nowhere.toml"], &[]);
    assert!(code == Some(1) && printed.starts_with("takhin: nowhere.toml: can't be read: "), "{printed}");
}

#[test]
fn check_says_when_all_is_in_order_and_when_settings_do_not_go_together() {
    let fixture = Fixture::with_file("max-topics = 7\n");
    let check = |arguments: &[&str]| fixture.takhin(&[&["config", "check"], arguments].concat(), &[]);
    assert_eq!(check(&["--config", "takhin.toml"]), (Some(0), "takhin.toml: in order\n".to_owned()));
    assert_eq!(check(&[]), (Some(0), "in order\n".to_owned()));
    let (code, printed) =
        check(&["--max-partitions", "10", "--max-body-bytes", "4194304", "--max-bodies-bytes", "1048576"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        printed,
        "takhin: max-partitions-per-topic is 10000, and max-partitions, for all topics, 10\n\
         takhin: max-body-bytes is 4194304, and max-bodies-bytes, for all together, 1048576\n"
    );
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let fixture = Fixture::with_file("");
    let (code, printed) = fixture.takhin(&["config", "check"], &[("TAKHIN_MAX_TOPICS", "none")]);
    assert_eq!(code, Some(2));
    assert!(printed.contains("environment variable TAKHIN_MAX_TOPICS"), "{printed}");
    let (code, printed) = fixture.takhin(&["config", "check", "--max-topics", "none"], &[("TAKHIN_MAX_TOPICS", "5")]);
    assert!(code == Some(2) && !printed.contains("environment"), "{printed}");
}

#[test]
fn the_default_file_is_in_order() {
    let fixture = Fixture::with_file("");
    let (code, text) = fixture.takhin(&["config", "default"], &[]);
    assert_eq!(code, Some(0));
    fs::write(fixture.file(), text).expect("a file");
    assert_eq!(fixture.takhin(&["config", "check", "--config", "takhin.toml"], &[]).0, Some(0));
}
