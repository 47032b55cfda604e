//! What GPU compilers make of a kernel, with no GPU: `isa`.
//!
//! AMD's compiler in Mesa compiles for cards that are not there ([`radv`]), NVIDIA's in packages of
//! Python for one ([`nvidia`]). [`assembly`] reads what comes out, [`estimate`] says what share of
//! a card's peak it may reach.

pub mod assembly;
pub mod estimate;
pub mod nvidia;
pub mod radv;

use std::fmt::Write as _;
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use naga::Module;
use naga::valid::ModuleInfo;
use serde::{Deserialize, Serialize};
use striate::error::{Error, ErrorKind, Result};
use striate::kernel::Kernel;
use striate::ops::kernels;

use crate::translate::{Added, Language, Translated, parse, specialize, translate};
use crate::translation;
use assembly::{Counts, Dialect, HotLoop};
use estimate::Estimate;

/// Prints what GPU compilers make of kernels, for cards that are not there
///
/// AMD's cards need Mesa's Vulkan driver for Radeon (`mesa-vulkan-drivers`), and none of them.
/// `sm_90` needs python3 and a folder of NVIDIA's compilers, see --wheels.
#[derive(clap::Args)]
pub struct Args {
    /// Kernels by name, or files of WGSL as they stand
    #[arg(required_unless_present = "serve")]
    kernels: Vec<String>,
    /// Cards; default all of AMD's, and NVIDIA's with --wheels
    #[arg(long = "card", value_enum, value_delimiter = ',')]
    cards: Vec<Card>,
    /// Only variants with this override; of a file, its value
    #[arg(long = "override", value_name = "NAME=VALUE", value_parser = translation::assignment)]
    overrides: Vec<(String, u32)>,
    /// Multiply-adds of an invocation in one turn of the loop around the hot one, from which the
    /// turns of that follow; default those of a block of terms where kernels have such, else one
    /// turn
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    block: Option<u32>,
    /// The folder into which wheels of slangpy, nvidia-cuda-nvcc-cu12, nvidia-cuda-nvrtc-cu12 and
    /// nvidia-cuda-nvdisasm were unpacked
    #[arg(long, value_name = "DIR")]
    wheels: Option<PathBuf>,
    /// Prints the assembly of each hot loop too
    #[arg(long)]
    assembly: bool,
    /// Writes a JSON line for each kernel and card to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compiles what comes on standard input: for each card a process of its own, since the driver
    /// reads the card once
    #[arg(long, hide = true)]
    serve: bool,
}

/// A card that compilers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Card {
    /// RDNA 2, as in the Radeon RX 6900 XT.
    Navi21,
    /// RDNA 3, as in the Radeon RX 7900 XTX.
    Gfx1100,
    /// GCN 5, as in the Radeon RX Vega 64.
    Vega10,
    /// GCN 4, as in the Radeon RX 580.
    Polaris10,
    /// Hopper, as in the H100.
    #[value(name = "sm_90")]
    #[serde(rename = "sm_90")]
    Sm90,
}

impl Card {
    pub const ALL: [Card; 5] = [
        Card::Navi21,
        Card::Gfx1100,
        Card::Vega10,
        Card::Polaris10,
        Card::Sm90,
    ];

    /// As its compiler calls it.
    pub fn name(self) -> &'static str {
        match self {
            Card::Navi21 => "navi21",
            Card::Gfx1100 => "gfx1100",
            Card::Vega10 => "vega10",
            Card::Polaris10 => "polaris10",
            Card::Sm90 => "sm_90",
        }
    }

    fn dialect(self) -> Dialect {
        match self {
            Card::Sm90 => Dialect::Nvidia,
            _ => Dialect::Amd,
        }
    }
}

/// A kernel with overrides, ready for a compiler.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub name: String,
    pub overrides: Vec<(String, u32)>,
    pub module: Module,
    pub info: ModuleInfo,
}

impl Prepared {
    /// A file of WGSL as it stands, with these overrides.
    ///
    /// # Errors
    /// `Io`; `Unsupported` if it is not valid.
    pub fn file(name: &str, overrides: &[(String, u32)]) -> Result<Self> {
        let text = std::fs::read_to_string(name).map_err(|e| {
            Error::new(ErrorKind::Io, format!("{name}: cannot be read: {e}")).with_source(e)
        })?;
        prepare(name, &text, &[], overrides.to_vec())
    }

    /// Multiply-adds of an invocation for a block of terms, if it is a product by tiles of
    /// workgroup memory.
    fn block(&self) -> Option<usize> {
        let of = |name: &str| {
            let mut overrides = self.overrides.iter();
            let (_, value) = overrides.find(|(other, _)| other == name)?;
            Some(*value as usize)
        };
        let (tile, invocations) = (of("tile")?, of("workgroup_size")?);
        of("tall")?;
        Some((tile * tile).checked_div(invocations)? * BLOCK)
    }
}

/// Terms of a block of the products by tiles.
const BLOCK: usize = 8;

/// What a compiler made of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub kernel: String,
    pub overrides: Vec<(String, u32)>,
    pub card: Card,
    /// The compiler and its version.
    pub compiler: String,
    pub registers: u64,
    pub spilled: u64,
    /// Bytes of workgroup memory.
    pub shared_bytes: u64,
    /// Waves that fit a SIMD at once, where the compiler says so.
    pub waves: Option<u64>,
    /// Turns of the hot loop in one of the loop around it, and whether they are known.
    pub turns: usize,
    pub told: bool,
    pub hot: HotLoop,
    pub estimate: Estimate,
}

/// A kernel as it is handed to the process that compiles for a card.
#[derive(Serialize, Deserialize)]
struct Asked {
    bindings: Vec<radv::Bound>,
    words: Vec<u32>,
}

/// What it answers, kernel by kernel.
type Answer = std::result::Result<radv::Program, String>;

/// The compilers of this machine.
#[derive(Debug, Clone)]
pub struct Compilers {
    /// The lab's own program, which is started for each of AMD's cards.
    pub lab: PathBuf,
    /// The folder of NVIDIA's.
    pub wheels: Option<PathBuf>,
}

/// Prints a line for each kernel, variant and card.
///
/// # Errors
/// `Unsupported` for a kernel that is not known, or if nothing compiles for a card; `Io`.
pub fn run(args: &Args) -> Result<()> {
    if args.serve {
        return serve();
    }
    let known = kernels();
    let mut prepared = Vec::new();
    for name in &args.kernels {
        let path = Path::new(name);
        match path.extension().is_some_and(|ending| ending == "wgsl") || path.is_file() {
            true => {
                prepared.push(Prepared::file(name, &args.overrides)?);
            }
            false => prepared.extend(variants(translation::find(&known, name)?, &args.overrides)?),
        }
    }
    let cards = match (&args.cards[..], &args.wheels) {
        ([], None) => &Card::ALL[..4],
        ([], Some(_)) => &Card::ALL,
        (cards, _) => cards,
    };
    let lab = std::env::current_exe().map_err(|e| {
        Error::new(ErrorKind::Io, "cannot tell where this program lies").with_source(e)
    })?;
    let wheels = args.wheels.clone();
    let compilers = Compilers { lab, wheels };
    let mut json = String::new();
    let mut print = || {
        for &card in cards {
            for line in
                compilers.compile(card, &prepared, args.block.map(|block| block as usize))?
            {
                crate::print(&told(&line))?;
                if args.assembly {
                    crate::print(&format!("    {}\n", line.hot.text.join("\n    ")))?;
                }
                json += &serde_json::to_string(&line).expect("a line is plain data");
                json.push('\n');
            }
        }
        Ok(())
    };
    let printed = print();
    // What was found before a card failed is kept.
    if let Some(path) = &args.json {
        crate::write(path, json.as_bytes())?;
    }
    printed
}

/// The variants of a kernel that have these overrides, with each epilogue's first set alone: what
/// follows a product changes no loop.
///
/// # Errors
/// `Unsupported` if there is none.
pub fn variants(kernel: &Kernel, wanted: &[(String, u32)]) -> Result<Vec<Prepared>> {
    let has = |set: &[(&str, u32)]| {
        let held = |(name, value): &(String, u32)| set.contains(&(name.as_str(), *value));
        wanted.iter().all(held)
    };
    let found: Vec<_> = kernel.variants.iter().filter(|set| has(set)).collect();
    if found.is_empty() {
        return Err(unsupported(format!(
            "{}: no variant has these overrides; `list` names all",
            kernel.name
        )));
    }
    let owned = |set: &&striate::kernel::Overrides| {
        let pairs = set.iter().map(|(name, value)| ((*name).to_owned(), *value));
        pairs.collect::<Vec<_>>()
    };
    let sets = found.iter().map(owned);
    sets.map(|set| prepare(&kernel.name, &kernel.source(), kernel.extensions(), set))
        .collect()
}

fn prepare(
    name: &str,
    source: &str,
    extensions: &[&str],
    overrides: Vec<(String, u32)>,
) -> Result<Prepared> {
    let place = |line: Option<u32>| match line {
        Some(line) => format!("{name}, line {line}: "),
        None => format!("{name}: "),
    };
    let settled = parse(source, extensions, place)
        .and_then(|(module, info)| specialize(&module, &info, overrides.iter().cloned()));
    let (module, info) = settled.map_err(unsupported)?;
    let compute = |entry: &naga::EntryPoint| entry.stage == naga::ShaderStage::Compute;
    if !module
        .entry_points
        .iter()
        .any(|entry| compute(entry) && entry.name == "main")
    {
        let message = format!("{name}: it has no @compute entry point named main");
        return Err(unsupported(message));
    }
    let bound = module.global_variables.iter();
    let groups = bound.filter_map(|(_, global)| Some(global.binding.as_ref()?.group));
    if let Some(group) = groups.max().filter(|&group| group != 0) {
        return Err(unsupported(format!(
            "{name}: it binds in group {group}; only bindings of group 0 are compiled"
        )));
    }
    Ok(Prepared {
        name: name.to_owned(),
        overrides,
        module,
        info,
    })
}

impl Compilers {
    /// What a card's compiler makes of kernels.
    ///
    /// # Errors
    /// `Unsupported` if there is no compiler for it, or if it refuses a kernel.
    pub fn compile(
        &self,
        card: Card,
        prepared: &[Prepared],
        block: Option<usize>,
    ) -> Result<Vec<Line>> {
        let programs = match (card, &self.wheels) {
            (Card::Sm90, Some(wheels)) => nvidia::compile(wheels, prepared)?,
            (Card::Sm90, None) => {
                return Err(unsupported(
                    "sm_90: --wheels names the folder of its compilers".to_owned(),
                ));
            }
            _ => self.by_radv(card, prepared)?,
        };
        let lines = prepared.iter().zip(programs).map(|(kernel, program)| {
            let hot = assembly::read(&program.assembly, card.dialect());
            let of = |name: &str| program.statistics.get(name).copied();
            let waves = of("Subgroups per SIMD");
            let block = block.or_else(|| kernel.block());
            let turns = block.map_or(1, |block| hot.turns(block));
            Line {
                kernel: kernel.name.clone(),
                overrides: kernel.overrides.clone(),
                card,
                compiler: program.driver,
                registers: of("VGPRs").unwrap_or(0),
                spilled: of("Spilled VGPRs").unwrap_or(0),
                shared_bytes: of("LDS size").unwrap_or(0),
                waves,
                turns,
                told: block.is_some(),
                estimate: Estimate::of(card, &hot, turns, waves),
                hot,
            }
        });
        Ok(lines.collect())
    }

    /// Compiles in a process of its own, for which the environment chooses the card.
    fn by_radv(&self, card: Card, prepared: &[Prepared]) -> Result<Vec<radv::Program>> {
        let driver = radv::file().ok_or_else(|| {
            unsupported("Mesa's Vulkan driver for Radeon is not here: mesa-vulkan-drivers".into())
        })?;
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Io, "cannot speak with the process that compiles").with_source(e)
        };
        let asked: Vec<Asked> = prepared.iter().map(ask).collect::<Result<_>>()?;
        let mut child = Command::new(&self.lab)
            .args(["isa", "--serve"])
            .env("RADV_FORCE_FAMILY", card.name())
            .env("VK_ICD_FILENAMES", driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut input = child.stdin.take().expect("it was asked for");
        let writer = std::thread::spawn(move || {
            for one in asked {
                let text = serde_json::to_string(&one).expect("numbers are plain data");
                // A child that is gone is told by the answers that are missing.
                if writeln!(input, "{text}").is_err() {
                    return;
                }
            }
        });
        let output = child.stdout.take().expect("it was asked for");
        let mut programs = Vec::new();
        let refused = |name: &str, e: String| unsupported(format!("{}: {name}: {e}", card.name()));
        for (line, kernel) in std::io::BufReader::new(output).lines().zip(prepared) {
            let answer: Answer = serde_json::from_str(&line.map_err(failed)?).map_err(|e| {
                Error::new(ErrorKind::Io, "the process that compiles garbles").with_source(e)
            })?;
            programs.push(answer.map_err(|e| refused(&kernel.name, e))?);
        }
        // It wrote all, or saw the child gone; the child ends with its input.
        let _ = writer.join();
        let _ = child.wait();
        match prepared.get(programs.len()) {
            Some(kernel) => Err(refused(
                &kernel.name,
                "the compiler ended without a word".into(),
            )),
            None => Ok(programs),
        }
    }
}

fn ask(kernel: &Prepared) -> Result<Asked> {
    let added = Added {
        checks: false,
        zeros: false,
    };
    let translated = translate(&kernel.module, &kernel.info, Language::SpirV, added);
    match translated.map_err(|e| unsupported(format!("{}: {e}", kernel.name)))? {
        Translated::Words(words) => Ok(Asked {
            bindings: radv::bindings(&kernel.module),
            words,
        }),
        Translated::Text(_) => unreachable!("SPIR-V is words"),
    }
}

/// Answers what comes on standard input, line by line.
fn serve() -> Result<()> {
    let device = radv::Device::new();
    for line in std::io::stdin().lines() {
        let line = line.map_err(|e| {
            Error::new(ErrorKind::Io, "standard input cannot be read").with_source(e)
        })?;
        let asked: Asked = serde_json::from_str(&line).map_err(|e| {
            Error::new(ErrorKind::Unsupported, "standard input holds no kernel").with_source(e)
        })?;
        let answer: Answer = match &device {
            Ok(device) => device.compile(&asked.bindings, &asked.words),
            Err(e) => Err(e.clone()),
        };
        let text = serde_json::to_string(&answer).expect("an answer is plain data");
        crate::print(&(text + "\n"))?;
    }
    Ok(())
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

fn told(line: &Line) -> String {
    let set = line
        .overrides
        .iter()
        .map(|(name, value)| format!(" {name}={value}"));
    let set: String = set.collect();
    let (inner, hot, turns) = (&line.hot.inner, &line.hot, line.turns);
    let what = if hot.loops.is_empty() {
        "no loop, all of it"
    } else {
        "hot loop"
    };
    let mut text = format!(
        "{} {}{set}\n    {what}: {} instructions, {} multiply-adds ({:.1} %), {} loads of \
         workgroup memory, {} of global memory ({} of 16 bytes), {} waits\n",
        line.card.name(),
        line.kernel,
        inner.instructions,
        inner.multiply_adds,
        100.0 * inner.share(),
        inner.shared_loads,
        inner.global_loads,
        inner.wide_loads,
        inner.waits,
    );
    // Writing to a string does not fail.
    if let Some(outer) = hot.outer {
        let _ = writeln!(
            text,
            "    with the loop around it, {turns} turns{}: {} instructions, {:.1} % multiply-adds",
            if line.told {
                ""
            } else {
                " for want of --block"
            },
            outer.instructions + turns * inner.instructions,
            100.0 * hot.block_share(turns),
        );
    }
    if !hot.loops.is_empty() {
        let in_all = |count: fn(&Counts) -> usize| hot.loops.iter().map(count).sum::<usize>();
        let _ = writeln!(
            text,
            "    all loops, {}: {} instructions, {} divisions, {} loads of global memory below 16 \
             bytes",
            hot.loops.len(),
            in_all(|of| of.instructions),
            in_all(|of| of.reciprocals),
            in_all(Counts::narrow_loads),
        );
    }
    let waves = line
        .waves
        .map_or(String::new(), |waves| format!(", {waves} waves per SIMD"));
    let _ = writeln!(
        text,
        "    {} registers, {} spilled, {} bytes of workgroup memory{waves}",
        line.registers, line.spilled, line.shared_bytes,
    );
    let _ = writeln!(text, "    {}", line.estimate.told());
    text
}
