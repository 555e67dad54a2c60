//! Steps of a task: commands that run one after the other until one fails.
//!
//! What they print passes through untouched. Where nobody watches a terminal, what tells why a step failed is printed
//! again at the very end, since the end is what is kept of a long log.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::Path,
    process::{Command, ExitCode, ExitStatus},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Lines of a failed step that are printed again: the last that tell of a failure.
const TELLING_LINES: usize = 12;
/// What such lines say, one tool or the other.
const FAILURES: [&str; 8] = ["FAIL", "Error:", "error:", "error[", "panicked", "✗", "×", "Assertion"];
/// How long what a step printed is still read after its end: what it left running may keep its output open.
const STILL_READ: Duration = Duration::from_secs(2);

/// One command of a task.
pub(crate) struct Step {
    name: &'static str,
    command: Command,
    /// What is to be done just before the command runs; an error fails the step.
    prepare: fn() -> io::Result<()>,
}

impl Step {
    pub(crate) fn new(name: &'static str, command: Command) -> Self {
        Self { name, command, prepare: || Ok(()) }
    }

    pub(crate) fn after(self, prepare: fn() -> io::Result<()>) -> Self {
        Self { prepare, ..self }
    }

    /// Says what went wrong, and what of its output is to be printed again.
    fn run(mut self) -> Result<(), (String, Vec<String>)> {
        let nothing = |text| (text, Vec::new());
        (self.prepare)().map_err(|error| nothing(format!("could not be prepared: {error}")))?;
        let ran = if io::stdout().is_terminal() {
            self.command.status().map(|status| (status, Vec::new()))
        } else {
            run_and_remember(self.command)
        };
        match ran {
            Ok((status, _)) if status.success() => Ok(()),
            Ok((status, telling)) => Err((format!("failed, {status}"), telling)),
            Err(error) => Err(nothing(format!("could not be started: {error}"))),
        }
    }
}

/// Runs a command, passes on what it prints, and gives the lines of that which tell of failures.
fn run_and_remember(mut command: Command) -> io::Result<(ExitStatus, Vec<String>)> {
    let (reader, writer) = io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // Only the child may hold the other end, or what it prints would have no end.
    drop(command);
    let (lines, printed) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            let mut out = io::stdout().lock();
            // Nobody may be listening any more; the step goes on all the same.
            drop(out.write_all(&line).and_then(|()| out.write_all(b"\n")));
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let status = child.wait()?;
    let mut telling = VecDeque::new();
    while let Ok(line) = printed.recv_timeout(STILL_READ) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if FAILURES.iter().any(|said| line.contains(said)) {
            telling.truncate(TELLING_LINES - 1);
            telling.push_front(line);
        }
    }
    Ok((status, telling.into_iter().rev().collect()))
}

/// Runs the steps in order, and sums up what they took. Nothing runs after a step that fails.
pub(crate) fn run_all(steps: Vec<Step>) -> ExitCode {
    let total = steps.len();
    let start = Instant::now();
    let mut summary = String::new();
    for (done, step) in steps.into_iter().enumerate() {
        let name = step.name;
        println!("\n==> {name} ({} of {total}): {}", done + 1, shown(&step.command));
        let start = Instant::now();
        let result = step.run();
        let outcome = result.as_ref().map_or_else(|(why, _)| why.as_str(), |()| "ok");
        let line = format!("{name:<10} {outcome}, {}\n", seconds(start.elapsed()));
        print!("<== {line}");
        summary.push_str(&line);
        if let Err((_, telling)) = &result {
            println!("\n{summary}FAILED: {name}; {} of {total} steps were not run", total - done - 1);
            for line in telling {
                println!("{line}");
            }
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
