//! What a trained network sees in a picture, as pictures:
//! `cargo run --release --features images --example look_inside -- MODEL.safetensors PICTURE`.
//!
//! Without a model, LeNet-5 first learns digits that the library draws.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use striate::data::{Fit, Palette, Picture, Split, digits, read_picture, write_picture};
use striate::inspect::{HeatMap, Inspector, MaximiseOptions};
use striate::models::lenet5;
use striate::prelude::*;
use striate::train::{Adam, Classifier, ClassifierOptions, Optimizer, warmup_cosine};

/// How often LeNet-5 sees its digits.
const EPOCHS: usize = 8;

/// Shows what a trained network sees in a picture
#[derive(Parser)]
struct Args {
    /// A file of `Classifier::save_model` (the example `classify` writes them); default LeNet-5,
    /// trained on digits for a few seconds
    model: Option<PathBuf>,
    /// A png, jpeg or webp; default a digit
    #[arg(requires = "model")]
    picture: Option<PathBuf>,
    /// The layer whose maps are shown; default the last that has maps
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The class that is explained, by name or number; default what the network says
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Where the pictures go
    #[arg(long, value_name = "DIR", default_value = "look_inside")]
    out: PathBuf,
    /// Steps towards each picture that excites a class
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, it goes on: it leaves files.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

/// The best adapter, or the CPU reference where there is none. That is slow, so it is said.
fn engine() -> Result<Engine> {
    let engine = Engine::new()?;
    if let Engine::Cpu { .. } = engine {
        let why = GpuOptions::default().no_adapter();
        // Nobody may be there to read it.
        let _ = writeln!(io::stderr(), "the CPU reference, which is slow: {why}");
    }
    Ok(engine)
}

/// LeNet-5 that has learnt digits, in a file; and a digit that it has not seen, in another.
fn train(engine: &Engine, out: &Path) -> Result<[PathBuf; 2]> {
    let (file, digit) = (out.join("lenet5.safetensors"), out.join("digit.png"));
    say("no model is given: LeNet-5 learns 4000 drawn digits first")?;
    let start = Instant::now();
    let data = Split {
        train: digits(4000, 1)?,
        test: digits(500, 2)?,
    };
    let steps = EPOCHS * data.train.count.div_ceil(64);
    let rates = warmup_cosine(0.005, steps / 10, steps)?;
    let options = ClassifierOptions {
        batch: 64,
        optimizer: Optimizer::new(Adam::new()).schedule(rates),
        ..ClassifierOptions::default()
    };
    let model = lenet5(10);
    let mut classifier = Classifier::new(engine, &model, &data, &options)?;
    classifier.train(steps)?;
    say(format!(
        "{:.1} % of digits that it has not seen are right, after {:.0} s",
        100.0 * classifier.test()?,
        start.elapsed().as_secs_f64()
    ))?;
    classifier.save_model(&file, &model, Fit::Pad)?;
    let four = data.test.labels.iter().position(|&label| label == 4);
    let pixels = &data.test.images[four.unwrap_or(0) * 784..][..784];
    write_picture(&digit, pixels, [1, 28, 28])?;
    Ok([file, digit])
}

/// Pictures that are written to a folder and said in one line each.
struct Album<'a> {
    dir: &'a Path,
    /// By how much pictures of the network's size are enlarged.
    times: usize,
    begun: Instant,
}

impl Album<'_> {
    fn add(&mut self, name: &str, picture: &Picture, what: &str) -> Result<()> {
        let file = self.dir.join(format!("{name}.png"));
        picture.write_png(&file)?;
        let seconds = self.begun.elapsed().as_secs_f64();
        say(format!("{seconds:5.1} s  {}: {what}", file.display()))?;
        self.begun = Instant::now();
        Ok(())
    }

    /// Grad-CAM's maps over the picture, others alone.
    fn draw(&self, name: &str, map: &HeatMap, pixels: &[u8], size: [usize; 3]) -> Result<Picture> {
        let drawn = match name.starts_with("grad_cam") {
            true => map.over(pixels, size, Palette::Inferno)?,
            false => map.picture(Palette::Inferno)?,
        };
        drawn.enlarged(self.times)
    }
}

/// The maps of a class, and what each shows.
const VIEWS: [(&str, &str); 6] = [
    ("saliency", "how much the score changes with each pixel"),
    ("smooth_grad", "the same, over 50 noisy copies"),
    (
        "integrated_gradients",
        "what each pixel adds to the score (red) or takes off (blue)",
    ),
    (
        "occlusion",
        "how much the score falls where the picture is covered (red)",
    ),
    ("grad_cam", "where the layer's maps speak for the class"),
    (
        "grad_cam_plus_plus",
        "the same with the weights of Grad-CAM++",
    ),
];

/// One of these maps.
fn view(
    name: &str,
    inspector: &mut Inspector,
    pixels: &[u8],
    class: usize,
    layer: &str,
) -> Result<HeatMap> {
    let [_, height, width] = inspector.input();
    let window = (height.min(width) / 5).max(1);
    Ok(match name {
        "saliency" => inspector.saliency(pixels, class)?.magnitude(),
        "smooth_grad" => inspector
            .smooth_grad(pixels, class, 50, 0.15, 1)?
            .magnitude(),
        "integrated_gradients" => {
            let black = vec![0; pixels.len()];
            let shares = inspector.integrated_gradients(pixels, class, 64, &black)?;
            shares.signed()
        }
        "occlusion" => inspector.occlusion(pixels, class, window, (window / 3).max(1))?,
        "grad_cam" => inspector.grad_cam(pixels, class, layer)?,
        _ => inspector.grad_cam_plus_plus(pixels, class, layer)?,
    })
}

fn run(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.out).map_err(|e| {
        let message = format!("{}: cannot be made: {e}", args.out.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })?;
    let engine = engine()?;
    let (model, picture) = match (&args.model, &args.picture) {
        (Some(model), Some(picture)) => (model.clone(), picture.clone()),
        (Some(_), None) => {
            let message = "a model needs a picture to look at; --help says more";
            return Err(Error::new(ErrorKind::Data, message));
        }
        _ => train(&engine, &args.out)?.into(),
    };
    let mut inspector = Inspector::load_on(&engine, &model)?;
    let size = inspector.input();
    let pixels = read_picture(&picture, size, inspector.fit())?;
    let scores = inspector.scores(&pixels)?;
    let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let class = match &args.class {
        Some(name) => inspector.class(name)?,
        None => best.unwrap_or(0),
    };
    let total: f32 = scores
        .iter()
        .map(|score| (score - scores[class]).exp())
        .sum();
    say(format!(
        "{}: \"{}\" with {:.1} %",
        picture.display(),
        inspector.class_name(class),
        100.0 / total
    ))?;
    let layer = match (&args.layer, inspector.last_maps()) {
        (Some(layer), _) => layer.clone(),
        (None, Some(last)) => last.name.clone(),
        (None, None) => {
            let message = "no layer of this network has maps";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    let mut album = Album {
        dir: &args.out,
        times: (224 / size[1].max(size[2])).max(1),
        begun: Instant::now(),
    };
    let first = inspector.layers().iter().map(|layer| layer.name.clone());
    let first = first
        .into_iter()
        .find(|name| inspector.filters(name).is_ok());
    if let Some(first) = first {
        let filters = inspector.filters(&first)?.picture(Palette::Viridis)?;
        album.add("filters", &filters, &format!("the filters of {first}"))?;
        let maps = inspector
            .feature_maps(&pixels, &first)?
            .picture(Palette::Viridis)?;
        album.add(
            "maps_first",
            &maps,
            &format!("what {first} makes of the picture"),
        )?;
    }
    let maps = inspector
        .feature_maps(&pixels, &layer)?
        .picture(Palette::Viridis)?;
    album.add(
        "maps_last",
        &maps,
        &format!("what {layer} makes of the picture"),
    )?;

    let shown = Picture::of_image(&pixels, size)?.enlarged(album.times)?;
    // Below, the same with random weights: a map that stays alike says nothing of what was learnt.
    let mut random = inspector.randomised(1)?;
    let (mut rows, mut below) = (vec![shown.clone()], vec![shown]);
    for (name, what) in VIEWS {
        let map = view(name, &mut inspector, &pixels, class, &layer)?;
        rows.push(album.draw(name, &map, &pixels, size)?);
        let other = view(name, &mut random, &pixels, class, &layer)?;
        below.push(album.draw(name, &other, &pixels, size)?);
        let alike = map.rank_correlation(&other)?;
        let what = format!("{what}; rank correlation with random weights {alike:.2}");
        album.add(name, &rows[rows.len() - 1], &what)?;
    }
    rows.append(&mut below);
    let columns = rows.len() / 2;
    let overview = Picture::grid(&rows, columns, 6)?;
    album.add(
        "overview",
        &overview,
        "all of these; below, those of random weights",
    )?;

    let last = inspector.layers().last().map(|layer| layer.name.clone());
    let last = last.unwrap_or_default();
    let options = MaximiseOptions {
        steps: args.steps as usize,
        ..MaximiseOptions::default()
    };
    let classes: Vec<usize> = (0..scores.len().min(10)).collect();
    let mut tiles = Vec::new();
    for &class in &classes {
        let found = inspector.maximise(&last, class, &options)?;
        say(format!(
            "         \"{}\": score {:.1} of noise, {:.1} of the picture made for it",
            inspector.class_name(class),
            found.before,
            found.after
        ))?;
        tiles.push(found.picture()?.enlarged((112 / size[1]).max(1))?);
    }
    let names: Vec<String> = classes
        .iter()
        .map(|&class| inspector.class_name(class))
        .collect();
    let tiles = Picture::grid(&tiles, 5, 4)?;
    let what = format!("pictures that excite {} the most", names.join(", "));
    album.add("maximised", &tiles, &what)
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
