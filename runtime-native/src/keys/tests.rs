//! Keys as they are made, kept, found and revoked.

use std::{fs, sync::Arc};

use tempfile::TempDir;

use super::*;

fn topics(pattern: &str, rights: &[Right]) -> Scopes {
    let pattern = NamePattern::of_topics(pattern).expect("a good pattern");
    Scopes { topics: [(pattern, rights.iter().copied().collect())].into(), ..Scopes::default() }
}

fn wish(name: &str) -> Wish {
    let scopes = topics("orders.*", &[Right::Read]);
    Wish { name: name.to_owned(), expires_at: None, scopes, limits: Limits::default() }
}

fn ring(directory: &TempDir) -> KeyRing {
    KeyRing::open(directory.path(), Limits::default()).expect("keys")
}

#[test]
fn a_key_is_found_by_its_text_and_by_no_other() {
    let directory = TempDir::new().expect("a directory");
    let ring = ring(&directory);
    let (secret, record) = ring.create(&wish("a"), 1).expect("made");
    let text = secret.reveal();
    assert_eq!(ring.find(text, 2).expect("known").record(), &record);
    let last = if text.ends_with('0') { '1' } else { '0' };
    let other_secret = format!("{}{last}", &text[..text.len() - 1]);
    let other_id = text.replace(&record.id.to_string(), "0000000000000000");
    let others = ["", "takhin_", "takhin__", &text[1..], &text[..text.len() - 1], &format!("{text}0"), &other_secret];
    for other in others.into_iter().chain([other_id.as_str(), &text.to_uppercase(), &record.id.to_string()]) {
        assert_eq!(ring.find(other, 2).err(), Some(NotAKey::Unknown), "{other}");
    }
}

#[test]
fn keys_outlive_the_process_and_their_texts_are_nowhere() {
    let directory = TempDir::new().expect("a directory");
    let (secret, record) = ring(&directory).create(&wish("a"), 1).expect("made");
    let kept = fs::read_to_string(directory.path().join("keys.json")).expect("a file");
    let random = secret.reveal().rsplit('_').next().expect("a secret");
    assert!(kept.contains(&record.id.to_string()) && !kept.contains(random));
    assert_eq!(format!("{secret:?}{:?}", record.sha256), "Secret(…)KeyDigest(…)");
    assert_eq!(ring(&directory).find(secret.reveal(), 2).expect("known").record(), &record);
}

#[test]
fn an_expired_key_says_so_to_its_holder_alone() {
    let directory = TempDir::new().expect("a directory");
    let ring = ring(&directory);
    let (secret, _) = ring.create(&Wish { expires_at: Some(10), ..wish("a") }, 1).expect("made");
    assert!(ring.find(secret.reveal(), 9).is_ok());
    assert_eq!(ring.find(secret.reveal(), 10).err(), Some(NotAKey::Expired));
    assert_eq!(ring.find(&format!("{}0", secret.reveal()), 10).err(), Some(NotAKey::Unknown));
}

#[tokio::test]
async fn a_revoked_key_is_none_and_who_waits_under_it_is_told() {
    let directory = TempDir::new().expect("a directory");
    let ring = ring(&directory);
    let (secret, record) = ring.create(&wish("a"), 1).expect("made");
    let (other, _) = ring.create(&wish("b"), 2).expect("made");
    let key = ring.find(secret.reveal(), 3).expect("known");
    let stays = ring.find(other.reveal(), 3).expect("known");
    assert_eq!(ring.revoke(record.id).expect("revoked"), Some(record.clone()));
    assert_eq!(key.ended(3).await, Ended::Revoked);
    assert_eq!(key.has_ended(3), Some(Ended::Revoked));
    assert_eq!(ring.find(secret.reveal(), 3).err(), Some(NotAKey::Unknown));
    assert_eq!(ring.revoke(record.id).expect("nothing to do"), None);
    let again = ring.find(other.reveal(), 3).expect("it has nothing to do with it");
    assert!(Arc::ptr_eq(&again, &stays) && stays.has_ended(3).is_none());
}

#[test]
fn what_another_process_makes_and_revokes_is_seen() {
    let directory = TempDir::new().expect("a directory");
    let (ring, file) = (ring(&directory), KeysFile::of(directory.path()));
    assert!(!ring.look().expect("no file"), "nothing has changed");
    let (secret, record) = file.create(&wish("a"), 1).expect("made");
    assert!(ring.look().expect("a file") && ring.find(secret.reveal(), 2).is_ok());
    assert!(!ring.look().expect("a file"), "nothing has changed");
    file.revoke(record.id).expect("revoked");
    assert!(ring.look().expect("a file") && ring.find(secret.reveal(), 2).is_err());
    file.create(&wish("b"), 3).expect("made");
    fs::remove_file(directory.path().join("keys.json")).expect("removed");
    assert!(ring.look().expect("no file") && ring.all().is_empty(), "no file is no key");
}

#[test]
fn a_damaged_file_changes_nothing_and_a_later_one_is_not_touched() {
    let directory = TempDir::new().expect("a directory");
    let (ring, path) = (ring(&directory), directory.path().join("keys.json"));
    let (secret, _) = ring.create(&wish("a"), 1).expect("made");
    for (content, expected) in [
        ("{\"format\": 1, \"keys\": [", "damaged"),
        ("{\"format\": 1, \"keys\": [], \"more\": 1}", "damaged"),
        ("{\"format\": 2, \"keys\": {}}", "format 2"),
    ] {
        fs::write(&path, content).expect("written");
        for error in [ring.look().err(), ring.create(&wish("b"), 2).err(), ring.revoke(ring.all()[0].record().id).err()]
        {
            let error = error.expect("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(ring.find(secret.reveal(), 2).is_ok(), "what was known before goes on");
        assert_eq!(fs::read_to_string(&path).expect("a file"), content);
    }
}

#[test]
fn rights_are_over_names_and_beginnings_of_names() {
    let scopes = topics("orders.*", &[Right::Read, Right::Admin]);
    let may = |right, name| scopes.allow(Scope::Topics, right, name);
    assert!(may(Right::Read, "orders.eu") && may(Right::Admin, "orders."));
    assert!(!may(Right::Write, "orders.eu") && !may(Right::Read, "orders") && !may(Right::Read, "old.orders.eu"));
    assert!(!scopes.allow(Scope::Groups, Right::Read, "orders.eu") && !scopes.allow(Scope::Cluster, Right::Read, ""));
    assert!(scopes.allow_reading_all("orders.") && scopes.allow_reading_all("orders.eu"));
    assert!(!scopes.allow_reading_all("orders") && !scopes.allow_reading_all(""));
    let exact = topics("orders", &[Right::Read]);
    assert!(exact.allow(Scope::Topics, Right::Read, "orders") && !exact.allow(Scope::Topics, Right::Read, "orders2"));
    assert!(!exact.allow_reading_all("orders"), "another name may begin so");
}

#[test]
fn who_may_make_keys_may_do_anything_and_who_may_look_may_only_look() {
    let cluster = |right| Scopes { cluster: [right].into_iter().collect(), ..Scopes::default() };
    let (admin, reader) = (cluster(Right::Admin), cluster(Right::Read));
    for (scope, right) in [(Scope::Topics, Right::Write), (Scope::Groups, Right::Admin), (Scope::Cluster, Right::Read)]
    {
        assert!(admin.allow(scope, right, "any"));
        assert_eq!(reader.allow(scope, right, "any"), scope == Scope::Cluster);
    }
    assert!(admin.allow_reading_all("") && !reader.allow_reading_all(""));
}

#[test]
fn what_nothing_can_be_called_is_no_pattern() {
    for good in ["*", "orders", "orders*", ".*", "a".repeat(249).as_str()] {
        assert!(NamePattern::of_topics(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "a*b", "**", ".", "..", "a/*", "a".repeat(250).as_str()] {
        assert!(NamePattern::of_topics(bad).is_err(), "{bad}");
    }
    assert!(NamePattern::of_groups("any: group*").is_ok() && NamePattern::of_groups("line\nbreak").is_err());
    assert!(Scope::Groups.right("write").is_err() && Scope::Topics.right("write").is_ok());
}
