//! How far a migration is: as a bar on a terminal, else as a line now and then.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use takhin::migrate::{Phase, Seen, Watch};

use super::Failure;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    /// Hidden where there is no terminal.
    bar: ProgressBar,
    phase: Phase,
    /// When a line was printed last, where lines are printed.
    line: Option<Instant>,
    began: Instant,
    is_waiting: bool,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Result<Self, Failure> {
        let is_shown = !quiet && io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {percent:>3} % {eta:>4}");
        let style = style.map_err(|error| Failure::new(error.to_string()))?;
        let bar = if is_shown { ProgressBar::new(0).with_style(style) } else { ProgressBar::hidden() };
        let line = (!quiet && !is_shown).then(Instant::now);
        Ok(Self { bar, phase: Phase::default(), line, began: Instant::now(), is_waiting: false })
    }

    /// Shows what there is to be seen now.
    pub(super) fn show(&mut self, watch: &Watch) {
        for note in watch.take_notes() {
            self.say(&note);
        }
        let seen = watch.seen();
        if seen.phase != self.phase {
            (self.phase, self.began) = (seen.phase, Instant::now());
            self.bar.set_length(seen.total);
            self.bar.set_position(seen.done);
            // What earlier runs did says nothing about how quick this one is.
            self.bar.reset_eta();
            self.line = self.line.map(|_| Instant::now());
        }
        self.bar.set_length(seen.total);
        self.bar.set_position(seen.done);
        let waits = watch.waits();
        self.bar.set_message(match &waits {
            Some((since, why)) => {
                let why = why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
                format!("Kafka acknowledges nothing for {} s{why}", since.as_secs())
            }
            None => self.what(&seen),
        });
        if let (Some((_, why)), false) = (&waits, self.is_waiting) {
            let why = why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
            self.say(&format!("Kafka acknowledges nothing{why}; it goes on when Kafka does"));
        }
        self.is_waiting = waits.is_some();
        self.bar.tick();
        if self.line.is_some_and(|last| last.elapsed() >= LINE_EVERY) {
            self.line = Some(Instant::now());
            let percent = seen.done.saturating_mul(100).checked_div(seen.total);
            let far = percent.map(|percent| format!(": {percent} %, {} of {}", seen.done, seen.total));
            eprintln!("{}{}", self.what(&seen), far.unwrap_or_default());
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn what(&self, seen: &Seen) -> String {
        match seen.phase {
            Phase::Preparing => "topics".to_owned(),
            Phase::Records => {
                let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
                let rate = HumanBytes(seen.bytes.saturating_mul(1_000) / ms);
                format!("records, {}, {rate}/s", HumanBytes(seen.bytes))
            }
            Phase::Settings => "topics' settings".to_owned(),
            Phase::Groups => "groups".to_owned(),
        }
    }

    /// Says something that stays.
    fn say(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }
}
