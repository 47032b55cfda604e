//! Kernels by name: their list, their text, and what naga makes of them.

use std::fmt::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use rspirv::binary::Disassemble;
use striate::error::{Error, ErrorKind, Result};
use striate::kernel::Kernel;
use striate::ops::kernels;

use crate::translate::{Added, Language, Translated, parse, specialize, translate};

/// How alike two names are at least, from 0 to 1, for one to be offered in place of the other.
const ALIKE: f64 = 0.75;
/// How many are offered.
const OFFERED: usize = 5;

/// Prints what naga makes of a kernel
#[derive(clap::Args)]
pub struct Args {
    /// The kernel, by name
    kernel: String,
    /// Language to translate to
    #[arg(long, value_enum)]
    to: To,
    /// An override constant; others are as in the kernel's first set
    #[arg(long = "override", value_name = "NAME=VALUE", value_parser = assignment)]
    overrides: Vec<(String, u32)>,
    /// With the checks that translation adds to shaders
    #[arg(long)]
    checked: bool,
    /// With workgroup memory zeroed first
    #[arg(long)]
    zeroed: bool,
    /// Where the translation goes, SPIR-V as words; default the terminal
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    Spirv,
    Msl,
    Hlsl,
    Glsl,
}

impl From<To> for Language {
    fn from(to: To) -> Self {
        match to {
            To::Spirv => Language::SpirV,
            To::Msl => Language::Msl,
            To::Hlsl => Language::Hlsl,
            To::Glsl => Language::Glsl,
        }
    }
}

/// An override with its value, from `NAME=VALUE`.
pub(crate) fn assignment(text: &str) -> std::result::Result<(String, u32), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    let value = value
        .trim()
        .parse()
        .map_err(|e| format!("\"{value}\" is no u32: {e}"))?;
    Ok((name.trim().to_owned(), value))
}

/// A kernel's translation, to the file given or to the terminal.
///
/// # Errors
/// Those of [`find`] and [`translated`]; `Io` if it cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let kernels = kernels();
    let kernel = find(&kernels, &args.kernel)?;
    let added = Added {
        checks: args.checked,
        zeros: args.zeroed,
    };
    let translated = translated(kernel, args.to.into(), &args.overrides, added)?;
    match (&args.output, &translated) {
        (Some(path), Translated::Words(words)) => {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            crate::write(path, &bytes)
        }
        (Some(path), Translated::Text(_)) => {
            let text = text(kernel, &args.overrides, &translated)?;
            crate::write(path, text.as_bytes())
        }
        (None, _) => crate::print(&text(kernel, &args.overrides, &translated)?),
    }
}

/// Every kernel with its overrides.
pub fn list(kernels: &[Kernel]) -> String {
    let mut text = String::new();
    for kernel in kernels {
        let sets: Vec<String> = kernel.constants().map(|set| spelled(&set)).collect();
        let sets = sets.iter().filter(|set| !set.is_empty());
        let sets: Vec<String> = sets.map(|set| format!("\n    {set}")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}{}", kernel.name, sets.concat());
    }
    text
}

/// The kernel of this name.
///
/// # Errors
/// `Unsupported`, with names that are like it.
pub fn find<'a>(kernels: &'a [Kernel], name: &str) -> Result<&'a Kernel> {
    let found = kernels.iter().find(|kernel| kernel.name == name);
    found.ok_or_else(|| {
        unknown(
            "kernel",
            name,
            kernels.iter().map(|kernel| kernel.name.as_ref()),
            "`list` names all",
        )
    })
}

/// A kernel in a language, with its first set of overrides but for those that are given.
///
/// # Errors
/// `Unsupported` for an override that the kernel does not have; `Shader` if naga does not translate
/// it.
pub fn translated(
    kernel: &Kernel,
    language: Language,
    given: &[(String, u32)],
    added: Added,
) -> Result<Translated> {
    let shader = |what: String| Error::new(ErrorKind::Shader, what).context(&kernel.name);
    let place = |line: Option<u32>| line.map_or_else(String::new, |line| format!("line {line}: "));
    let (module, info) = parse(&kernel.source(), kernel.extensions(), place).map_err(shader)?;
    let names: Vec<&str> = module
        .overrides
        .iter()
        .filter_map(|(_, o)| o.name.as_deref())
        .collect();
    if let Some((name, _)) = given
        .iter()
        .find(|(name, _)| !names.contains(&name.as_str()))
    {
        let hint = match names.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", names.join(", ")),
        };
        return Err(unknown("override", name, names.iter().copied(), &hint).context(&kernel.name));
    }
    let (module, info) = specialize(&module, &info, overrides(kernel, given)).map_err(shader)?;
    translate(&module, &info, language, added).map_err(shader)
}

/// The first set of a kernel's overrides with those given in their place.
fn overrides(kernel: &Kernel, given: &[(String, u32)]) -> Vec<(String, u32)> {
    let first = kernel.variants.first().copied().unwrap_or_default();
    let mut all: Vec<(String, u32)> = first
        .iter()
        .map(|&(name, value)| (name.to_owned(), value))
        .collect();
    for (name, value) in given {
        all.retain(|(other, _)| other != name);
        all.push((name.clone(), *value));
    }
    all
}

/// The text of a translation, SPIR-V as assembly, below a line that says of what.
///
/// # Errors
/// `Shader` if the words are no SPIR-V.
pub fn text(kernel: &Kernel, given: &[(String, u32)], translated: &Translated) -> Result<String> {
    let (comment, text) = match translated {
        Translated::Text(text) => ("//", text.clone()),
        Translated::Words(words) => {
            let module = rspirv::dr::load_words(words).map_err(|e| {
                let message = format!("{}: the words cannot be read back", kernel.name);
                Error::new(ErrorKind::Shader, message).with_source(e)
            })?;
            (";", module.disassemble())
        }
    };
    let overrides = overrides(kernel, given);
    let overrides: Vec<(&str, u32)> = overrides
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let head = format!("{comment} {} {}", kernel.name, spelled(&overrides));
    // GLSL must begin with its version.
    let text = text.trim_end();
    Ok(
        match text
            .strip_prefix("#version")
            .and_then(|rest| rest.split_once('\n'))
        {
            Some((version, rest)) => format!("#version{version}\n{}\n{rest}\n", head.trim_end()),
            None => format!("{}\n{text}\n", head.trim_end()),
        },
    )
}

fn spelled(overrides: &[(&str, u32)]) -> String {
    let all: Vec<String> = overrides
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    all.join(" ")
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>, hint: &str) -> Error {
    let mut near: Vec<(f64, &str)> = known
        .map(|other| {
            let alike = strsim::jaro_winkler(other, name);
            let part = !name.is_empty() && (other.contains(name) || name.contains(other));
            (if part { alike.max(ALIKE) } else { alike }, other)
        })
        .filter(|&(alike, _)| alike >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<&str> = near
        .into_iter()
        .take(OFFERED)
        .map(|(_, other)| other)
        .collect();
    let message = match near.is_empty() {
        true => format!("no {what} \"{name}\"; {hint}"),
        false => format!("no {what} \"{name}\"; near it: {}; {hint}", near.join(", ")),
    };
    Error::new(ErrorKind::Unsupported, message)
}
