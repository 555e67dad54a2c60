//! A server that requires keys, and whoever may make them.

use std::{
    process::{Command, Output},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    broker::{Broker, Options, program},
    client::Client,
};

/// A server with keys.
#[derive(Debug)]
pub struct Keyed {
    /// The server.
    pub broker: Broker,
    /// Who may do anything.
    pub admin: Client,
}

impl Keyed {
    /// Starts one, with further arguments, and makes its first key as its operator would: in its data directory.
    ///
    /// # Panics
    /// It does not start, or knows no such key.
    pub fn start(arguments: &[&str]) -> Self {
        let arguments = ["--require-keys"].iter().chain(arguments).map(|text| (*text).to_owned()).collect();
        let broker = Broker::start(Options { arguments, ..Options::quick() });
        let admin = broker
            .client()
            .with_key(&made(&key_command(&broker, &["create", "--name", "admin", "--cluster", "admin"])));
        eprintln!("waiting until the server has seen its first key");
        while admin.get("/api/keys").0 != 200 {
            thread::sleep(Duration::from_millis(5));
        }
        Self { broker, admin }
    }

    /// Makes a key with these scopes, and gives what it is.
    ///
    /// # Panics
    /// It could not be made.
    pub fn make(&self, body: &Value) -> (String, String) {
        let mut whole = json!({"name": "test"});
        whole.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        let (status, made) = self.admin.post("/api/keys", &whole);
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        (text("key"), text("id"))
    }

    /// A client with a key of these scopes.
    ///
    /// # Panics
    /// It could not be made.
    pub fn client(&self, body: &Value) -> Client {
        self.broker.client().with_key(&self.make(body).0)
    }
}

/// Runs `takhin key` with these arguments on the server's data directory.
///
/// # Panics
/// It could not be run.
pub fn key_command(broker: &Broker, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    let (verb, rest) = arguments.split_first().expect("a verb");
    command.args(["key", verb, "--data-dir"]).arg(broker.data_dir()).args(rest);
    command.output().expect("it can be run")
}

/// The key that `takhin key create` has printed.
///
/// # Panics
/// It has made none.
pub fn made(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text").trim().to_owned()
}
