//! The order of the modules, and where the sharp tools may lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reading order, which is import order: a module uses those to its left.
const ORDER: [&str; 24] = [
    "error",
    "file",
    "shape",
    "tensor",
    "rng",
    "kernel",
    "graph",
    "lowering",
    "ops",
    "autodiff",
    "reference",
    "plan",
    "gpu",
    "store",
    "session",
    "tune",
    "check",
    "nn",
    "models",
    "data",
    "train",
    "interop",
    "report",
    "inspect",
];

/// The only modules that name wgpu; `lib.rs` re-exports it.
const WGPU: [&str; 3] = ["gpu", "store", "session"];

/// The code of every file below `src`.
fn sources() -> BTreeMap<PathBuf, String> {
    below("src")
}

/// The code of every file below a folder, without comments and the content of strings, by path.
fn below(folder: &str) -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.insert(path, code(&text));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        &mut found,
    );
    found
}

/// Rust text without comments and without the content of string and character literals; line breaks
/// stay.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest, &code) {
            length
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && (rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.extend(rest[..skipped].matches('\n'));
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// Length of the literal that starts `text` and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of the raw string that starts `text`, if one does.
fn raw_string(text: &str, before: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?;
    let body = hashes.trim_start_matches('#');
    if !body.starts_with('"') || before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes.len() - body.len()));
    let start = text.len() - body.len() + 1;
    Some(
        text[start..]
            .find(&end)
            .map_or(text.len(), |at| start + at + end.len()),
    )
}

/// Where `word` stands on its own in `code`: byte positions.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part)
        })
}

fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The module of a file: the first part of its path below `src`.
fn module(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below = path.strip_prefix(src).unwrap().with_extension("");
    below.iter().next().unwrap().to_str().unwrap().to_owned()
}

/// The names that follow `crate::` in `code`, with their positions; those of a group `crate::{a,
/// b::c}` one by one.
fn imports(code: &str) -> Vec<(String, usize)> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = Vec::new();
    for at in words(code, "crate") {
        let Some(path) = code[at..].strip_prefix("crate::") else {
            continue;
        };
        let Some(group) = path.trim_start().strip_prefix('{') else {
            found.push((name(path), at));
            continue;
        };
        let mut depth = 1;
        let mut start = 0;
        for (end, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                found.push((name(&group[start..end]), at));
                start = end + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.retain(|(name, _)| !name.is_empty());
    found
}

#[test]
fn modules_import_from_their_left_only() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let own = module(&path);
        if own == "lib" {
            continue;
        }
        let Some(place) = ORDER.iter().position(|&name| name == own) else {
            wrong.push(format!(
                "{}: module {own} has no place in the order",
                path.display()
            ));
            continue;
        };
        for (name, at) in imports(&code) {
            if !ORDER[..=place].contains(&name.as_str()) {
                let line = line(&code, at);
                wrong.push(format!(
                    "{}:{line}: {own} uses crate::{name}",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wgpu_stays_in_three_modules() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let own = module(&path);
        for at in words(&code, "wgpu") {
            let exported = own == "lib" && code[..at].trim_end().ends_with("pub use");
            if !exported && !WGPU.contains(&own.as_str()) {
                wrong.push(format!("{}:{}", path.display(), line(&code, at)));
            }
        }
    }
    assert!(wrong.is_empty(), "wgpu is named in {}", wrong.join(", "));
}

/// What several folders need is a package of its own.
#[test]
fn no_module_is_named_by_its_path() {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "cases", "lab"] {
        let files = below(folder);
        assert!(!files.is_empty(), "no files in {folder}");
        for (path, code) in files {
            for (at, _) in code.match_indices("#[path") {
                found.push(format!("{}:{}", path.display(), line(&code, at)));
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn there_is_one_macro() {
    let mut found = Vec::new();
    for (path, code) in sources() {
        for at in words(&code, "macro_rules") {
            found.push(format!("{}:{}", path.display(), line(&code, at)));
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn unsafe_code_lies_in_one_file_of_gpu() {
    let mut files = Vec::new();
    for (path, code) in sources() {
        if words(&code, "unsafe").next().is_some() {
            assert_eq!(module(&path), "gpu", "{} has unsafe code", path.display());
            files.push(path);
        }
    }
    assert!(files.len() <= 1, "unsafe code in {files:?}");
}

/// A file of more than 500 lines answers for it in `ARCHITECTURE.md`, and none is listed that does
/// not need to.
#[test]
fn long_files_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("## Files beyond 500 lines").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let listed: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut long = Vec::new();
    for path in sources().into_keys() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > 500 {
            let name = path.strip_prefix(root.join("src")).unwrap();
            long.push(name.display().to_string().replace('\\', "/"));
        }
    }
    assert_eq!(listed, long);
}

#[test]
fn the_scanner_sees_code_and_nothing_else() {
    let text = r##"
        use crate::a::b; // crate::no
        /* unsafe */ let s = "unsafe \" no"; let c = '"'; let l: &'static str = r#"crate::"no"#;
        pub(crate) use crate::{c::{d, e}, f};
        unsafe_code; x.unsafely
    "##;
    let code = code(text);
    let names: Vec<String> = imports(&code).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "c", "f"]);
    assert_eq!(words(&code, "unsafe").count(), 0, "{code}");
    assert_eq!(line(&code, code.find("pub").unwrap()), 4);
    assert!(!code.contains("no"), "{code}");
    assert!(code.contains("'static str ="), "{code}");
}
