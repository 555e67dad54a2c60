//! Prints the time line of inputs in a file: `cargo run -p takhin-wasm --example show -- inputs.json [until_ms]`.

use std::{env, error::Error, fs};

use takhin_wasm::Run;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let file = arguments.first().ok_or("which file?")?;
    let until = arguments.get(1).map_or(Ok(10_000), |until| until.parse())?;
    let mut run = Run::from_inputs(42, &fs::read_to_string(file)?)?;
    run.advance(until, 10_000);
    for (row, text) in run.texts(0, run.rows()).into_iter().enumerate() {
        println!("{row:>5} {:>7} {text}", run.row_numbers(0)[row * 7]);
    }
    println!("{}", run.about());
    Ok(())
}
