//! Adapts the network to a scene while its frames are drawn, within so many milliseconds of each:
//! tiles converge, some of them are kept back, the network trains on the others in slices, and what
//! it makes of those kept back is measured again and again.

use std::time::Instant;

use striate::ops::Ema;
use striate::prelude::*;
use striate::session::ReadFuture;
use striate::train::{Adam, Group, Muon, Optimizer};
use striate::wgpu;

use crate::denoiser::{Denoiser, FrameGraph};
use crate::gather::Gather;
use crate::host::{Host, Outcome};
use crate::network::Network;
use crate::picture::psnr;
use crate::scene::{Draws, Scene};
use crate::step::{Loss, Step, StepGraph, StepSettings};
use crate::tiles::Tile;

/// The largest width and height of a tile.
const SIDE: u32 = 64;
/// Steps in which the learning rate rises: the moments of Adam begin with nothing. It falls with
/// the root of the steps afterwards, as long as these.
const WARMUP: usize = 16;
const FALLING: usize = 1024;
/// Those of Adam, which biases are trained with; the second forgets within twenty steps, of which
/// there are few.
const BETAS: [f64; 2] = [0.9, 0.95];
/// That of Muon, which weights are trained with: in so few steps it goes further. And its rate, in
/// those of Adam.
const MOMENTUM: f64 = 0.9;
const OF_MATRICES: f64 = 2.5;
/// Layers that stay as they are: all but those that put half and full size together. What lies
/// below them knows any scene, and a step whose gradients end here takes less time.
const FROZEN: [&str; 3] = ["*enc_conv*", "*dec_conv4*", "*dec_conv3*"];
/// Decay of the averages that frames are denoised with, to which it rises: single steps on two
/// tiles are noisy.
const DECAY: f64 = 0.99;
/// Frames that are timed before anything is done, and shots that are remembered by their time.
const TIMED: usize = 10;
/// The most of one frame.
const SHOTS: usize = 16;
const SLICES: usize = 8;
/// The most that is spent beyond the budget and made up for later, in budgets.
const MOST_DEBT: f64 = 8.0;
/// Share of the budget that goes to further tiles, once the network trains.
const FOR_TILES: f64 = 0.1;

/// What may differ.
#[derive(Debug, Clone, Copy)]
pub struct AdaptSettings {
    /// Milliseconds of a frame; half of what frames take by themselves if none.
    pub budget: Option<f64>,
    /// Keys tiles and batches.
    pub seed: u32,
    /// Tiles that are kept back, and the samples that they converge to.
    pub held: usize,
    pub held_samples: u32,
    /// Tiles before training begins, the most that are kept, and their samples.
    pub first: usize,
    pub most: usize,
    pub samples: u32,
    /// Tiles of a step.
    pub batch: usize,
    /// Highest learning rate, at the 16th step.
    pub lr: f64,
    /// Steps from one look at the tiles kept back to the next.
    pub steps_per_test: usize,
}

impl Default for AdaptSettings {
    fn default() -> Self {
        Self {
            budget: None,
            seed: 1,
            held: 4,
            held_samples: 96,
            first: 4,
            most: 64,
            samples: 16,
            batch: 2,
            lr: 4e-3,
            steps_per_test: 32,
        }
    }
}

/// The graphs of adapting to frames of one size.
#[derive(Debug)]
pub struct AdaptGraphs {
    step: StepGraph,
    test: FrameGraph,
    side: u32,
}

impl AdaptGraphs {
    /// For frames of this width and height, each at least 16.
    ///
    /// # Errors
    /// Those of the network.
    pub fn new(network: &Network, size: [u32; 2], settings: &AdaptSettings) -> Result<Self> {
        let side = SIDE.min(size[0]).min(size[1]) / 16 * 16;
        let rates = (1..=FALLING).map(|step| {
            let times = step as f64 / WARMUP as f64;
            (settings.lr * times.min(times.sqrt().recip())) as f32
        });
        let muon = Muon::new().momentum(MOMENTUM).weight_decay(0.0);
        let optimizer = Optimizer::new(Adam::new().betas(BETAS))
            .group(Group::matrices().rule(muon).rate(OF_MATRICES))
            .schedule(rates.collect());
        let square = side as usize;
        let step = StepSettings {
            batch: settings.batch,
            side: square,
            loss: Loss::Shown,
            optimizer: &optimizer,
            average: Some(Ema::new(DECAY).warmup()),
            frozen: &FROZEN,
        };
        Ok(Self {
            step: StepGraph::new(network, &step)?,
            test: FrameGraph::new(network, settings.held, [square; 2])?,
            side,
        })
    }

    /// All of them: a store is to hold their states.
    pub fn all(&self) -> [&Graph; 2] {
        [&self.step.graph, &self.test.graph]
    }
}

/// The tiles kept back at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds since the first tile was begun.
    pub seconds: f64,
    /// Steps of training.
    pub steps: usize,
    /// PSNR in dB of what the network makes of them.
    pub psnr: f64,
}

/// What the network is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Train,
    Test,
    Nothing,
}

/// Whose slice was recorded last, of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slice {
    Train,
    Test,
}

/// Two sessions over the store of the network that denoises: a training step, and the tiles kept
/// back.
#[derive(Debug)]
pub struct Adapter {
    settings: AdaptSettings,
    gather: Gather,
    tiles: Vec<Tile>,
    held: Vec<Tile>,
    drawn: usize,
    draws: Draws,
    step: Step,
    test: Denoiser,
    job: Job,
    /// Whether the job has its inputs.
    fed: bool,
    /// Whether the job is the last one.
    ending: bool,
    steps: usize,
    points: Vec<Point>,
    /// What the network makes of the tiles kept back after so many steps.
    reading: Option<(usize, ReadFuture)>,
    begun: Option<Instant>,
    /// Milliseconds of frames without anything added, of shots, and what was spent beyond the
    /// budget.
    plain: Vec<f64>,
    shot_times: Vec<f64>,
    debt: f64,
    /// What is saved up for the next shot.
    saved: f64,
    /// What the last frame holds.
    shots: usize,
    slice: Option<Slice>,
}

impl Adapter {
    /// Over a store that holds the states of the graphs, for frames of a size.
    ///
    /// # Errors
    /// Those of sessions.
    pub fn new(
        host: &Host,
        store: &Store,
        graphs: &AdaptGraphs,
        scene: &Scene,
        size: [u32; 2],
        settings: AdaptSettings,
    ) -> Result<Self> {
        Ok(Self {
            gather: Gather::new(host, scene, graphs.side, size, settings.seed),
            tiles: Vec::new(),
            held: Vec::new(),
            drawn: 0,
            draws: Draws::new(settings.seed.into()),
            step: Step::new(store, &graphs.step)?,
            test: Denoiser::new(store, &graphs.test)?,
            job: Job::Test,
            fed: false,
            ending: false,
            steps: 0,
            points: Vec::new(),
            reading: None,
            begun: None,
            plain: Vec::new(),
            shot_times: Vec::new(),
            debt: 0.0,
            saved: 0.0,
            shots: 0,
            slice: None,
            settings,
        })
    }

    /// Bytes of its buffers and textures on the device, apart from the store.
    pub fn bytes(&self) -> u64 {
        self.gather.bytes() + self.step.session.bytes() + self.test.bytes()
    }

    /// Milliseconds of a frame that it takes, once it has timed some.
    pub fn budget(&self) -> Option<f64> {
        let half = || Some(0.5 * self.plain_time()?);
        self.settings.budget.or_else(half)
    }

    /// Sets the budget, in milliseconds.
    #[cfg(feature = "window")]
    pub fn set_budget(&mut self, budget: f64) {
        self.settings.budget = Some(budget);
    }

    /// Milliseconds of a frame by itself, once some are timed.
    pub fn plain_time(&self) -> Option<f64> {
        (self.plain.len() == TIMED).then(|| median(&self.plain))
    }

    /// Seconds since the first tile was begun.
    pub fn seconds(&self) -> f64 {
        self.begun.map_or(0.0, |at| at.elapsed().as_secs_f64())
    }

    /// Steps of training so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// How the tiles kept back fared so far: the first time before the first step.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Tiles to train on, and tiles kept back.
    pub fn counts(&self) -> [usize; 2] {
        [self.tiles.len(), self.held.len()]
    }

    /// PSNR in dB of the tiles kept back with one sample, once all are there.
    pub fn noisy(&self) -> Option<f64> {
        let colours = self.held.iter().flat_map(|tile| &tile.frames[0][0].planes);
        let colours: Vec<f32> = colours.copied().collect();
        (!self.gathers()).then(|| psnr(&colours, &self.targets()))
    }

    /// Leaves the step at hand and looks at the tiles kept back once more;
    /// [`is_finished`](Self::is_finished) afterwards.
    pub fn end(&mut self) {
        if self.ending {
            return;
        }
        self.ending = true;
        if self.gathers() {
            self.job = Job::Nothing;
        } else if self.job == Job::Train {
            self.step.session.abandon_step();
            (self.job, self.fed) = (Job::Test, false);
        }
    }

    /// Whether nothing is left to be done after [`end`](Self::end).
    pub fn is_finished(&self) -> bool {
        self.job == Job::Nothing && self.reading.is_none()
    }

    /// Whether the first tiles are still to be drawn.
    fn gathers(&self) -> bool {
        self.held.len() < self.settings.held || self.tiles.len() < self.settings.first
    }

    fn targets(&self) -> Vec<f32> {
        let planes = self.held.iter().flat_map(|tile| &tile.target.planes);
        planes.copied().collect()
    }

    /// Milliseconds of a shot, once some are timed.
    fn shot_time(&self) -> Option<f64> {
        (self.shot_times.len() >= 3).then(|| median(&self.shot_times).max(1e-3))
    }

    /// Records what fits into the budget, behind the frame. Nothing is submitted.
    ///
    /// # Errors
    /// What the device says.
    pub fn record(
        &mut self,
        host: &Host,
        encoder: &mut wgpu::CommandEncoder,
        scene: &Scene,
    ) -> Outcome<()> {
        (self.shots, self.slice) = (0, None);
        let (Some(_), Some(budget)) = (self.plain_time(), self.budget()) else {
            return Ok(());
        };
        if self.job == Job::Nothing {
            return Ok(());
        }
        self.begun.get_or_insert_with(Instant::now);
        let mut left = budget - self.debt;
        left -= self.record_tiles(encoder, scene, left, budget);
        if !self.gathers() {
            // Without timestamps the host times one slice of a frame.
            let slices = if host.has_timestamps() { SLICES } else { 1 };
            for _ in 0..slices {
                if left <= 0.0 || self.reading.is_some() {
                    break;
                }
                left -= self.advance(encoder, left)?;
            }
        }
        self.debt = (-left).clamp(0.0, MOST_DEBT * budget);
        Ok(())
    }

    /// Shots of tiles: all that fit until the first ones are there, then now and then one.
    /// Milliseconds that they are expected to take.
    fn record_tiles(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        scene: &Scene,
        left: f64,
        budget: f64,
    ) -> f64 {
        let gathers = self.gathers();
        let time = self.shot_time();
        let wanted = match time {
            _ if left <= 0.0 => 0,
            None => 1,
            Some(time) if gathers => ((left / time) as usize).clamp(1, SHOTS),
            Some(_) if self.ending => 0,
            Some(time) => {
                self.saved = (self.saved + FOR_TILES * budget).min(time.max(budget));
                usize::from(self.saved >= time)
            }
        };
        let samples = match self.holds_next() {
            true => self.settings.held_samples,
            false => self.settings.samples,
        };
        while self.shots < wanted {
            self.shots += 1;
            if self.gather.record(encoder, scene, samples) {
                break;
            }
        }
        let spent = self.shots as f64 * time.unwrap_or(0.0);
        if !gathers {
            self.saved -= spent;
        }
        spent
    }

    /// Whether the next tile is kept back: every other one, until there are enough.
    fn holds_next(&self) -> bool {
        let first = self.tiles.len() < self.settings.first;
        self.held.len() < self.settings.held && (self.drawn.is_multiple_of(2) || !first)
    }

    /// Records a slice of the job at hand; milliseconds that it is expected to take.
    fn advance(&mut self, encoder: &mut wgpu::CommandEncoder, left: f64) -> Outcome<f64> {
        let advanced = match self.job {
            Job::Nothing => return Ok(0.0),
            Job::Train => {
                if !self.fed {
                    // As they are: what is special about the scene is to be learnt.
                    self.step.feed(&self.tiles, &mut self.draws, false)?;
                }
                self.slice = Some(Slice::Train);
                self.step.session.advance(encoder, left)?
            }
            Job::Test => {
                // They stay where they are after the first look.
                if self.points.is_empty() && !self.fed {
                    self.test
                        .feed(self.held.iter().map(|tile| &tile.frames[0]))?;
                }
                self.slice = Some(Slice::Test);
                self.test.advance(encoder, left)?
            }
        };
        self.fed = !advanced.is_finished();
        if !self.fed {
            self.job = self.after(encoder)?;
        }
        Ok(advanced.expected)
    }

    /// What follows on the job, which is done.
    fn after(&mut self, encoder: &mut wgpu::CommandEncoder) -> Outcome<Job> {
        Ok(match self.job {
            Job::Test => {
                self.reading = Some((self.steps, self.test.record_read(encoder)?));
                if self.ending {
                    Job::Nothing
                } else {
                    Job::Train
                }
            }
            Job::Train => {
                self.steps += 1;
                match self.steps.is_multiple_of(self.settings.steps_per_test) {
                    true => Job::Test,
                    false => Job::Train,
                }
            }
            Job::Nothing => Job::Nothing,
        })
    }

    /// Takes in what the last frame brought, which took so long until it was drawn.
    ///
    /// # Errors
    /// What the device says.
    pub fn drawn(&mut self, host: &Host, milliseconds: f64) -> Outcome<()> {
        if self.job == Job::Nothing && self.reading.is_none() {
            return Ok(());
        }
        let Some(plain) = self.plain_time() else {
            self.plain.push(milliseconds);
            return Ok(());
        };
        let more = milliseconds - plain;
        if let Some(slice) = self.slice {
            let more = more - self.shots as f64 * self.shot_time().unwrap_or(0.0);
            match slice {
                Slice::Train => self.step.session.report_time(more),
                Slice::Test => self.test.report_time(more),
            }
        } else if self.shots > 0 {
            if self.shot_times.len() == TIMED {
                self.shot_times.remove(0);
            }
            self.shot_times.push(more / self.shots as f64);
        }
        if let Some((steps, read)) = self.reading.take() {
            let linear = host.finish(read)?;
            self.points.push(Point {
                seconds: self.seconds(),
                steps,
                psnr: psnr(linear.as_f32()?, &self.targets()),
            });
        }
        if let Some(tile) = self.gather.arrived(host)? {
            let (tiles, most) = (&self.tiles, self.settings.most.max(1));
            if self.holds_next() {
                self.held.push(tile);
            } else if tiles.len() < most {
                self.tiles.push(tile);
            } else {
                self.tiles[self.drawn % most] = tile;
            }
            self.drawn += 1;
        }
        Ok(())
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::host_or_skip;
    use crate::in_frame::InFrame;
    use crate::tiles::TileSettings;
    use crate::tiles::noisy;
    use crate::tracer::Tracer;

    /// Frames of 48x32 that adapt: one submission each, tiles kept back that change with the
    /// weights and with nothing else, and a file that the adapted network is read from.
    #[test]
    fn frames_adapt_in_one_submission_and_the_weights_can_be_saved() {
        let Some(host) = host_or_skip() else {
            return;
        };
        let settings = AdaptSettings {
            budget: Some(20.0),
            held: 2,
            held_samples: 8,
            first: 2,
            most: 3,
            samples: 4,
            batch: 2,
            steps_per_test: 2,
            ..AdaptSettings::default()
        };
        let size = [48, 32];
        let scene = Scene::cornell();
        let (network, weights) = Network::load(crate::WEIGHTS.as_ref()).unwrap();
        let graphs = AdaptGraphs::new(&network, size, &settings).unwrap();
        let mut tracer = Tracer::new(&host.device, &host.queue, size);
        let mut in_frame = InFrame::new(&host, &network, &weights, &tracer, &graphs.all()).unwrap();
        let store = in_frame.store.clone();
        let mut adapter = Adapter::new(&host, &store, &graphs, &scene, size, settings).unwrap();
        let window = TileSettings {
            window: [0, 0, size[0], size[1]],
            seed: 1,
            samples: 1,
            frames: 0,
        };
        let mut frames = 0;
        while !adapter.is_finished() {
            if adapter.points().len() >= 3 {
                adapter.end();
            }
            let before = host.submissions();
            let mut encoder = host.device.create_command_encoder(&Default::default());
            tracer.record(&mut encoder, &scene, &noisy(&window, frames));
            in_frame.record(&mut encoder).unwrap();
            adapter.record(&host, &mut encoder, &scene).unwrap();
            host.submit([encoder.finish()]);
            host.poll().unwrap();
            adapter.drawn(&host, 50.0).unwrap();
            assert_eq!(host.submissions() - before, 1, "frame {frames}");
            frames += 1;
            assert!(frames < 5000, "{:?}", adapter.points());
        }
        let points = adapter.points();
        assert!(points.len() >= 3, "{points:?}");
        assert!(points[0].steps == 0 && points[1].steps == 2, "{points:?}");
        assert_ne!(points[0].psnr, points[1].psnr);
        let [tiles, held] = adapter.counts();
        assert!(held == 2 && (2..=3).contains(&tiles), "{tiles} {held}");
        assert!(adapter.noisy().is_some_and(f64::is_finite));

        let file = format!("denoise-{}.safetensors", std::process::id());
        let path = std::env::temp_dir().join(file);
        in_frame.save(&host, &path).unwrap();
        let (again, adapted) = Network::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(again, network);
        let other = |(a, b): (&(String, Tensor), &(String, Tensor))| a.1 != b.1;
        assert!(adapted.iter().zip(&weights).any(other));
        // The adapted network begins where the first one ended.
        let in_frame = InFrame::new(&host, &again, &adapted, &tracer, &graphs.all()).unwrap();
        let mut test = Denoiser::new(&in_frame.store, &graphs.test).unwrap();
        test.feed(adapter.held.iter().map(|tile| &tile.frames[0]))
            .unwrap();
        let mut encoder = host.device.create_command_encoder(&Default::default());
        test.advance(&mut encoder, f64::INFINITY).unwrap();
        let read = test.record_read(&mut encoder).unwrap();
        host.submit([encoder.finish()]);
        let linear = host.finish(read).unwrap();
        let begins = psnr(linear.as_f32().unwrap(), &adapter.targets());
        let ended = adapter.points().last().unwrap().psnr;
        assert_eq!(begins, ended);
    }
}
