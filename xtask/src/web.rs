//! `cargo xtask web`: the page and the package, from Rust and TypeScript to `web-demo/dist` and `runtime-wasm/pkg`.
//!
//! ```text
//!   runtime-wasm --cargo, wasm32--> takhin_wasm.wasm --takhin-glue--> runtime-wasm/pkg --vite--> web-demo/dist
//! ```
//!
//! The page is committed as it was built, so that the server is built without Node; `cargo xtask test` builds it anew
//! and compares.

mod toolchain;

use std::{
    env, fs,
    io::{self, Error, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use self::toolchain::Toolchain;
use crate::{
    apt::provide,
    place::{cargo, root, server, target},
    step::Step,
};

const WASM: &str = "wasm32-unknown-unknown";

/// Says which compiler the committed page was built with.
const BUILT_WITH: &str = "web-demo/built-with.txt";

/// Builds all of it, and says why not.
pub(crate) fn build() -> ExitCode {
    match wasm().and_then(|()| glue()).and_then(|()| page()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the page could not be built: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What `cargo xtask test` does of the page: builds it, compares it with what is committed, and tests it in a browser.
pub(crate) fn steps() -> Vec<Step> {
    let mut build = cargo("run --quiet --package xtask --");
    build.arg("web");
    let mut same = cargo("run --quiet --package xtask --");
    same.arg("web-is-committed");
    let mut tests = npm("test");
    tests.env("TAKHIN_BIN", server());
    vec![Step::new("page", build), Step::new("page is kept", same), Step::new("page tests", tests).after(chromium)]
}

/// Whether the page that was built just now is the one that is committed. Another compiler makes another wasm from the same
/// sources: then there is nothing to compare with, and this says so.
pub(crate) fn is_committed() -> ExitCode {
    let git = |arguments: &[&str]| -> io::Result<String> {
        let said = Command::new("git")
            .args(arguments)
            .args(["--", "web-demo/dist", BUILT_WITH])
            .current_dir(root())
            .output()?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    };
    match (git(&["diff", "HEAD"]), git(&["status", "--porcelain", "--untracked-files=all"])) {
        (Ok(difference), _) if difference.contains(&format!("b/{BUILT_WITH}")) => {
            println!(
                "web-demo/dist was committed by another compiler than the one here: not compared\n{difference:.400}"
            );
            ExitCode::SUCCESS
        }
        (Ok(_), Ok(status)) if status.trim().is_empty() => ExitCode::SUCCESS,
        (_, Ok(status)) => {
            eprintln!("web-demo/dist is not what its sources make: run `cargo xtask web` and commit it\n{status}");
            ExitCode::FAILURE
        }
        (_, Err(error)) => {
            eprintln!("git can't be asked: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Installs the browser that pages are tested with, if it isn't there.
pub(crate) fn chromium() -> io::Result<()> {
    provide("chromium", "chromium", || env::var_os("CHROMIUM").is_some() || Path::new("/usr/bin/chromium").exists())
}

/// The core and its world, for the browser.
fn wasm() -> io::Result<()> {
    let toolchain = Toolchain::find()?;
    let mut build = cargo("build --package takhin-wasm --profile wasm --target");
    build.args([WASM, "--target-dir"]).arg(target().join("wasm"));
    build.env("CARGO_ENCODED_RUSTFLAGS", remapped(&toolchain));
    toolchain.prepare(&mut build);
    run(build)?;
    fs::write(root().join(BUILT_WITH), toolchain.version()?)
}

/// Nothing in the module may tell where it was built: its hash would differ from machine to machine.
fn remapped(toolchain: &Toolchain) -> String {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let mut flags = Vec::new();
    for (from, to) in [(cargo_home, "cargo"), (toolchain.sysroot.clone(), "rust"), (root().to_owned(), "takhin")] {
        flags.push(format!("--remap-path-prefix={}=/{to}", from.display()));
    }
    flags.join("\u{1f}")
}

/// The JavaScript around it: the package.
fn glue() -> io::Result<()> {
    let package = root().join("runtime-wasm/pkg");
    let module = target().join("wasm").join(WASM).join("wasm/takhin_wasm.wasm");
    let mut glue = cargo("run --quiet --package takhin-glue --");
    glue.arg(module).arg(&package);
    run(glue)
}

/// The page.
fn page() -> io::Result<()> {
    install()?;
    run(npm("run build"))?;
    budgets()
}

/// Installs what the lock file says, unless that is what is there.
fn install() -> io::Result<()> {
    let page = root().join("web-demo");
    let (lock, installed) = (page.join("package-lock.json"), page.join("node_modules/.package-lock.json"));
    let is_newer = |one: &Path, other: &Path| {
        Some(one.metadata().ok()?.modified().ok()? > other.metadata().ok()?.modified().ok()?)
    };
    if is_newer(&installed, &lock) == Some(true) {
        return Ok(());
    }
    println!("installing what the page is built with, from web-demo/package-lock.json");
    run(npm("ci --no-audit --no-fund"))
}

fn npm(arguments: &str) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments.split(' ')).current_dir(root().join("web-demo"));
    npm
}

/// What the parts of the page may weigh, compressed by gzip, in bytes. The wasm is the whole production core with all that it
/// can be written to and read from; a quarter of it is that, another the maps of its tables.
const BUDGETS: [(&str, u64); 3] = [("wasm", 512 << 10), ("js", 60 << 10), ("css", 10 << 10)];

fn budgets() -> io::Result<()> {
    let assets = root().join("web-demo/dist/assets");
    for (kind, most) in BUDGETS {
        let mut all = 0;
        for file in fs::read_dir(&assets)? {
            let name = file?.path();
            if name.to_string_lossy().ends_with(&format!(".{kind}.gz")) {
                all += name.metadata()?.len();
            }
        }
        println!("{kind:>6} {:>7.1} of {} KB, compressed", kib(all), most >> 10);
        if all > most || all == 0 {
            return Err(Error::new(ErrorKind::InvalidData, format!("{kind} is over its budget, or is not there")));
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Sizes of files.
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

fn run(mut command: Command) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::other(format!("{program}: {status}"))),
        Err(error) => Err(Error::new(error.kind(), format!("{program}: {error}"))),
    }
}
