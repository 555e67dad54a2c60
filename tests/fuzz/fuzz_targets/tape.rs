//! Bytes as a run of the simulator: the first eight are the seed of its options, the rest is its tape.

#![no_main]

use libfuzzer_sys::fuzz_target;
use takhin_simulation::{Fault, Simulation};

fuzz_target!(|bytes: &[u8]| {
    let faults = Fault::ALL.iter().copied().collect();
    if let Some((simulation, tape)) = Simulation::from_bytes(bytes, &faults)
        && let Some(violation) = simulation.run_tape(&tape).violation
    {
        panic!("{violation}");
    }
});
