//! Makes the JavaScript and the types around a wasm module: what the program `wasm-bindgen` does, from the crate behind
//! it, so that there is nothing to install.
//!
//! A crate of its own, since only `cargo xtask web` needs it and it takes a while to compile.

mod order;

use std::{env, error::Error, fs, path::Path, process::ExitCode};

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [wasm, directory] = &arguments[..] else {
        eprintln!("usage: takhin-glue FILE.wasm DIRECTORY");
        return ExitCode::from(2);
    };
    match make(wasm, Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn make(wasm: &str, directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut bindgen = Bindgen::new();
    // Names are kept for a while: functions are put in order by them.
    bindgen.input_path(wasm).omit_default_module_path(false).remove_name_section(false).remove_producers_section(true);
    bindgen.web(true)?.typescript(true).generate(directory)?;
    let name = Path::new(wasm).file_stem().ok_or("a module has a name")?.to_string_lossy();
    let made = directory.join(format!("{name}_bg.wasm"));
    let module = fs::read(&made)?;
    Ok(fs::write(made, order::by_name(&module)?)?)
}
