//! A door between a node and all others: the node runs in a network of its own, where nothing is but what is carried through.
//!
//! ```text
//!   outside                                        | a network namespace
//!   clients, nodes --> 127.0.0.1:P [ carries  ]----|---> [ carries  ] --> 127.0.0.1:P  the node
//!   brokers, nodes <-- 127.0.0.1:Q [ outside  ]<---|---- [ inside   ] <-- 127.0.0.1:Q  what it asks for
//!                                     unix sockets in a directory
//! ```
//!
//! Whoever carries outside is stopped to shut the door: connections stay, and nothing comes through, not even their end.
//! When it goes on, what was sent meanwhile arrives.

use std::{
    env, fs, io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getppid, kill_process};
use takhin_tests::broker::{Options, program};
use tempfile::TempDir;

/// Where it carries: `inside` or `outside`.
const SIDE: &str = "TAKHIN_TEST_DOOR_SIDE";
const DIRECTORY: &str = "TAKHIN_TEST_DOOR_DIRECTORY";
/// Ports to which is carried from inside to outside, and the other way.
const OUTWARDS: &str = "TAKHIN_TEST_DOOR_OUTWARDS";
const INWARDS: &str = "TAKHIN_TEST_DOOR_INWARDS";

/// A door, which is open at first.
pub(crate) struct Door(TempDir);

impl Door {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory can be made"))
    }

    /// Makes a node start behind it. It takes requests of other nodes at one port, and asks at others.
    pub(crate) fn put_before(&self, options: &mut Options, node_port: u16, outwards: &[u16]) {
        let ports = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
        let carries = env::current_exe().expect("this program");
        let script = format!(
            "#!/bin/sh\n\
             set -e\n\
             for argument; do case \"$argument\" in 127.0.0.1:*) listen=\"${{argument#127.0.0.1:}}\";; esac; done\n\
             export {DIRECTORY}='{directory}' {OUTWARDS}='{outwards}' {INWARDS}=\"{node_port} $listen\"\n\
             carry() {{ {SIDE}=\"$1\" '{carries}' door::carries --exact --ignored --nocapture & }}\n\
             carry outside\n\
             echo $! > '{directory}/outside'\n\
             exec unshare --net sh -c 'ip link set lo up; \
             {SIDE}=inside \"{carries}\" door::carries --exact --ignored --nocapture & exec \"$0\" \"$@\"' '{program}' \"$@\"\n",
            directory = self.0.path().display(),
            outwards = ports(outwards),
            carries = carries.display(),
            program = options.program.clone().unwrap_or_else(program).display(),
        );
        let path = self.0.path().join("node");
        fs::write(&path, script).expect("a script can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script can be run");
        options.program = Some(path);
    }

    /// Nothing comes through.
    pub(crate) fn shut(&self) {
        self.signal(Signal::STOP);
    }

    /// All comes through, also what was sent meanwhile.
    pub(crate) fn open(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.outside().expect("somebody carries"), signal).expect("it is there");
    }

    fn outside(&self) -> Option<Pid> {
        let outside = fs::read_to_string(self.0.path().join("outside")).ok()?;
        outside.trim().parse().ok().and_then(Pid::from_raw)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(outside) = self.outside() {
            // It has ended with its node, unless it was stopped.
            let _ = kill_process(outside, Signal::KILL);
        }
    }
}

/// Not a test but who carries, as the door's script starts it. It ends with whoever started it.
#[test]
#[ignore = "needs brokers"]
fn carries() {
    let Ok(side) = env::var(SIDE) else { return };
    let parent = getppid();
    let directory = PathBuf::from(env::var_os(DIRECTORY).expect("a directory"));
    for (way, ports, comes_out) in [("out", OUTWARDS, side == "outside"), ("in", INWARDS, side == "inside")] {
        for port in env::var(ports).expect("ports").split(' ') {
            let port: u16 = port.parse().expect("a port");
            let socket = directory.join(format!("{way}-{port}"));
            thread::spawn(move || if comes_out { comes_out_at(port, &socket) } else { goes_in_at(port, &socket) });
        }
    }
    while getppid() == parent {
        thread::sleep(Duration::from_millis(100));
    }
}

/// What comes through a socket goes on to a port. If nobody is there, the connection ends, as it would without a door.
fn comes_out_at(port: u16, socket: &Path) {
    // There is one if the node was started before.
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).expect("a socket can be made");
    for connection in listener.incoming() {
        let inner = connection.expect("a connection");
        thread::spawn(move || TcpStream::connect(("127.0.0.1", port)).and_then(|outer| carry(inner, outer)));
    }
}

/// What comes to a port goes through a socket.
fn goes_in_at(port: u16, socket: &Path) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    for connection in listener.incoming() {
        let (outer, socket) = (connection.expect("a connection"), socket.to_owned());
        thread::spawn(move || UnixStream::connect(socket).and_then(|inner| carry(inner, outer)));
    }
}

/// Carries what comes on either side to the other, up to its end.
fn carry(mut inner: UnixStream, mut outer: TcpStream) -> io::Result<()> {
    outer.set_nodelay(true)?;
    let (mut from_inner, mut to_outer) = (inner.try_clone()?, outer.try_clone()?);
    thread::spawn(move || {
        // However it ends, the other side is told that it did.
        let _ = io::copy(&mut from_inner, &mut to_outer);
        to_outer.shutdown(Shutdown::Write)
    });
    let carried = io::copy(&mut outer, &mut inner);
    inner.shutdown(Shutdown::Write)?;
    carried.map(drop)
}
