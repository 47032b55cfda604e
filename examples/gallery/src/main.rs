//! `cargo run --release -p striate-gallery -- --help`

use std::process::ExitCode;

fn main() -> ExitCode {
    striate_gallery::main()
}
