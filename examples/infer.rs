//! Says which digit a picture shows, by a network that `mnist --save` has trained:
//! `cargo run --release --example infer -- lenet5.safetensors digit.pgm`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use striate::data::digits_range;
use striate::data::idx::read_images;
use striate::interop::{ModelCard, load_parameters};
use striate::models::lenet5;
use striate::nn::{Build, Module};
use striate::prelude::*;

/// Rows and columns of a picture.
const SIDE: usize = 28;

/// Mean and deviation of MNIST's training pixels, 0 to 1, for files that do not tell theirs.
const MNIST: [f64; 2] = [0.1307, 0.3081];

/// Prints what LeNet-5 takes a picture for.
#[derive(Parser)]
struct Args {
    /// Safetensors file that `mnist --save` has written
    weights: PathBuf,
    /// A grey picture of 28x28 pixels, white on black: PGM (P5), or IDX as MNIST's files, also
    /// gzipped; default the digits that the library draws
    picture: Option<PathBuf>,
    /// Which picture of a file of several
    #[arg(long, value_name = "N", default_value_t = 0)]
    number: usize,
}

fn run(args: &Args) -> Result<()> {
    // What the trainer took off its pixels, and by what it divided them, stands in its file.
    let [mean, deviation] = match ModelCard::load(&args.weights)? {
        Some(card) => {
            let own = card.normalise()?;
            [own.means()[0] / 255.0, own.deviations()[0] / 255.0]
        }
        None => MNIST,
    };
    let pixels = match &args.picture {
        Some(path) => read_picture(path, args.number)?,
        None => drawn(args.number)?,
    };

    // The network of one picture, for evaluation: without loss or gradients.
    let mut g = Graph::new();
    let x = g.input("picture", Type::f32([1, 1, SIDE, SIDE]))?;
    let logits = lenet5(10).build(&mut Build::eval(&mut g), x)?;
    let shares = g.softmax(logits, 1)?;

    let engine = Engine::new()?;
    let store = Store::new(&engine, &[&g], 0)?;
    load_parameters(&args.weights, &store)?;
    print_picture(&pixels);
    println!("on {}", engine.describe());
    let mut session = Session::new(&store, &g, &[shares])?;

    let scaled = |&pixel: &u8| ((f64::from(pixel) / 255.0 - mean) / deviation) as f32;
    let scaled = pixels.iter().map(scaled).collect();
    session.write(x, &Tensor::f32([1, 1, SIDE, SIDE], scaled)?)?;
    session.run(1)?;
    for (class, &share) in session.read(shares)?.as_f32()?.iter().enumerate() {
        let bar = "#".repeat((40.0 * share).round() as usize);
        let line = format!("{class}  {:6.2} %  {bar}", 100.0 * share);
        println!("{}", line.trim_end());
    }
    Ok(())
}

/// A digit that the trainer has not seen.
fn drawn(number: usize) -> Result<Vec<u8>> {
    let Some(end) = number.checked_add(1) else {
        let message = format!("--number {number}: numbers end before");
        return Err(Error::new(ErrorKind::Data, message));
    };
    Ok(digits_range(number..end, 3)?.images)
}

/// Picture `number` of a file, row by row.
fn read_picture(path: &Path, number: usize) -> Result<Vec<u8>> {
    let wrong = |message: String| {
        let message = format!("{}: {message}", path.display());
        Err(Error::new(ErrorKind::Data, message))
    };
    // As much as a PGM of this size may take; what else a file holds, IDX's reader looks at.
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut bytes));
    file.map_err(|e| {
        let message = format!("{}: cannot be read: {e}", path.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })?;
    let (count, height, width, pixels) = match pgm(&bytes) {
        Some((height, width, pixels)) => (1, height, width, pixels.to_vec()),
        None if bytes.starts_with(b"P5") => {
            return wrong("no PGM of 8 bits a pixel, P5 WIDTH HEIGHT 255 and the pixels".into());
        }
        None => {
            let set = read_images(path)?;
            (set.count, set.height, set.width, set.pixels)
        }
    };
    if [height, width] != [SIDE, SIDE] {
        return wrong(format!("{width}x{height} pixels, 28x28 are needed"));
    }
    if number >= count {
        return wrong(format!("--number {number}: it holds {count} pictures"));
    }
    Ok(pixels[number * SIDE * SIDE..][..SIDE * SIDE].to_vec())
}

/// Height, width and pixels of a binary PGM of 8 bits a pixel.
fn pgm(bytes: &[u8]) -> Option<(usize, usize, &[u8])> {
    let mut rest = bytes.strip_prefix(b"P5")?;
    let mut numbers = [0usize; 3];
    for number in &mut numbers {
        rest = rest.trim_ascii_start();
        while rest.starts_with(b"#") {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            rest = rest[end..].trim_ascii_start();
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        rest = &rest[digits..];
    }
    let [width, height, most] = numbers;
    // One white space ends the header.
    let pixels = rest.get(1..)?.get(..height.checked_mul(width)?)?;
    (most == 255).then_some((height, width, pixels))
}

/// The picture in characters, two a pixel.
fn print_picture(pixels: &[u8]) {
    for row in pixels.chunks(SIDE) {
        let shade = |&pixel: &u8| ["  ", "..", "++", "##"][usize::from(pixel / 64)];
        let row: String = row.iter().map(shade).collect();
        if !row.trim().is_empty() {
            println!("{}", row.trim_end());
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
