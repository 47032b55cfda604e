//! Every kernel in every variant, without a GPU: valid with no optional capability, inside the
//! limits of any host's device, in the house's binding convention, translatable for every back end,
//! listed, and reached by some case. Kernels that enable extensions of WGSL are held to what
//! devices with these offer, and translated for their back ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use naga::valid::ModuleInfo;
use naga::{
    AddressSpace, ImageClass, ImageDimension, Module, ScalarKind, ShaderStage, Statement,
    StorageAccess, StorageFormat, TypeInner,
};
use striate::check::build;
use striate::error::ErrorKind;
use striate::gpu::GpuOptions;
use striate::graph::{Graph, Init, Value};
use striate::kernel::{
    Access, Body, COOPERATIVE_MEMORY, Caps, Dispatch, Io, Kernel, Matrices, Operand, Param,
    TexelFormat, Tile, WINDOW, Wgsl,
};
use striate::ops::kernels;
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::shape::Type;
use striate::wgpu;
use striate_cases::cases;
use striate_cases::lower::lower;
use striate_lab::loops::loops_of_unknown_length;
use striate_lab::root;
use striate_lab::translate::{self, Added, Language, specialize, translate};

const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_BYTES: u32 = 16_352;
/// Few turns of loops, so that small cases take several dispatches where large ones must.
const PIECES: u64 = 300;
const MAX_STORAGE_BUFFERS: usize = 4;
const LANGUAGES: [Language; 4] = [
    Language::SpirV,
    Language::Msl,
    Language::Hlsl,
    Language::Glsl,
];

/// The WGSL files by path from the crate's root, sorted.
fn files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, files: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else if path.extension().is_some_and(|e| e == "wgsl") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = root();
    let mut files = BTreeMap::new();
    walk(&root.join("shaders"), &root, &mut files);
    files
}

/// Line `line` (from 1) of a kernel's text as `file:line`.
fn locate(kernel: &Kernel, line: u32) -> String {
    let (path, line) = kernel.locate(line as usize);
    format!("{path}:{line}")
}

/// Collects what is wrong, to report it all at once.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(what());
        }
    }

    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

fn parse(kernel: &Kernel) -> Result<(Module, ModuleInfo), String> {
    let place = |line: Option<u32>| {
        let place = line.map_or_else(String::new, |line| locate(kernel, line));
        format!("{place}: kernel {}: ", kernel.name)
    };
    translate::parse(&kernel.source(), kernel.extensions(), place)
}

/// One resource of a kernel, by number.
struct Resource {
    name: String,
    access: Access,
    ty: naga::Handle<naga::Type>,
}

/// How a texture is bound: 2D, read as floats or written.
fn texture_access(ty: &TypeInner) -> Option<Access> {
    let &TypeInner::Image {
        dim: ImageDimension::D2,
        arrayed: false,
        class,
    } = ty
    else {
        return None;
    };
    match class {
        ImageClass::Sampled {
            kind: ScalarKind::Float,
            multi: false,
        } => Some(Access::Texture),
        ImageClass::Storage { format, access } if access == StorageAccess::STORE => {
            let format = match format {
                StorageFormat::Rgba8Unorm => TexelFormat::Rgba8Unorm,
                StorageFormat::Rgba16Float => TexelFormat::Rgba16Float,
                StorageFormat::R32Float => TexelFormat::R32Float,
                StorageFormat::Rgba32Float => TexelFormat::Rgba32Float,
                _ => return None,
            };
            Some(Access::TextureStore(format))
        }
        _ => None,
    }
}

/// The kernel's bindings in order, `params` last; anything outside the convention is an error.
fn resources(module: &Module) -> Result<Vec<Resource>, String> {
    let mut bound = BTreeMap::new();
    for (_, global) in module.global_variables.iter() {
        let Some(binding) = &global.binding else {
            continue;
        };
        let name = global.name.clone().unwrap_or_default();
        let access = match global.space {
            AddressSpace::Handle => texture_access(&module.types[global.ty].inner)
                .ok_or_else(|| format!("{name} is bound as {:?}", module.types[global.ty]))?,
            AddressSpace::Uniform => Access::Uniform,
            AddressSpace::Storage { access } if access == StorageAccess::LOAD => Access::Read,
            AddressSpace::Storage { access }
                if access == StorageAccess::LOAD | StorageAccess::STORE =>
            {
                Access::ReadWrite
            }
            other => return Err(format!("{name} is bound in {other:?}")),
        };
        if binding.group != 0 {
            return Err(format!("{name} is in group {}", binding.group));
        }
        let resource = Resource {
            name,
            access,
            ty: global.ty,
        };
        if let Some(twin) = bound.insert(binding.binding, resource) {
            return Err(format!(
                "binding {} is used twice ({})",
                binding.binding, twin.name
            ));
        }
    }
    if let Some((i, (number, _))) = (0..).zip(&bound).find(|(i, (number, _))| i != *number) {
        return Err(format!("binding {i} is missing, {number} follows"));
    }
    let resources: Vec<Resource> = bound.into_values().collect();
    match resources.last() {
        Some(last) if last.name == "params" && last.access == Access::Uniform => Ok(resources),
        _ => Err("the last binding is not `var<uniform> params`".to_owned()),
    }
}

/// Names of the fields of `Params` after `grid`, and whether each is an `f32`.
fn params(module: &Module) -> Result<Vec<(String, bool)>, String> {
    let resources = resources(module)?;
    let ty = &module.types[resources[resources.len() - 1].ty];
    let TypeInner::Struct { members, .. } = &ty.inner else {
        return Err("params is not a struct".to_owned());
    };
    if ty.name.as_deref() != Some("Params") {
        return Err(format!("params is a {:?}", ty.name));
    }
    let mut fields = members.iter();
    match fields.next() {
        Some(grid)
            if grid.name.as_deref() == Some("grid")
                && module.types[grid.ty].name.as_deref() == Some("Grid") => {}
        _ => return Err("the first field of Params is not `grid: Grid`".to_owned()),
    }
    (0u32..)
        .zip(fields)
        .map(|(i, member)| {
            let name = member.name.clone().unwrap_or_default();
            if member.offset != 16 + 4 * i {
                return Err(format!("params.{name} lies at byte {}", member.offset));
            }
            match &module.types[member.ty].inner {
                TypeInner::Scalar(s) if s.width == 4 && s.kind == ScalarKind::Uint => {
                    Ok((name, false))
                }
                TypeInner::Scalar(s) if s.width == 4 && s.kind == ScalarKind::Float => {
                    Ok((name, true))
                }
                other => Err(format!("params.{name} is {other:?}")),
            }
        })
        .collect()
}

fn any_statement(block: &naga::Block, test: &impl Fn(&Statement) -> bool) -> bool {
    block.iter().any(|statement| {
        test(statement)
            || match statement {
                Statement::Block(block) => any_statement(block, test),
                Statement::If { accept, reject, .. } => {
                    any_statement(accept, test) || any_statement(reject, test)
                }
                Statement::Switch { cases, .. } => {
                    cases.iter().any(|case| any_statement(&case.body, test))
                }
                Statement::Loop {
                    body, continuing, ..
                } => any_statement(body, test) || any_statement(continuing, test),
                _ => false,
            }
    })
}

/// Whether the kernel has a barrier and `main` may return before its end.
fn returns_early(module: &Module) -> bool {
    let barrier = |s: &Statement| {
        matches!(
            s,
            Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. }
        )
    };
    let main = &module.entry_points[0].function.body;
    let barriers = any_statement(main, &barrier)
        || module
            .functions
            .iter()
            .any(|(_, function)| any_statement(&function.body, &barrier));
    barriers && returns_inside(main, true)
}

/// Whether `block` returns anywhere but at its end; `tail` says that nothing follows the block.
/// Naga writes out the return at the end of every branch that ends the function.
fn returns_inside(block: &naga::Block, tail: bool) -> bool {
    let last = block.len().saturating_sub(1);
    block.iter().enumerate().any(|(i, statement)| {
        let tail = tail && i == last;
        match statement {
            Statement::Return { .. } => !tail,
            Statement::Block(block) => returns_inside(block, tail),
            Statement::If { accept, reject, .. } => {
                returns_inside(accept, tail) || returns_inside(reject, tail)
            }
            Statement::Switch { cases, .. } => {
                let mut bodies = cases.iter().map(|case| &case.body);
                bodies.any(|body| returns_inside(body, tail))
            }
            Statement::Loop {
                body, continuing, ..
            } => returns_inside(body, false) || returns_inside(continuing, false),
            _ => false,
        }
    })
}

fn check_convention(module: &Module) -> Result<(), String> {
    match &module.entry_points[..] {
        [main] if main.name == "main" && main.stage == ShaderStage::Compute => {}
        _ => return Err("there is not one compute entry point `main`".to_owned()),
    }
    let storage = resources(module)?
        .iter()
        .filter(|r| matches!(r.access, Access::Read | Access::ReadWrite))
        .count();
    if storage > MAX_STORAGE_BUFFERS {
        return Err(format!(
            "{storage} storage buffers, {MAX_STORAGE_BUFFERS} at most"
        ));
    }
    params(module)?;
    // naga 30 panics where another one comes after it, in a provider.
    if let Some((_, unnamed)) = module.overrides.iter().find(|(_, o)| o.name.is_none()) {
        return Err(format!("an override has no name: {unnamed:?}"));
    }
    if returns_early(module) {
        return Err("it has a barrier and returns early".to_owned());
    }
    Ok(())
}

fn check_variant(
    kernel: &Kernel,
    module: &Module,
    info: &ModuleInfo,
    constants: &[(&str, u32)],
) -> Result<(), String> {
    let (most, languages) = match kernel.extensions() {
        [] => (MAX_WORKGROUP_BYTES, &LANGUAGES[..]),
        // Cooperative matrices are on Vulkan and Metal.
        ["f16", "wgpu_cooperative_matrix"] => (COOPERATIVE_MEMORY, &LANGUAGES[..2]),
        other => return Err(format!("it enables {other:?}")),
    };
    let constants = constants.iter();
    let constants = constants.map(|&(name, value)| (name.to_owned(), value));
    let (module, info) = specialize(module, info, constants)?;
    let size = module.entry_points[0].workgroup_size;
    let invocations: u32 = size.iter().product();
    if invocations > MAX_INVOCATIONS || invocations == 0 {
        return Err(format!(
            "workgroup of {size:?}, {MAX_INVOCATIONS} invocations at most"
        ));
    }
    let memory: u32 = module
        .global_variables
        .iter()
        .filter(|(_, global)| global.space == AddressSpace::WorkGroup)
        .map(|(_, global)| {
            module.types[global.ty]
                .inner
                .size(module.to_ctx())
                .next_multiple_of(16)
        })
        .sum();
    if memory > most {
        return Err(format!(
            "{memory} bytes of workgroup memory, {most} at most"
        ));
    }
    for &language in languages {
        for (checks, zeros) in [(false, false), (true, true)] {
            translate(&module, &info, language, Added { checks, zeros })?;
        }
    }
    Ok(())
}

#[test]
fn kernels_are_valid_and_translate_in_every_variant() {
    let mut findings = Findings::default();
    let mut variants = 0;
    for kernel in kernels() {
        let (module, info) = match parse(&kernel) {
            Ok(parsed) => parsed,
            Err(message) => {
                findings.add(message);
                continue;
            }
        };
        if let Err(message) = check_convention(&module) {
            findings.add(format!("kernel {}: {message}", kernel.name));
            continue;
        }
        findings.require(!kernel.variants.is_empty(), || {
            format!("kernel {} has no variants", kernel.name)
        });
        for constants in kernel.constants() {
            variants += 1;
            if let Err(message) = check_variant(&kernel, &module, &info, &constants) {
                findings.add(format!("kernel {} {constants:?}: {message}", kernel.name));
            }
        }
    }
    findings.none();
    println!("{} kernels, {variants} variants", kernels().len());
}

#[test]
fn faults_are_named_by_file_and_line() {
    let kernels = kernels();
    let unary = kernels.iter().find(|k| k.name == "unary").unwrap();
    let line_of = |text: &str, what: &str| text.lines().position(|l| l.contains(what)).unwrap() + 1;
    for (path, what) in [
        ("shaders/elementwise/unary.wgsl", "fn main"),
        ("shaders/lib/grid.wgsl", "fn workgroup_index"),
    ] {
        let place = locate(unary, line_of(&unary.source(), what) as u32);
        assert_eq!(place, format!("{path}:{}", line_of(&files()[path], what)));
    }
}

/// The checks above on kernels that break one rule each.
#[test]
fn the_rules_are_enforced() {
    const GRID: &str = "struct Grid { base: u32, width: u32, count: u32, unused: u32 }";
    let broken = |resources: &str, main: &str| {
        let text = format!("{GRID}\n{resources}\n@compute @workgroup_size(64) {main}");
        let kernel = Kernel {
            name: "broken".into(),
            wgsl: Wgsl::Module(text),
            variants: &[&[]],
            epilogues: &[&[]],
        };
        parse(&kernel)
            .and_then(|(module, info)| {
                check_convention(&module)?;
                check_variant(&kernel, &module, &info, &[])
            })
            .expect_err("a broken kernel was accepted")
    };
    let params = "struct Params { grid: Grid, n: u32 }";
    let bound = "@group(0) @binding(0) var<uniform> params: Params;";
    let cases = [
        (
            format!("{params} @group(1) @binding(0) var<uniform> params: Params;"),
            "fn main() { _ = params.n; }",
            "group 1",
        ),
        (
            format!("{params} @group(0) @binding(1) var<uniform> params: Params;"),
            "fn main() { _ = params.n; }",
            "binding 0 is missing",
        ),
        (
            "@group(0) @binding(0) var<storage, read> x: array<f32>;".to_owned(),
            "fn main() { _ = x[0]; }",
            "params",
        ),
        (
            format!("struct Params {{ n: u32 }} {bound}"),
            "fn main() { _ = params.n; }",
            "grid",
        ),
        (
            format!("struct Params {{ grid: Grid, n: vec2<u32> }} {bound}"),
            "fn main() { _ = params.n; }",
            "params.n",
        ),
        (
            format!("{params} {bound} var<workgroup> tile: array<f32, 4089>;"),
            "fn main() { tile[0] = f32(params.n); }",
            "workgroup memory",
        ),
        (
            format!("{params} {bound} var<workgroup> tile: array<u32, 64>;"),
            "fn main(@builtin(local_invocation_index) i: u32) {
                if (params.n == 3u) { return; } tile[i] = i; workgroupBarrier();
            }",
            "returns early",
        ),
        (
            format!("{params} {bound} override a: u32 = 2u; var<workgroup> b: array<u32, 2u * a>;"),
            "fn main() { b[0] = params.n; }",
            "no name",
        ),
        (
            format!("enable f16; {params} @group(0) @binding(0) var<uniform> params: Params;"),
            "fn main() { _ = params.n; }",
            "enable",
        ),
    ];
    for (resources, main, words) in cases {
        let message = broken(&resources, main);
        assert!(message.contains(words), "{message:?} lacks {words:?}");
    }
    let wide = Kernel {
        name: "wide".into(),
        wgsl: Wgsl::Module(format!(
            "{GRID} {params} override size: u32 = 64u; {bound}
             @compute @workgroup_size(size) fn main() {{ _ = params.n; }}"
        )),
        variants: &[],
        epilogues: &[],
    };
    let (module, info) = parse(&wide).unwrap();
    check_variant(&wide, &module, &info, &[("size", 256)]).unwrap();
    check_variant(&wide, &module, &info, &[("size", 257)]).unwrap_err();
    check_variant(&wide, &module, &info, &[("sise", 64)]).unwrap_err();
}

/// A kernel whose loop depends on what is bound is found, whatever way the bound takes; one whose
/// loops the text fixes is not.
#[test]
fn loops_of_unknown_length_are_found() {
    const TOP: &str = "struct Params { n: u32, k: u32 }
        override size: u32 = 64u;
        const EIGHT: u32 = 8u;
        @group(0) @binding(0) var<uniform> params: Params;
        @group(0) @binding(1) var<storage, read> x: array<u32>;
        var<workgroup> tile: array<u32, 64>;
        fn below(n: u32) -> u32 { var s = 0u; for (var i = 0u; i < n; i++) { s += i; } return s; }
        fn halves() -> u32 { var s = 0u; for (var h = 32u; h > 0u; h /= 2u) { s += h; } return s; }
        fn raise(n: ptr<function, u32>) { *n = x[0]; }
        @compute @workgroup_size(64) fn main(
            @builtin(local_invocation_index) local: u32,
            @builtin(workgroup_id) group: vec3<u32>,
        ) { var s = 0u;";
    let loops = |body: &str| {
        let text = format!("{TOP} {body} tile[local] = s; }}");
        let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{body}: {e}"));
        let found = loops_of_unknown_length(&module);
        let own = found.into_iter().filter(|(name, _)| name != "below");
        own.map(|(_, count)| count).sum::<usize>()
    };
    for body in [
        "for (var i = 0u; i < params.n; i++) { s += i; }",
        "for (var i = 0u; i < x[local]; i++) { s += i; }",
        "for (var i = 0u; i < tile[0]; i++) { s += i; }",
        "for (var i = group.x; i < 8u; i++) { s += i; }",
        "for (var i = params.k; i > 0u; i--) { s += i; }",
        "for (var i = 0u; i < 8u; i += params.k) { s += i; }",
        "let end = min(params.n, 8u); for (var i = 0u; i < end; i++) { s += i; }",
        "var end = 8u; if (params.n > 8u) { end = 80u; }
         for (var i = 0u; i < end; i++) { s += i; }",
        "var end = 8u; raise(&end); for (var i = 0u; i < end; i++) { s += i; }",
        "var end = vec2<u32>(8u); end.y = params.n; for (var i = 0u; i < end.y; i++) { s += i; }",
        "while (s < params.n) { s += 3u; }",
        "loop { s += 1u; if (x[s] == 0u) { break; } }",
        "loop { s += 1u; if (x[s] == 0u) { return; } }",
        "loop { s += 1u; continuing { break if s > params.n; } }",
        "for (var i = 0u; i < 8u; i++) { for (var j = 0u; j < params.n; j++) { s += j; } }",
        "if (s == 0u) { switch local { default: { while (s < params.n) { s += 1u; } } } }",
        "loop {
            switch x[s] { case 0u: { break; } default: { s += 1u; } }
            if (params.n == s) { break; }
         }",
    ] {
        assert_eq!(loops(body), 1, "{body}");
    }
    for body in [
        "for (var i = 0u; i < EIGHT; i++) { s += x[i]; }",
        "for (var i = local; i < 512u; i += size) { s += x[i]; }",
        "for (var half = size / 2u; half > 0u; half = half / 2u) { s += half; }",
        "var end = 8u; if (local > 3u) { end = 4u; } for (var i = 0u; i < end; i++) { s += i; }",
        "loop { s += 1u; if (s >= 100u) { break; } }",
        "for (var i = 0u; i < 8u; i++) { if (x[i] == 3u) { break; } s += 1u; }",
        "s = below(3u) + halves();",
    ] {
        assert_eq!(loops(body), 0, "{body}");
    }
    // The bound of `below` is what its callers say: it counts as unknown.
    let module = naga::front::wgsl::parse_str(&format!("{TOP} }}")).unwrap();
    let below = ("below".to_owned(), 1);
    assert_eq!(loops_of_unknown_length(&module), [below]);
}

/// What `gpu/limits.rs` asks of a device is what the kernels bind.
#[test]
fn no_kernel_binds_more_than_every_device_allows() {
    let mut most = [0; 3];
    for kernel in kernels() {
        let (module, _) = parse(&kernel).unwrap();
        let all = resources(&module).unwrap();
        let uniform = |resource: &&Resource| resource.access == Access::Uniform;
        let uniforms = all.iter().filter(uniform).count();
        let textures = all
            .iter()
            .filter(|resource| resource.access.is_texture())
            .count();
        let counts = [all.len(), all.len() - uniforms - textures, uniforms];
        for (most, count) in most.iter_mut().zip(counts) {
            *most = count.max(*most);
        }
    }
    let names = [
        "max_bindings_per_bind_group",
        "max_storage_buffers_per_shader_stage",
        "max_uniform_buffers_per_shader_stage",
    ];
    for (name, most) in names.into_iter().zip(most) {
        let change = |limits: &mut wgpu::Limits, value: u32| match name {
            "max_bindings_per_bind_group" => limits.max_bindings_per_bind_group = value,
            "max_storage_buffers_per_shader_stage" => {
                limits.max_storage_buffers_per_shader_stage = value;
            }
            _ => limits.max_uniform_buffers_per_shader_stage = value,
        };
        let caps = |value: u32| {
            let mut limits = wgpu::Limits::default();
            change(&mut limits, value);
            let kind = wgpu::DeviceType::DiscreteGpu;
            GpuOptions::default().caps(wgpu::Backend::Vulkan, kind, &limits)
        };
        let most = u32::try_from(most).unwrap();
        caps(most).unwrap();
        let error = caps(most - 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{name}: {error}");
    }
}

#[test]
fn kernel_names_are_unique() {
    let mut names = BTreeSet::new();
    for kernel in kernels() {
        assert!(
            names.insert(kernel.name.clone()),
            "two kernels are {}",
            kernel.name
        );
    }
}

#[test]
fn every_file_is_part_of_a_kernel() {
    let kernels = kernels();
    let used: BTreeMap<&str, &str> = kernels
        .iter()
        .flat_map(Kernel::sources)
        .map(|source| (source.path(), source.text()))
        .collect();
    let mut findings = Findings::default();
    for (name, text) in files() {
        findings.require(used.get(name.as_str()) == Some(&text.as_str()), || {
            format!("{name} is in no kernel of ops::kernels()")
        });
    }
    findings.none();
}

#[test]
fn every_body_names_its_reference() {
    let mut findings = Findings::default();
    for (name, text) in files() {
        findings.require(text.starts_with("// "), || format!("{name} has no header"));
        if !text.contains("@compute") {
            continue;
        }
        let header: Vec<&str> = text.lines().take_while(|l| l.starts_with("//")).collect();
        let header = header.join(" ");
        let reference = header
            .split(|c: char| c.is_whitespace())
            .map(|word| word.trim_end_matches(['.', ',', ';']))
            .find(|word| word.starts_with("src/") && word.ends_with(".rs"));
        match reference {
            Some(path) => findings.require(root().join(path).exists(), || {
                format!("{name} names {path}, which does not exist")
            }),
            None => findings.add(format!("{name}: the header names no reference (src/...rs)")),
        }
        for word in text.lines().filter_map(|l| l.strip_prefix("override ")) {
            let word = word.split(':').next().unwrap_or_default();
            findings.require(header.contains(word), || {
                format!("{name}: the header does not explain the override {word}")
            });
        }
    }
    findings.none();
}

#[test]
fn every_line_fits_100_columns() {
    let mut findings = Findings::default();
    for (name, text) in files() {
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            findings.require(columns <= 100, || {
                format!("{name}:{}: {columns} columns", number + 1)
            });
        }
    }
    findings.none();
}

/// Every body, with every kind of matrices.
fn bodies() -> impl Iterator<Item = (Body, Matrices)> {
    let cooperative = Matrices::ALL.map(|matrices| (Body::Cooperative, matrices));
    let others = [Body::Shared, Body::Registers].map(|body| (body, Matrices::Sixteen));
    others.into_iter().chain(cooperative)
}

/// The choices of `lower` that depend on the device: all bodies, buffers shared or not, values cut
/// into parts, every tile.
fn capabilities() -> Vec<(Caps, bool)> {
    let mut all = Vec::new();
    for (body, matrices) in bodies() {
        for max_binding in [128 << 20, 256] {
            for share in [false, true] {
                let caps = Caps {
                    body,
                    matrices,
                    max_binding,
                    ..Caps::default()
                };
                all.push((caps, share));
            }
        }
    }
    for share in [false, true] {
        all.push((windows(), share));
    }
    // Loops in pieces.
    for caps in [Caps::default(), storage(), windows()] {
        let max_turns = PIECES;
        all.push((Caps { max_turns, ..caps }, false));
    }
    for tile in Tile::ALL {
        let shared = Caps::default();
        let cooperative = Matrices::ALL.map(|matrices| Caps {
            body: Body::Cooperative,
            matrices,
            ..Caps::default()
        });
        for caps in [shared, storage(), windows()]
            .into_iter()
            .chain(cooperative)
        {
            let tile = Some(tile);
            all.extend([true, false].map(|share| {
                (
                    Caps {
                        tile,
                        ..caps.clone()
                    },
                    share,
                )
            }));
        }
    }
    all
}

/// Kernels in registers that read storage.
fn storage() -> Caps {
    Caps {
        body: Body::Registers,
        ..Caps::default()
    }
}

/// A CPU adapter.
fn windows() -> Caps {
    Caps {
        body: Body::Registers,
        max_uniform: WINDOW,
        windows: true,
        ..Caps::default()
    }
}

/// Whether params and bindings are what the kernel's text says.
fn check_against(module: &Module, given: &[Param], accesses: &[Access], findings: &mut Findings) {
    match params(module) {
        Err(message) => findings.add(message),
        Ok(wanted) => {
            let given: Vec<(String, bool)> =
                given.iter().map(|p| (p.name.to_owned(), p.float)).collect();
            findings.require(given == wanted, || {
                format!("params (name, is f32) are {given:?}, its struct has {wanted:?}")
            });
        }
    }
    match resources(module) {
        Err(message) => findings.add(message),
        Ok(resources) => {
            let buffers = &resources[..resources.len() - 1];
            let names: Vec<&str> = buffers.iter().map(|r| r.name.as_str()).collect();
            let wanted: Vec<Access> = buffers.iter().map(|r| r.access).collect();
            findings.require(accesses == wanted, || {
                format!("bindings are {accesses:?}, it has {names:?} as {wanted:?}")
            });
        }
    }
}

/// Whether a dispatch of a kernel with loops whose bounds are not constant states its turns.
fn check_turns(dispatch: &Dispatch, loops: &[(String, usize)], findings: &mut Findings) {
    findings.require(loops.is_empty() || dispatch.turns.is_some(), || {
        format!("a dispatch states no turns, its loops of unknown length are {loops:?}")
    });
}

/// What is wrong with a dispatch, against the kernel's text.
fn check_dispatch(dispatch: &Dispatch, io: &Io, module: &Module, findings: &mut Findings) {
    let kernel = &dispatch.kernel;
    findings.require(kernel.variants.contains(&dispatch.overrides), || {
        format!("{:?} is none of its variants", dispatch.overrides)
    });
    findings.require(kernel.epilogues.contains(&dispatch.epilogue), || {
        format!("{:?} is none of its epilogues", dispatch.epilogue)
    });
    let accesses: Vec<Access> = dispatch.bindings.iter().map(|b| b.access).collect();
    check_against(module, &dispatch.params, &accesses, findings);
    // Outputs that share an input's buffer are that buffer: bound once, for reading and writing.
    let buffer = |operand: Operand| match operand {
        Operand::Output(o) => io.in_place[o].map_or(operand, Operand::Input),
        other => other,
    };
    for (i, a) in dispatch.bindings.iter().enumerate() {
        for b in &dispatch.bindings[i + 1..] {
            let same = buffer(a.operand) == buffer(b.operand);
            let writes = |access| matches!(access, Access::ReadWrite | Access::TextureStore(_));
            let written = writes(a.access) || writes(b.access);
            findings.require(!(same && written), || {
                format!(
                    "{:?} and {:?} are one buffer, bound twice and written",
                    a.operand, b.operand
                )
            });
        }
    }
    for binding in &dispatch.bindings {
        let exists = match binding.operand {
            Operand::Input(i) => i < io.inputs.len() && binding.part < io.input_parts[i].len(),
            Operand::Output(o) => o < io.outputs.len() && binding.part < io.output_parts[o].len(),
            Operand::Scratch(_) => true,
        };
        findings.require(exists, || {
            format!("{:?} has no part {}", binding.operand, binding.part)
        });
    }
    findings.require(dispatch.workgroups < 1 << 32, || {
        format!("{} workgroups do not fit u32", dispatch.workgroups)
    });
}

/// Plans of all cases with all bodies, fused; of a graph whose assignment has to be copied, and of
/// one whose view does.
fn plans() -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    let mut plan = |name: &str, graph: &Graph, fetched: &[Value], max_binding: u64| {
        for (body, matrices) in bodies() {
            let caps = Caps {
                body,
                matrices,
                max_binding,
                ..Caps::default()
            };
            let states = StateLayout::new(&[graph], caps.max_binding).unwrap();
            // What cannot be lowered is reported node by node.
            if let Ok(plan) = Plan::new(graph, &states, fetched, &caps, PlanOptions::default()) {
                plans.push((name.to_owned(), plan));
            }
        }
    };
    for case in cases() {
        let built = build(&case).unwrap();
        plan(&case.name, &built.graph, &built.results(), 128 << 20);
    }
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([5])).unwrap();
    let state = g.parameter("state", [5], Init::Constant(0.0)).unwrap();
    g.assign(state, x).unwrap();
    plan("assign", &g, &[], 128 << 20);
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([50, 3])).unwrap();
    let y = g.reshape(x, [150]).unwrap();
    plan("reshape in parts", &g, &[y], 256);
    plans
}

#[test]
fn cases_reach_every_variant_with_dispatches_that_fit() {
    let mut findings = Findings::default();
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    let mut loops: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    let mut missed: BTreeSet<(String, Vec<(&str, u32)>)> = BTreeSet::new();
    for kernel in kernels() {
        if let Ok((module, _)) = parse(&kernel) {
            let found = loops_of_unknown_length(&module);
            loops.insert(kernel.name.to_string(), found);
            modules.insert(kernel.name.to_string(), module);
        }
        for constants in kernel.constants() {
            missed.insert((kernel.name.to_string(), constants));
        }
    }
    for case in cases() {
        let built = build(&case).unwrap();
        for node in built.graph.nodes() {
            for (caps, share) in capabilities() {
                let (io, lowering) = match lower(&built.graph, node, &caps, share) {
                    Ok(lowered) => lowered,
                    // A value that cannot be cut is refused on a small device, with a typed error.
                    Err(e) if caps.max_binding == 256 && e.kind() == ErrorKind::Limit => continue,
                    Err(e) => {
                        findings.add(format!("{}: {}: {e}", case.name, node.op.name()));
                        continue;
                    }
                };
                let empty = io.outputs.iter().all(|ty| ty.count() == 0);
                findings.require(!empty || lowering.dispatches.is_empty(), || {
                    format!("{}: {} dispatches for nothing", case.name, node.op.name())
                });
                for dispatch in &lowering.dispatches {
                    let name = dispatch.kernel.name.to_string();
                    let mut own = Findings::default();
                    match modules.get(&name) {
                        Some(module) => check_dispatch(dispatch, &io, module, &mut own),
                        None => own.add("is not in ops::kernels() or not valid"),
                    }
                    let found = loops.get(&name).map_or(&[][..], Vec::as_slice);
                    check_turns(dispatch, found, &mut own);
                    own.require(
                        case.uncut.is_some() || dispatch.turns <= Some(caps.max_turns),
                        || format!("{:?} turns, {} at most", dispatch.turns, caps.max_turns),
                    );
                    for what in own.0 {
                        findings.add(format!("{}: kernel {name}: {what}", case.name));
                    }
                    let constants = [dispatch.overrides, dispatch.epilogue].concat();
                    missed.remove(&(name, constants));
                }
            }
        }
    }
    for (name, plan) in plans() {
        for step in plan.steps {
            let kernel = step.kernel.name.to_string();
            let mut own = Findings::default();
            let accesses: Vec<Access> = step.bindings.iter().map(|b| b.1).collect();
            match modules.get(&kernel) {
                Some(module) => check_against(module, &step.params, &accesses, &mut own),
                None => own.add("is not in ops::kernels() or not valid"),
            }
            for what in own.0 {
                findings.add(format!("{name}: kernel {kernel}: {what}"));
            }
            missed.remove(&(kernel, step.constants));
        }
    }
    findings.0.sort();
    findings.0.dedup();
    for (name, constants) in missed {
        findings.add(format!("no case reaches kernel {name} {constants:?}"));
    }
    findings.none();
}
