//! What is where? Boxes around rings, crosses and triangles, each with its class.
//!
//! A single-shot detector as YOLO (Redmon et al. 2016, "You Only Look Once"): the picture is cut
//! into cells, and the cell in which the middle of an object lies answers for it. Each training
//! picture is also shown in a mirror, and its boxes with it.

mod boxes;
mod scenes;

use striate::data::{Dataset, Picture, Split, Targets};
use striate::graph::Value;
use striate::nn::{Conv2d, MaxPool2d, Module, Sequential};
use striate::ops::{CrossEntropyLoss, Reduction};
use striate::prelude::*;
use striate::train::{AdamW, Counted, Objective, Scalar, Task};

use self::boxes::{Found, Object, Suppression, decode, mean_average_precision};
use self::scenes::{HELD_OUT, LEARNT, Scene, draw};
use crate::parts::{filters, normalised};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Finds rings, crosses and triangles in cluttered pictures, with boxes around them
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Rows and columns of a picture.
const SIDE: usize = 48;
/// Rows and columns of cells.
const CELLS: usize = 6;
/// Pixels along a cell.
const STEP: f64 = (SIDE / CELLS) as f64;
const CLASSES: [&str; 3] = ["ring", "cross", "triangle"];
/// What boxes of each class are drawn with.
const COLOURS: [[u8; 3]; 3] = [[255, 110, 70], [90, 220, 100], [90, 160, 255]];
/// Of each cell: whether it owns an object, its box, and its class.
const PARTS: [usize; 3] = [1, 4, CLASSES.len()];
/// All of these.
const DEPTH: usize = 5 + CLASSES.len();
/// Pixels of an extent whose logarithm is 0.
const USUAL: f64 = 16.0;
/// Pictures that are shown.
const SHOWN: usize = 6;
/// Boxes that overlap better ones by more than this, as intersection over union, go.
const OVERLAP: f32 = 0.3;

fn network() -> Sequential {
    Sequential::new()
        .named(
            "block1",
            normalised(Conv2d::new(1, 16, 4).stride(2).padding(1)),
        )
        .named("block2", filters(16, 24))
        .then(MaxPool2d::new(2))
        .named("block3", filters(24, 48))
        .then(MaxPool2d::new(2))
        .named("block4", filters(48, 64))
        .named("block5", filters(64, 64))
        .named("head", Conv2d::new(64, DEPTH, 1))
}

/// Each cell by the 24x24 pixels around it.
fn linear() -> Sequential {
    let conv = Conv2d::new(1, DEPTH, 24).stride(8).padding(8);
    Sequential::new().named("conv", conv)
}

/// Boxes of cells: outputs f32 `[rows, DEPTH, CELLS, CELLS]`, and values as [`Scene::wanted`].
///
/// The sum of three losses, means over images: the binary cross-entropy of all cells, whether they
/// own an object; of those that do, the smooth absolute error of their box, and the cross-entropy
/// of their class.
#[derive(Debug)]
struct Detection;

impl Task for Detection {
    fn expect(&self, set: &Dataset) -> Result<()> {
        set.expect_values().map(|_| ())
    }

    fn measure(&self, cx: &mut Objective<'_>) -> Result<()> {
        let wanted = cx.targets();
        let wanted = cx.graph().split(wanted, &PARTS, 1)?;
        let made = cx.outputs();
        let made = cx.graph().split(made, &PARTS, 1)?;
        let owns = wanted[0];
        let g = cx.graph();
        let objects = g.bce_with_logits(made[0], owns, None, None, Reduction::None)?;
        let objects = cx.masked(objects)?;
        let objects = sum(cx.graph(), objects)?;
        // What is wanted of the other cells is 0.
        let g = cx.graph();
        let boxes = g.mul(made[1], owns)?;
        let boxes = g.smooth_l1_loss(boxes, wanted[1], 0.1, Reduction::Sum)?;
        let options = CrossEntropyLoss::new().reduction(Reduction::Sum);
        let classes = g.cross_entropy_with(made[2], wanted[2], options)?;
        for (name, loss, weight) in [
            ("objects", objects, 1.0),
            ("boxes", boxes, 2.0),
            ("classes", classes, 1.0),
        ] {
            let mean = cx.mean(loss)?;
            cx.loss(name, mean, weight)?;
        }
        Ok(())
    }

    fn metrics(&self, _: &Counted) -> Result<Vec<Scalar>> {
        Ok(Vec::new())
    }

    fn describe(&self) -> String {
        "detection".to_owned()
    }
}

/// The sum of all elements of a value with four axes.
fn sum(g: &mut Graph, x: Value) -> Result<Value> {
    g.sum(x, &[0, 1, 2, 3], false)
}

/// The same outputs for each picture: the share of cells that own an object, the mean box of
/// those, and the shares of classes.
fn constant(set: &Dataset) -> Result<Vec<f32>> {
    let Targets::Values { values, .. } = &set.targets else {
        return Err(Error::new(ErrorKind::Data, "the set has no values"));
    };
    let cells = CELLS * CELLS;
    let sum_of = |part: usize| {
        let scenes = values.chunks(DEPTH * cells);
        let own = scenes.flat_map(|scene| &scene[part * cells..][..cells]);
        own.map(|&value| f64::from(value)).sum::<f64>()
    };
    let owned = sum_of(0);
    let share = owned / (set.count * cells) as f64;
    let mean = |part: usize| match part {
        0 => (share / (1.0 - share)).ln(),
        1..5 => sum_of(part) / owned,
        _ => (sum_of(part) / owned).ln(),
    };
    let parts = (0..DEPTH).map(|part| mean(part) as f32);
    Ok(parts.flat_map(|value| [value; CELLS * CELLS]).collect())
}

/// Trains the detector and a linear one, and says how precise their boxes are.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (learnt, held_out) = (common.training_seed(), common.held_out_seed());
    let (train, _) = draw(common.pick(1600, 700), learnt, LEARNT, true)?;
    let (test, scenes) = draw(300, held_out, HELD_OUT, false)?;
    let data = Split { train, test };
    let engine = engine()?;
    let mut suppression = Suppression::new(&engine)?;
    let mut boxes_of = |made: &[f32]| {
        let scenes = made.chunks(DEPTH * CELLS * CELLS);
        let found = scenes.map(|made| suppression.apply(&decode(made)));
        found.collect::<Result<Vec<_>>>()
    };
    let mut train = |net: &dyn Module, epochs| {
        let recipe = Recipe {
            task: Detection,
            optimizer: AdamW::new().into(),
            rate: 0.005,
            epochs,
            batch: 32,
        };
        let mut trainer = recipe.train(&engine, net, &data, common)?;
        boxes_of(trainer.predict(&data.test.images)?.as_f32()?)
    };
    say("a linear model of 24x24 pixels:")?;
    let by_pixels = mean_average_precision(&scenes, &train(&linear(), common.pick(6, 3))?);
    say("five convolutions:")?;
    let found = train(&network(), common.pick(6, 3))?;
    let by_filters = mean_average_precision(&scenes, &found);
    let same = constant(&data.train)?.repeat(scenes.len());
    let by_nothing = mean_average_precision(&scenes, &boxes_of(&same)?);

    common.write("detect.png", &shown(&scenes, &found)?)?;
    let fullest = (0..SHOWN).max_by_key(|&at| scenes[at].objects.len());
    let fullest = fullest.unwrap_or(0);
    say(format!("boxes of picture {} of these:", fullest + 1))?;
    print_table(&scenes[fullest], &found[fullest])?;
    Ok(Outcome::new(
        "mAP@0.5 on 300 held-out pictures, smaller objects among more lines, in more noise",
        "",
        Better::Higher,
        by_filters,
        common.pick(0.85, 0.7),
    )
    .beside_below("a linear model", by_pixels, 0.375)
    .beside_below("the constant answer", by_nothing, 0.375))
}

/// Those that are likelier than not.
fn sure(found: &[Found]) -> impl Iterator<Item = &Found> {
    found.iter().filter(|found| found.score > 0.5)
}

/// The boxes of a picture, each with the object that it overlaps most.
fn print_table(scene: &Scene, found: &[Found]) -> Result<()> {
    say("  class     score   left    top  right bottom   overlaps")?;
    for Found { object, score } in sure(found) {
        let [left, top, right, bottom] = object.corners;
        let class = CLASSES[object.class];
        let best = scene
            .objects
            .iter()
            .max_by(|a, b| object.iou(a).total_cmp(&object.iou(b)));
        let best = best.map_or("nothing".to_owned(), |other| {
            format!("a {} by {:.2}", CLASSES[other.class], object.iou(other))
        });
        say(format!(
            "  {class:8} {score:6.2} {left:6.1} {top:6.1} {right:6.1} {bottom:6.1}   {best}"
        ))?;
    }
    Ok(())
}

/// Pictures with their true boxes; below, with those that were found.
fn shown(scenes: &[Scene], found: &[Vec<Found>]) -> Result<Picture> {
    let scenes = &scenes[..SHOWN];
    let mut tiles = Vec::new();
    for scene in scenes {
        tiles.push(with_boxes(scene, &scene.objects)?);
    }
    for (scene, found) in scenes.iter().zip(found) {
        let objects: Vec<Object> = sure(found).map(|found| found.object).collect();
        tiles.push(with_boxes(scene, &objects)?);
    }
    Picture::grid(&tiles, SHOWN, 4)
}

/// A picture, three times as large, with boxes in the colours of their classes.
fn with_boxes(scene: &Scene, objects: &[Object]) -> Result<Picture> {
    const TIMES: usize = 3;
    const LARGE: usize = TIMES * SIDE;
    let picture = Picture::of_image(&scene.pixels, [1, SIDE, SIDE])?.enlarged(TIMES)?;
    let mut planes = picture.to_image();
    for object in objects {
        let place = |at: f64| ((TIMES as f64 * at).round().max(0.0) as usize).min(LARGE - 1);
        let [left, top, right, bottom] = object.corners.map(place);
        for at in 0..LARGE * LARGE {
            let (x, y) = (at % LARGE, at / LARGE);
            let within = (left..=right).contains(&x) && (top..=bottom).contains(&y);
            // Two pixels wide.
            let [x, y] = [(x, left, right), (y, top, bottom)]
                .map(|(at, low, high)| at < low + 2 || at + 2 > high);
            if within && (x || y) {
                for (plane, part) in COLOURS[object.class].into_iter().enumerate() {
                    planes[plane * LARGE * LARGE + at] = part;
                }
            }
        }
    }
    Picture::of_image(&planes, [3, LARGE, LARGE])
}
