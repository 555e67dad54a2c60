//! The Python client: its style, its types, and its tests against the real server.
//!
//! All of it happens in a virtual environment below the target directory, with the versions that
//! `clients/python/requirements-dev.txt` names. Where Python or its `venv` is missing it is installed first, if that
//! can be done: by apt-get, as root.

use std::{io, path::PathBuf, process::Command};

use crate::{
    apt::{provide, runs},
    place::{root, server, target},
    step::Step,
};

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

fn provide_python() -> io::Result<()> {
    provide("Python 3.10 or newer, with venv", "python3 python3-venv", || {
        runs("python3", &["-c", "import ensurepip, venv"])
    })
}
