//! Makes the JavaScript of a WebAssembly program that was built with wasm-bindgen:
//! `striate-bind PROGRAM.wasm FOLDER [--typescript]`.
//!
//! The lock file pins the version. The program `wasm-bindgen` does the same and more, but takes
//! several times as long to install.

use std::ffi::OsString;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let (flags, places): (Vec<OsString>, Vec<OsString>) = std::env::args_os()
        .skip(1)
        .partition(|argument| argument.to_string_lossy().starts_with("--"));
    let typescript = flags.iter().any(|flag| flag == "--typescript");
    let ([program, folder], true) = (&places[..], flags.len() == usize::from(typescript)) else {
        eprintln!("usage: striate-bind PROGRAM.wasm FOLDER [--typescript]");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    let made = bindgen
        .input_path(program)
        .typescript(typescript)
        .remove_name_section(true)
        .omit_default_module_path(false)
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
