//! The command line beside a server of its own: what commands print, and how they end.

use std::{
    io::{BufRead, BufReader, Write as _},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::broker::{Broker, Options, program};

/// A server and its command line.
#[derive(Debug)]
pub struct Shell {
    /// The server.
    pub broker: Broker,
}

impl Shell {
    /// With a new server.
    pub fn start() -> Self {
        Self { broker: Broker::start(Options::quick()) }
    }

    /// A command, without shell-like quotes: its words have no spaces.
    pub fn command(&self, line: &str) -> Command {
        let mut command = takhin(line);
        command.env("TAKHIN_SERVER", self.broker.url(""));
        command
    }

    /// What a command prints, which has to end well.
    ///
    /// # Panics
    /// It fails, or says something on stderr.
    pub fn run(&self, line: &str) -> String {
        self.feed(line, "")
    }

    /// The same, with something on its stdin.
    ///
    /// # Panics
    /// It fails, or says something on stderr.
    pub fn feed(&self, line: &str, input: &str) -> String {
        let output = fed(&mut self.command(line), input);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "takhin {line}: {stderr}");
        assert_eq!(stderr, "", "takhin {line}");
        stdout
    }

    /// With what code a command ends that can't be carried out, and what it says.
    ///
    /// # Panics
    /// It can't be run.
    pub fn fail(&self, line: &str, input: &str) -> (i32, String) {
        let output = fed(&mut self.command(line), input);
        (output.status.code().unwrap(), texts(&output).1)
    }

    /// The JSON that a command prints.
    ///
    /// # Panics
    /// It fails, or that is none.
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(line)).unwrap()
    }

    /// A command that goes on, and its output.
    ///
    /// # Panics
    /// It can't be run.
    pub fn go_on(&self, line: &str) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut child = self.command(line).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (child, stdout)
    }
}

/// The program with these words, and without anything of the environment that concerns servers.
pub fn takhin(line: &str) -> Command {
    let mut command = Command::new(program());
    command.args(line.split(' ')).env_remove("TAKHIN_SERVER").env_remove("TAKHIN_API_KEY").env_remove("TAKHIN_TLS_CA");
    command
}

fn fed(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // It may end without reading all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What was printed to stdout and stderr.
///
/// # Panics
/// It is no text.
pub fn texts(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// The next line, its end included; empty if there is none.
///
/// # Panics
/// It can't be read.
pub fn next_line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line
}
