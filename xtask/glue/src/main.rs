//! Makes the JavaScript and the types around a wasm module: what the program `wasm-bindgen` does, from the crate behind
//! it, so that there is nothing to install.
//!
//! A crate of its own, since only `cargo xtask web` needs it and it takes a while to compile.

use std::{env, process::ExitCode};

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [wasm, directory] = &arguments[..] else {
        eprintln!("usage: takhin-glue FILE.wasm DIRECTORY");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).omit_default_module_path(false).remove_name_section(true).remove_producers_section(true);
    let made = bindgen.web(true).and_then(|bindgen| bindgen.typescript(true).generate(directory));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
