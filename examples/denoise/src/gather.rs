//! Tiles of a scene while its frames are drawn: each takes some samples in each frame, until it has
//! converged.

use striate::wgpu;

use crate::host::{Copies, Host, Outcome};
use crate::scene::{Draws, Scene};
use crate::tiles::{Tile, TileSettings, converging, noisy};
use crate::tracer::{MOST_SAMPLES, Tracer};

/// Noisy frames of each tile.
const NOISY: u32 = 8;
/// How far the camera of a tile may be from that of the frame: radians around the box, and height.
const AROUND: f32 = 0.35;
const ABOVE: f32 = 0.2;
/// What is added to the seed, so that tiles have other random numbers than frames.
const TILE_SEED: u32 = 1 << 29;

/// A second tracer, which draws tiles.
#[derive(Debug)]
pub struct Gather {
    tracer: Tracer,
    noisy: Vec<Copies<3>>,
    mean: Copies<1>,
    draws: Draws,
    /// Width and height of the frames.
    whole: [u32; 2],
    /// Of the tile at hand: what it shows, and how much of it is drawn.
    scene: Scene,
    settings: TileSettings,
    part: u32,
    /// Whether it is recorded to its end.
    complete: bool,
}

impl Gather {
    /// Tiles of so many pixels each way, of frames of a size.
    pub fn new(host: &Host, scene: &Scene, side: u32, whole: [u32; 2], seed: u32) -> Self {
        let tracer = Tracer::new(&host.device, &host.queue, [side; 2]);
        let seen = [&tracer.colour, &tracer.albedo, &tracer.normal];
        Self {
            noisy: (0..NOISY).map(|_| Copies::new(host, seen)).collect(),
            mean: Copies::new(host, [&tracer.mean]),
            tracer,
            draws: Draws::new(!u64::from(seed)),
            whole,
            scene: scene.clone(),
            settings: TileSettings {
                window: [0, 0, whole[0], whole[1]],
                seed: TILE_SEED.wrapping_add(seed.wrapping_mul(0x0001_0000)),
                samples: 0,
                frames: NOISY,
            },
            part: 0,
            complete: false,
        }
    }

    /// Bytes of its textures and buffers.
    pub fn bytes(&self) -> u64 {
        let noisy: u64 = self.noisy.iter().map(Copies::bytes).sum();
        self.tracer.bytes() + noisy + self.mean.bytes()
    }

    /// Samples that one shot adds, so that it costs about what tracing a frame does.
    fn per_shot(&self) -> u32 {
        let pixels = |[width, height]: [u32; 2]| u64::from(width) * u64::from(height);
        let tile = pixels([self.tracer.colour.width(), self.tracer.colour.height()]);
        let samples = pixels(self.whole) / tile.max(1);
        samples.clamp(1, MOST_SAMPLES.into()) as u32
    }

    /// Records one shot of a tile, the last one with copies of what it shows; whether that was it.
    /// A tile begins at a place and a camera at random near that of `scene`, and keeps it;
    /// `samples` are those that it converges to.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        scene: &Scene,
        samples: u32,
    ) -> bool {
        if self.complete {
            return true;
        }
        if self.part == 0 {
            self.begin(scene, samples);
        }
        let per_shot = self.per_shot();
        let shot = converging(&self.settings, self.part, per_shot);
        self.tracer.record(encoder, &self.scene, &shot);
        self.part += 1;
        if self.part * per_shot >= self.settings.samples {
            self.mean.record(encoder);
            for (copies, frame) in self.noisy.iter().zip(0..) {
                let shot = noisy(&self.settings, frame);
                self.tracer.record(encoder, &self.scene, &shot);
                copies.record(encoder);
            }
            self.complete = true;
        }
        self.complete
    }

    fn begin(&mut self, scene: &Scene, samples: u32) {
        let side = self.tracer.colour.width();
        let draws = &mut self.draws;
        let [x, y] = self
            .whole
            .map(|extent| draws.one_of((extent - side) as usize + 1) as u32);
        self.settings.window = [x, y, self.whole[0], self.whole[1]];
        self.settings.seed = self.settings.seed.wrapping_add(1);
        self.settings.samples = samples.max(1);
        self.scene.clone_from(scene);
        self.scene.camera.orbit += self.draws.between(-AROUND, AROUND);
        self.scene.camera.height += self.draws.between(-ABOVE, ABOVE);
    }

    /// The tile that was recorded to its end, once its encoder is submitted.
    ///
    /// # Errors
    /// What the device says.
    pub fn arrived(&mut self, host: &Host) -> Outcome<Option<Tile>> {
        if !self.complete {
            return Ok(None);
        }
        (self.part, self.complete) = (0, false);
        let frames = self.noisy.iter().map(|copies| copies.pictures(host));
        let frames = frames.collect::<Outcome<_>>()?;
        let [target] = self.mean.pictures(host)?;
        Ok(Some(Tile { frames, target }))
    }
}
