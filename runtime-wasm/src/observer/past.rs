//! The observer as it was: what is needed to take back all that it wrote since.

use super::{NO_ROW, Observer, SPAN};

/// What an observer was at a row. What it wrote stays with the observer, which never changes it but for polls that end.
#[derive(Debug)]
pub(crate) struct Past {
    /// All that it needs to go on, with nothing written.
    memory: Observer,
    /// How much it had written of rows, texts, marks, spans, arrows and bands.
    lengths: [usize; 6],
    /// The polls that were open, with their places.
    open: Vec<(usize, [u32; SPAN])>,
}

impl Observer {
    /// What it is now.
    pub(crate) fn past(&self) -> Past {
        let memory = Self {
            rows: Vec::new(),
            texts: Vec::new(),
            marks: Vec::new(),
            spans: Vec::new(),
            arrows: Vec::new(),
            bands: Vec::new(),
            lanes: self.lanes.clone(),
            begin: self.begin,
            open: self.open.clone(),
            appends: self.appends.clone(),
            fetches: self.fetches.clone(),
            persists: self.persists.clone(),
            creations: self.creations.clone(),
            groups: self.groups.clone(),
            batches: self.batches.clone(),
            heard: self.heard.clone(),
        };
        let lengths = [
            self.rows.len(),
            self.texts.len(),
            self.marks.len(),
            self.spans.len(),
            self.arrows.len(),
            self.bands.len(),
        ];
        let place = |span: u32| {
            let at = span as usize * SPAN;
            Some((at, self.spans.get(at..at + SPAN)?.try_into().ok()?))
        };
        let spans = self.open.values().map(|open| open.span).filter(|span| *span != NO_ROW);
        Past { memory, lengths, open: spans.filter_map(place).collect() }
    }

    /// Another one that is as this one was then.
    pub(crate) fn as_of(&self, past: &Past) -> Self {
        let [rows, texts, marks, spans, arrows, bands] = past.lengths;
        let mut observer = Self {
            rows: self.rows[..rows].to_vec(),
            texts: self.texts[..texts].to_vec(),
            marks: self.marks[..marks].to_vec(),
            spans: self.spans[..spans].to_vec(),
            arrows: self.arrows[..arrows].to_vec(),
            bands: self.bands[..bands].to_vec(),
            ..past.memory.clone()
        };
        for (at, span) in &past.open {
            observer.spans[*at..*at + SPAN].copy_from_slice(span);
        }
        observer
    }
}
