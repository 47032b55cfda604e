//! The shader lab: lines of several runs are merged into one page, wrong ones are named, kernels
//! are found and translated.

use std::path::Path;

use approx::assert_relative_eq;
use striate::error::ErrorKind;
use striate::kernel::Kernel;
use striate::ops::kernels;
use striate_lab::page::lines::{self, Line, parse};
use striate_lab::page::merge::{Lab, Regret, geometric_mean};
use striate_lab::page::page;
use striate_lab::translate::{Added, Language, Translated};
use striate_lab::translation;

/// A machine with two back ends: the rules choose the slower variant of the product through Vulkan.
const HERE: &str = include_str!("data/here.jsonl");

/// Another machine, and a peer there and one here, which know little.
const THERE: &str = include_str!("data/there.jsonl");

fn lab(texts: &[&str]) -> Lab {
    let lines: Vec<Line> = texts
        .iter()
        .flat_map(|text| parse(text, "test").unwrap())
        .collect();
    Lab::new(lines)
}

fn column(lab: &Lab, label: &str) -> usize {
    let labels: Vec<&str> = lab
        .columns
        .iter()
        .map(|column| column.label.as_str())
        .collect();
    labels
        .iter()
        .position(|&other| other == label)
        .unwrap_or_else(|| panic!("{label} is not among {labels:?}"))
}

#[test]
fn runs_of_several_machines_are_merged() {
    let lab = lab(&[HERE, THERE]);
    let labels: Vec<&str> = lab
        .columns
        .iter()
        .map(|column| column.label.as_str())
        .collect();
    let wanted = [
        "NVIDIA H200, vulkan",
        "llvmpipe, gl",
        "llvmpipe, vulkan",
        "burn, llvmpipe, vulkan",
        "pytorch, NVIDIA H200, cuda",
    ];
    assert_eq!(labels, wanted);
    let names: Vec<&str> = lab.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["matmul/64x64x64", "relu/64"]);
    assert_eq!(lab.replaced, 0);
    let product = &lab.cases[0];
    let shown = |label: &str| product.shown(column(&lab, label)).unwrap();
    assert_eq!(shown("llvmpipe, vulkan").variant, "registers");
    assert_eq!(shown("llvmpipe, vulkan").roofline, Some(0.5));
    assert!(lab.cases[1].shown(column(&lab, "llvmpipe, gl")).is_none());

    // What lines lack follows from the case's work, 20 MFLOP and 2 MB, and the peaks of their
    // adapter.
    let gl = &product.cells[column(&lab, "llvmpipe, gl")][1];
    assert_relative_eq!(gl.gflops.unwrap(), 20.0 / 6.0, max_relative = 1e-12);
    assert_relative_eq!(gl.gbps.unwrap(), 2.0 / 6.0, max_relative = 1e-12);
    assert_relative_eq!(
        gl.roofline.unwrap(),
        20.0 / 30.0 / 6.0,
        max_relative = 1e-12
    );
    let burn = shown("burn, llvmpipe, vulkan");
    assert_relative_eq!(burn.gflops.unwrap(), 2.5, max_relative = 1e-12);
    // The highest peaks of either back end: 30 GFLOP/s and 8 GB/s.
    assert_relative_eq!(
        burn.roofline.unwrap(),
        20.0 / 30.0 / 8.0,
        max_relative = 1e-12
    );

    let own = column(&lab, "llvmpipe, vulkan");
    assert_eq!(
        lab.against(own, column(&lab, "burn, llvmpipe, vulkan")),
        [("matmul/64x64x64", 4.0)]
    );
}

#[test]
fn machines_with_adapters_of_one_name_are_told_apart() {
    let file = std::env::temp_dir().join(format!("striate=lab-{}.jsonl", std::process::id()));
    std::fs::write(&file, HERE).unwrap();
    let with_name = |name: &str| {
        let mut argument = std::ffi::OsString::from(name);
        argument.push(&file);
        lines::read(Path::new(&argument)).unwrap()
    };
    assert!(with_name("").iter().all(|line| line.machine.is_empty()));
    let named = [with_name("desk="), with_name("shelf=")].concat();
    std::fs::remove_file(&file).unwrap();
    let lab = Lab::new(named);
    let desk = column(&lab, "llvmpipe, desk, vulkan");
    let shelf = column(&lab, "llvmpipe, shelf, vulkan");
    assert_eq!(lab.replaced, 0);
    assert_eq!(lab.columns[desk].lines, lab.columns[shelf].lines);
    let page = page(&lab);
    assert!(page.contains("llvmpipe (LLVM 15, &lt;256&gt; bits), desk"));
    assert!(page.contains("Roofline of llvmpipe (LLVM 15, &lt;256&gt; bits), shelf"));

    let missing = lines::read(Path::new("desk=nowhere.jsonl"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("nowhere.jsonl") && !missing.contains("desk"),
        "{missing}"
    );
}

/// What rounds factors is measured and shown, but no choice is held against it.
#[test]
fn no_choice_is_held_against_what_rounds_to_halves() {
    let line = |words: &str| HERE.lines().find(|line| line.contains(words)).unwrap();
    let rounded = line("\"ms\":1.6").replace("shared", "cooperative-large");
    let rounded = rounded.replace("\"ms\":1.6", "\"ms\":0.1");
    let both = lab(&[HERE, &rounded]);
    let vulkan = column(&both, "llvmpipe, vulkan");
    assert_eq!(both.cases[0].cells[vulkan].len(), 3);
    assert_relative_eq!(both.regrets(vulkan)[0].ratio(), 1.25);
    let alone = lab(&[line("\"ms\":2.0"), &rounded]);
    assert!(alone.regrets(column(&alone, "llvmpipe, vulkan")).is_empty());
}

#[test]
fn choices_are_held_against_the_best_variant() {
    let lab = lab(&[HERE, THERE]);
    let regrets = lab.regrets(column(&lab, "llvmpipe, vulkan"));
    // There was no choice for relu.
    assert_eq!(regrets.len(), 1);
    assert_eq!(
        (
            regrets[0].chosen.variant.as_str(),
            regrets[0].best.variant.as_str()
        ),
        ("registers", "shared")
    );
    assert_relative_eq!(regrets[0].ratio(), 1.25);
    let wrong = &lab.cases[1];
    assert!(wrong.shown(column(&lab, "llvmpipe, vulkan")).is_none());
    let gl: Vec<f64> = lab
        .regrets(column(&lab, "llvmpipe, gl"))
        .iter()
        .map(Regret::ratio)
        .collect();
    assert_eq!(gl, [1.0]);
    assert!(lab.regrets(column(&lab, "NVIDIA H200, vulkan")).is_empty());
    assert_relative_eq!(
        geometric_mean([1.25, 1.0, 2.0]).unwrap(),
        2.5f64.cbrt(),
        max_relative = 1e-12
    );
    assert_eq!(geometric_mean([]), None);
}

#[test]
fn the_later_day_counts() {
    let line = |ms: f64, date: &str| {
        let case = r#""case":"relu/64","variant":"registers","chosen":true"#;
        format!(r#"{{{case},"adapter":"a","backend":"gl","ms":{ms}{date}}}"#)
    };
    let on = |day: &str| format!(r#","date":"2026-11-{day}""#);
    for (texts, wanted) in [
        ([line(1.0, &on("22")), line(2.0, &on("21"))], 1.0),
        ([line(1.0, &on("21")), line(2.0, &on("22"))], 2.0),
        ([line(1.0, &on("21")), line(2.0, &on("21"))], 2.0),
        ([line(1.0, &on("21")), line(2.0, "")], 1.0),
        ([line(1.0, ""), line(2.0, &on("21"))], 2.0),
        // Variants of another day are not compared.
        (
            [
                line(1.0, &on("21")),
                line(2.0, &on("22")).replace("registers", "shared"),
            ],
            2.0,
        ),
    ] {
        let lab = lab(&[&texts[0], &texts[1]]);
        assert_eq!(lab.replaced, 1, "{texts:?}");
        assert_eq!(lab.columns[0].lines, 1);
        assert_eq!(lab.cases[0].shown(0).unwrap().ms, wanted, "{texts:?}");
    }
    let beside = line(1.0, "").replace("registers", "shared");
    assert_eq!(lab(&[&line(1.0, ""), &beside]).replaced, 0);
    // Another driver, or shaders with checks, are another column.
    let checked = line(1.0, r#","checked":true"#);
    let driver = line(1.0, r#","driver":"other""#);
    let lab = lab(&[&line(1.0, ""), &checked, &driver]);
    let labels: Vec<&str> = lab
        .columns
        .iter()
        .map(|column| column.label.as_str())
        .collect();
    assert_eq!(
        labels,
        ["a, gl, driver unknown", "a, gl, checked", "a, gl, other"]
    );
}

#[test]
fn wrong_lines_are_named_by_file_and_line() {
    let good = r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":1.5}"#;
    let cases = [
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a"}"#,
            ":3:54: missing field `ms`",
        ),
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":"1.5"}"#,
            "invalid type: string \"1.5\", expected f64",
        ),
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":1.5"#,
            "EOF while parsing an object",
        ),
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":NaN}"#,
            "expected value",
        ),
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":0}"#,
            ":3: `ms` is 0, a time is above 0",
        ),
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":1,"peak_gbps":-2}"#,
            ":3: `peak_gbps` is -2, below 0",
        ),
        (
            r#"{"case":"","variant":"registers","adapter":"a","ms":1}"#,
            ":3: `case` is empty",
        ),
        (
            r#"{"case":"relu/64","variant":"registers","adapter":"a","ms":1,"date":"21.11.2026"}"#,
            ":3: `date` is \"21.11.2026\"",
        ),
        ("case,ms", "expected value"),
    ];
    for (bad, words) in cases {
        let error = parse(&format!("{good}\n\n{bad}\n{good}\n"), "runs/b.json").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        let message = error.to_string();
        assert!(
            message.starts_with("runs/b.json:3:") && message.contains(words),
            "{message:?} lacks {words:?}"
        );
        assert!(!message.contains("at line"), "{message:?}");
    }
    assert_eq!(parse(&format!("{good}\r\n\n"), "a").unwrap().len(), 1);
    assert!(
        parse("\n", "runs/b.json")
            .unwrap_err()
            .to_string()
            .contains("runs/b.json: there are no lines")
    );
    let error = lines::read(Path::new("no/such.json")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("no/such.json"));
}

#[test]
fn the_page_holds_everything_and_needs_nothing() {
    let text = page(&lab(&[HERE, THERE]));
    for wanted in [
        "<title>striate: shader lab</title>",
        "measured from 2026-11-21 to 2026-11-22",
        "llvmpipe (LLVM 15, &lt;256&gt; bits)",
        "NVIDIA 570",
        "aria-label=\"Roofline of NVIDIA H200\"",
        "aria-label=\"Roofline of llvmpipe (LLVM 15, &lt;256&gt; bits)\"",
        "<dt>Geometric mean</dt><dd>1.250×</dd>",
        "title=\"7 of 64 elements are wrong\"",
        "pytorch, NVIDIA H200, cuda",
    ] {
        assert!(text.contains(wanted), "the page lacks {wanted:?}");
    }
    // Nothing is fetched, and nothing of the input is markup.
    for unwanted in [
        "http:", "https:", "src=", "url(", "@import", "<link", "<256>", "NaN<", "inf<",
    ] {
        assert!(!text.contains(unwanted), "the page has {unwanted:?}");
    }
    assert_eq!(text.matches("<polyline").count(), 3);
    assert_eq!(
        text.matches("<tr data-case=\"matmul/64x64x64\" data-col=")
            .count(),
        7
    );
    // Wrong results stand in the table alone.
    assert_eq!(text.matches("class=\"row ").count(), 5);
    for tag in [
        "section", "article", "table", "tr", "td", "svg", "figure", "details", "span", "div",
    ] {
        let opened =
            text.matches(&format!("<{tag} ")).count() + text.matches(&format!("<{tag}>")).count();
        assert_eq!(
            opened,
            text.matches(&format!("</{tag}>")).count(),
            "<{tag}>"
        );
    }
}

#[test]
fn lines_without_work_or_peaks_make_a_page() {
    let line =
        r#"{"case":"lenet5/b128","variant":"registers","chosen":true,"adapter":"a","ms":15.8}"#;
    let text = page(&lab(&[line]));
    assert!(text.contains("lenet5/b128") && text.contains("15.8 ms"));
    assert!(!text.contains("<svg"));
}

const ADDED: Added = Added {
    checks: false,
    zeros: false,
};

fn kernel(name: &str) -> Kernel {
    translation::find(&kernels(), name).unwrap().clone()
}

#[test]
fn kernels_are_translated_with_their_overrides() {
    let kernel = kernel("unary");
    let text = |language, given: &[(String, u32)], added| {
        let translated = translation::translated(&kernel, language, given, added).unwrap();
        translation::text(&kernel, given, &translated).unwrap()
    };
    let wide = [("workgroup_size".to_owned(), 32)];
    for (language, begins, words, size) in [
        (
            Language::SpirV,
            "; unary ",
            "OpEntryPoint GLCompute",
            "LocalSize 32 1 1",
        ),
        (Language::Msl, "// unary ", "kernel void main_", ""),
        (
            Language::Hlsl,
            "// unary ",
            "RWByteAddressBuffer",
            "[numthreads(32, 1, 1)]",
        ),
        (
            Language::Glsl,
            "#version 310 es\n// unary ",
            "void main()",
            "local_size_x = 32",
        ),
    ] {
        let plain = text(language, &[], ADDED);
        assert!(plain.starts_with(begins), "{}", &plain[..80]);
        assert!(plain.contains(words));
        let given = text(language, &wide, ADDED);
        assert!(
            given.contains(size)
                && given
                    .lines()
                    .take(2)
                    .any(|line| line.ends_with("workgroup_size=32"))
        );
        assert_ne!(plain, given);
    }
    let checked = Added {
        checks: true,
        zeros: false,
    };
    assert_ne!(
        text(Language::Msl, &[], ADDED),
        text(Language::Msl, &[], checked)
    );
    let words = translation::translated(&kernel, Language::SpirV, &[], ADDED).unwrap();
    assert!(matches!(words, Translated::Words(words) if words[0] == 0x0723_0203));
}

#[test]
fn cooperative_matrices_are_translated_where_there_are_some() {
    let kernel = kernel("matmul_cooperative_16");
    let to = |language| translation::translated(&kernel, language, &[], ADDED);
    for (language, word) in [
        (Language::SpirV, "OpCooperativeMatrixMulAddKHR"),
        (Language::Msl, "simdgroup_multiply_accumulate"),
    ] {
        let text = translation::text(&kernel, &[], &to(language).unwrap()).unwrap();
        assert!(text.contains(word), "{language:?}");
    }
    for language in [Language::Hlsl, Language::Glsl] {
        let error = to(language).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shader);
        assert!(
            error.to_string().contains("cooperative matrices"),
            "{error}"
        );
    }
}

#[test]
fn unknown_names_are_answered_with_near_ones() {
    let message = |name: &str| translation::find(&kernels(), name).unwrap_err().to_string();
    assert!(
        message("unray").contains("near it: unary"),
        "{}",
        message("unray")
    );
    assert!(
        message("matmul").contains("matmul_shared"),
        "{}",
        message("matmul")
    );
    assert!(!message("%").contains("near"), "{}", message("%"));
    let kernel = kernel("unary");
    let given = [("workgroup_sise".to_owned(), 64)];
    let error = translation::translated(&kernel, Language::Msl, &given, ADDED).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = error.to_string();
    assert!(
        message.contains("unary: no override \"workgroup_sise\"; near it: workgroup_size"),
        "{message}"
    );
    let list = translation::list(&kernels());
    assert!(
        kernels()
            .iter()
            .all(|kernel| list.lines().any(|line| line == kernel.name))
    );
}
