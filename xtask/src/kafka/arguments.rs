//! What can be asked of `cargo xtask kafka`, and how it is said.

use super::configuration::MOST_BROKERS;

pub(super) const HELP: &str = "\
A real Kafka cluster on this machine's loopback, for tests and for trying things out.

Usage: cargo xtask kafka <task>

Tasks:
  up [--brokers N]    Starts N brokers, from 1 to 5, or 3 if nothing is said, and waits until all of them answer. The last
                      line that it prints is `brokers 127.0.0.1:P1,127.0.0.1:P2,…`. What is up already stays as it is, and
                      brokers that are stopped or paused go on with the data that they have. The first time it fetches
                      Kafka with Maven.
  status              Each broker with its process, port and memory, and the leader of the quorum. Exit code 0 if all run,
                      1 if some do, 3 if none does.
  kill N              Ends broker N at once (SIGKILL), as a failing machine would.
  pause N             Stops broker N where it is (SIGSTOP): its connections stay open, and nothing answers.
  resume N            Lets broker N go on (SIGCONT).
  start N             Starts broker N again, with the data that it has.
  down [--keep-data]  Stops all brokers, and removes what they hold unless it is to be kept for the next `up`.
  help                This text.

All of it lies in `kafka` within cargo's target directory: the jars in `libs`, what the brokers say in `logs/nN.log`, their
settings in nN.properties. Kafka's own tools are there too; from that directory, for example:

  java -cp 'libs/*' org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:P1 --list
";

/// One thing to do. Brokers are numbered from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// How many brokers; nothing is said: as many as there are, or three.
    Up {
        brokers: Option<u8>,
    },
    Down {
        keep_data: bool,
    },
    Status,
    Kill(u8),
    Pause(u8),
    Resume(u8),
    Start(u8),
    Help,
}

/// What the words ask for, or what is wrong with them.
pub(super) fn parse(words: &[&str]) -> Result<Task, String> {
    match *words {
        ["up"] => Ok(Task::Up { brokers: None }),
        ["up", "--brokers", number] => Ok(Task::Up { brokers: Some(broker_number("--brokers", number)?) }),
        ["up", option] if option.starts_with("--brokers=") => {
            Ok(Task::Up { brokers: Some(broker_number("--brokers", &option["--brokers=".len()..])?) })
        }
        ["up", "--brokers"] => Err("--brokers needs a number".to_owned()),
        ["down"] => Ok(Task::Down { keep_data: false }),
        ["down", "--keep-data"] => Ok(Task::Down { keep_data: true }),
        ["status"] => Ok(Task::Status),
        ["kill", number] => broker_number("kill", number).map(Task::Kill),
        ["pause", number] => broker_number("pause", number).map(Task::Pause),
        ["resume", number] => broker_number("resume", number).map(Task::Resume),
        ["start", number] => broker_number("start", number).map(Task::Start),
        ["help" | "--help" | "-h"] | [_, "--help" | "-h"] => Ok(Task::Help),
        [] => Err("it is not said what to do".to_owned()),
        [task @ ("kill" | "pause" | "resume" | "start")] => Err(format!("{task} needs the number of a broker")),
        [task @ ("up" | "down" | "status" | "kill" | "pause" | "resume" | "start" | "help"), ref rest @ ..] => {
            Err(format!("{task} does not take `{}`", rest.join(" ")))
        }
        [task, ..] => Err(format!("there is no task `{task}`")),
    }
}

fn broker_number(what: &str, said: &str) -> Result<u8, String> {
    let wrong = || format!("{what} takes a number from 1 to {MOST_BROKERS}, not `{said}`");
    let digits = said.bytes().all(|byte| byte.is_ascii_digit());
    said.parse().ok().filter(|number| digits && (1..=MOST_BROKERS).contains(number)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_understood() {
        let tasks: [(&[&str], Task); 12] = [
            (&["up"], Task::Up { brokers: None }),
            (&["up", "--brokers", "1"], Task::Up { brokers: Some(1) }),
            (&["up", "--brokers=5"], Task::Up { brokers: Some(5) }),
            (&["down"], Task::Down { keep_data: false }),
            (&["down", "--keep-data"], Task::Down { keep_data: true }),
            (&["status"], Task::Status),
            (&["kill", "1"], Task::Kill(1)),
            (&["pause", "2"], Task::Pause(2)),
            (&["resume", "3"], Task::Resume(3)),
            (&["start", "5"], Task::Start(5)),
            (&["help"], Task::Help),
            (&["up", "--help"], Task::Help),
        ];
        for (words, task) in tasks {
            assert_eq!(parse(words), Ok(task), "{words:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong: [(&[&str], &str); 13] = [
            (&[], "it is not said what to do"),
            (&["fly"], "there is no task `fly`"),
            (&["up", "--brokers"], "--brokers needs a number"),
            (&["up", "--brokers", "0"], "--brokers takes a number from 1 to 5, not `0`"),
            (&["up", "--brokers=6"], "--brokers takes a number from 1 to 5, not `6`"),
            (&["up", "--brokers", "+3"], "--brokers takes a number from 1 to 5, not `+3`"),
            (&["up", "--brokers", "257"], "--brokers takes a number from 1 to 5, not `257`"),
            (&["up", "3"], "up does not take `3`"),
            (&["status", "1", "2"], "status does not take `1 2`"),
            (&["down", "--keep"], "down does not take `--keep`"),
            (&["kill"], "kill needs the number of a broker"),
            (&["start", "all"], "start takes a number from 1 to 5, not `all`"),
            (&["pause", ""], "pause takes a number from 1 to 5, not ``"),
        ];
        for (words, said) in wrong {
            assert_eq!(parse(words), Err(said.to_owned()), "{words:?}");
        }
    }
}
