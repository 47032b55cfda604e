//! Classic image filters as a fixed convolution, on the host's textures:
//! `cargo run --release --features images --example filter -- sharpen --picture photo.png`.
//!
//! A picture goes into a texture, as a renderer or a camera would leave it there. The network reads
//! that texture, and writes another: nothing passes through the CPU in between.

mod matrices;
mod texture;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use image::{DynamicImage, ImageFormat, RgbaImage};
use matrices::{Filter, Name};
use striate::interop::{expect_replaceable, replace_file};
use striate::kernel::TexelFormat;
use striate::ops::{Conv2d, Texels, TextureInput, TextureOutput};
use striate::prelude::*;
use striate::shape::PaddingMode;

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Filters a picture by a matrix over each pixel and its neighbours
#[derive(Parser)]
struct Args {
    /// Which filter; --matrix takes one of your own
    #[arg(
        value_enum,
        required_unless_present = "matrix",
        conflicts_with = "matrix"
    )]
    filter: Option<Name>,
    /// A matrix of your own, its numbers row by row: "0 -1 0 -1 5 -1 0 -1 0"
    #[arg(long, value_name = "NUMBERS", value_parser = Filter::parse)]
    matrix: Option<Filter>,
    /// Side of the square of `box` and `gaussian`; default 3
    #[arg(long, value_parser = odd)]
    side: Option<usize>,
    /// What lies beyond the edges
    #[arg(long, value_enum, default_value = "reflect")]
    padding: Padding,
    /// The picture (png, jpeg, webp); without it, one is drawn
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Where the result goes (png, jpeg, webp)
    #[arg(long, value_name = "FILE", default_value = "filtered.png")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Padding {
    /// Black
    Zeros,
    /// The picture mirrored
    Reflect,
    /// The pixel at the edge again
    Replicate,
}

fn odd(text: &str) -> std::result::Result<usize, String> {
    match text.parse::<usize>() {
        Ok(side) if side % 2 == 1 && side <= 31 => Ok(side),
        _ => Err("an odd number up to 31 is needed".to_owned()),
    }
}

/// A graph from the texture `picture` to the texture `filtered`, both of `size` (height, width).
fn graph(filter: &Filter, padding: Padding, size: [usize; 2]) -> Result<(Graph, Value, Value)> {
    let mut g = Graph::new();
    let picture = g.texture("picture", size)?;
    let x = g.texture_input(&[picture], &TextureInput::new(size).read(Texels::rgb()))?;
    let reach = (filter.side / 2) as isize;
    let mode = match padding {
        Padding::Zeros => PaddingMode::Zeros,
        Padding::Reflect => PaddingMode::Reflect,
        Padding::Replicate => PaddingMode::Replicate,
    };
    let x = g.pad(x, &[reach; 4], mode)?;

    // The same matrix for red, green and blue, each by itself.
    let mut results = Vec::new();
    for matrix in &filter.matrices {
        let shape = [3, 1, filter.side, filter.side];
        let weight = g.constant(Tensor::f32(shape, matrix.repeat(3))?)?;
        results.push(g.conv2d(x, weight, None, Conv2d::new().groups(3))?);
    }
    let mut y = results[0];
    if let [across, down] = results[..] {
        let (a, b) = (g.mul(across, across)?, g.mul(down, down)?);
        let squares = g.add(a, b)?;
        y = g.sqrt(squares)?;
    }
    let offset = g.constant(Tensor::scalar(filter.offset))?;
    let y = g.add(y, offset)?;
    let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, size);
    let filtered = g.texture_output("filtered", y, &settings)?;
    Ok((g, picture, filtered))
}

/// Filters RGBA bytes of `size` (height, width) on `engine`.
fn run(
    engine: &Engine,
    filter: &Filter,
    padding: Padding,
    size: [usize; 2],
    bytes: &[u8],
) -> Outcome<Vec<u8>> {
    let (g, picture, filtered) = graph(filter, padding, size)?;
    let store = Store::new(engine, &[&g], 0)?;
    let mut session = Session::new(&store, &g, &[])?;
    match engine {
        Engine::Gpu(gpu) => {
            // These stand for the host's: what it has drawn, and where it wants the result.
            let from = texture::with_bytes(gpu, size, bytes)?;
            let to = texture::empty(gpu, size)?;
            session.bind_texture(picture, &from.create_view(&Default::default()))?;
            session.bind_texture(filtered, &to.create_view(&Default::default()))?;
            session.run(1)?;
            texture::bytes_of(gpu, &to)
        }
        // The CPU reference has no textures; their texels are written and read.
        Engine::Cpu { .. } => {
            let texels = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            session.write(picture, &Tensor::f32([size[0], size[1], 4], texels)?)?;
            session.run(1)?;
            let texels = session.read(filtered)?;
            let byte = |&x: &f32| (x * 255.0).round() as u8;
            Ok(texels.as_f32()?.iter().map(byte).collect())
        }
    }
}

/// A picture of edges in all directions: rings over a checkered slope.
fn drawn() -> RgbaImage {
    RgbaImage::from_fn(256, 192, |x, y| {
        let (dx, dy) = (x as f32 - 128.0, y as f32 - 96.0);
        let ring = (dx.hypot(dy) / 9.0).sin() > 0.0 && dx.hypot(dy) < 80.0;
        let checker = (x / 32 + y / 32) % 2 * 64;
        let light = |c: u32| if ring { 230 - c as u8 / 2 } else { c as u8 };
        image::Rgba([
            light(x / 2 + checker),
            light(y / 2 + checker),
            light(checker),
            255,
        ])
    })
}

/// The filter that the arguments name.
fn chosen(args: &Args) -> Outcome<Filter> {
    let means = [Some(Name::Box), Some(Name::Gaussian)].contains(&args.filter);
    if args.side.is_some() && !means {
        return Err("--side: only `box` and `gaussian` have sides to choose".into());
    }
    Ok(match &args.matrix {
        Some(matrix) => matrix.clone(),
        None => Filter::named(
            args.filter.unwrap_or(Name::Identity),
            args.side.unwrap_or(3),
        ),
    })
}

/// How a file of this name holds a picture.
fn format(path: &Path) -> Outcome<ImageFormat> {
    match ImageFormat::from_path(path) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => Ok(format),
        _ => Err(format!("{}: no name of a png, jpeg or webp", path.display()).into()),
    }
}

/// The bytes of a file of the picture.
fn encoded(picture: RgbaImage, format: ImageFormat) -> Outcome<Vec<u8>> {
    let mut picture = DynamicImage::from(picture);
    // Jpeg knows no transparency.
    if format == ImageFormat::Jpeg {
        picture = picture.to_rgb8().into();
    }
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

fn work(args: &Args) -> Outcome<()> {
    let filter = chosen(args)?;
    let format = format(&args.out)?;
    expect_replaceable(&args.out)?;
    let picture = match &args.picture {
        Some(path) => {
            let opened = image::open(path);
            opened
                .map_err(|error| format!("{}: {error}", path.display()))?
                .to_rgba8()
        }
        None => drawn(),
    };
    let size = [picture.height() as usize, picture.width() as usize];
    let engine = Engine::new()?;
    println!("{} x {} pixels on {}", size[1], size[0], engine.describe());
    let bytes = run(&engine, &filter, args.padding, size, picture.as_raw())?;
    let (width, height) = picture.dimensions();
    let filtered = RgbaImage::from_raw(width, height, bytes);
    let filtered = filtered.ok_or("the texture has another size than the picture")?;
    // All of it or nothing: the picture itself may be what is replaced.
    replace_file(&args.out, &encoded(filtered, format)?)?;
    println!("written to {}", args.out.display());
    Ok(())
}

fn main() -> ExitCode {
    match work(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
