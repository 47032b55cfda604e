//! Pairs of noisy and converged pictures, drawn by the tracer.

use crate::host::{Host, Outcome};
use crate::picture::Picture;
use crate::scene::Scene;
use crate::tracer::{MOST_SAMPLES, Shot, Tracer};

/// Shots of a converged picture that are submitted together.
const SHOTS_PER_SUBMIT: u32 = 8;

/// A part of a picture, noisy and converged.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Colour, albedo and normals of single samples, each of another frame.
    pub frames: Vec<[Picture; 3]>,
    /// The colour to which they converge.
    pub target: Picture,
}

/// What is drawn of a scene.
#[derive(Debug, Clone, Copy)]
pub struct TileSettings {
    /// First pixel, x and y, and width and height of the picture that the tile is cut from.
    pub window: [u32; 4],
    /// Keys the random numbers.
    pub seed: u32,
    /// Samples of the converged picture, rounded up to a multiple of [`MOST_SAMPLES`] or below it.
    pub samples: u32,
    /// How many noisy frames are drawn.
    pub frames: u32,
}

impl Tile {
    /// Draws a tile of the tracer's size.
    ///
    /// # Errors
    /// What the device says.
    pub fn draw(
        host: &Host,
        tracer: &mut Tracer,
        scene: &Scene,
        settings: &TileSettings,
    ) -> Outcome<Self> {
        let target = converge(host, tracer, scene, settings)?;
        let mut frames = Vec::new();
        for frame in 0..settings.frames {
            let mut encoder = host.device.create_command_encoder(&Default::default());
            tracer.record(&mut encoder, scene, &noisy(settings, frame));
            host.submit([encoder.finish()]);
            frames.push(host.look([&tracer.colour, &tracer.albedo, &tracer.normal])?);
        }
        Ok(Self { frames, target })
    }
}

/// A frame of one sample for each pixel.
pub fn noisy(settings: &TileSettings, frame: u32) -> Shot {
    Shot {
        frame,
        seed: settings.seed.wrapping_mul(2),
        samples: 1,
        restart: true,
        clamp: 0.0,
        window: settings.window,
    }
}

/// A part of the samples of a converged picture, whose random numbers are not those of the noisy
/// frames. The mean begins with part 0.
pub fn converging(settings: &TileSettings, part: u32, samples: u32) -> Shot {
    Shot {
        frame: part,
        seed: settings.seed.wrapping_mul(2).wrapping_add(1),
        samples,
        restart: part == 0,
        clamp: 0.0,
        window: settings.window,
    }
}

/// The mean of many samples.
///
/// # Errors
/// What the device says.
pub fn converge(
    host: &Host,
    tracer: &mut Tracer,
    scene: &Scene,
    settings: &TileSettings,
) -> Outcome<Picture> {
    let samples = settings.samples.clamp(1, MOST_SAMPLES);
    let shots = settings.samples.div_ceil(samples);
    for first in (0..shots).step_by(SHOTS_PER_SUBMIT as usize) {
        let mut encoder = host.device.create_command_encoder(&Default::default());
        for part in first..shots.min(first + SHOTS_PER_SUBMIT) {
            let shot = converging(settings, part, samples);
            tracer.record(&mut encoder, scene, &shot);
        }
        host.submit([encoder.finish()]);
        host.poll()?;
    }
    let [mean] = host.look([&tracer.mean])?;
    Ok(mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::host_or_skip;

    #[test]
    fn frames_repeat_by_seed_and_converge_to_their_mean() {
        let Some(host) = host_or_skip() else {
            return;
        };
        // A tile that no workgroup fits, of a larger picture.
        let mut tracer = Tracer::new(&host.device, &host.queue, [20, 12]);
        let settings = TileSettings {
            window: [30, 28, 64, 48],
            seed: 3,
            samples: 1024,
            frames: 256,
        };
        let scene = Scene::cornell();
        let tile = Tile::draw(&host, &mut tracer, &scene, &settings).unwrap();
        let again = TileSettings {
            frames: 2,
            ..settings
        };
        let again = Tile::draw(&host, &mut tracer, &scene, &again).unwrap();
        assert_eq!(again.target, tile.target);
        assert_eq!(again.frames, tile.frames[..2]);
        assert_ne!(tile.frames[0], tile.frames[1]);

        // Noise falls by 10 dB for ten times the samples; where it is clipped, by less.
        let mut mean = Picture::black([12, 20]);
        for [colour, albedo, normal] in &tile.frames {
            for (mean, x) in mean.planes.iter_mut().zip(&colour.planes) {
                assert!(x.is_finite() && *x >= 0.0);
                *mean += x / 256.0;
            }
            let unit = |x: &f32| (0.0..=1.0).contains(x);
            assert!(albedo.planes.iter().all(unit) && normal.planes.iter().all(unit));
        }
        let (one, many) = (
            tile.frames[0][0].psnr(&tile.target),
            mean.psnr(&tile.target),
        );
        assert!(many > one + 12.0 && many > 28.0, "{one} dB, {many} dB");
    }
}
