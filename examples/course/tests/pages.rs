//! The pages of the course say what its program prints and draws.

use std::fs;
use std::path::Path;

use striate::ops::{Conv2d, MaxPool2d};
use striate::prelude::*;
use striate_course::{CHAPTERS, Page};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/course");
    let path = path.join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Width and height, which stand in the first chunk of a PNG file.
fn size_of_png(path: &Path) -> [usize; 2] {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize)
}

#[test]
fn pages_hold_what_the_program_makes() {
    let engine = Engine::new().unwrap();
    let index = read("README.md");
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/course/pictures");
    for (name, chapter) in CHAPTERS {
        let mut page = Page::new(&engine);
        chapter(&mut page).unwrap();
        let file = format!("{name}.md");
        let text = read(&file);
        assert!(
            index.contains(&format!("]({file})")),
            "{file} is not listed"
        );
        let command = format!("-p striate-course -- {name}\n");
        assert!(text.contains(&command), "{file} has no command");
        let block = format!("```text\n{}```\n", page.text);
        assert!(text.contains(&block), "{file} does not hold\n{}", page.text);
        for (picture, drawn) in &page.pictures {
            let link = format!("](pictures/{picture})");
            assert!(text.contains(&link), "{file} does not show {picture}");
            let size = size_of_png(&pictures.join(picture));
            assert_eq!(size, [drawn.width(), drawn.height()], "{picture}");
        }
    }
}

/// Extents of what a layer makes of x `[n, c, h, w]`.
fn layer(x: [usize; 4], filters: usize, kernel: usize, conv: Conv2d) -> Vec<usize> {
    let mut g = Graph::new();
    let weight = [filters, x[1], kernel, kernel];
    let x = g.input("x", Type::f32(x)).unwrap();
    let w = g.input("w", Type::f32(weight)).unwrap();
    let y = g.conv2d(x, w, None, conv).unwrap();
    g.shape(y).unwrap().to_vec()
}

#[test]
fn answers_are_right() {
    let plain = Conv2d::new();
    assert_eq!(layer([1, 3, 20, 20], 16, 5, plain), [1, 16, 16, 16]);
    assert!(read("channels.md").contains("1. 16 x 16 x 16.\n"));
    assert_eq!(layer([1, 1, 28, 28], 1, 5, plain), [1, 1, 24, 24]);
    let halved = Conv2d::new().padding(3).stride(2);
    assert_eq!(layer([1, 3, 224, 224], 64, 7, halved), [1, 64, 112, 112]);
    let same = Conv2d::new().padding(3);
    assert_eq!(layer([1, 1, 30, 30], 1, 7, same), [1, 1, 30, 30]);
    let sizes = read("sizes.md");
    for answer in ["1. 24 x 24.\n", "= 112: 112 x 112.\n", "3. 3.\n"] {
        assert!(sizes.contains(answer), "{answer}");
    }
    // What five layers of 3 x 3 leave of 11 pixels.
    let mut x = [1, 1, 11, 11];
    for _ in 0..5 {
        x = layer(x, 1, 3, plain).try_into().unwrap();
    }
    assert_eq!(x, [1, 1, 1, 1]);
    assert!(read("pooling.md").contains("3. 11 x 11.\n"));

    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 6, 24, 24])).unwrap();
    let y = g.max_pool(x, MaxPool2d::new(2)).unwrap();
    assert_eq!(g.shape(y).unwrap()[..], [1, 6, 12, 12]);
    assert!(read("pooling.md").contains("1. 12 x 12 x 6:"));

    let count = |bias: bool| {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 16, 9, 9])).unwrap();
        let conv = striate::nn::Conv2d::new(16, 32, 3).bias(bias);
        Build::train(&mut g).layer("conv", &conv, x).unwrap();
        let parameters = striate::train::parameters(&g);
        let counts = parameters.iter().map(|&own| g.ty(own).unwrap().count());
        counts.sum::<usize>()
    };
    assert_eq!((count(true), count(false)), (4640, 4608));
    let parameters = read("parameters.md");
    assert!(parameters.contains("* 32 = 4,640.\n2. 4,608.\n"));

    let weights = |channels: usize, out: usize, kernel: usize| {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, channels, 9, 9])).unwrap();
        let conv = striate::nn::Conv2d::new(channels, out, kernel).bias(false);
        Build::train(&mut g).layer("conv", &conv, x).unwrap();
        let parameters = striate::train::parameters(&g);
        let counts = parameters.iter().map(|&own| g.ty(own).unwrap().count());
        counts.sum::<usize>()
    };
    assert_eq!(2 * weights(64, 64, 3), 73_728);
    assert_eq!(weights(64, 64, 5), 102_400);
    assert_eq!(weights(192, 128, 3), 221_184);
    assert_eq!(weights(192, 96, 1) + weights(96, 128, 3), 129_024);
    let networks = read("networks.md");
    for answer in [
        "= 73,728, and",
        "= 102,400.\n",
        "= 221,184, ",
        "= 129,024.\n",
    ] {
        assert!(networks.contains(answer), "{answer}");
    }
    assert!(read("varying.md").contains("= 31,360, and 64 * 10 = 640.\n"));
    assert_eq!((7 * 7 * 64 * 10, 64 * 10), (31_360, 640));

    let mut g = Graph::new();
    let volume = g.input("x", Type::f32([1, 1, 16, 24, 24])).unwrap();
    let w = g.input("w", Type::f32([1, 1, 3, 3, 3])).unwrap();
    let y = g
        .conv3d(volume, w, None, striate::ops::Conv3d::new())
        .unwrap();
    assert_eq!(g.shape(y).unwrap()[..], [1, 1, 14, 22, 22]);
    let axes = read("axes.md");
    assert!(axes.contains("1. 14 x 22 x 22.\n") && axes.contains("3. 81.\n"));

    let (mean, variance) = (4.0, 5.0f64);
    let scaled = [1.0, 3.0, 5.0, 7.0].map(|x| format!("{:.4}", (x - mean) / variance.sqrt()));
    let normalisation = read("normalisation.md");
    assert!(normalisation.contains(&format!("Mean 4, variance 5: {}.\n", scaled.join(", "))));

    assert_eq!(format!("{:.4}", 10f64.ln()), "2.3026");
    assert!(read("classify.md").contains("= 2.3026.\n"));
}
