//! `takhin key`: making, listing and revoking API keys, in a data directory or through a server.
//!
//! In a data directory it works whether or not a server has it: both change the file of the keys under one lock, and a
//! server looks at it twice a second. So the first key is made there.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use takhin::{
    keys::{KeyId, KeyRecord, KeysFile, NamePattern, Rights, Scope, Scopes, ScopesError, Wish, is_name},
    limits::Limits,
};
use ureq::{Agent, http};

use super::settings::range_u32;

#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key, and print it: it can't be shown again
    Create(Create),
    /// List all keys, without what makes them keys
    List(Place),
    /// Revoke a key
    Revoke(Revoke),
}

/// Where the keys are.
#[derive(Debug, Args)]
struct Place {
    /// The data directory; a server may have it or not
    #[arg(long, env = "TAKHIN_DATA_DIR", default_value = "takhin-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// Ask this server instead, as in <http://localhost:8080>
    #[arg(long, env = "TAKHIN_SERVER", value_name = "URL", requires = "key")]
    server: Option<String>,

    /// The key to ask it with, which needs cluster:admin
    #[arg(long, env = "TAKHIN_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    place: Place,

    /// Whom it is for, in words
    #[arg(long)]
    name: String,

    /// What it may do with which topics, as in orders.*:read,write; rights are read, write, admin; can be given several
    /// times
    #[arg(long = "topic", value_name = "PATTERN:RIGHTS")]
    topics: Vec<String>,

    /// And with which groups, as in billing:read; rights are read (to consume) and admin; can be given several times
    #[arg(long = "group", value_name = "PATTERN:RIGHTS")]
    groups: Vec<String>,

    /// And with the server as a whole: read (metrics and the debug trace), or admin, which is everything
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
    cluster: Vec<String>,

    /// In how many days it expires; without it, never
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,

    /// How many requests a second may be made with it, instead of the server's default
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(range_u32(Limits::REQUESTS_PER_SECOND)))]
    requests_per_second: Option<u32>,

    /// How many bytes of bodies a second may be sent with it
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(Limits::INGRESS_BYTES_PER_SECOND.0..=Limits::INGRESS_BYTES_PER_SECOND.1)
    )]
    ingress_bytes_per_second: Option<u64>,

    /// How many requests may be under way with it at a time
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(range_u32(Limits::CONCURRENT_REQUESTS)))]
    concurrent_requests: Option<u32>,
}

#[derive(Debug, Args)]
struct Revoke {
    #[command(flatten)]
    place: Place,

    /// The key's id, as list shows it
    id: KeyId,
}

impl KeyArguments {
    pub(super) fn run(self) -> Result<(), String> {
        match self.command {
            KeyCommand::Create(create) => create.run(),
            KeyCommand::List(place) => list(&place),
            KeyCommand::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), String> {
        let wish = self.wish()?;
        let (key, id) = match self.place.server()? {
            None => {
                let made = self.place.file().create(&wish, now_ms()).map_err(|error| error.to_string())?;
                (made.0.reveal().to_owned(), made.1.id.to_string())
            }
            Some(server) => {
                let made = server.ask("POST", "/api/keys", Some(&body(&wish)))?;
                let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
                (text("key"), text("id"))
            }
        };
        // The key alone goes to stdout, so that a script can take it.
        eprintln!("Key {id} was made. Keep it: it is not shown again.");
        print(&key)
    }

    fn wish(&self) -> Result<Wish, String> {
        if !is_name(&self.name) {
            return Err("a key's name has 1 to 255 bytes, and no control characters".to_owned());
        }
        let scopes = Scopes {
            topics: grants("--topic", Scope::Topics, &self.topics, NamePattern::of_topics)?,
            groups: grants("--group", Scope::Groups, &self.groups, NamePattern::of_groups)?,
            cluster: rights("--cluster", Scope::Cluster, self.cluster.iter().map(String::as_str))?,
        };
        let scopes = scopes.check().map_err(|error| error.to_string())?;
        if scopes == Scopes::default() {
            return Err("a key without any right is of no use: say --topic, --group or --cluster".to_owned());
        }
        let expires_at = self.expires_in_days.map(|days| now_ms() + i64::from(days) * 86_400_000);
        let limits = Limits {
            requests_per_second: self.requests_per_second,
            ingress_bytes_per_second: self.ingress_bytes_per_second,
            concurrent_requests: self.concurrent_requests,
        };
        Ok(Wish { name: self.name.clone(), expires_at, scopes, limits })
    }
}

impl Revoke {
    fn run(self) -> Result<(), String> {
        let id = self.id;
        match self.place.server()? {
            None => {
                let revoked = self.place.file().revoke(id).map_err(|error| error.to_string())?;
                revoked.ok_or_else(|| format!("there is no key {id}"))?;
            }
            Some(server) => drop(server.ask("DELETE", &format!("/api/keys/{id}"), None)?),
        }
        eprintln!("Key {id} was revoked.");
        Ok(())
    }
}

fn list(place: &Place) -> Result<(), String> {
    let keys = match place.server()? {
        None => {
            let keys = place.file().read().map_err(|error| error.to_string())?;
            keys.iter().map(line_of_record).collect::<Result<Vec<_>, _>>()?
        }
        Some(server) => {
            let answer = server.ask("GET", "/api/keys", None)?;
            answer["keys"].as_array().into_iter().flatten().map(|key| line(key, key)).collect()
        }
    };
    print(&keys.join("\n"))
}

fn print(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())
}

fn line_of_record(record: &KeyRecord) -> Result<String, String> {
    let key = serde_json::to_value(record).map_err(|error| error.to_string())?;
    Ok(line(&key, &key["scopes"]))
}

/// A key on one line: its id, its name, and all that it may do, as `create` takes it.
fn line(key: &Value, scopes: &Value) -> String {
    let mut words = vec![key["id"].as_str().unwrap_or_default().to_owned(), key["name"].to_string()];
    let list = |rights: &Value| {
        let rights = rights.as_array().into_iter().flatten().filter_map(Value::as_str);
        rights.collect::<Vec<_>>().join(",")
    };
    for (scope, option) in [("topics", "--topic"), ("groups", "--group")] {
        let patterns = scopes[scope].as_object().into_iter().flatten();
        words.extend(patterns.map(|(pattern, rights)| format!("{option} {pattern}:{}", list(rights))));
    }
    let cluster = list(&scopes["cluster"]);
    if !cluster.is_empty() {
        words.push(format!("--cluster {cluster}"));
    }
    let limits = key["limits"].as_object().into_iter().flatten();
    words.extend(limits.map(|(limit, value)| format!("--{} {value}", limit.replace('_', "-"))));
    if let Some(at) = key["expires_at"].as_i64() {
        let left = at - now_ms();
        words.push(if left <= 0 { "expired".to_owned() } else { format!("expires in {} h", left / 3_600_000) });
    }
    words.join("  ")
}

impl Place {
    fn file(&self) -> KeysFile {
        KeysFile::of(&self.data_dir)
    }

    fn server(&self) -> Result<Option<Server>, String> {
        let Some(base) = &self.server else { return Ok(None) };
        if !base.starts_with("http://") {
            return Err(format!("--server {base}: a server is named as in http://localhost:8080"));
        }
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        let key = self.key.clone().unwrap_or_default();
        Ok(Some(Server { base: base.trim_end_matches('/').to_owned(), key, agent: config.into() }))
    }
}

/// A server that runs.
struct Server {
    base: String,
    key: String,
    agent: Agent,
}

impl Server {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = format!("{}{path}", self.base);
        let request = http::Request::builder().method(method).uri(&url);
        let request = request.header("authorization", format!("Bearer {}", self.key));
        let sent = match body {
            Some(body) => {
                let request = request.body(body.to_string()).map_err(|error| format!("{url}: {error}"))?;
                self.agent.run(request)
            }
            None => self.agent.run(request.body(()).map_err(|error| format!("{url}: {error}"))?),
        };
        let mut answer = sent.map_err(|error| format!("{url}: {error}"))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| format!("{url}: {error}"))?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let why = json["error"].as_str().unwrap_or("which is no answer of Takhin");
        Err(format!("{url}: {status}: {why}"))
    }
}

/// As `POST /api/keys` takes it.
fn body(wish: &Wish) -> Value {
    let Wish { name, expires_at, scopes, limits } = wish;
    let mut body = Map::from_iter([("name".to_owned(), json!(name)), ("limits".to_owned(), json!(limits))]);
    if let Some(at) = expires_at {
        body.insert("expires_at".to_owned(), json!(at));
    }
    if let Value::Object(scopes) = json!(scopes) {
        body.extend(scopes);
    }
    body.into()
}

fn grants(
    option: &str,
    scope: Scope,
    given: &[String],
    pattern: impl Fn(&str) -> Result<NamePattern, ScopesError>,
) -> Result<BTreeMap<NamePattern, Rights>, String> {
    let mut grants = BTreeMap::new();
    for text in given {
        // A group's name may have colons; a right has none.
        let (name, words) = text.rsplit_once(':').ok_or_else(|| {
            format!("{option} {text}: expected a name, or the beginning of names with a * behind, a colon, and rights")
        })?;
        let pattern = pattern(name).map_err(|error| format!("{option} {text}: {error}"))?;
        let rights = rights(&format!("{option} {text}"), scope, words.split(','))?;
        if grants.insert(pattern, rights).is_some() {
            return Err(format!("{option} {name} is given twice"));
        }
    }
    Ok(grants)
}

fn rights<'a>(option: &str, scope: Scope, words: impl Iterator<Item = &'a str>) -> Result<Rights, String> {
    words.map(|word| scope.right(word).map_err(|error| format!("{option}: {error}"))).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
