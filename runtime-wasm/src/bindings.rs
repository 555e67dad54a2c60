//! What a browser or Node sees: one class. Its doc comments end up in `takhin_wasm.d.ts`, which is its documentation.
//!
//! Numbers for drawing cross as typed arrays, everything else as JSON. A u64 crosses as text within JSON and as a bigint by
//! itself, since a JavaScript number can't hold it.

// What `#[wasm_bindgen]` expands to is unsafe code, and public for JavaScript; there is none besides.
#![allow(unsafe_code, unreachable_pub)]

use std::{cell::RefCell, panic};

use takhin_core::trace::json;
use wasm_bindgen::prelude::*;

use crate::{Kind, Run as Inner, Stop, input::Act};

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

#[wasm_bindgen(start)]
fn start() {
    panic::set_hook(Box::new(|info| PANIC.with(|text| *text.borrow_mut() = info.to_string())));
}

/// What the last panic said. A call that throws a `RuntimeError` has panicked; make the module anew then, from the inputs.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> String {
    PANIC.with(|text| text.borrow().clone())
}

/// The version of the core.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The names of the kinds of rows, by their numbers.
#[wasm_bindgen(js_name = kindNames)]
pub fn kind_names() -> Vec<String> {
    Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
}

/// One run: a time line of rows, and a cursor. Made of a seed and inputs, or of a trace; the state at row n is what replaying n
/// rows gives.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Run(Inner);

fn error(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

#[wasm_bindgen]
impl Run {
    /// A world with this seed, to which `inputs` will be done: JSON, a list of `{"t": ms, "do": {…}}`. `"[]"` is an empty world.
    /// Throws if it is no such list, and says where.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u64, inputs: &str) -> Result<Run, JsError> {
        Inner::from_inputs(seed, inputs).map(Self).map_err(error)
    }

    /// A trace of a server (`GET /api/debug/trace`, `--record`) or a simulation, replayed to its end. Throws if it can't be read.
    #[wasm_bindgen(js_name = fromTrace)]
    pub fn from_trace(text: &str) -> Result<Run, JsError> {
        Inner::from_trace(text).map(Self).map_err(error)
    }

    /// Goes on until a moment in milliseconds, for at most `most` rows. Stops early where a promise is broken. Gives the number of
    /// rows that came.
    pub fn advance(&mut self, until: f64, most: u32) -> u32 {
        self.0.advance(ms(until), most)
    }

    /// Goes on until something holds: JSON, `"expired"`, `"rebalanced"`, `"violation"`, `"woke"`, `{"lag_above": n}` or
    /// `{"matches": "filter"}`. Gives the row, or undefined if it does not come by `until` or in `most` rows.
    #[wasm_bindgen(js_name = runUntil)]
    pub fn run_until(&mut self, stop: &str, until: f64, most: u32) -> Result<Option<u32>, JsError> {
        let stop: Stop = json(stop).map_err(error)?;
        Ok(self.0.run_until(&stop, ms(until), most))
    }

    /// Does something to the world at the end of the time line: JSON, the `do` of an input. Gives the moment.
    pub fn apply(&mut self, act: &str) -> Result<f64, JsError> {
        let act: Act = json(act).map_err(error)?;
        self.0.apply(act).map(float).map_err(error)
    }

    /// Another run, with all that was done before a row and nothing after it, gone on to that row's moment.
    pub fn fork(&self, row: u32) -> Result<Run, JsError> {
        self.0.fork(row).map(Self).map_err(error)
    }

    /// How many rows there are.
    #[wasm_bindgen(getter)]
    pub fn rows(&self) -> u32 {
        self.0.rows()
    }

    /// What time it is at the end, in milliseconds.
    #[wasm_bindgen(getter)]
    pub fn now(&self) -> f64 {
        float(self.0.now())
    }

    /// Moves the cursor to where `row` rows have happened. Gives how many were replayed for it, which is at most `seekBound`.
    pub fn seek(&mut self, row: u32) -> u32 {
        self.0.seek(row)
    }

    /// Where the cursor stands.
    #[wasm_bindgen(getter)]
    pub fn cursor(&self) -> u32 {
        self.0.cursor()
    }

    /// The most rows that a seek replays now.
    #[wasm_bindgen(getter, js_name = seekBound)]
    pub fn seek_bound(&self) -> u32 {
        self.0.seek_bound()
    }

    /// The state at the cursor, as JSON: topics, groups, members, polls, clients.
    pub fn state(&self) -> String {
        self.0.state()
    }

    /// The whole state of the core at the cursor, as JSON.
    #[wasm_bindgen(js_name = rawState)]
    pub fn raw_state(&self) -> String {
        self.0.raw_state()
    }

    /// All about a row, as JSON: event, commands, the changed parts of the state, causes and effects.
    pub fn inspect(&self, row: u32) -> String {
        self.0.inspect(row)
    }

    /// What led to a row, the first cause first.
    pub fn causes(&self, row: u32) -> Vec<u32> {
        self.0.causes(row)
    }

    /// What a row led to at once.
    pub fn effects(&self, row: u32) -> Vec<u32> {
        self.0.effects(row)
    }

    /// The rows from `from` on that a filter finds, at most `most`.
    pub fn find(&self, filter: &str, from: u32, most: u32) -> Vec<u32> {
        self.0.find(filter, from, most)
    }

    /// Rows in words.
    pub fn texts(&self, from: u32, to: u32) -> Vec<String> {
        self.0.texts(from, to).into_iter().map(str::to_owned).collect()
    }

    /// Seven numbers for each row from `from` on: moment, kind, lane, cause, flags, lag, moment of sending. 4294967295 is none.
    #[wasm_bindgen(js_name = rowNumbers)]
    pub fn row_numbers(&self, from: u32) -> Vec<u32> {
        self.0.row_numbers(from).to_vec()
    }

    /// Four numbers for each mark from `from` on: row, moment, lane, glyph.
    #[wasm_bindgen(js_name = markNumbers)]
    pub fn mark_numbers(&self, from: u32) -> Vec<u32> {
        self.0.mark_numbers(from).to_vec()
    }

    /// Eight numbers for each poll from `from` on: lane, row, moment, when it parked, its deadline, row and moment of its end, outcome.
    #[wasm_bindgen(js_name = spanNumbers)]
    pub fn span_numbers(&self, from: u32) -> Vec<u32> {
        self.0.span_numbers(from).to_vec()
    }

    /// Six numbers for each arrow from `from` on: moment and lane of its beginning, moment and lane of its end, row, and 0 for an
    /// append or 1 for a delivery.
    #[wasm_bindgen(js_name = arrowNumbers)]
    pub fn arrow_numbers(&self, from: u32) -> Vec<u32> {
        self.0.arrow_numbers(from).to_vec()
    }

    /// All lanes, as JSON.
    pub fn lanes(&self) -> String {
        serde_json::to_string(self.0.lanes()).unwrap_or_default()
    }

    /// The generations of all groups from the `from`-th on, as JSON.
    pub fn bands(&self, from: u32) -> String {
        self.0.bands(from)
    }

    /// Seed, version, digests, divergence, violations, as JSON.
    pub fn about(&self) -> String {
        self.0.about()
    }

    /// The digest of all that the core did: the same natively, in Node and in every browser.
    pub fn digest(&self) -> String {
        self.0.digest()
    }

    /// What was done to the world, as JSON: with the seed, all of a simulated run.
    pub fn inputs(&self) -> String {
        self.0.inputs()
    }

    /// The run as a trace, for `takhin replay`.
    pub fn trace(&self) -> String {
        self.0.trace()
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It saturates, as it should.
fn ms(at: f64) -> u64 {
    at.min(f64::from(u32::MAX)) as u64
}

#[allow(clippy::cast_precision_loss)] // Time lines end long before 2^52 milliseconds.
fn float(at: u64) -> f64 {
    at as f64
}
