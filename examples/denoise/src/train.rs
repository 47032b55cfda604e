//! `train`: makes the weights of the small network from boxes at random, each drawn once with many
//! samples and a few times with one.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use striate::interop::{
    FloatFormat, SaveOptions, encode_parameters_with_async, expect_replaceable, replace_file,
};
use striate::prelude::*;
use striate::train::{Adam, Optimizer, warmup_cosine};

use crate::denoiser::{Denoiser, FrameGraph};
use crate::host::{Host, Outcome};
use crate::network::Network;
use crate::scene::{Draws, Scene};
use crate::step::{Loss, Step, StepGraph, StepSettings};
use crate::tiles::{Tile, TileSettings};
use crate::tracer::Tracer;

/// Width and height of the pictures that are tested.
const TEST_SIZE: u32 = 128;
/// Steps that may wait on the device at once: each brings a batch along.
const STEPS_PER_POLL: usize = 8;
/// What is added to the seed for scenes that are tested, so that none of them is trained on.
const TEST_SEED: u32 = 1 << 30;

/// Trains the small network on boxes at random.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Scenes, of each of which one tile is drawn
    #[arg(long, value_name = "N", default_value_t = 400)]
    scenes: u32,
    /// Noisy frames of each tile
    #[arg(long, value_name = "N", default_value_t = 4)]
    frames: u32,
    /// Samples of what they converge to
    #[arg(long, value_name = "N", default_value_t = 128)]
    samples: u32,
    /// Width and height of a tile; a multiple of 16
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = tile_size)]
    tile: u32,
    /// Tiles of a step
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
    /// Steps
    #[arg(long, value_name = "N", default_value_t = 3000)]
    steps: usize,
    /// Highest learning rate
    #[arg(long, value_name = "X", default_value_t = 0.003)]
    lr: f32,
    /// Scenes that are kept back, of which whole pictures are tested
    #[arg(long, value_name = "N", default_value_t = 6)]
    test: u32,
    /// Keys scenes, frames, first weights and batches
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// Weights to begin with, made by this command
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Where the weights are written, as f16
    #[arg(long, value_name = "FILE", default_value = crate::WEIGHTS)]
    out: PathBuf,
}

fn tile_size(text: &str) -> std::result::Result<u32, String> {
    match text.parse() {
        Ok(size) if size > 0 && size % 16 == 0 && size <= 256 => Ok(size),
        _ => Err("not a multiple of 16 up to 256".to_owned()),
    }
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("not a number of at least 1".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// The command.
///
/// # Errors
/// What the device, files and settings say.
pub fn run(args: &TrainArgs) -> Outcome<()> {
    expect_replaceable(&args.out)?;
    let (network, weights) = match &args.weights {
        Some(path) => {
            let (network, weights) = Network::load(path)?;
            (network, Some(weights))
        }
        None => (Network::small(), None),
    };
    let host = Host::new()?;
    println!("on {}", host.engine().describe());
    println!("network of {} parameters", network.parameters());
    let begun = Instant::now();
    let mut progress = Progress::new("tiles", args.scenes);
    let tiles = tiles(args, &host, &mut progress)?;
    let tests = tests(args, &host)?;
    println!("drawn in {:.0} s", begun.elapsed().as_secs_f32());

    let mut trainer = TileTrainer::new(args, &host, &network)?;
    if let Some(weights) = &weights {
        trainer.store.restore(weights)?;
    }
    trainer.test(&host, &tests, 0)?;
    let begun = Instant::now();
    let mut draws = Draws::new(u64::from(args.seed));
    let report = (args.steps / 10).max(1);
    for step in 1..=args.steps {
        trainer.step.feed(&tiles, &mut draws, true)?;
        trainer.step.session.run(1)?;
        if step.is_multiple_of(STEPS_PER_POLL) {
            host.poll()?;
        }
        if step.is_multiple_of(report) || step == args.steps {
            let loss = trainer.step.session.read_async(trainer.step.loss);
            let loss = host.finish(loss)?.item()?;
            let seconds = begun.elapsed().as_secs_f32();
            println!("step {step}/{}: L1 {loss:.4} ({seconds:.0} s)", args.steps);
            trainer.test(&host, &tests, step)?;
        }
    }
    let half = SaveOptions::new().dtype(FloatFormat::F16);
    let bytes = host.finish(encode_parameters_with_async(&trainer.store, &half))?;
    replace_file(&args.out, &bytes)?;
    println!("{}: {} bytes", args.out.display(), bytes.len());
    Ok(())
}

/// A tile of each training scene, at pictures of 64 to 192 pixels, so that things are small and
/// large.
fn tiles(args: &TrainArgs, host: &Host, progress: &mut Progress) -> Outcome<Vec<Tile>> {
    let mut tracer = Tracer::new(&host.device, &host.queue, [args.tile; 2]);
    let mut tiles = Vec::new();
    for number in 0..args.scenes {
        let seed = args.seed.wrapping_mul(0x0001_0000).wrapping_add(number) % TEST_SEED;
        let mut draws = Draws::new(!u64::from(seed));
        let whole = args.tile + draws.one_of(2 * args.tile as usize + 1) as u32;
        let mut corner = || draws.one_of((whole - args.tile) as usize + 1) as u32;
        let (x, y) = (corner(), corner());
        let settings = TileSettings {
            window: [x, y, whole, whole],
            seed,
            samples: args.samples,
            frames: args.frames.max(1),
        };
        let scene = Scene::random(seed.into());
        tiles.push(Tile::draw(host, &mut tracer, &scene, &settings)?);
        progress.tell(number + 1);
    }
    Ok(tiles)
}

/// Whole pictures of scenes that are not trained on.
fn tests(args: &TrainArgs, host: &Host) -> Outcome<Vec<Tile>> {
    let mut tracer = Tracer::new(&host.device, &host.queue, [TEST_SIZE; 2]);
    let mut tests = Vec::new();
    for number in 0..args.test {
        let seed = TEST_SEED + number;
        let settings = TileSettings {
            window: [0, 0, TEST_SIZE, TEST_SIZE],
            seed,
            samples: 4 * args.samples,
            frames: 1,
        };
        let scene = Scene::random(seed.into());
        tests.push(Tile::draw(host, &mut tracer, &scene, &settings)?);
    }
    Ok(tests)
}

/// Two graphs over one store: a training step, and a whole picture.
struct TileTrainer {
    store: Store,
    step: Step,
    denoiser: Denoiser,
}

impl TileTrainer {
    fn new(args: &TrainArgs, host: &Host, network: &Network) -> Result<Self> {
        let rates = warmup_cosine(args.lr, args.steps / 20, args.steps)?;
        let optimizer = Optimizer::from(Adam::new()).schedule(rates);
        let side = args.tile as usize;
        let settings = StepSettings {
            batch: args.batch,
            side,
            loss: Loss::Encoded,
            optimizer: &optimizer,
            average: None,
            frozen: &[],
        };
        let step = StepGraph::new(network, &settings)?;
        let frame = FrameGraph::new(network, 1, [TEST_SIZE as usize; 2])?;
        let graphs = [&step.graph, &frame.graph];
        let store = Store::new(&host.engine(), &graphs, args.seed.into())?;
        Ok(Self {
            step: Step::new(&store, &step)?,
            denoiser: Denoiser::new(&store, &frame)?,
            store,
        })
    }

    /// Prints the mean PSNR of noisy and denoised pictures.
    fn test(&mut self, host: &Host, tests: &[Tile], step: usize) -> Outcome<()> {
        let mut sums = [0.0; 2];
        for test in tests {
            for frame in &test.frames {
                let denoised = self.denoiser.denoise(host, frame)?;
                sums[0] += frame[0].psnr(&test.target);
                sums[1] += denoised.psnr(&test.target);
            }
        }
        let count = tests
            .iter()
            .map(|test| test.frames.len())
            .sum::<usize>()
            .max(1);
        let [noisy, denoised] = sums.map(|sum| sum / count as f64);
        println!("  scenes kept back, step {step}: noisy {noisy:.2} dB, denoised {denoised:.2} dB");
        Ok(())
    }
}

/// Tells every tenth.
struct Progress {
    what: &'static str,
    total: u32,
    begun: Instant,
}

impl Progress {
    fn new(what: &'static str, total: u32) -> Self {
        let begun = Instant::now();
        Self { what, total, begun }
    }

    fn tell(&mut self, done: u32) {
        if done.is_multiple_of((self.total / 10).max(1)) {
            let seconds = self.begun.elapsed().as_secs_f32();
            println!("{done}/{} {} ({seconds:.0} s)", self.total, self.what);
        }
    }
}
