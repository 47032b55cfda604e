//! The kernels as tables: one in the README of each folder of `shaders/`, made from what the crate
//! lists, and the text of one kernel whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use striate::kernel::Kernel;
use striate::ops::kernels;

/// Between these lines of a README stands its table.
const BEGIN: &str =
    "<!-- The table is made by `cargo run --release -p striate-lab -- verify --docs`. -->";
const END: &str = "<!-- End of the table. -->";

/// Files that every kernel ends with, which no table repeats.
const LIBRARY: [&str; 3] = [
    "shaders/lib/grid.wgsl",
    "shaders/lib/float.wgsl",
    "shaders/lib/divide.wgsl",
];

/// What stands before the table of a new README.
fn opening(family: &str) -> String {
    format!("# Kernels: {family}\n\n")
}

/// The README of each folder of `shaders/`, with its table: of kernels, or in `lib` of files.
/// Text outside the tables is kept. A README that is not there yet gets a heading.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn readmes() -> std::io::Result<Vec<(PathBuf, String)>> {
    let folder = crate::root().join("shaders");
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for (family, kernels) in by_family() {
        tables.insert(family, kernel_table(&kernels));
    }
    tables.insert("lib".to_owned(), library_table()?);
    let mut readmes = Vec::new();
    for (family, table) in tables {
        let path = folder.join(&family).join("README.md");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => opening(&family),
            Err(e) => return Err(e),
        };
        let (before, after) = match text.split_once(BEGIN) {
            Some((before, rest)) => (before, rest.split_once(END).map_or("\n", |(_, rest)| rest)),
            None => (text.as_str(), "\n"),
        };
        readmes.push((path, format!("{before}{BEGIN}\n\n{table}\n{END}{after}")));
    }
    Ok(readmes)
}

/// The kernels by the folder of their body.
fn by_family() -> BTreeMap<String, Vec<Kernel>> {
    let mut families: BTreeMap<String, Vec<Kernel>> = BTreeMap::new();
    for kernel in kernels() {
        let sources = kernel.sources();
        let family = sources
            .first()
            .and_then(|body| body.path().split('/').nth(1));
        if let Some(family) = family {
            families.entry(family.to_owned()).or_default().push(kernel);
        }
    }
    families
}

/// The path below `shaders/` without the extension; below the folder, for files of `family`.
fn short<'a>(path: &'a str, family: &str) -> &'a str {
    let path = path
        .trim_start_matches("shaders/")
        .trim_end_matches(".wgsl");
    match path.split_once('/') {
        Some((folder, name)) if folder == family => name,
        _ => path,
    }
}

/// The first sentence of a file's header: a body's formula, or what a provider provides.
fn purpose(text: &str) -> String {
    let header: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//"))
        .map(str::trim)
        .collect();
    let header = header.join(" ");
    let end = header.find(". ").unwrap_or(header.len());
    header[..end].trim_end_matches('.').replace('|', "\\|")
}

/// Kernel, files and purpose; kernels that share a body stand together, the purpose with the first.
fn kernel_table(kernels: &[Kernel]) -> String {
    let mut by_body: BTreeMap<&str, Vec<&Kernel>> = BTreeMap::new();
    let bodies: Vec<_> = kernels
        .iter()
        .map(|kernel| (kernel, kernel.sources()))
        .collect();
    for (kernel, sources) in &bodies {
        if let Some(body) = sources.first() {
            by_body.entry(body.path()).or_default().push(kernel);
        }
    }
    let mut text = String::from("| Kernel | Files | What for |\n|---|---|---|\n");
    for (body, mut kernels) in by_body {
        kernels.sort_by(|a, b| a.name.cmp(&b.name));
        let family = body.split('/').nth(1).unwrap_or_default();
        let mut purpose = bodies
            .iter()
            .filter_map(|(_, sources)| sources.first())
            .find(|source| source.path() == body)
            .map_or_else(String::new, |source| purpose(source.text()));
        for kernel in kernels {
            let files: Vec<String> = kernel
                .sources()
                .iter()
                .filter(|source| !LIBRARY.contains(&source.path()))
                .map(|source| format!("`{}`", short(source.path(), family)))
                .collect();
            let files = files.join(" ");
            text += &format!("| `{}` | {files} | {purpose} |\n", kernel.name);
            purpose.clear();
        }
    }
    text
}

/// The files of `lib/`, which kernels of several folders share, and what for.
fn library_table() -> std::io::Result<String> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(crate::root().join("shaders/lib"))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if let (Some(name), true) = (name, path.extension().is_some_and(|e| e == "wgsl")) {
            files.insert(name, std::fs::read_to_string(&path)?);
        }
    }
    let mut text = String::from("| File | Part of every kernel | What for |\n|---|---|---|\n");
    for (name, content) in files {
        let path = format!("shaders/lib/{name}.wgsl");
        let every = if LIBRARY.contains(&path.as_str()) {
            "yes"
        } else {
            ""
        };
        text += &format!("| `{name}` | {every} | {} |\n", purpose(&content));
    }
    Ok(text)
}

/// The WGSL of `kernel` whole, with a line before each file that names it.
pub fn whole(kernel: &Kernel) -> String {
    let sources = kernel.sources();
    if sources.is_empty() {
        return kernel.source().into_owned();
    }
    let mut text = String::new();
    for extension in kernel.extensions() {
        text += &format!("enable {extension};\n");
    }
    for source in sources {
        let line = "=".repeat(96usize.saturating_sub(source.path().len()));
        text += &format!("// {} {line}\n{}\n", source.path(), source.text());
    }
    text
}
