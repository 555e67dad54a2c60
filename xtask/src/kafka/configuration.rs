//! What a cluster is: its id, how many brokers it has, their ports and their settings; and the storage made ready for it.
//!
//! Written down in the file `cluster`, which is there once the storage of every broker is ready, and until it is removed.
//! Every node is broker and controller in one, listens on 127.0.0.1 alone, and knows the others from the start.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Error, ErrorKind, Read},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    str::FromStr,
};

use super::{at, fetching::java, remove, write};

pub(super) const MOST_BROKERS: u8 = 5;

/// Ports are taken in blocks: the brokers' own, and from the fifth on those of the controllers.
const BLOCK: u16 = 2 * MOST_BROKERS as u16;
/// Below the ports that Linux gives to outgoing connections, so that none of those takes one while a broker is down.
const FIRST_BLOCK: u16 = 20_000;
const BLOCKS: u16 = 1_000;

const LOG4J: &str = "\
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n%ex
";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    /// 16 bytes in base64, as Kafka has it.
    id: String,
    /// From 1 to [`MOST_BROKERS`]. They are numbered from 1.
    pub(super) brokers: u8,
    /// Broker 1 listens there, the others on the ports above.
    first_port: u16,
}

impl Cluster {
    /// The cluster that is written down, if one is.
    pub(super) fn read(home: &Path) -> io::Result<Option<Self>> {
        let file = cluster_file(home);
        match fs::read_to_string(&file) {
            Ok(text) => text.parse().map(Some).map_err(at(&file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&file)(error)),
        }
    }

    /// A new cluster, with ports that are free and empty storage. What there was of an earlier one goes.
    pub(super) fn lay_out(home: &Path, brokers: u8) -> io::Result<Self> {
        remove_cluster(home)?;
        remove(&home.join("logs"))?;
        let cluster = Self { id: random_id()?, brokers, first_port: free_block(home)? };
        cluster.write_settings(home)?;
        cluster.format(home)?;
        cluster.write_down(home)?;
        Ok(cluster)
    }

    /// Makes a cluster that was stopped ready to be started: its settings are written anew, and if another program has taken
    /// one of its ports meanwhile, with others.
    pub(super) fn refresh(&mut self, home: &Path) -> io::Result<()> {
        let mut ports = self.numbers().flat_map(|number| [self.broker_port(number), self.controller_port(number)]);
        if !ports.all(is_free) {
            self.first_port = free_block(home)?;
            self.write_down(home)?;
        }
        self.write_settings(home)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.brokers
    }

    pub(super) fn broker_port(&self, number: u8) -> u16 {
        self.first_port + u16::from(number) - 1
    }

    fn controller_port(&self, number: u8) -> u16 {
        self.broker_port(number) + u16::from(MOST_BROKERS)
    }

    /// Where clients find the cluster: `127.0.0.1:P1,127.0.0.1:P2,…`.
    pub(super) fn bootstrap(&self) -> String {
        self.numbers().map(|number| format!("127.0.0.1:{}", self.broker_port(number))).collect::<Vec<_>>().join(",")
    }

    fn write_down(&self, home: &Path) -> io::Result<()> {
        write(&cluster_file(home), &self.to_string())
    }

    fn write_settings(&self, home: &Path) -> io::Result<()> {
        write(&home.join("log4j2.properties"), LOG4J)?;
        self.numbers().try_for_each(|number| write(&settings_file(home, number), &self.properties(number)))
    }

    /// The settings of node `number`. Paths in it are meant from the directory of the cluster.
    fn properties(&self, number: u8) -> String {
        let voters = self.numbers().map(|voter| format!("{voter}@127.0.0.1:{}", self.controller_port(voter)));
        let voters = voters.collect::<Vec<_>>().join(",");
        let (broker, controller) = (self.broker_port(number), self.controller_port(number));
        let replicas = self.brokers.min(3);
        let in_sync = if self.brokers < 3 { 1 } else { 2 };
        format!(
            "\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data/n{number}

# Topics are as a program creates them, and none comes to be by a slip.
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}

# Kafka's own topics: few partitions, since 50 each take long to create and to move.
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=4

# Tests need not wait for groups.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=100

# All brokers are stopped together: none moves what it leads to another one first, nor waits for a quorum to let it go.
controlled.shutdown.enable=false

# Of the heap; 128 MiB if nothing is said.
log.cleaner.dedupe.buffer.size=4194304
"
        )
    }

    /// Makes the brokers' storage ready, each with the cluster's id.
    fn format(&self, home: &Path) -> io::Result<()> {
        println!("making the storage ready, for {}", if self.brokers == 1 { "one broker" } else { "every broker" });
        let mut tools = Vec::new();
        for number in self.numbers() {
            // It lives for a second or two, so it is not worth compiling well.
            let mut tool = java(home, &["-XX:TieredStopAtLevel=1", "-Xmx128m"], "kafka.tools.StorageTool");
            tool.args(["format", "--cluster-id", &self.id, "--config"]).arg(format!("n{number}.properties"));
            let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            tools.push((number, tool));
        }
        // All of them end before anything is said of one, so that none is left behind.
        let ends: Vec<_> =
            tools.into_iter().map(|(number, tool)| (number, tool.and_then(Child::wait_with_output))).collect();
        for (number, output) in ends {
            let output = output.map_err(|error| {
                Error::new(error.kind(), format!("Kafka's StorageTool could not be run for broker {number}: {error}"))
            })?;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                let status = output.status;
                return Err(Error::other(format!(
                    "the storage of broker {number} could not be made ready, {status}:\n{said}"
                )));
            }
        }
        Ok(())
    }
}

/// Removes what brokers hold, and what is written of the cluster.
pub(super) fn remove_cluster(home: &Path) -> io::Result<()> {
    // First this file: without it, what is left counts for nothing.
    remove(&cluster_file(home))?;
    remove(&home.join("data"))?;
    (1..=MOST_BROKERS).try_for_each(|number| remove(&settings_file(home, number)))
}

fn cluster_file(home: &Path) -> PathBuf {
    home.join("cluster")
}

fn settings_file(home: &Path, number: u8) -> PathBuf {
    home.join(format!("n{number}.properties"))
}

/// The first port of a block that is free. Where the search begins depends on the directory alone, so that a cluster mostly
/// has the same ports again, and those of two work trees differ.
fn free_block(home: &Path) -> io::Result<u16> {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let begin = u16::try_from(hasher.finish() % u64::from(BLOCKS)).expect("less than the blocks");
    let blocks = (0..BLOCKS).map(|after| FIRST_BLOCK + (begin + after) % BLOCKS * BLOCK);
    let last = FIRST_BLOCK + BLOCKS * BLOCK - 1;
    blocks.into_iter().find(|first| (*first..first + BLOCK).all(is_free)).ok_or_else(|| {
        Error::new(ErrorKind::AddrInUse, format!("no {BLOCK} ports in a row are free between {FIRST_BLOCK} and {last}"))
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn random_id() -> io::Result<String> {
    let source = Path::new("/dev/urandom");
    let mut random = [0; 22];
    File::open(source).and_then(|mut source| source.read_exact(&mut random)).map_err(at(source))?;
    Ok(id_of(random))
}

/// 128 random bits in base64 with the alphabet for URLs. The first character is a letter, for a `-` would look like an option;
/// the last one stands for two bits alone.
fn id_of(random: [u8; 22]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = random.map(|byte| byte & 0b11_1111);
    bits[0] &= 0b01_1111;
    bits[21] &= 0b11_0000;
    bits.iter().map(|bits| char::from(ALPHABET[usize::from(*bits)])).collect()
}

impl std::fmt::Display for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "id={}\nbrokers={}\nfirst_port={}", self.id, self.brokers, self.first_port)
    }
}

impl FromStr for Cluster {
    type Err = Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let read = || {
            let brokers = value("brokers")?.parse().ok().filter(|brokers| (1..=MOST_BROKERS).contains(brokers))?;
            let first_port = value("first_port")?.parse().ok().filter(|port| *port <= u16::MAX - BLOCK)?;
            Some(Self { id: value("id")?.to_owned(), brokers, first_port })
        };
        read().ok_or_else(|| {
            let text = format!("this does not describe a cluster: {text:?}. `cargo xtask kafka down` removes it");
            Error::new(ErrorKind::InvalidData, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn cluster(brokers: u8) -> Cluster {
        Cluster { id: "AAAAAAAAQACAAAAAAAAAAA".to_owned(), brokers, first_port: 21_000 }
    }

    fn settings(cluster: &Cluster, number: u8) -> BTreeMap<String, String> {
        let text = cluster.properties(number);
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pairs = lines.map(|line| line.split_once('=').expect("a name and a value"));
        let mut settings = BTreeMap::new();
        for (name, value) in pairs {
            assert_eq!(settings.insert(name.to_owned(), value.to_owned()), None, "{name} is set twice");
        }
        settings
    }

    #[test]
    fn a_cluster_is_read_as_it_was_written() {
        let written = cluster(3);
        assert_eq!(written.to_string(), "id=AAAAAAAAQACAAAAAAAAAAA\nbrokers=3\nfirst_port=21000\n");
        assert_eq!(written.to_string().parse::<Cluster>().expect("as written"), written);
        for wrong in
            ["", "id=A\nbrokers=3\n", "id=A\nbrokers=6\nfirst_port=21000\n", "id=A\nbrokers=1\nfirst_port=65530\n"]
        {
            wrong.parse::<Cluster>().expect_err(wrong);
        }
    }

    #[test]
    fn nodes_know_each_other_and_listen_on_loopback_alone() {
        let cluster = cluster(3);
        assert_eq!(cluster.bootstrap(), "127.0.0.1:21000,127.0.0.1:21001,127.0.0.1:21002");
        let second = settings(&cluster, 2);
        assert_eq!(second["node.id"], "2");
        assert_eq!(second["log.dirs"], "data/n2");
        assert_eq!(second["listeners"], "PLAINTEXT://127.0.0.1:21001,CONTROLLER://127.0.0.1:21006");
        assert_eq!(second["controller.quorum.voters"], "1@127.0.0.1:21005,2@127.0.0.1:21006,3@127.0.0.1:21007");
        for name in ["log.dirs", "node.id", "listeners", "advertised.listeners"] {
            assert_ne!(settings(&cluster, 1)[name], second[name], "{name}");
        }
    }

    #[test]
    fn a_record_is_on_two_of_three_brokers_and_on_one_of_fewer() {
        for (brokers, replicas, in_sync) in [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (5, "3", "2")] {
            let settings = settings(&cluster(brokers), 1);
            for (name, value) in &settings {
                if name.ends_with("replication.factor") {
                    assert_eq!(value, replicas, "{name} with {brokers} brokers");
                }
                if name.ends_with("min.isr") || name == "min.insync.replicas" {
                    assert_eq!(value, in_sync, "{name} with {brokers} brokers");
                }
            }
        }
    }

    #[test]
    fn an_id_is_base64_of_128_bits() {
        assert_eq!(id_of([0; 22]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(id_of([0xff; 22]), "f____________________w");
    }

    #[test]
    fn a_block_that_is_in_use_is_passed_over() {
        let home = Path::new("/nowhere/in/particular");
        let first = free_block(home).expect("free ports");
        assert!((FIRST_BLOCK..FIRST_BLOCK + BLOCKS * BLOCK).contains(&first) && first.is_multiple_of(BLOCK));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first + BLOCK - 1)).expect("it is free");
        assert_ne!(free_block(home).expect("free ports"), first);
        drop(taken);
    }
}
