//! Checking a segment as it goes by: every batch's checksum, and that offsets follow each other.

use takhin_core::Offset;

use crate::record::{BatchHeader, HEADER_BYTES};

/// A segment of which the first bytes have gone by.
#[derive(Debug)]
pub(super) struct SegmentCheck {
    waiting: Vec<u8>,
    /// Where what waits begins.
    position: u64,
    expected: Offset,
    /// What was found wrong, and where; nothing is looked at behind it.
    damage: Option<String>,
}

impl SegmentCheck {
    pub(super) fn new(base: Offset) -> Self {
        Self { waiting: Vec::new(), position: 0, expected: base, damage: None }
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.damage.is_some() {
            return;
        }
        self.waiting.extend_from_slice(bytes);
        let mut at = 0;
        while self.waiting.len() - at >= HEADER_BYTES {
            let rest = &self.waiting[at..];
            let header = match BatchHeader::read(rest) {
                Ok(header) if header.base_offset != self.expected => {
                    let (found, expected) = (header.base_offset.0, self.expected.0);
                    return self.damaged(at, &format!("offset {found} stands where {expected} has to"));
                }
                Ok(header) if rest.len() < header.bytes => break,
                Ok(header) => header,
                Err(error) => return self.damaged(at, &error.to_string()),
            };
            if let Err(error) = header.verify(rest) {
                return self.damaged(at, &error.to_string());
            }
            self.expected = header.end_offset();
            at += header.bytes;
        }
        self.waiting.drain(..at);
        self.position += at as u64;
    }

    /// The offset after the last, or what is wrong.
    pub(super) fn finish(mut self) -> Result<Offset, String> {
        if self.damage.is_none() && !self.waiting.is_empty() {
            self.damaged(0, "the batch is not whole");
        }
        self.damage.map_or(Ok(self.expected), Err)
    }

    fn damaged(&mut self, at: usize, what: &str) {
        let position = self.position + at as u64;
        self.damage = Some(format!("at byte {position}, where offset {} has to be: {what}", self.expected.0));
        self.waiting = Vec::new();
    }
}
