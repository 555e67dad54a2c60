//! The Python client: its style, its types, and its tests against the real server.
//!
//! All of it happens in a virtual environment below the target directory, with the versions that
//! `clients/python/requirements-dev.txt` names. Where Python or its `venv` is missing it is installed first, if that
//! can be done: by apt-get, as root.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    place::{root, server, target},
    step::Step,
};

/// What Debian calls Python and its `venv`.
const PACKAGES: &str = "python3 python3-venv";

pub(crate) fn steps() -> Vec<Step> {
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv"]).arg(environment_dir());
    let install = "-m pip install --quiet --disable-pip-version-check -r requirements-dev.txt .";
    let mut tests = python("-m pytest -q");
    tests.env("TAKHIN_BIN", server());

    vec![
        Step::new("Python", environment).after(provide_python),
        Step::new("Python packages", python(install)),
        Step::new("Python lints", python("-m ruff check --quiet . ../../examples")),
        Step::new("Python formatting", python("-m ruff format --quiet --check . ../../examples")),
        Step::new("Python types", python("-m mypy")),
        Step::new("Python tests", tests),
    ]
}

/// The environment's Python with these words, in the client's directory.
fn python(arguments: &str) -> Command {
    let mut python = Command::new(environment_dir().join("bin").join("python"));
    python.args(arguments.split(' ')).current_dir(root().join("clients").join("python"));
    python
}

fn environment_dir() -> PathBuf {
    target().join("python")
}

/// Sees to it that there is a Python that can make an environment.
fn provide_python() -> io::Result<()> {
    if has_python() {
        return Ok(());
    }
    println!("no python3 with venv here: installing {PACKAGES} with apt-get");
    for arguments in ["update --quiet", &format!("install --quiet --yes --no-install-recommends {PACKAGES}")] {
        let status = Command::new("apt-get").args(arguments.split(' ')).status();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            let what = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(io::Error::other(format!(
                "apt-get {arguments}: {what}. Install Python 3.10 or newer, with venv, by hand"
            )));
        }
    }
    if has_python() { Ok(()) } else { Err(io::Error::other("python3 can't make virtual environments all the same")) }
}

fn has_python() -> bool {
    let mut check = Command::new("python3");
    check.args(["-c", "import ensurepip, venv"]).stdout(Stdio::null()).stderr(Stdio::null());
    check.status().is_ok_and(|status| status.success())
}
