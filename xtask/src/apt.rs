//! What a step needs of Debian's packages, installed where it is missing: by apt-get, as root.

use std::{
    io,
    process::{Command, ExitStatus, Stdio},
};

/// Sees to it that something is there, which `is_there` tells.
pub(crate) fn provide(what: &str, packages: &str, is_there: impl Fn() -> bool) -> io::Result<()> {
    if is_there() {
        return Ok(());
    }
    println!("no {what} here: installing {packages} with apt-get");
    for arguments in ["update --quiet", &format!("install --quiet --yes --no-install-recommends {packages}")] {
        let mut install = Command::new("apt-get");
        let status = install.args(arguments.split(' ')).env("DEBIAN_FRONTEND", "noninteractive").status();
        if !status.as_ref().is_ok_and(ExitStatus::success) {
            let said = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(io::Error::other(format!("apt-get {arguments}: {said}. Install {what} by hand")));
        }
    }
    if is_there() { Ok(()) } else { Err(io::Error::other(format!("there is no {what} all the same"))) }
}

/// Whether a program can be run, and ends well with these words.
pub(crate) fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
