//! Volumes in grey, over three axes.

use striate::data::{Chance, Dataset, Picture, Split};
use striate::nn::{BatchNorm3d, Conv3d, ConvTranspose3d, Module, Relu, Sequential, from_fn};
use striate::prelude::*;
use striate::train::{AdamW, Segmentation, Trainer};

use super::{answers, covered, masks_of};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Slices, rows and columns of a volume.
const VOLUME: [usize; 3] = [16, 24, 24];
const TISSUES: [&str; 2] = ["healthy", "lesion"];

/// How far volumes differ from each other.
#[derive(Clone, Copy)]
struct VolumeRange {
    /// Half axes of a lesion in voxels.
    axes: [f64; 2],
    /// Vessels.
    vessels: usize,
    /// Standard deviation of what is added to each voxel, times 3, as a share of white.
    noise: f64,
}

const LEARNT: VolumeRange = VolumeRange {
    axes: [3.0, 4.8],
    vessels: 5,
    noise: 0.25,
};

/// Smaller lesions, among more vessels and noise.
const HELD_OUT: VolumeRange = VolumeRange {
    axes: [2.8, 4.4],
    vessels: 6,
    noise: 0.3,
};

/// A bent tube.
struct Vessel {
    start: [f64; 3],
    /// Of length 1.
    along: [f64; 3],
    /// How far it is bent to which side.
    aside: [f64; 3],
    pace: f64,
    radius: f64,
}

impl Vessel {
    fn through(chance: &mut Chance) -> Self {
        let mut swing = |by: f64| [(); 3].map(|()| by * (2.0 * chance.unit() - 1.0));
        let middle = VOLUME.map(|extent| 0.5 * extent as f64);
        let [along, off, aside] = [swing(1.0), swing(9.0), swing(2.5)];
        let length = dot(along, along).sqrt().max(1e-6);
        Self {
            start: std::array::from_fn(|axis| middle[axis] + off[axis]),
            along: along.map(|part| part / length),
            aside,
            pace: chance.within([0.1, 0.3]),
            radius: chance.within([1.5, 2.3]),
        }
    }

    /// How far a point lies outside; inside it is negative.
    fn outside(&self, at: [f64; 3]) -> f64 {
        let from: [f64; 3] = std::array::from_fn(|axis| at[axis] - self.start[axis]);
        let way = dot(from, self.along);
        let bend = (self.pace * way).sin();
        let rest: [f64; 3] = std::array::from_fn(|axis| {
            from[axis] - way * self.along[axis] - bend * self.aside[axis]
        });
        dot(rest, rest).sqrt() - self.radius
    }
}

/// An ellipsoid.
struct Lesion {
    middle: [f64; 3],
    axes: [f64; 3],
}

impl Lesion {
    /// Away from the vessels, if there is such a place.
    fn among(vessels: &[Vessel], chance: &mut Chance, range: VolumeRange) -> Self {
        let axes = [(); 3].map(|()| chance.within(range.axes));
        let mut best = (f64::NEG_INFINITY, [0.0; 3]);
        for _ in 0..30 {
            let middle = std::array::from_fn(|axis| {
                chance.within([axes[axis], VOLUME[axis] as f64 - axes[axis]])
            });
            let room = vessels.iter().map(|vessel| vessel.outside(middle));
            let room = room.fold(f64::INFINITY, f64::min);
            if room > best.0 {
                best = (room, middle);
            }
        }
        Self {
            middle: best.1,
            axes,
        }
    }

    /// About how far a point lies outside; inside it is negative.
    fn outside(&self, at: [f64; 3]) -> f64 {
        let ratio: [f64; 3] =
            std::array::from_fn(|axis| (at[axis] - self.middle[axis]) / self.axes[axis]);
        let shortest = self.axes.iter().copied().fold(f64::INFINITY, f64::min);
        (dot(ratio, ratio).sqrt() - 1.0) * shortest
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Volumes as pictures of their slices below each other, with masks alike.
fn draw(count: usize, seed: u64, range: VolumeRange) -> Result<Dataset> {
    let [slices, rows, columns] = VOLUME;
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for index in 0..count {
        let mut chance = Chance::of(seed, index as u64);
        let vessels: Vec<Vessel> = (0..range.vessels)
            .map(|_| Vessel::through(&mut chance))
            .collect();
        let lesions: Vec<Lesion> = (0..1 + chance.below(2))
            .map(|_| Lesion::among(&vessels, &mut chance, range))
            .collect();
        let (ground, bright) = (chance.within([0.15, 0.35]), chance.within([0.35, 0.5]));
        for at in 0..slices * rows * columns {
            let at = [at / (rows * columns), at / columns % rows, at % columns];
            let at = at.map(|edge| edge as f64 + 0.5);
            let lesion = lesions.iter().map(|lesion| lesion.outside(at));
            let lesion = lesion.fold(f64::INFINITY, f64::min);
            let vessel = vessels.iter().map(|vessel| vessel.outside(at));
            let outside = vessel.fold(lesion, f64::min);
            let cover = (0.5 - outside).clamp(0.0, 1.0);
            let grey = ground + bright * cover + range.noise * chance.swing();
            images.push((255.0 * grey).clamp(0.0, 255.0) as u8);
            masks.push(u8::from(lesion < 0.0));
        }
    }
    Dataset::of_masks(images, masks, [1, slices * rows, columns], 2)?.with_names(TISSUES)
}

/// Logits `[n, 2, slices, rows, columns]` of volumes `[n, 1, ..]`: at half the size it looks 12
/// voxels wide, as wide as the largest lesion.
fn network() -> Sequential {
    let normalised = |conv: Conv3d| {
        let norm = BatchNorm3d::new(conv.out_channels);
        Sequential::new()
            .named("conv", conv.bias(false))
            .named("norm", norm)
            .then(Relu)
    };
    Sequential::new()
        .named(
            "down",
            normalised(Conv3d::new(1, 8, 4).stride(2).padding(1)),
        )
        .named("conv1", normalised(Conv3d::new(8, 12, 3).padding(1)))
        .named("conv2", normalised(Conv3d::new(12, 16, 3).padding(1)))
        .named("up", ConvTranspose3d::new(16, TISSUES.len(), 2).stride(2))
}

/// A network of volumes `[n, 1, slices, rows, columns]`, for pictures of slices below each other.
fn of_slices(net: impl Module + 'static) -> impl Module {
    Sequential::new()
        .then(from_fn(|cx, x| {
            let n = cx.graph().shape(x)?[0];
            let [slices, rows, columns] = VOLUME;
            cx.graph().reshape(x, [n, 1, slices, rows, columns])
        }))
        .named("net", net)
        .then(from_fn(|cx, x| {
            let n = cx.graph().shape(x)?[0];
            let [slices, rows, columns] = VOLUME;
            cx.graph()
                .reshape(x, [n, TISSUES.len(), slices * rows, columns])
        }))
}

/// How much likelier than not each voxel is a lesion: the difference of its logits, of logits
/// `[n, 2, voxels]`.
fn margins(logits: &[f32], voxels: usize) -> Vec<f32> {
    let volumes = logits.chunks(2 * voxels);
    let margins = volumes.flat_map(|volume| {
        let (healthy, lesion) = volume.split_at(voxels);
        lesion
            .iter()
            .zip(healthy)
            .map(|(lesion, healthy)| lesion - healthy)
    });
    margins.collect()
}

/// Dice's coefficient of lesions, 2 |A and B| / (|A| + |B|), where a voxel is one from a threshold
/// on.
fn dice(margins: &[f32], masks: &[u8], threshold: f32) -> f64 {
    let (mut both, mut either) = (0_u64, 0_u64);
    for (&margin, &class) in margins.iter().zip(masks) {
        let (found, lesion) = (margin >= threshold, class == 1);
        both += u64::from(found && lesion);
        either += u64::from(found) + u64::from(lesion);
    }
    2.0 * both as f64 / either.max(1) as f64
}

pub fn run(common: &Common) -> Result<Outcome> {
    let data = Split {
        train: draw(common.pick(400, 200), common.training_seed(), LEARNT)?,
        test: draw(80, common.held_out_seed(), HELD_OUT)?,
    };
    let engine = engine()?;
    let recipe = |epochs| Recipe {
        task: Segmentation::new().class_weights([1.0, 4.0]),
        optimizer: AdamW::new().into(),
        rate: 0.01,
        epochs,
        batch: 5,
    };
    let masks = masks_of(&data.test)?;
    let measured = |trainer: &mut Trainer| {
        let logits = trainer.predict(&data.test.images)?;
        Ok::<_, Error>(margins(logits.as_f32()?, VOLUME.iter().product()))
    };
    say("a linear model of 3x3x3 voxels:")?;
    let linear = of_slices(Conv3d::new(1, TISSUES.len(), 3).padding(1));
    let mut trainer = recipe(common.pick(6, 2)).train(&engine, &linear, &data, common)?;
    // At the threshold that suits it best.
    let own = measured(&mut trainer)?;
    let thresholds = (-40..=40).map(|step| 0.1 * step as f32);
    let by_voxels = thresholds.map(|at| dice(&own, masks, at));
    let by_voxels = by_voxels.fold(0.0, f64::max);
    say("convolutions over three axes:")?;
    let net = of_slices(network());
    let mut trainer = recipe(common.pick(6, 2)).train(&engine, &net, &data, common)?;
    let by_filters = dice(&measured(&mut trainer)?, masks, 0.0);
    common.write(
        "segment_volume.png",
        &shown_slices(&mut trainer, &data.test)?,
    )?;
    let everywhere = dice(&vec![0.0; masks.len()], masks, 0.0);
    Ok(Outcome::new(
        "Dice of lesions on 80 held-out volumes, smaller ones among more vessels and noise",
        "",
        Better::Higher,
        by_filters,
        common.pick(0.85, 0.6),
    )
    .beside_below("a linear model", by_voxels, 0.425)
    .beside_below("lesions everywhere", everywhere, 0.425))
}

/// Of each volume the slice with the most lesion; below, its true mask, and the network's.
fn shown_slices(trainer: &mut Trainer, set: &Dataset) -> Result<Picture> {
    const SHOWN: usize = 9;
    let [slices, rows, columns] = VOLUME;
    let (slice, volume) = (rows * columns, slices * rows * columns);
    let images = &set.images[..SHOWN * volume];
    let logits = trainer.predict(images)?;
    let answers = answers(logits.as_f32()?, TISSUES.len(), volume);
    let masks = masks_of(set)?;
    let lesion = |at: &usize| {
        masks[at * slice..][..slice]
            .iter()
            .filter(|&&class| class == 1)
            .count()
    };
    let chosen: Vec<usize> = (0..SHOWN)
        .filter_map(|number| (number * slices..(number + 1) * slices).max_by_key(lesion))
        .collect();
    let mut tiles = Vec::new();
    for masks in [None, Some(masks), Some(&answers)] {
        for at in &chosen {
            let own = at * slice..(at + 1) * slice;
            let grey = Picture::of_image(&images[own.clone()], [1, rows, columns])?;
            let tile = match masks {
                None => grey,
                Some(masks) => covered(&grey, &masks[own])?,
            };
            tiles.push(tile.enlarged(4)?);
        }
    }
    Picture::grid(&tiles, SHOWN, 4)
}
