//! What naga makes of a kernel for each back end.

use naga::back::{glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage, TypeInner};

/// A language that a back end takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Vulkan, as words.
    SpirV,
    /// Metal.
    Msl,
    /// DX12.
    Hlsl,
    /// GL, as GLSL ES 3.10.
    Glsl,
}

impl Language {
    pub fn name(self) -> &'static str {
        match self {
            Self::SpirV => "SPIR-V",
            Self::Msl => "MSL",
            Self::Hlsl => "HLSL",
            Self::Glsl => "GLSL ES 3.10",
        }
    }
}

/// What translation adds to a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Checks of indices, and bounds on loops, as wgpu asks for in modules that it does not trust.
    pub checks: bool,
    /// Zeros written to workgroup memory first.
    pub zeros: bool,
}

/// A translated kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translated {
    Words(Vec<u32>),
    Text(String),
}

/// What a text may use that enables these extensions of WGSL; nothing optional if there are none.
fn capabilities(extensions: &[&str]) -> Capabilities {
    let needed = extensions.iter().map(|&extension| match extension {
        "f16" => Capabilities::SHADER_FLOAT16,
        "wgpu_cooperative_matrix" => Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP,
        _ => Capabilities::empty(),
    });
    needed.collect()
}

/// A valid module that may enable these extensions. `place` begins the message of what is wrong at
/// a line, from 1, of the text.
pub fn parse(
    source: &str,
    extensions: &[&str],
    place: impl Fn(Option<u32>) -> String,
) -> Result<(Module, ModuleInfo), String> {
    let at = |location: Option<naga::SourceLocation>, error: String| {
        format!("{}{error}", place(location.map(|l| l.line_number)))
    };
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|e| at(e.location(source), e.emit_to_string(source)))?;
    let info = Validator::new(ValidationFlags::all(), capabilities(extensions))
        .validate(&module)
        .map_err(|e| at(e.location(source), e.emit_to_string(source)))?;
    Ok((module, info))
}

/// The module with these override constants.
pub fn specialize(
    module: &Module,
    info: &ModuleInfo,
    overrides: impl IntoIterator<Item = (String, u32)>,
) -> Result<(Module, ModuleInfo), String> {
    let constants = overrides.into_iter();
    let constants = constants.map(|(name, value)| (name, f64::from(value)));
    let main = Some((ShaderStage::Compute, "main"));
    let (module, info) =
        process_overrides(module, info, main, &constants.collect()).map_err(|e| e.to_string())?;
    Ok((module.into_owned(), info.into_owned()))
}

/// Whether it multiplies cooperative matrices.
fn has_units(module: &Module) -> bool {
    let mut types = module.types.iter();
    types.any(|(_, ty)| matches!(ty.inner, TypeInner::CooperativeMatrix { .. }))
}

/// Translates a module whose overrides are settled, with the entry point `main`.
pub fn translate(
    module: &Module,
    info: &ModuleInfo,
    language: Language,
    added: Added,
) -> Result<Translated, String> {
    let translated = match language {
        Language::Hlsl | Language::Glsl if has_units(module) => {
            Err("it has no cooperative matrices".to_owned())
        }
        Language::SpirV => spirv(module, info, added).map(Translated::Words),
        Language::Msl => metal(module, info, added).map(Translated::Text),
        Language::Hlsl => direct3d(module, info, added).map(Translated::Text),
        Language::Glsl => gl(module, info, added).map(Translated::Text),
    };
    translated.map_err(|e| format!("{}: {e}", language.name()))
}

fn policies(added: Added) -> BoundsCheckPolicies {
    let policy = match added.checks {
        true => BoundsCheckPolicy::Restrict,
        false => BoundsCheckPolicy::Unchecked,
    };
    BoundsCheckPolicies {
        index: policy,
        buffer: policy,
        image_load: policy,
        binding_array: policy,
    }
}

/// As [`policies`]; wgpu leaves texture loads unchecked in GLSL ES, which has no word for the
/// number of levels.
fn policies_of_es(added: Added) -> BoundsCheckPolicies {
    BoundsCheckPolicies {
        image_load: BoundsCheckPolicy::Unchecked,
        ..policies(added)
    }
}

fn spirv(module: &Module, info: &ModuleInfo, added: Added) -> Result<Vec<u32>, String> {
    let defaults = spv::Options::default();
    let options = spv::Options {
        // Subgroups are there since Vulkan 1.1.
        lang_version: match has_units(module) {
            true => (1, 3),
            false => defaults.lang_version,
        },
        bounds_check_policies: policies(added),
        force_loop_bounding: added.checks,
        zero_initialize_workgroup_memory: match added.zeros {
            true => spv::ZeroInitializeWorkgroupMemoryMode::Polyfill,
            false => spv::ZeroInitializeWorkgroupMemoryMode::None,
        },
        ..defaults
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_owned(),
    };
    spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|e| e.to_string())
}

fn metal(module: &Module, info: &ModuleInfo, added: Added) -> Result<String, String> {
    let options = msl::Options {
        // Matrices of simdgroups are there since Metal 2.3.
        lang_version: match has_units(module) {
            true => (2, 3),
            false => (2, 0),
        },
        bounds_check_policies: policies(added),
        force_loop_bounding: added.checks,
        zero_initialize_workgroup_memory: added.zeros,
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_owned())),
        ..Default::default()
    };
    let (text, translated) =
        msl::write_string(module, info, &options, &pipeline).map_err(|e| e.to_string())?;
    for name in translated.entry_point_names {
        name.map_err(|e| e.to_string())?;
    }
    Ok(text)
}

fn direct3d(module: &Module, info: &ModuleInfo, added: Added) -> Result<String, String> {
    let options = hlsl::Options {
        restrict_indexing: added.checks,
        force_loop_bounding: added.checks,
        zero_initialize_workgroup_memory: added.zeros,
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_owned())),
    };
    let mut text = String::new();
    let translated = hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .map_err(|e| e.to_string())?;
    for name in translated.entry_point_names {
        name.map_err(|e| e.to_string())?;
    }
    Ok(text)
}

fn gl(module: &Module, info: &ModuleInfo, added: Added) -> Result<String, String> {
    let options = glsl::Options {
        version: glsl::Version::Embedded {
            version: 310,
            is_webgl: false,
        },
        zero_initialize_workgroup_memory: added.zeros,
        ..Default::default()
    };
    let pipeline = glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_owned(),
        multiview: None,
    };
    let mut text = String::new();
    glsl::Writer::new(
        &mut text,
        module,
        info,
        &options,
        &pipeline,
        policies_of_es(added),
    )
    .and_then(|mut writer| writer.write())
    .map_err(|e| e.to_string())?;
    Ok(text)
}
