//! Steps of a task: commands that run one after the other until one fails.
//!
//! What they print passes through untouched.

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

/// One command of a task.
pub(crate) struct Step {
    name: &'static str,
    command: Command,
    /// What is to be done just before the command runs; an error fails the step.
    prepare: fn() -> std::io::Result<()>,
}

impl Step {
    pub(crate) fn new(name: &'static str, command: Command) -> Self {
        Self { name, command, prepare: || Ok(()) }
    }

    pub(crate) fn after(self, prepare: fn() -> std::io::Result<()>) -> Self {
        Self { prepare, ..self }
    }

    /// Says what went wrong.
    fn run(&mut self) -> Result<(), String> {
        (self.prepare)().map_err(|error| format!("could not be prepared: {error}"))?;
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("failed, {status}")),
            Err(error) => Err(format!("could not be started: {error}")),
        }
    }
}

/// Runs the steps in order, and sums up what they took. Nothing runs after a step that fails.
pub(crate) fn run_all(mut steps: Vec<Step>) -> ExitCode {
    let total = steps.len();
    let start = Instant::now();
    let mut summary = String::new();
    for (done, step) in steps.iter_mut().enumerate() {
        let Step { name, command, .. } = &*step;
        println!("\n==> {name} ({} of {total}): {}", done + 1, shown(command));
        let start = Instant::now();
        let result = step.run();
        let outcome = result.as_ref().map_or_else(String::as_str, |()| "ok");
        let line = format!("{:<10} {outcome}, {}\n", step.name, seconds(start.elapsed()));
        print!("<== {line}");
        summary.push_str(&line);
        if result.is_err() {
            println!("\n{summary}FAILED: {}; {} of {total} steps were not run", step.name, total - done - 1);
            return ExitCode::FAILURE;
        }
    }
    println!("\n{summary}ok: all {total} steps, {}", seconds(start.elapsed()));
    ExitCode::SUCCESS
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy().into_owned();
        Some(format!("{}={value}", name.to_string_lossy()))
    });
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = [program].into_iter().chain(command.get_args()).map(|word| word.to_string_lossy().into_owned());
    variables.chain(words).collect::<Vec<_>>().join(" ")
}
