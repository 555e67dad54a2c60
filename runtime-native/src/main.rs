//! `takhin`: the log you can talk to with curl.

mod cli;

use std::process::ExitCode;

/// A request's memory is allocated by one worker and often freed by another, which this does at less cost than the
/// system's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
