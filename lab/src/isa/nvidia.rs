//! NVIDIA's compilers, from packages of Python: HLSL as naga writes it, by Slang to CUDA, by nvrtc
//! and ptxas to the machine code of a card.
//!
//! The Vulkan driver has the same back end but begins with SPIR-V: arithmetic and registers are a
//! good guide, addresses less so.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use striate::error::{Error, ErrorKind, Result};

use super::radv::Program;
use super::{Prepared, unsupported};
use crate::translate::{Added, Language, Translated, translate};

const SCRIPT: &str = include_str!("nvidia.py");

/// What they make of kernels.
///
/// # Errors
/// `Unsupported` for what they refuse; `Io` without python3.
pub fn compile(wheels: &Path, prepared: &[Prepared]) -> Result<Vec<Program>> {
    prepared.iter().map(|kernel| one(wheels, kernel)).collect()
}

fn one(wheels: &Path, kernel: &Prepared) -> Result<Program> {
    let added = Added {
        checks: false,
        zeros: false,
    };
    let refused = |e: &str| unsupported(format!("sm_90: {}: {e}", kernel.name));
    let text = match translate(&kernel.module, &kernel.info, Language::Hlsl, added) {
        Ok(Translated::Text(text)) => text,
        Ok(Translated::Words(_)) => unreachable!("HLSL is text"),
        Err(e) => return Err(refused(&e)),
    };
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Io, "NVIDIA's compilers cannot be started").with_source(e)
    };
    let folder = std::env::temp_dir().join(format!("striate-isa-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let hlsl = folder.join("kernel.hlsl");
    std::fs::write(&hlsl, text).map_err(failed)?;
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(wheels)
        .arg(&hlsl)
        .output();
    // What is left behind in the folder for temporary files does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    let output = output.map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(said.trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let (head, assembly) = text.split_once('\n').unwrap_or_default();
    let statistics = head.split(' ').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = match name {
            "registers" => "VGPRs",
            "spilled" => "Spilled VGPRs",
            "shared" => "LDS size",
            other => other,
        };
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(Program {
        driver: "ptxas for sm_90, by Slang and nvrtc".to_owned(),
        statistics: statistics.collect::<BTreeMap<_, _>>(),
        assembly: assembly.to_owned(),
    })
}
