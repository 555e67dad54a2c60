//! `takhin group`: look at groups, and set or delete their offsets.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use takhin_client::{Group, GroupMember, GroupState};

use super::{
    connection::Connection,
    failure::Failure,
    lag::Lag,
    output::{Output, OutputOptions, Table, or_dash, print},
    reset::Reset,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GroupCommand {
    /// List all groups
    List(List),
    /// Show a group's members and what they have
    Describe(Describe),
    /// Show how far behind a group is
    Lag(Lag),
    /// Set the committed offsets of a group that nobody is in
    Reset(Reset),
    /// Delete groups that nobody is in, with their offsets
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Describe {
    group: String,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,

    #[command(flatten)]
    connection: Connection,
}

impl GroupCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Describe(describe) => describe.run().await,
            Self::Lag(lag) => lag.run().await,
            Self::Reset(reset) => reset.run().await,
            Self::Delete(delete) => delete.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let groups = self.connection.once()?.admin().groups().await?;
        let mut table = Table::new(["group", "state", "members", "generation"]);
        for group in &groups {
            let (members, generation) = (group.members.to_string(), group.generation.to_string());
            table.row([group.group_id.clone(), state(group.state).to_owned(), members, generation]);
        }
        self.output.output.print(&groups, &table)
    }
}

impl Describe {
    async fn run(self) -> Result<(), Failure> {
        let group = self.connection.once()?.admin().group(&self.group).await?;
        if self.output.output == Output::Table {
            let Group { group_id, generation, assignor, .. } = &group;
            print(&format!("{group_id}, {}, generation {generation}, {assignor}\n\n", state(group.state)))?;
        }
        self.output.output.print(&group, &partitions(&group))
    }
}

impl Delete {
    async fn run(self) -> Result<(), Failure> {
        let admin = self.connection.once()?.admin();
        for name in &self.groups {
            admin.delete_group(name).await.map_err(|error| Failure::from(error).about(name))?;
            print(&format!("deleted {name}\n"))?;
        }
        Ok(())
    }
}

/// A row for each partition, with who has it.
pub(super) fn partitions(group: &Group) -> Table {
    let members: BTreeMap<_, _> = group.members.iter().chain(&group.manual).map(|it| (&it.consumer_id, it)).collect();
    let name = |owner: &String| members.get(owner).map_or_else(|| owner.clone(), |member| called(member));
    let mut table = Table::new(["topic", "partition", "committed", "end", "lag", "lag ms", "member"]);
    for one in &group.partitions {
        table.row([
            one.partition.topic.to_string(),
            one.partition.partition.to_string(),
            or_dash(one.committed),
            one.end.to_string(),
            or_dash(one.lag),
            or_dash(one.lag_ms),
            or_dash(one.owner.as_ref().map(name)),
        ]);
    }
    table
}

/// What a member calls itself, and its id.
fn called(member: &GroupMember) -> String {
    let name = member.instance_id.as_ref().or(member.client_id.as_ref());
    name.map_or_else(|| member.consumer_id.clone(), |name| format!("{name} ({})", member.consumer_id))
}

fn state(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "empty",
        GroupState::Reconciling => "reconciling",
        GroupState::Stable => "stable",
    }
}
