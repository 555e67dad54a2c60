//! What a run tells as JSON: the state at the cursor, all about a row, how faithful it is, and itself as inputs or as a trace.

use serde_json::{Value, json};
use takhin_core::{
    Boot, Config,
    trace::{Header, Recorder},
};

use super::{MAX_ROWS, Run, diff::diff};
use crate::{
    machine::{Machine, Source},
    view::{View, view},
    world::What,
};

impl Run {
    /// The state at the cursor.
    pub(crate) fn view(&self) -> View {
        view(&self.cursor.1, &self.observer, self.begin)
    }

    /// The state at the cursor, as JSON.
    pub fn state(&self) -> String {
        to_json(&self.view())
    }

    /// The core's state at the cursor, whole, as JSON.
    pub fn raw_state(&self) -> String {
        to_json(self.cursor.1.core())
    }

    /// All about one row, as JSON: what happened, what the core made of it, what that changed, and what led to what.
    pub fn inspect(&self, row: u32) -> String {
        if row >= self.rows() {
            return "null".to_owned();
        }
        let (from, mut machine) = self.keyframes.before(row);
        let mut happened = None;
        let mut before = Value::Null;
        for at in from..=row {
            if at == row {
                before = to_value(machine.core());
            }
            happened = machine.next(&self.source, u64::MAX);
        }
        let changes = diff(&before, &to_value(machine.core()));
        let (event, commands) = match happened.map(|happened| happened.what) {
            Some(What::Input { index, note }) => (json!({"input": self.input(index), "note": note}), Value::Null),
            Some(What::Restart(restart)) => (json!({"restart": to_value(&restart.restart)}), Value::Null),
            Some(What::Step { event, commands }) => (to_value(&event), to_value(&commands)),
            None => (Value::Null, Value::Null),
        };
        let violation = self.judge.violations.iter().find(|(at, _)| *at == row).map(|(_, text)| text);
        let divergence = self.judge.divergence.as_ref().filter(|divergence| divergence.row == row);
        let recorded = divergence.map(|divergence| to_value(&divergence.recorded));
        to_json(&json!({
            "row": row,
            "t": self.observer.time(row),
            "kind": self.observer.kind(row).name(),
            "text": self.observer.texts[row as usize],
            "causes": self.causes(row),
            "effects": self.effects(row),
            "event": event,
            "commands": commands,
            "recorded": recorded,
            "changes": changes,
            "violation": violation,
        }))
    }

    fn input(&self, index: usize) -> Value {
        match &self.source {
            Source::Inputs { inputs, .. } => inputs.get(index).map_or(Value::Null, to_value),
            Source::Trace(_) => Value::Null,
        }
    }

    /// The generations of all groups, from the `from`-th on, as JSON.
    pub fn bands(&self, from: u32) -> String {
        to_json(&self.observer.bands.get(from as usize..).unwrap_or_default())
    }

    /// What the run is made of and how faithful it is, as JSON.
    pub fn about(&self) -> String {
        let (seed, version, recorded) = match &self.source {
            Source::Inputs { seed, .. } => (Some(*seed), env!("CARGO_PKG_VERSION"), false),
            Source::Trace(trace) => (trace.header.seed, &*trace.header.version, true),
        };
        let divergence = self.judge.divergence.as_ref().map(|divergence| {
            json!({
                "row": divergence.row,
                "recorded": to_value(&divergence.recorded),
                "actual": to_value(&divergence.actual),
            })
        });
        to_json(&json!({
            "recorded": recorded,
            "seed": seed.map(|seed| seed.to_string()),
            "version": version,
            "rows": self.rows(),
            "now": self.now(),
            "digest": self.digest(),
            "expected": self.judge.expected.map(|digest| digest.to_string()),
            "divergence": divergence,
            "violations": self.judge.violations,
            "full": self.rows() >= MAX_ROWS,
        }))
    }

    /// The digest of all that the core did.
    pub fn digest(&self) -> String {
        self.judge.digest.to_string()
    }

    /// What was done to the world so far, and when, as JSON; nothing for a trace.
    pub fn inputs(&self) -> String {
        match &self.source {
            Source::Inputs { inputs, .. } => to_json(inputs),
            Source::Trace(_) => "[]".to_owned(),
        }
    }

    /// The run as a trace, in the format of a server's.
    pub fn trace(&self) -> String {
        let (seed, config) = match &self.source {
            Source::Inputs { seed, .. } => (Some(*seed), Config::default()),
            Source::Trace(trace) => return trace.text(),
        };
        let (mut recorder, mut text) = Recorder::start(&Header { seed, ..Header::new(config, Boot(0)) });
        let mut machine = Machine::new(&self.source);
        for _ in 0..self.rows() {
            let Some(happened) = machine.next(&self.source, u64::MAX) else { break };
            let at = takhin_core::Timestamp(happened.at);
            let line = match happened.what {
                What::Input { .. } => continue,
                What::Step { event, commands } => recorder.step(at, event, commands),
                What::Restart(restart) => recorder.restart(at, restart.restart),
            };
            text.push('\n');
            text.push_str(&line);
        }
        text.push('\n');
        text
    }
}

/// By way of text: one serializer for the core's types is much less code than two.
fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::from_str(&to_json(value)).expect("what was written can be read")
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what is shown is plain data")
}
