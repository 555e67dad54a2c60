//! `takhin replay`: a trace fed to this core, and where it does something else than what was recorded.

use std::{fs, path::PathBuf};

use clap::Args;
use console::style;
use serde_json::Value;
use takhin_core::{digest::Digest, trace::TraceError};
use takhin_simulation::{ReplayError, replay};

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The trace, as JSON Lines
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Replay {
    pub(super) fn run(self) -> Result<(), String> {
        let path = self.file.display();
        let text = fs::read_to_string(&self.file).map_err(|error| format!("can't read {path}: {error}"))?;
        match replay(&text) {
            Ok(steps) => {
                let digest = Digest::of(&text).map_err(|error| format!("{path}: {error}"))?;
                let ok = style("ok").green().bold();
                println!("{ok} {path}: {steps} steps, the same commands, no promise broken, digest {digest}");
                Ok(())
            }
            Err(ReplayError::Trace(TraceError::Diverged { n, recorded, actual })) => {
                print_divergence(&text, n, &recorded, &actual);
                Err(format!("{path}: step {n} differs"))
            }
            Err(error) => Err(format!("{path}: {error}")),
        }
    }
}

/// The step's cause, and its commands: those that were recorded and did not come, and those that came instead.
fn print_divergence(text: &str, n: u64, recorded: &str, actual: &str) {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    if let Some(step) = lines.into_iter().find(|line| line["n"] == n) {
        println!("step {n} at {} ms, caused by\n  {}\n", step["at"], style(&step["event"]).cyan());
    }
    let (recorded, actual) = (commands(recorded), commands(actual));
    let same = recorded.iter().zip(&actual).take_while(|(one, other)| one == other).count();
    for command in &recorded[..same] {
        println!("    {command}");
    }
    for command in &recorded[same..] {
        println!("  {}", style(format!("- {command}")).red());
    }
    for command in &actual[same..] {
        println!("  {}", style(format!("+ {command}")).green());
    }
}

fn commands(json: &str) -> Vec<String> {
    let values: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    values.iter().map(Value::to_string).collect()
}
