//! What a developer of Takhin runs: `cargo xtask <task>`.

mod api;
mod apt;
mod instructions;
mod javascript;
mod kafka;
mod place;
mod python;
mod step;
mod test;
mod web;

use std::{env, process::ExitCode};

const HELP: &str = "\
What a developer of Takhin runs.

Usage: cargo xtask <task>

Tasks:
  test    Everything that has to pass before a change is merged, in this order:
          formatting, lints, the core without std, the server, all tests, the documentation, a cluster on one Kafka broker, the clients for JavaScript and Python with
          the examples, the API, the instructions that requests cost, the page.
          Stops at the first step that fails, with exit code 1.
          With --kafka instead: all that needs a real Kafka cluster, which it starts if none runs.
  api     Holds the description of the API against the server of `cargo build --release`, or of TAKHIN_BIN.
  kafka   A real Kafka cluster on this machine, for tests: `cargo xtask kafka help`.
  web     The page: its wasm, its package (runtime-wasm/pkg) and web-demo/dist.
  help    This text.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["api"] => api::run(),
        ["kafka", ref words @ ..] => kafka::run(words),
        ["test"] => step::run_all(test::steps()),
        ["test", "--kafka"] => kafka::test(),
        ["test-a-share-on-kafka"] => kafka::test_share(),
        ["web"] => web::build(),
        ["web-is-committed"] => web::is_committed(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}
