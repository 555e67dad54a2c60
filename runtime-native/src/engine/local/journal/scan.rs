//! Finding the frames of a journal file, whatever has happened to it.

use std::ops::Range;

use memchr::memmem;

use super::frame::{Frame, UNCOUNTED};

/// What a journal file holds.
#[derive(Debug, Default)]
pub(in crate::engine::local) struct Scan<'a> {
    /// Its whole frames, in order.
    pub(in crate::engine::local) frames: Vec<Frame<'a>>,
    /// Stretches that were durable and no longer decode.
    pub(in crate::engine::local) damage: Vec<Range<u64>>,
    /// Where it ends.
    pub(in crate::engine::local) end: u64,
    /// How many bytes behind its end are the beginning of something, never acknowledged.
    pub(in crate::engine::local) torn: u64,
}

/// Finds the frames in `bytes`, all of file number `file`. `followed` says whether there is a later file.
pub(in crate::engine::local) fn scan(bytes: &[u8], file: u64, followed: bool) -> Scan<'_> {
    let mut found = Scan::default();
    let mut at = 0;
    loop {
        while let Some((frame, _, end)) = Frame::read(bytes, at, file) {
            found.frames.push(frame);
            at = end;
        }
        let resume = next_frame(bytes, at, file).filter(|&resume| followed || was_durable(bytes, at, resume, file));
        let Some(resume) = resume else { break };
        found.damage.push(at as u64..resume as u64);
        at = resume;
    }
    let written = if followed { written(bytes) } else { begun(bytes, at, file) };
    if written > at && followed {
        found.damage.push(at as u64..written as u64);
    } else {
        found.torn = written.saturating_sub(at) as u64;
    }
    found.end = at as u64;
    found
}

/// Where the last ends of the frames from `at` on that were written at least in part. What an earlier file has left is
/// none of them.
fn begun(bytes: &[u8], at: usize, file: u64) -> usize {
    let begun = |at| Frame::begins(bytes, at, file).map_or(at, |end| end.min(bytes.len()));
    let mut end = begun(at);
    let mut next = next_frame(bytes, at, file);
    while let Some(here) = next {
        let whole = Frame::read(bytes, here, file);
        end = whole.map_or_else(|| begun(here), |(_, _, behind)| behind);
        next = whole.map_or_else(|| next_frame(bytes, here, file), |(_, _, behind)| Some(behind));
    }
    end
}

/// How far the file holds anything but zeros. It looks at whole pages first, since most of it may be space set aside.
fn written(bytes: &[u8]) -> usize {
    const PAGE: usize = 4096;
    let last = bytes.chunks(PAGE).rposition(|page| page.iter().fold(0, |all, byte| all | byte) != 0);
    let last = last.map_or(&[][..], |last| &bytes[..((last + 1) * PAGE).min(bytes.len())]);
    last.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1)
}

/// Whether a frame from `resume` on knows that the bytes at `at` were durable.
fn was_durable(bytes: &[u8], at: usize, resume: usize, file: u64) -> bool {
    let mut next = Some(resume);
    while let Some(here) = next {
        next = match Frame::read(bytes, here, file) {
            Some((_, synced_to, _)) if synced_to > at => return true,
            Some((_, _, end)) => Some(end),
            None => next_frame(bytes, here, file),
        };
    }
    false
}

/// Where the next whole frame behind `at` begins.
fn next_frame(bytes: &[u8], at: usize, file: u64) -> Option<usize> {
    let number = file.to_be_bytes();
    // Looking for the file number first spares the checksum of nearly every place.
    let from = at + 1 + UNCOUNTED;
    memmem::find_iter(bytes.get(from..)?, &number)
        .map(|skipped| at + 1 + skipped)
        .find(|&place| Frame::read(bytes, place, file).is_some())
}

#[cfg(test)]
mod tests {
    use takhin_core::FactSeq;

    use super::*;

    const FILE: u64 = 7;

    /// Groups of facts, each group written when all groups before it were durable.
    fn journal(groups: &[&[u64]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for group in groups {
            let synced_to = u32::try_from(bytes.len()).unwrap();
            for &seq in *group {
                let frame = Frame::Fact { seq: FactSeq(seq), fact: b"fact" };
                frame.put_head(&mut bytes, FILE, synced_to);
                bytes.extend_from_slice(frame.tail());
            }
        }
        bytes
    }

    fn facts(scan: &Scan<'_>) -> Vec<u64> {
        scan.frames.iter().map(|frame| if let Frame::Fact { seq, .. } = frame { seq.0 } else { 0 }).collect()
    }

    #[test]
    fn a_cut_off_anywhere_leaves_the_whole_frames_before_it() {
        let whole = journal(&[&[1, 2], &[3]]);
        let frame = whole.len() / 3;
        for length in 0..whole.len() {
            let mut bytes = whole[..length].to_vec();
            bytes.resize(whole.len() + 100, 0);
            let found = scan(&bytes, FILE, false);
            assert_eq!(facts(&found), [1, 2, 3][..length / frame]);
            assert_eq!(found.end, (length / frame * frame) as u64);
            assert!(found.damage.is_empty());
        }
    }

    #[test]
    fn a_flipped_byte_costs_its_frame_and_no_other_once_a_later_group_was_written() {
        let whole = journal(&[&[1, 2], &[3]]);
        let frame = whole.len() / 3;
        for at in 0..2 * frame {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let found = scan(&bytes, FILE, false);
            let lost = at / frame;
            assert_eq!(facts(&found), if lost == 0 { [2, 3] } else { [1, 3] }, "byte {at}");
            let damage = (lost * frame) as u64..((lost + 1) * frame) as u64;
            assert_eq!(found.damage, vec![damage]);
        }
    }

    #[test]
    fn in_the_last_group_nothing_is_believed_behind_bytes_that_do_not_decode() {
        let whole = journal(&[&[1], &[2, 3]]);
        let frame = whole.len() / 3;
        let mut bytes = whole.clone();
        bytes[frame + 3] ^= 1;
        let found = scan(&bytes, FILE, false);
        assert_eq!((facts(&found), found.end, found.torn), (vec![1], frame as u64, 2 * frame as u64));
        let followed = scan(&bytes, FILE, true);
        assert_eq!((facts(&followed), followed.damage.len()), (vec![1, 3], 1));
    }

    #[test]
    fn frames_of_another_file_are_not_seen() {
        assert!(scan(&journal(&[&[1], &[2]]), FILE + 1, true).frames.is_empty());
    }
}
