//! `takhin completions SHELL`: what makes a shell complete commands and options.

use clap::Args;
use clap_complete::Shell;

use super::{failure::Failure, output::print};

#[derive(Debug, Args)]
pub(in crate::cli) struct Completions {
    /// The shell; for bash: `source <(takhin completions bash)`
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut whole: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole, "takhin", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
