//! Draws the README's picture from a run of its own, as `examples/mnist` trains by default:
//! `cargo run --release --example picture -- data/mnist docs/pictures/mnist.svg "two CPU cores"`.
//!
//! On the left the loss of training and the test accuracy of each epoch, on the right the first
//! test images that the trained network takes for other digits.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use striate::data::{Dataset, load_dir};
use striate::models::lenet5;
use striate::nn::{Build, Module};
use striate::prelude::*;
use striate::train::{Adam, Classifier, ClassifierOptions, Optimizer, warmup_cosine};

const BATCH: usize = 64;
const EPOCHS: usize = 3;

/// Steps whose mean loss is one point of the curve.
const STRIDE: usize = 20;

/// Test images per step of the network that is asked about each of them.
const ASKED: usize = 500;

/// What a run told.
struct Told {
    device: String,
    /// Steps done, and the mean loss of those since the point before.
    losses: Vec<(usize, f64)>,
    /// Steps done, and the share of test images that were right.
    accuracies: Vec<(usize, f64)>,
    /// The class that the trained network gives to each test image.
    answers: Vec<u32>,
}

fn train(dir: &Path) -> Result<(Told, Dataset)> {
    let data = load_dir(dir)?;
    let engine = Engine::new()?;
    let steps = data.train.count.div_ceil(BATCH);
    let rates = warmup_cosine(0.003, steps / 2, steps * EPOCHS)?;
    let options = ClassifierOptions {
        batch: BATCH,
        optimizer: Optimizer::from(Adam::new()).schedule(rates),
        seed: 1,
        ..ClassifierOptions::default()
    };
    let mut classifier = Classifier::new(&engine, lenet5(10), &data, &options)?;
    let mut told = Told {
        device: engine.describe(),
        losses: Vec::new(),
        accuracies: Vec::new(),
        answers: Vec::new(),
    };
    for epoch in 0..EPOCHS {
        let mut done = 0;
        while done < steps {
            let now = STRIDE.min(steps - done);
            classifier.train(now)?;
            done += now;
            let loss = classifier.metrics()?.loss;
            told.losses.push((epoch * steps + done, loss));
        }
        let share = classifier.test()?;
        println!("epoch {}: test accuracy {:.2} %", epoch + 1, 100.0 * share);
        told.accuracies.push(((epoch + 1) * steps, share));
    }
    told.answers = answers(classifier.store(), &data.train, &data.test)?;
    Ok((told, data.test))
}

/// What the network in `store` says of each image of `test`; `train` tells how pixels are scaled.
fn answers(store: &Store, train: &Dataset, test: &Dataset) -> Result<Vec<u32>> {
    let shape = [ASKED, test.channels, test.height, test.width];
    let mut g = Graph::new();
    let x = g.input("pictures", Type::f32(shape))?;
    let logits = lenet5(10).build(&mut Build::eval(&mut g), x)?;
    let classes = g.argmax(logits, 1, false)?;
    let mut session = Session::new(store, &g, &[classes])?;

    let count = train.images.len() as f64;
    let sum: f64 = train.images.iter().map(|&p| f64::from(p)).sum();
    let squares: f64 = train.images.iter().map(|&p| f64::from(p).powi(2)).sum();
    let mean = sum / count;
    let deviation = (squares / count - mean * mean).sqrt();
    let size = test.channels * test.height * test.width;
    let mut answers = Vec::new();
    for pixels in test.images.chunks(ASKED * size) {
        let scaled = |&pixel: &u8| ((f64::from(pixel) - mean) / deviation) as f32;
        let mut scaled: Vec<f32> = pixels.iter().map(scaled).collect();
        scaled.resize(ASKED * size, 0.0);
        session.write(x, &Tensor::f32(shape, scaled)?)?;
        session.run(1)?;
        answers.extend(session.read(classes)?.as_u32()?);
    }
    answers.truncate(test.count);
    Ok(answers)
}

/// The drawing. Formatting into a string does not fail.
fn draw(told: &Told, test: &Dataset, machine: &str) -> String {
    let (width, height) = (960.0, 352.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#24292f\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n"
    );
    draw_curve(&mut svg, told);
    draw_wrong(&mut svg, told, test);
    let _ = writeln!(
        svg,
        "<text x=\"24\" y=\"338\" font-size=\"11\" fill=\"#57606a\">Measured on {}, {machine}; \
         seed 1</text>\n</svg>",
        escaped(&told.device)
    );
    svg
}

/// The loss on a logarithmic scale, and the accuracies where they were measured.
fn draw_curve(svg: &mut String, told: &Told) {
    let (left, right, top, bottom) = (64.0, 452.0, 60.0, 284.0);
    let (low, high) = (-2.5, 0.5);
    let end = told.losses.last().map_or(1, |&(step, _)| step) as f64;
    let across = |step: usize| left + (right - left) * step as f64 / end;
    let down = |loss: f64| {
        let at = (loss.max(1e-9).log10().clamp(low, high) - low) / (high - low);
        bottom - (bottom - top) * at
    };
    let _ = writeln!(
        svg,
        "<text x=\"24\" y=\"34\" font-size=\"16\" font-weight=\"600\">LeNet-5 on MNIST, \
         {EPOCHS} epochs of batches of {BATCH}</text>"
    );
    for (loss, name) in [(1.0, "1"), (0.1, "0.1"), (0.01, "0.01")] {
        let y = down(loss);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#d0d7de\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\" font-size=\"12\" fill=\"#57606a\">{name}</text>",
            left - 8.0,
            y + 4.0
        );
    }
    let mut line = String::new();
    for (index, &(step, loss)) in told.losses.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(line, "{command}{:.1} {:.1}", across(step), down(loss));
    }
    let _ = writeln!(
        svg,
        "<path d=\"{line}\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"1.5\" \
         stroke-linejoin=\"round\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#0969da\">loss, mean of {STRIDE} steps</text>",
        left,
        top - 6.0
    );
    for (epoch, &(step, share)) in told.accuracies.iter().enumerate() {
        let x = across(step);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#bc4c00\" stroke-dasharray=\"3 3\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#bc4c00\">{:.2} %</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"12\" \
             fill=\"#57606a\">epoch {}</text>",
            x - 5.0,
            top + 44.0,
            100.0 * share,
            bottom + 18.0,
            epoch + 1
        );
    }
    if let Some(&(step, _)) = told.accuracies.first() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"12\" \
             fill=\"#bc4c00\">test accuracy</text>",
            across(step) - 5.0,
            top + 59.0
        );
    }
}

/// The first test images that were taken for other digits, in rows of eight.
fn draw_wrong(svg: &mut String, told: &Told, test: &Dataset) {
    let pairs = test.labels.iter().zip(&told.answers).enumerate();
    let wrong: Vec<_> = pairs
        .filter(|(_, (label, answer))| label != answer)
        .collect();
    let (left, top, step, size) = (496.0, 52.0, 55.0, 44.0);
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"34\" font-size=\"16\" font-weight=\"600\">{} of {},{:03} \
         test digits it reads otherwise</text>",
        wrong.len(),
        test.count / 1000,
        test.count % 1000
    );
    for (place, (index, (label, answer))) in wrong.iter().take(32).enumerate() {
        let (x, y) = (
            left + step * (place % 8) as f64,
            top + 66.0 * (place / 8) as f64,
        );
        let scale = size / test.width as f64;
        let pixels = test.height * test.width;
        let image = &test.images[index * pixels..][..pixels];
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x} {y}) scale({scale:.4})\" shape-rendering=\"crispEdges\">\
             <rect width=\"{0}\" height=\"{1}\" fill=\"#0d1117\"/>",
            test.width, test.height
        );
        draw_image(svg, image, test.width);
        let _ = writeln!(
            svg,
            "</g><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">{label} \
             \u{2192} <tspan fill=\"#cf222e\">{answer}</tspan></text>",
            x + size / 2.0,
            y + size + 12.0
        );
    }
}

/// A grey image as one path for each of seven levels above black: runs of pixels, one pixel high.
fn draw_image(svg: &mut String, image: &[u8], width: usize) {
    for level in 1..=7u8 {
        let mut path = String::new();
        for (y, row) in image.chunks(width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a / 32 == b / 32) {
                if run[0] / 32 == level {
                    let length = run.len();
                    let _ = write!(path, "M{x} {y}h{length}v1h-{length}z");
                }
                x += run.len();
            }
        }
        if !path.is_empty() {
            let grey = u32::from(level) * 34 + 13;
            let _ = write!(
                svg,
                "<path fill=\"#{grey:02x}{grey:02x}{grey:02x}\" d=\"{path}\"/>"
            );
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, svg, machine] = &args[..] else {
        let usage = "picture DIRECTORY_OF_MNIST OUTPUT.svg WHERE_IT_WAS_MEASURED";
        return Err(Error::new(ErrorKind::Unsupported, usage));
    };
    let (told, test) = train(Path::new(dir))?;
    let drawing = draw(&told, &test, &escaped(machine));
    std::fs::write(svg, drawing).map_err(|e| {
        let message = format!("{svg}: cannot be written");
        Error::new(ErrorKind::Io, message).with_source(e)
    })?;
    println!("{svg}");
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
