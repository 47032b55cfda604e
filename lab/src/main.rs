//! The shader lab: `cargo run --release -p striate-lab -- --help`.
//!
//! - `verify` holds every op against its reference on every adapter.
//! - `tune` measures which kernels are fastest for a network, and writes a table of them.
//! - `page` makes one page of what `cargo bench --bench kernels -- --json FILE` wrote on several
//!   machines, and of the same cases in other libraries (`benches/peers`).
//! - `list` names the kernels, `show` prints one whole, `translate` what a back end gets of it.
//! - `isa` tells what GPU compilers make of a kernel, for cards that are not there.
//! - `explain` prints which kernels the layers of a network take, and why.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use striate::error::Result;
use striate::ops::kernels;
use striate_lab::kernels::whole;
use striate_lab::{isa, page, plans, print, translation, tune, verify};

/// Checks, measures and shows the kernels of striate
#[derive(Parser)]
#[command(name = "striate-lab")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Verify(verify::Args),
    Tune(tune::Args),
    Page(page::Args),
    /// Prints the WGSL of a kernel whole, with the file of each part
    Show {
        /// The kernel, by name
        kernel: String,
    },
    /// Prints which kernels a training step of a network takes, and why
    Explain {
        /// The network, by name
        network: String,
        /// A layer that has parameters, or an op: of it alone
        node: Option<String>,
        /// The device that it is planned for
        #[arg(long, value_enum, default_value = "gpu")]
        on: plans::Target,
        /// Images per step
        #[arg(long, value_name = "N", default_value_t = 64)]
        batch: usize,
    },
    Translate(translation::Args),
    Isa(isa::Args),
    /// Prints the names of all kernels with their sets of overrides
    List,
}

fn main() -> ExitCode {
    match run(&Args::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it by.
            let _ = writeln!(std::io::stderr(), "error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Whether what was checked is right.
fn run(command: &Command) -> Result<bool> {
    match command {
        Command::Verify(args) => return verify::run(args),
        Command::Tune(args) => tune::run(args)?,
        Command::Page(args) => page::run(args)?,
        Command::Show { kernel } => {
            let kernels = kernels();
            print(&whole(translation::find(&kernels, kernel)?))?;
        }
        Command::Explain {
            network,
            node,
            on,
            batch,
        } => print(&plans::show(network, *batch, *on, node.as_deref())?)?,
        Command::Translate(args) => translation::run(args)?,
        Command::Isa(args) => isa::run(args)?,
        Command::List => print(&translation::list(&kernels()))?,
    }
    Ok(true)
}
