//! Which pixels belong to what? Scenes with discs, squares and triangles in clutter, and volumes
//! with lesions among vessels.
//!
//! Colours do not tell: lines and specks of the ground have those of the shapes, and vessels are as
//! bright as lesions. One U-Net, over two axes or three, answers both.

use std::f64::consts::{PI, TAU};

use striate::data::{Chance, Dataset, Picture, Split, Targets};
use striate::graph::Value;
use striate::nn::{
    BatchNorm, Build, Conv, Conv2d, Conv3d, ConvTranspose, MaxPool, Module, Relu, Sequential,
    from_fn,
};
use striate::prelude::*;
use striate::train::{AdamW, Segmentation, Trainer};

use crate::{Better, Common, Outcome, Recipe};

/// Gives each pixel of a scene its class: ground, disc, square or triangle
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
    /// Finds lesions among vessels in volumes instead
    #[arg(long)]
    pub volume: bool,
}

/// Trains the network and a linear model, and says how well their masks cover the true ones.
///
/// # Errors
/// Those of training and of writing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    match args.volume {
        false => segment_scenes(&args.common),
        true => segment_volumes(&args.common),
    }
}

// The network.

/// Logits `[n, classes, ..]` of x `[n, channels, ..]` with `D` axes behind the channels, whose
/// extents are multiples of 8.
///
/// A U-Net (Ronneberger et al. 2015) of three levels, with batch normalisation. To save time the
/// first convolution halves the extents, and the last, a transposed one, doubles them.
#[derive(Debug)]
struct UNet<const D: usize> {
    channels: usize,
    classes: usize,
    /// Channels of each level, from the half size down.
    levels: [usize; 3],
}

impl<const D: usize> Module for UNet<D>
where
    Conv<D>: Module,
    ConvTranspose<D>: Module,
    BatchNorm<D>: Module,
    MaxPool<D>: Module,
{
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let [fine, middle, coarse] = self.levels;
        let pool = MaxPool::<D>::new(2);
        let twice = |from, to| ConvTranspose::<D>::new(from, to, 2).stride(2);
        let halved = Conv::<D>::new(self.channels, fine, 4).stride(2).padding(1);
        let down1 = cx.layer("down1", &normalised(halved), x)?;
        let x = cx.layer("pool1", &pool, down1)?;
        let x = cx.layer("down2a", &filters::<D>(fine, middle), x)?;
        let down2 = cx.layer("down2b", &filters::<D>(middle, middle), x)?;
        let x = cx.layer("pool2", &pool, down2)?;
        let x = cx.layer("down3a", &filters::<D>(middle, coarse), x)?;
        let x = cx.layer("down3b", &filters::<D>(coarse, coarse), x)?;
        let x = cx.layer("up2", &twice(coarse, middle), x)?;
        let x = cx.graph().concat(&[down2, x], 1)?;
        let x = cx.layer("conv2", &filters::<D>(2 * middle, middle), x)?;
        let x = cx.layer("up1", &twice(middle, fine), x)?;
        let x = cx.graph().concat(&[down1, x], 1)?;
        let x = cx.layer("conv1", &filters::<D>(2 * fine, fine), x)?;
        cx.layer("head", &twice(fine, self.classes), x)
    }
}

/// A convolution of 3 along each axis, normalised.
fn filters<const D: usize>(channels: usize, out: usize) -> Sequential
where
    Conv<D>: Module,
    BatchNorm<D>: Module,
{
    normalised(Conv::<D>::new(channels, out, 3).padding(1))
}

fn normalised<const D: usize>(conv: Conv<D>) -> Sequential
where
    Conv<D>: Module,
    BatchNorm<D>: Module,
{
    let norm = BatchNorm::<D>::new(conv.out_channels);
    Sequential::new()
        .named("conv", conv.bias(false))
        .named("norm", norm)
        .then(Relu)
}

// Scenes.

/// Rows and columns of a scene.
const SIDE: usize = 48;
const CLASSES: [&str; 4] = ["ground", "disc", "square", "triangle"];
/// Where a side of each shape looks, in radians from the right, if it is not turned.
const UPRIGHT: [f64; 4] = [0.0, 0.0, 0.0, 0.5 * PI];
/// What masks are drawn with: the colour of each class.
const COLOURS: [[u8; 3]; 4] = [[30, 30, 40], [240, 90, 60], [80, 200, 90], [70, 140, 255]];

/// How far scenes differ from each other.
#[derive(Clone, Copy)]
struct Range {
    /// Radius in pixels of the disc that has a shape's area.
    radius: [f64; 2],
    /// Lines, and specks, of the ground.
    clutter: [usize; 2],
    /// Standard deviation of what is added to each pixel, times 3, as a share of white.
    noise: f64,
}

const LEARNT: Range = Range {
    radius: [7.0, 10.0],
    clutter: [4, 12],
    noise: 0.12,
};

/// Smaller shapes, in more clutter and noise.
const HELD_OUT: Range = Range {
    radius: [6.5, 9.5],
    clutter: [6, 18],
    noise: 0.16,
};

/// A shape of a scene.
struct Shape {
    class: usize,
    middle: [f64; 2],
    radius: f64,
    angle: f64,
    colour: [f64; 3],
}

impl Shape {
    /// Sides of the regular polygon; a disc has none.
    fn sides(&self) -> usize {
        [0, 0, 4, 3][self.class]
    }

    /// From the middle to a side, where the area is that of the disc.
    fn apothem(&self) -> f64 {
        match self.sides() as f64 {
            0.0 => self.radius,
            sides => self.radius * (PI / (sides * (PI / sides).tan())).sqrt(),
        }
    }

    /// From the middle to a corner.
    fn reach(&self) -> f64 {
        match self.sides() as f64 {
            0.0 => self.radius,
            sides => self.apothem() / (PI / sides).cos(),
        }
    }

    /// How far a point lies outside of the shape; inside it is negative.
    fn outside(&self, [x, y]: [f64; 2]) -> f64 {
        let [x, y] = [x - self.middle[0], y - self.middle[1]];
        let sides = self.sides();
        if sides == 0 {
            return x.hypot(y) - self.radius;
        }
        let furthest = (0..sides).map(|side| {
            let angle = self.angle + TAU * side as f64 / sides as f64;
            x * angle.cos() + y * angle.sin()
        });
        furthest.fold(f64::NEG_INFINITY, f64::max) - self.apothem()
    }
}

fn draw(count: usize, seed: u64, range: Range) -> Result<Dataset> {
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (image, mask) = scene(Chance::of(seed, index as u64), range);
        images.extend(image);
        masks.extend(mask);
    }
    Dataset::of_masks(images, masks, [3, SIDE, SIDE], CLASSES.len())?.with_names(CLASSES)
}

/// Pixels `[3, SIDE, SIDE]` and classes `[SIDE, SIDE]` of one scene.
fn scene(mut chance: Chance, range: Range) -> (Vec<u8>, Vec<u8>) {
    let base = [(); 3].map(|()| chance.within([0.2, 0.5]));
    let shapes = place(&mut chance, base, range);
    let mut canvas = Canvas::textured(&mut chance, base);
    let [lines, specks] = range.clutter;
    for line in 0..lines + specks {
        let colour = shapes[chance.below(shapes.len())].colour;
        let start = [(); 2].map(|()| SIDE as f64 * chance.unit());
        let (sin, cos) = (TAU * chance.unit()).sin_cos();
        let (length, wide) = match line < lines {
            true => (chance.within([12.0, 40.0]), chance.within([0.4, 0.9])),
            false => (chance.within([0.0, 2.0]), chance.within([0.7, 1.6])),
        };
        canvas.fill(colour, |[x, y]| {
            let [x, y] = [x - start[0], y - start[1]];
            let along = (cos * x + sin * y).clamp(0.0, length);
            (x - along * cos).hypot(y - along * sin) - wide
        });
    }
    for shape in &shapes {
        canvas.fill(shape.colour, |at| shape.outside(at));
    }
    let class_at = |at| {
        let own = shapes.iter().find(|shape| shape.outside(at) < 0.0);
        own.map_or(0, |shape| shape.class as u8)
    };
    let masks = (0..SIDE * SIDE).map(|at| class_at(middle_of(at))).collect();
    let mut pixels = vec![0; 3 * SIDE * SIDE];
    for (at, colour) in canvas.pixels.iter().enumerate() {
        for (plane, part) in colour.iter().enumerate() {
            let part = part + range.noise * chance.swing();
            pixels[plane * SIDE * SIDE + at] = (255.0 * part).clamp(0.0, 255.0) as u8;
        }
    }
    (pixels, masks)
}

/// One or two shapes that do not touch.
fn place(chance: &mut Chance, base: [f64; 3], range: Range) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    for _ in 0..1 + chance.below(2) {
        // Lighter than the ground, in a tint of its own.
        let light = chance.within([0.25, 0.4]);
        let colour = base.map(|part| part + light + chance.within([-0.15, 0.15]));
        let class = 1 + chance.below(3);
        let mut shape = Shape {
            class,
            middle: [0.0; 2],
            radius: chance.within(range.radius),
            angle: UPRIGHT[class] + chance.within([-0.3, 0.3]),
            colour,
        };
        let reach = shape.reach();
        for _ in 0..40 {
            let edge = [reach, SIDE as f64 - reach];
            shape.middle = [(); 2].map(|()| chance.within(edge));
            let apart = |other: &Shape| {
                let [x, y] = [0, 1].map(|axis| other.middle[axis] - shape.middle[axis]);
                x.hypot(y) > reach + other.reach() + 1.0
            };
            if shapes.iter().all(apart) {
                shapes.push(shape);
                break;
            }
        }
    }
    shapes
}

/// A scene that is being drawn: red, green and blue of its pixels, from 0 to 1.
struct Canvas {
    pixels: Vec<[f64; 3]>,
}

impl Canvas {
    /// Waves of colour around that of the ground.
    fn textured(chance: &mut Chance, base: [f64; 3]) -> Self {
        let waves = [(); 4].map(|()| {
            let (sin, cos) = (TAU * chance.unit()).sin_cos();
            let pace = chance.within([0.1, 0.9]);
            let swing = [(); 3].map(|()| 0.08 * (2.0 * chance.unit() - 1.0));
            ([pace * cos, pace * sin, TAU * chance.unit()], swing)
        });
        let pixel = |at| {
            let [x, y] = middle_of(at);
            let mut colour = base;
            for ([u, v, start], swing) in waves {
                let wave = (u * x + v * y + start).sin();
                for (part, swing) in colour.iter_mut().zip(swing) {
                    *part += wave * swing;
                }
            }
            colour
        };
        Self {
            pixels: (0..SIDE * SIDE).map(pixel).collect(),
        }
    }

    /// Paints what lies inside: where `outside`, a distance in pixels, is negative.
    fn fill(&mut self, colour: [f64; 3], outside: impl Fn([f64; 2]) -> f64) {
        for (at, pixel) in self.pixels.iter_mut().enumerate() {
            let cover = (0.5 - outside(middle_of(at))).clamp(0.0, 1.0);
            for (part, new) in pixel.iter_mut().zip(colour) {
                *part += cover * (new - *part);
            }
        }
    }
}

/// Column and row of the middle of a pixel.
fn middle_of(at: usize) -> [f64; 2] {
    [at % SIDE, at / SIDE].map(|edge| edge as f64 + 0.5)
}

fn segment_scenes(common: &Common) -> Result<Outcome> {
    let data = Split {
        train: draw(common.pick(2000, 1000), common.training_seed(), LEARNT)?,
        test: draw(200, common.held_out_seed(), HELD_OUT)?,
    };
    let engine = Engine::new()?;
    let recipe = |epochs| Recipe {
        task: Segmentation::new().class_weights([1.0, 2.5, 2.5, 2.5]),
        optimizer: AdamW::new().into(),
        rate: 0.005,
        epochs,
        batch: 20,
    };
    let mean_iou = |trainer: &mut Trainer| {
        let measured = trainer.evaluate(&data.test)?.scalar("mean_iou");
        Ok::<_, Error>(measured.unwrap_or(f64::NAN))
    };
    println!("a linear model of 5x5 pixels:");
    let linear = Sequential::new().named("conv", Conv2d::new(3, 4, 5).padding(2));
    let mut trainer = recipe(1).train(&engine, &linear, &data, common)?;
    let by_pixels = mean_iou(&mut trainer)?;
    println!("a U-Net:");
    let net = UNet::<2> {
        channels: 3,
        classes: CLASSES.len(),
        levels: [16, 32, 64],
    };
    let mut trainer = recipe(common.pick(5, 3)).train(&engine, &net, &data, common)?;
    let by_filters = mean_iou(&mut trainer)?;
    common.write("segment.png", &shown_scenes(&mut trainer, &data.test)?)?;
    let ground = masks_of(&data.test)?;
    let share = ground.iter().filter(|&&class| class == 0).count() as f64 / ground.len() as f64;
    Ok(Outcome::new(
        "mean IoU of 4 classes on 200 held-out scenes, smaller shapes in more clutter and noise",
        "",
        Better::Higher,
        by_filters,
        common.pick(0.85, 0.6),
    )
    .beside_below("a linear model", by_pixels, 0.425)
    // Of the others nothing is covered.
    .beside_below("the constant answer", share / CLASSES.len() as f64, 0.425))
}

/// Classes of all pixels of a set.
fn masks_of(set: &Dataset) -> Result<&[u8]> {
    match &set.targets {
        Targets::Masks(masks) => Ok(masks),
        _ => Err(Error::new(ErrorKind::Data, "the set has no masks")),
    }
}

/// The class of each pixel with the largest logit, of logits `[n, classes, pixels]`.
fn answers(logits: &[f32], classes: usize, pixels: usize) -> Vec<u8> {
    let images = logits.chunks(classes * pixels);
    let best = images.flat_map(|image| {
        (0..pixels).map(move |at| {
            let logit = |class: &usize| image[class * pixels + at];
            let best = (0..classes).max_by(|a, b| logit(a).total_cmp(&logit(b)));
            best.unwrap_or(0) as u8
        })
    });
    best.collect()
}

/// Scenes; below, their true masks, and the network's.
fn shown_scenes(trainer: &mut Trainer, set: &Dataset) -> Result<Picture> {
    const SHOWN: usize = 6;
    let (size, pixels) = ([3, SIDE, SIDE], SIDE * SIDE);
    let images = &set.images[..SHOWN * 3 * pixels];
    let logits = trainer.predict(images)?;
    let answers = answers(logits.as_f32()?, CLASSES.len(), pixels);
    let mut tiles = Vec::new();
    for image in images.chunks(3 * pixels) {
        tiles.push(Picture::of_image(image, size)?.enlarged(3)?);
    }
    for masks in [masks_of(set)?, &answers] {
        for (image, mask) in images.chunks(3 * pixels).zip(masks.chunks(pixels)) {
            let picture = Picture::of_image(image, size)?;
            tiles.push(covered(&picture, mask)?.enlarged(3)?);
        }
    }
    Picture::grid(&tiles, SHOWN, 4)
}

/// A picture under the colours of its pixels' classes.
fn covered(picture: &Picture, mask: &[u8]) -> Result<Picture> {
    let size = [3, picture.height(), picture.width()];
    let planes = (0..3).flat_map(|part| {
        mask.iter()
            .map(move |&class| COLOURS[usize::from(class)][part])
    });
    let colours = Picture::of_image(&planes.collect::<Vec<_>>(), size)?;
    picture.blended(&colours, &vec![0.7; mask.len()])
}

// Volumes.

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

const LEARNT_VOLUMES: VolumeRange = VolumeRange {
    axes: [2.4, 4.4],
    vessels: 4,
    noise: 0.25,
};

/// Smaller lesions, among more vessels and noise.
const HELD_OUT_VOLUMES: VolumeRange = VolumeRange {
    axes: [2.3, 4.0],
    vessels: 5,
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
fn draw_volumes(count: usize, seed: u64, range: VolumeRange) -> Result<Dataset> {
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

fn segment_volumes(common: &Common) -> Result<Outcome> {
    let data = Split {
        train: draw_volumes(
            common.pick(400, 200),
            common.training_seed(),
            LEARNT_VOLUMES,
        )?,
        test: draw_volumes(80, common.held_out_seed(), HELD_OUT_VOLUMES)?,
    };
    let engine = Engine::new()?;
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
    println!("a linear model of 3x3x3 voxels:");
    let linear = of_slices(Conv3d::new(1, TISSUES.len(), 3).padding(1));
    let mut trainer = recipe(1).train(&engine, &linear, &data, common)?;
    // At the threshold that suits it best.
    let own = measured(&mut trainer)?;
    let thresholds = (-40..=40).map(|step| 0.1 * step as f32);
    let by_voxels = thresholds.map(|at| dice(&own, masks, at));
    let by_voxels = by_voxels.fold(0.0, f64::max);
    println!("a U-Net of three axes:");
    let net = of_slices(UNet::<3> {
        channels: 1,
        classes: TISSUES.len(),
        levels: [12, 24, 48],
    });
    let mut trainer = recipe(common.pick(6, 4)).train(&engine, &net, &data, common)?;
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
