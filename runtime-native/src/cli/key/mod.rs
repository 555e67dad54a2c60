//! `takhin key`: making, listing and revoking API keys, in a data directory or through a server.
//!
//! In a data directory it works whether or not a server has it: both change the file of the keys under one lock, and a
//! server looks at it twice a second. So the first key is made there.

mod wish;

use std::{collections::BTreeMap, path::PathBuf};

use clap::{ArgMatches, Args, Subcommand, parser::ValueSource};
use serde_json::json;
use takhin::keys::{KeyId, KeyRecord, KeysFile};
use takhin_client::{Admin, Key, KeyLimits, KeyScopes};
use wish::{WishOptions, new_key, now_ms};

use super::client::{Connection, Failure, OutputOptions, Table, print};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key, and print it: it can't be shown again
    Create(Create),
    /// List all keys, without what makes them keys
    List(List),
    /// Revoke a key
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    wish: WishOptions,

    #[command(flatten)]
    place: PlaceOptions,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    place: PlaceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The key's id, as list shows it
    id: KeyId,

    #[command(flatten)]
    place: PlaceOptions,
}

/// Where the keys are: in a data directory, or with a server if one is named.
#[derive(Debug, Args)]
struct PlaceOptions {
    /// The data directory, if no server is named; a server may have it or not
    #[arg(long, env = "TAKHIN_DATA_DIR", default_value = "takhin-data", value_name = "DIR")]
    data_dir: PathBuf,

    #[command(flatten)]
    connection: Connection,
}

enum Place {
    Directory(KeysFile),
    Server(Admin),
}

impl PlaceOptions {
    /// What is said on the command line counts before what the environment says.
    fn place(&self, matches: &ArgMatches) -> Result<Place, Failure> {
        let is_said = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        match (is_said("data_dir"), is_said("server")) {
            (true, true) => Err(Failure::WrongUsage("name a --data-dir or a --server, and not both".to_owned())),
            (false, _) if self.connection.is_named() => Ok(Place::Server(self.connection.once()?.admin())),
            _ => Ok(Place::Directory(KeysFile::of(&self.data_dir))),
        }
    }
}

/// What a server is to these commands differs from what it is to all others.
pub(super) fn with_own_words(command: clap::Command) -> clap::Command {
    let words = "Ask this server instead of the data directory, as in <https://log.example.com>";
    command.mut_subcommands(move |command| command.mut_arg("server", |server| server.help(words)))
}

impl KeyCommand {
    /// `matches` is this command's part of the command line.
    pub(super) async fn run(self, matches: &ArgMatches) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(matches).await,
            Self::List(list) => list.run(matches).await,
            Self::Revoke(revoke) => revoke.run(matches).await,
        }
    }
}

impl Create {
    async fn run(self, matches: &ArgMatches) -> Result<(), Failure> {
        let wish = self.wish.wish().map_err(Failure::WrongUsage)?;
        let (text, id) = match self.place.place(matches)? {
            Place::Directory(file) => {
                let (secret, record) = file.create(&wish, now_ms()).map_err(|error| Failure::new(error.to_string()))?;
                (secret.reveal().to_owned(), record.id.to_string())
            }
            Place::Server(admin) => {
                let made = admin.create_key(&new_key(&wish)?).await?;
                (made.text, made.key.id)
            }
        };
        // The key alone goes to stdout, so that a script can take it.
        eprintln!("Key {id} was made. Keep it: it is not shown again.");
        print(&format!("{text}\n"))
    }
}

impl Revoke {
    async fn run(self, matches: &ArgMatches) -> Result<(), Failure> {
        let id = self.id;
        match self.place.place(matches)? {
            Place::Directory(file) => {
                let revoked = file.revoke(id).map_err(|error| Failure::new(error.to_string()))?;
                revoked.ok_or_else(|| Failure::new(format!("there is no key {id}")))?;
            }
            Place::Server(admin) => admin.revoke_key(&id.to_string()).await?,
        }
        eprintln!("Key {id} was revoked.");
        Ok(())
    }
}

impl List {
    async fn run(self, matches: &ArgMatches) -> Result<(), Failure> {
        let keys = match self.place.place(matches)? {
            Place::Directory(file) => {
                let records = file.read().map_err(|error| Failure::new(error.to_string()))?;
                records.iter().map(as_told).collect::<Result<_, _>>()?
            }
            Place::Server(admin) => admin.keys().await?,
        };
        let mut table = Table::new(["id", "name", "may", "limits", "expires"]);
        for key in &keys {
            table.row([key.id.clone(), key.name.clone(), rights(&key.scopes), limits(&key.limits), expiry(key)]);
        }
        self.output.output.print(&keys, &table)
    }
}

/// A key as a server tells of it.
fn as_told(record: &KeyRecord) -> Result<Key, Failure> {
    let KeyRecord { id, name, created_at, expires_at, scopes, limits, sha256: _ } = record;
    let mut told = json!(scopes);
    told["id"] = json!(id);
    told["name"] = json!(name);
    told["created_at"] = json!(created_at);
    told["expires_at"] = json!(expires_at);
    told["limits"] = json!(limits);
    serde_json::from_value(told).map_err(|error| Failure::new(error.to_string()))
}

/// All that it may do, as `create` takes it.
fn rights(scopes: &KeyScopes) -> String {
    let over = |option: &'static str, grants: &BTreeMap<String, Vec<String>>| {
        let word = |(pattern, rights): (&String, &Vec<String>)| format!("{option} {pattern}:{}", rights.join(","));
        grants.iter().map(word).collect::<Vec<_>>()
    };
    let mut words = over("--topic", &scopes.topics);
    words.extend(over("--group", &scopes.groups));
    if !scopes.cluster.is_empty() {
        words.push(format!("--cluster {}", scopes.cluster.join(",")));
    }
    words.join(" ")
}

/// The same for how much.
fn limits(limits: &KeyLimits) -> String {
    let KeyLimits { requests_per_second, ingress_bytes_per_second, concurrent_requests } = limits;
    let words = [
        requests_per_second.map(|limit| format!("--requests-per-second {limit}")),
        ingress_bytes_per_second.map(|limit| format!("--ingress-bytes-per-second {limit}")),
        concurrent_requests.map(|limit| format!("--concurrent-requests {limit}")),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn expiry(key: &Key) -> String {
    match key.expires_at.map(|at| at - now_ms()) {
        None => "never".to_owned(),
        Some(..=0) => "expired".to_owned(),
        Some(left_ms) => format!("in {} h", left_ms / 3_600_000),
    }
}
