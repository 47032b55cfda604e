//! Scenes in colour, over two axes.

use std::f64::consts::{PI, TAU};

use striate::data::{Chance, Dataset, Picture, Split};
use striate::nn::{Conv2d, Sequential};
use striate::prelude::*;
use striate::train::{AdamW, Segmentation, Trainer};

use super::{answers, covered, masks_of};
use crate::parts::UNet;
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Rows and columns of a scene.
const SIDE: usize = 48;
const CLASSES: [&str; 4] = ["ground", "disc", "square", "triangle"];
/// Where a side of each shape looks, in radians from the right, if it is not turned.
const UPRIGHT: [f64; 4] = [0.0, 0.0, 0.0, 0.5 * PI];

/// How far scenes differ from each other.
#[derive(Clone, Copy)]
struct SceneRange {
    /// Radius in pixels of the disc that has a shape's area.
    radius: [f64; 2],
    /// Lines, and specks, of the ground.
    clutter: [usize; 2],
    /// Standard deviation of what is added to each pixel, times 3, as a share of white.
    noise: f64,
}

const LEARNT: SceneRange = SceneRange {
    radius: [7.0, 10.0],
    clutter: [4, 12],
    noise: 0.12,
};

/// Smaller shapes, in more clutter and noise.
const HELD_OUT: SceneRange = SceneRange {
    radius: [6.5, 9.5],
    clutter: [6, 18],
    noise: 0.16,
};

/// A shape of a scene.
struct Figure {
    class: usize,
    middle: [f64; 2],
    radius: f64,
    angle: f64,
    colour: [f64; 3],
}

impl Figure {
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

fn draw(count: usize, seed: u64, range: SceneRange) -> Result<Dataset> {
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (image, mask) = scene(Chance::of(seed, index as u64), range);
        images.extend(image);
        masks.extend(mask);
    }
    Dataset::of_masks(images, masks, [3, SIDE, SIDE], CLASSES.len())?.with_names(CLASSES)
}

/// Pixels `[3, SIDE, SIDE]` and classes `[SIDE, SIDE]` of one scene.
fn scene(mut chance: Chance, range: SceneRange) -> (Vec<u8>, Vec<u8>) {
    let base = [(); 3].map(|()| chance.within([0.2, 0.5]));
    let shapes = place(&mut chance, base, range);
    let mut canvas = Painting::textured(&mut chance, base);
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
fn place(chance: &mut Chance, base: [f64; 3], range: SceneRange) -> Vec<Figure> {
    let mut shapes: Vec<Figure> = Vec::new();
    for _ in 0..1 + chance.below(2) {
        // Lighter than the ground, in a tint of its own.
        let light = chance.within([0.25, 0.4]);
        let colour = base.map(|part| part + light + chance.within([-0.15, 0.15]));
        let class = 1 + chance.below(3);
        let mut shape = Figure {
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
            let apart = |other: &Figure| {
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
struct Painting {
    pixels: Vec<[f64; 3]>,
}

impl Painting {
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

pub fn run(common: &Common) -> Result<Outcome> {
    let data = Split {
        train: draw(common.pick(2000, 500), common.training_seed(), LEARNT)?,
        test: draw(200, common.held_out_seed(), HELD_OUT)?,
    };
    let engine = engine()?;
    let recipe = |epochs| Recipe {
        task: Segmentation::new().class_weights([1.0, 2.5, 2.5, 2.5]),
        optimizer: AdamW::new().into(),
        rate: 0.005,
        epochs,
        batch: common.pick(20, 10),
    };
    let mean_iou = |trainer: &mut Trainer| {
        let measured = trainer.evaluate(&data.test)?.scalar("mean_iou");
        Ok::<_, Error>(measured.unwrap_or(f64::NAN))
    };
    say("a linear model of 5x5 pixels:")?;
    let linear = Sequential::new().named("conv", Conv2d::new(3, 4, 5).padding(2));
    let mut trainer = recipe(common.pick(6, 3)).train(&engine, &linear, &data, common)?;
    let by_pixels = mean_iou(&mut trainer)?;
    say("a U-Net:")?;
    let net = UNet {
        channels: 3,
        outputs: CLASSES.len(),
        levels: [16, 32, 64],
    };
    let mut trainer = recipe(common.pick(6, 3)).train(&engine, &net, &data, common)?;
    let by_filters = mean_iou(&mut trainer)?;
    common.write("segment.png", &shown_scenes(&mut trainer, &data.test)?)?;
    let ground = masks_of(&data.test)?;
    let share = ground.iter().filter(|&&class| class == 0).count() as f64 / ground.len() as f64;
    Ok(Outcome::new(
        "mean IoU of 4 classes on 200 held-out scenes, smaller shapes in more clutter and noise",
        "",
        Better::Higher,
        by_filters,
        common.pick(0.85, 0.3),
    )
    .beside_below("a linear model", by_pixels, 0.425)
    // Of the others nothing is covered.
    .beside_below("the constant answer", share / CLASSES.len() as f64, 0.425))
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
