//! The JavaScript client: types, package and tests, against the server that was built; and with them the examples for Node,
//! for a browser and for curl.

use std::{io, process::Command};

use crate::{
    apt::{provide, runs},
    place::{root, server},
    step::Step,
    web::chromium,
};

pub(crate) fn steps() -> Vec<Step> {
    let mut tests = npm("clients/js", "test");
    tests.env("TAKHIN_BIN", server());
    vec![
        Step::new("js packages", npm("clients/js", "ci --no-audit --no-fund")),
        Step::new("js types", npm("clients/js", "run check")),
        Step::new("js package", npm("clients/js", "pack --dry-run")),
        Step::new("js examples", npm("examples/node", "install --no-audit --no-fund --no-package-lock")),
        Step::new("js tests", tests).after(curl_and_chromium),
    ]
}

fn curl_and_chromium() -> io::Result<()> {
    provide("curl", "curl ca-certificates", || runs("curl", &["--version"]))?;
    chromium()
}

fn npm(directory: &str, arguments: &str) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments.split(' ')).current_dir(root().join(directory));
    npm
}
