//! The real server, `takhin serve`, as a process of its own: on a free port, with a data directory of its own.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    client::Client,
    engine::OwnCluster,
    process::{Process, Signal},
};

/// How a [`Broker`] is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--durability`: `fsync`, `interval:<ms>` or `os`. `None` leaves the server's default.
    pub durability: Option<String>,
    /// Further arguments of `takhin serve`.
    pub arguments: Vec<String>,
    /// Environment variables, by name.
    pub environment: Vec<(String, String)>,
    /// Where the data is kept; `None` is a directory that is removed in the end.
    pub data_dir: Option<PathBuf>,
    /// The program to run; `None` finds it with [`program`].
    pub program: Option<PathBuf>,
}

impl Options {
    /// A server that leaves writing to disk to the operating system: quick, and safe as long as only it crashes.
    pub fn quick() -> Self {
        Self { durability: Some("os".to_owned()), ..Self::default() }
    }
}

/// A server with its data. The server is killed, and its data removed, when this is dropped.
#[derive(Debug)]
pub struct Broker {
    /// Declared first, and so dropped before the directory it works in.
    process: Option<Process>,
    port: u16,
    options: Options,
    /// Where its records are, unless it is the data directory.
    cluster: Option<OwnCluster>,
    directory: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let log = self.log();
        let broken = log.lines().find(|line| line.contains("a promise is broken"));
        if let (Some(line), false) = (broken, thread::panicking()) {
            panic!("{line}\nThe server printed:\n{log}");
        }
    }
}

impl Broker {
    /// How long a server may take until it is healthy, recovery included.
    pub const PATIENCE: Duration = Duration::from_mins(1);

    /// How often a start is repeated because somebody else took the port.
    const PORTS: usize = 10;

    /// Starts a server with an empty data directory, and returns once it is healthy.
    ///
    /// # Panics
    /// There is no program, or it does not become healthy; the message holds all that it printed.
    pub fn start(options: Options) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let cluster = OwnCluster::of_this_run();
        let mut broker = Self { process: None, port: free_port(), options, cluster, directory };
        broker.run();
        broker
    }

    /// The address of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A new client of this server.
    pub fn client(&self) -> Client {
        Client::new(&self.url(""))
    }

    /// The server's data directory, which outlives restarts.
    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// All that the server has printed, to stdout and to stderr, since the first start.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// The number of its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a server runs").pid()
    }

    /// Ends the server with SIGKILL, if it runs. Returns once it is gone.
    pub fn kill9(&mut self) {
        self.process.take().map(Process::kill9);
    }

    /// Asks the server to end, with SIGTERM, and returns how it did.
    ///
    /// # Panics
    /// It does not run, or has not ended after [`Process::PATIENCE`].
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.take().expect("a server runs").terminate()
    }

    /// Sends the server a signal, and goes on.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&mut self, signal: Signal) {
        self.process.as_mut().expect("a server runs").signal(signal);
    }

    /// Starts the server anew on the same data, after [`Self::terminate`] if it still runs, and returns once it is
    /// healthy. It has the same address as before, unless somebody else has taken the port meanwhile.
    ///
    /// # Panics
    /// As [`Self::start`] does.
    pub fn restart(&mut self) {
        self.process.take().map(Process::terminate);
        self.run();
    }

    /// Starts the server anew and ends it with SIGKILL so soon that it may not even be up.
    ///
    /// # Panics
    /// It runs already.
    pub fn start_and_kill(&mut self, after: Duration) {
        assert!(self.process.is_none(), "a server runs");
        let process = Process::start(&mut self.command(), &self.log_file());
        let process = process.unwrap_or_else(|error| panic!("{:?}: {error}", self.command()));
        thread::sleep(after);
        process.kill9();
    }

    /// Starts another server as this one is started, on the same data, waits until it has ended by itself, and
    /// returns how it did and what it printed.
    ///
    /// # Panics
    /// It has not ended after [`Process::PATIENCE`].
    pub fn run_to_its_end(&self) -> (ExitStatus, String) {
        run_to_its_end(&mut self.command_at(free_port()), &self.directory.path().join("other-log"))
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn run(&mut self) {
        for _ in 0..Self::PORTS {
            let printed_before = self.log().len();
            let process = Process::start(&mut self.command(), &self.log_file());
            let mut process = process.unwrap_or_else(|error| panic!("{:?}: {error}", self.command()));
            match self.wait_until_healthy(&mut process, printed_before) {
                Ok(()) => {
                    self.process = Some(process);
                    return;
                }
                Err(_) if process.ended().is_some() && is_taken(self.port) => self.port = free_port(),
                Err(why) => panic!("{:?} {why}. It printed:\n{}", self.command(), self.log()),
            }
        }
        panic!("somebody else took each of {} ports. The server printed:\n{}", Self::PORTS, self.log());
    }

    fn command(&self) -> Command {
        self.command_at(self.port)
    }

    fn command_at(&self, port: u16) -> Command {
        let mut command = Command::new(self.options.program.clone().unwrap_or_else(program));
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(self.data_dir());
        if let Some(durability) = &self.options.durability {
            command.args(["--durability", durability]);
        }
        // Whatever a test is about, every step is judged by all promises.
        command.env("TAKHIN_AUDIT", "true");
        command.args(self.cluster.iter().flat_map(OwnCluster::arguments));
        command.args(&self.options.arguments).envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Whether a server is ready that has printed this.
    fn is_up(&self, log: &str) -> bool {
        let cells = if self.cluster.is_some() { OwnCluster::CELLS } else { 0 };
        log.contains("listening") && log.matches("a cell is served here").count() >= cells
    }

    fn wait_until_healthy(&self, process: &mut Process, printed_before: usize) -> Result<(), String> {
        let client = Client::with_timeout(&self.url(""), Duration::from_secs(5));
        let deadline = Instant::now() + Self::PATIENCE;
        while Instant::now() < deadline {
            let healthy = client.request("GET", "/api/health", None).is_ok_and(|(status, _)| status == 200);
            if let Some(status) = process.ended() {
                return Err(format!("ended before it was healthy, {status}"));
            }
            // Whoever is healthy is not our server as long as ours has not said that it has the port.
            if healthy && self.log().get(printed_before..).is_some_and(|log| self.is_up(log)) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("was not healthy after {:?}", Self::PATIENCE))
    }
}

/// Runs a program until it ends by itself, and returns how it did and what it printed, which goes to the file `log`.
///
/// # Panics
/// It has not ended after [`Process::PATIENCE`].
pub fn run_to_its_end(command: &mut Command, log: &Path) -> (ExitStatus, String) {
    let _ = fs::remove_file(log);
    let process = Process::start(command, log).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = process.wait();
    (status, fs::read_to_string(log).unwrap_or_default())
}

/// The server's program: what `TAKHIN_BIN` names, or else the newer of those that lie in the target directory in
/// which this test was built.
///
/// # Panics
/// There is none. A test that needs the server never passes without it.
pub fn program() -> PathBuf {
    if let Some(program) = env::var_os("TAKHIN_BIN") {
        let program = PathBuf::from(program);
        assert!(program.is_file(), "TAKHIN_BIN is {}, and there is no such file", program.display());
        return program;
    }
    let test = env::current_exe().expect("a test knows where it is");
    let built = test.ancestors().skip(1).flat_map(|directory| {
        ["release", "debug"].map(|profile| directory.join(profile).join(format!("takhin{}", env::consts::EXE_SUFFIX)))
    });
    let newest = built.filter(|program| program.is_file()).max_by_key(|program| modified(program));
    newest.unwrap_or_else(|| {
        panic!("the server has not been built: run `cargo build --release -p takhin`, or set TAKHIN_BIN to its path")
    })
}

fn modified(program: &Path) -> Option<std::time::SystemTime> {
    program.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a listener has an address").port()
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}
