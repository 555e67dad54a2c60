//! The written form of entries.

use takhin_core::{
    DurationMs, FactSeq,
    cell::{Announcement, CellOffset, Entry, EntryNumber, OwnerId},
};
use uuid::Uuid;

use super::super::wire::{Facts, Unreadable, read, write};

fn facts(bytes: &[u8]) -> Entry<Facts> {
    Entry::Facts {
        epoch: CellOffset(7),
        number: EntryNumber(3),
        after: FactSeq(10),
        through: FactSeq(12),
        facts: Facts { first: FactSeq(11), bytes: bytes.to_vec() },
    }
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    let announcement = Announcement { owner: OwnerId(Uuid::from_u128(5)), number: 2, lease: DurationMs(3_000) };
    let entries = [
        Entry::Announced(announcement),
        facts(b"{\"a\":1}\n\n\0\xff\n"),
        facts(b""),
        Entry::Resigned { epoch: CellOffset(7), alone: true },
    ];
    for entry in entries {
        assert_eq!(read(&write(&entry)), Ok(entry));
    }
}

#[test]
fn an_entry_lies_in_the_journal_in_the_form_that_is_documented() {
    let head = r#"{"v":1,"entry":{"facts":{"epoch":7,"number":3,"after":10,"through":12,"facts":5}}}"#;
    assert_eq!(String::from_utf8(write(&facts(b"12\n3\n"))), Ok(format!("{head}\n12\n3\n")));
}

#[test]
fn what_is_no_entry_is_refused_and_never_guessed_at() {
    let whole = write(&facts(b"0123456789"));
    assert_eq!(read(b""), Err(Unreadable::NoHead));
    assert_eq!(read(b"a record of somebody else"), Err(Unreadable::NoHead));
    assert!(matches!(read(b"{\"v\":1}\n"), Err(Unreadable::Head(_))));
    assert!(matches!(read(b"hello\n"), Err(Unreadable::Head(_))));
    assert_eq!(read(b"{\"v\":2,\"entry\":{\"merged\":{}}}\n"), Err(Unreadable::Version(2)));
    assert_eq!(read(&whole[..whole.len() - 1]), Err(Unreadable::Length { said: 10, there: 9 }));
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut at {end}");
    }
    let mut resigned = write(&Entry::Resigned { epoch: CellOffset(7), alone: true });
    resigned.push(b'x');
    assert_eq!(read(&resigned), Err(Unreadable::Length { said: 0, there: 1 }));
}
