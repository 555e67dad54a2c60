//! `cargo xtask api`: holds the description of the API against a running server.
//!
//! The document has to be one of OpenAPI 3.1. Then [schemathesis](https://schemathesis.readthedocs.io) makes requests from
//! it, good and bad ones, and chains of them, and every answer has to be as the document says. Python's packages, in the
//! versions of `tests/openapi/requirements.txt`, go into an environment of their own within the target directory.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
};

use crate::{
    place::{root, server, target},
    step::Step,
};

/// The step of `cargo xtask test`.
pub(crate) fn steps() -> Vec<Step> {
    let mut again = Command::new(env::current_exe().unwrap_or_else(|_| "xtask".into()));
    again.arg("api").current_dir(root());
    vec![Step::new("api", again)]
}

/// Runs it with the server that cargo has built, or with the one that `TAKHIN_BIN` names.
pub(crate) fn run() -> ExitCode {
    match prepare().and_then(|()| check()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the description can't be checked: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> io::Result<bool> {
    let server = Server::start()?;
    let document = format!("{}/openapi.json", server.url);
    let valid = Command::new(tool("python")).arg(here("check.py")).arg(&document).status()?;
    if !valid.success() {
        return Ok(false);
    }
    let checked = Command::new(tool("st"))
        .arg("--config-file")
        .arg(here("schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(&document)
        .current_dir(root().join("tests/openapi"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HYPOTHESIS_STORAGE_DIRECTORY", environment().join("hypothesis"))
        .status()?;
    let ended = server.stop()?;
    if !ended.success() {
        eprintln!("the server ended badly: {ended}");
    }
    Ok(checked.success() && ended.success())
}

/// Sets the environment up, unless it is there with these very packages.
fn prepare() -> io::Result<()> {
    let (wanted, installed) = (here("requirements.txt"), environment().join("installed.txt"));
    let requirements = fs::read(&wanted)?;
    if fs::read(&installed).is_ok_and(|there| there == requirements) {
        return Ok(());
    }
    println!("setting up Python's packages in {}", environment().display());
    if !python()?.success() {
        // Debian keeps what makes environments in a package of its own.
        println!("installing python3-venv");
        let install = "apt-get update -q && apt-get install -y -q --no-install-recommends python3 python3-venv";
        succeed(Command::new("sh").args(["-c", install]))?;
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment()))?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
    succeed(Command::new(tool("python")).args(install).arg(&wanted))?;
    fs::write(installed, requirements)
}

/// Makes an empty environment. Without Python that fails like without its package for environments.
fn python() -> io::Result<ExitStatus> {
    let mut command = Command::new("python3");
    match command.args(["-m", "venv", "--clear"]).arg(environment()).status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Command::new("false").status(),
        made => made,
    }
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

fn environment() -> PathBuf {
    target().join("openapi-env")
}

fn tool(name: &str) -> PathBuf {
    environment().join("bin").join(name)
}

fn here(name: &str) -> PathBuf {
    root().join("tests/openapi").join(name)
}

/// A server with an empty data directory, on a port that the system chose.
struct Server {
    process: Child,
    url: String,
    data: PathBuf,
}

impl Server {
    fn start() -> io::Result<Self> {
        let program = env::var_os("TAKHIN_BIN").map_or_else(server, PathBuf::from);
        let data = target().join("openapi-data");
        remove(&data)?;
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--durability", "os", "--data-dir"].map(OsStr::new))
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("the server has no output"))?;
        for line in BufReader::new(stdout).lines() {
            if let Some(url) = line?.trim().strip_prefix("listening") {
                return Ok(Self { process, url: url.trim().to_owned(), data });
            }
        }
        let ended = process.wait()?;
        Err(io::Error::other(format!("the server did not start: {ended}")))
    }

    /// Asks it to end, and says how it did.
    fn stop(mut self) -> io::Result<ExitStatus> {
        succeed(Command::new("kill").args(["-TERM", &self.process.id().to_string()]))?;
        self.process.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended by now, unless a check could not be made.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = remove(&self.data);
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
