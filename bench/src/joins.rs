//! What it costs a server that a member joins a group and leaves it, beside many groups.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    Failure,
    connection::Connection,
    consume::partitions_of,
    figures::{Latencies, Ms},
    machine::{cpu_ns, resident_bytes},
    request,
    server::Server,
};

/// How many times members poll before the group must have settled.
const MOST_ROUNDS_TO_SETTLE: usize = 100;

#[derive(Clone, Debug, Args)]
pub(crate) struct Joins {
    /// The release build of `takhin`
    #[arg(long)]
    server: PathBuf,
    /// Directory in which the server keeps its data while it runs
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// How many groups, each with a topic of its own
    #[arg(long, default_value_t = 1_000)]
    groups: usize,
    /// Members of each group
    #[arg(long, default_value_t = 10)]
    members: usize,
    /// Partitions of each topic
    #[arg(long, default_value_t = 10)]
    partitions: u32,
    /// How often a member joins and leaves
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

impl Joins {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let server = Server::roomy(&self.server, &self.directory)?;
        let mut connection = Connection::open(server.url.0)?;
        let pid = server.pid();
        for group in 0..self.groups {
            connection.ask(&request::create_topic(&topic(group), self.partitions))?;
            for member in 0..self.members {
                connection.ask(&request::subscribe(&self.id(group, member), &topic(group), &topic(group), false))?;
            }
        }
        let mut present: Vec<_> = (0..self.members).map(|member| self.id(0, member)).collect();
        self.settle(&mut connection, &present)?;
        let (mut joins, mut leaves, mut idle) = (Latencies::new(), Latencies::new(), Latencies::new());
        for round in 0..self.rounds {
            let newcomer = request::consumer_id(usize::MAX >> 20 ^ round);
            let before = cpu_ns(pid)?;
            connection.ask(&request::subscribe(&newcomer, &topic(0), &topic(0), false))?;
            present.push(newcomer.clone());
            let rounds_to_join = self.settle(&mut connection, &present)?;
            let joined = cpu_ns(pid)?;
            connection.ask(&request::leave(&newcomer))?;
            present.pop();
            let rounds_to_leave = self.settle(&mut connection, &present)?;
            let left = cpu_ns(pid)?;
            // The same polls again, where nothing is to be settled.
            for _ in 0..rounds_to_join + rounds_to_leave {
                for member in &present {
                    connection.ask(&request::poll(member, 1, 0))?;
                }
            }
            let polled = cpu_ns(pid)?;
            joins.note(Duration::from_nanos(joined - before));
            leaves.note(Duration::from_nanos(left - joined));
            idle.note(Duration::from_nanos((polled - left) / 2));
        }
        let partitions = self.groups * usize::try_from(self.partitions)?;
        let Self { groups, members, .. } = self;
        println!("{groups} groups of {members} members, {partitions} partitions, {} MB", resident_bytes(pid)? >> 20);
        for (what, latencies) in [("a member joins", joins), ("a member leaves", leaves), ("the polls alone", idle)] {
            let [middle, most] = [50.0, 100.0].map(|percentile| Ms(latencies.at(percentile)));
            println!("{what}, until all have their partitions: {middle} ms of CPU time, {most} at most");
        }
        Ok(())
    }

    fn id(&self, group: usize, member: usize) -> String {
        request::consumer_id(group * self.members + member)
    }

    /// Has all members of the first group poll until each partition is one member's, and each member has some. Says how
    /// many rounds that took.
    fn settle(&self, connection: &mut Connection, members: &[String]) -> Result<usize, Failure> {
        let all = usize::try_from(self.partitions)?;
        for round in 1..=MOST_ROUNDS_TO_SETTLE {
            let (mut owned, mut counts) = (BTreeSet::new(), Vec::new());
            for member in members {
                let answer = connection.ask(&request::poll(member, 1, 0))?;
                let partitions = partitions_of(answer.as_bytes());
                counts.push(partitions.len());
                owned.extend(partitions);
            }
            let least = all / members.len();
            if owned.len() == all && counts.iter().sum::<usize>() == all && counts.iter().all(|&count| count >= least) {
                return Ok(round);
            }
        }
        Err("the group did not settle".into())
    }
}

fn topic(group: usize) -> String {
    format!("members-{group}")
}
