//! What is where? Boxes around rings, crosses and triangles, each with its class.
//!
//! A single-shot detector as YOLO (Redmon et al. 2016, "You Only Look Once"): the picture is cut
//! into cells, and the cell in which the middle of an object lies answers for it. Each training
//! picture is also shown in a mirror, and its boxes with it.

use striate::data::{Chance, Dataset, Picture, Split, Targets};
use striate::graph::Value;
use striate::nn::{Conv2d, MaxPool2d, Module, Sequential};
use striate::ops::{CrossEntropyLoss, Reduction};
use striate::prelude::*;
use striate::train::{AdamW, Counted, Objective, Scalar, Task};

use crate::canvas::distance;
use crate::parts::{filters, normalised};
use crate::{Better, Common, Outcome, Recipe};

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

/// An object: left, top, right and bottom in pixels, and its class.
#[derive(Clone, Copy, Debug)]
struct Object {
    corners: [f64; 4],
    class: usize,
}

/// An object that was found, and how sure that is.
#[derive(Clone, Copy, Debug)]
struct Found {
    object: Object,
    score: f64,
}

impl Object {
    /// Column and row of the middle.
    fn middle(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.corners;
        [0.5 * (left + right), 0.5 * (top + bottom)]
    }

    /// Width and height.
    fn extent(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.corners;
        [right - left, bottom - top]
    }

    /// Intersection over union of two boxes.
    fn iou(&self, other: &Self) -> f64 {
        let common = |low: usize| {
            let end = self.corners[low + 2].min(other.corners[low + 2]);
            (end - self.corners[low].max(other.corners[low])).max(0.0)
        };
        let area = |object: &Self| object.extent().iter().product::<f64>();
        let common = common(0) * common(1);
        common / (area(self) + area(other) - common)
    }

    /// The same in a mirror beside the picture.
    fn mirrored(&self) -> Self {
        let [left, top, right, bottom] = self.corners;
        let side = SIDE as f64;
        Self {
            corners: [side - right, top, side - left, bottom],
            class: self.class,
        }
    }
}

// Pictures.

/// How far pictures differ from each other.
#[derive(Clone, Copy)]
struct MarkRange {
    /// Width and height of a box in pixels.
    extent: [f64; 2],
    /// Lines of the ground.
    lines: usize,
    /// Standard deviation of what is added to each pixel, times 3, as a share of white.
    noise: f64,
}

const LEARNT: MarkRange = MarkRange {
    extent: [12.0, 20.0],
    lines: 5,
    noise: 0.15,
};

/// Smaller objects, among more lines, in more noise.
const HELD_OUT: MarkRange = MarkRange {
    extent: [11.0, 18.0],
    lines: 7,
    noise: 0.2,
};

/// Grey pixels, and what is on them.
struct Scene {
    pixels: Vec<u8>,
    objects: Vec<Object>,
}

impl Scene {
    /// One to three objects whose boxes do not overlap.
    fn draw(mut chance: Chance, range: MarkRange) -> Self {
        let mut objects: Vec<Object> = Vec::new();
        for _ in 0..1 + chance.below(3) {
            let class = chance.below(CLASSES.len());
            let extent = [(); 2].map(|()| chance.within(range.extent));
            for _ in 0..40 {
                let [left, top] = extent.map(|extent| chance.within([0.0, SIDE as f64 - extent]));
                let corners = [left, top, left + extent[0], top + extent[1]];
                let object = Object { corners, class };
                if objects.iter().all(|other| object.iou(other) == 0.0) {
                    objects.push(object);
                    break;
                }
            }
        }
        let ground = chance.within([0.15, 0.5]);
        let slope = [(); 2].map(|()| chance.within([-0.2, 0.2]));
        let mut grey: Vec<f64> = (0..SIDE * SIDE)
            .map(|at| {
                let parts = middle_of(at).into_iter().zip(slope);
                let slope = parts.map(|(at, slope)| slope * (at / SIDE as f64 - 0.5));
                ground + slope.sum::<f64>()
            })
            .collect();
        // Lines and objects alike are lighter than the ground.
        let light = [0.25, 0.45];
        for _ in 0..range.lines {
            let by = chance.within(light);
            let start = [(); 2].map(|()| SIDE as f64 * chance.unit());
            let (sin, cos) = chance.within([0.0, std::f64::consts::TAU]).sin_cos();
            let length = chance.within([6.0, 24.0]);
            let end = [start[0] + cos * length, start[1] + sin * length];
            let stroke = [start, end];
            add(&mut grey, by, |at| distance(at, stroke) - 0.9);
        }
        for object in &objects {
            let by = chance.within(light);
            let apex = chance.within([0.2, 0.8]);
            add(&mut grey, by, |at| outside(object, apex, at));
        }
        let noisy = grey.iter().map(|grey| {
            let grey = grey + range.noise * chance.swing();
            (255.0 * grey).clamp(0.0, 255.0) as u8
        });
        Self {
            pixels: noisy.collect(),
            objects,
        }
    }

    /// The same in a mirror: pixels and boxes.
    fn mirrored(&self) -> Self {
        let rows = self.pixels.chunks(SIDE);
        Self {
            pixels: rows.flat_map(|row| row.iter().rev().copied()).collect(),
            objects: self.objects.iter().map(Object::mirrored).collect(),
        }
    }

    /// What a network shall make of the picture, `[DEPTH, CELLS, CELLS]`: 1 where a cell owns an
    /// object, then how far the object's middle is from the cell's, in cells; the logarithms of its
    /// width and height; and 1 for its class. All else is 0.
    fn wanted(&self) -> Vec<f32> {
        let mut wanted = vec![0.0; DEPTH * CELLS * CELLS];
        for object in &self.objects {
            let middle = object.middle().map(|at| at / STEP);
            let [column, row] = middle.map(|at| (at as usize).min(CELLS - 1));
            let mut set = |part: usize, value: f64| {
                wanted[(part * CELLS + row) * CELLS + column] = value as f32;
            };
            set(0, 1.0);
            set(1, middle[0] - column as f64 - 0.5);
            set(2, middle[1] - row as f64 - 0.5);
            for (part, extent) in (3..).zip(object.extent()) {
                set(part, (extent / USUAL).ln());
            }
            set(5 + object.class, 1.0);
        }
        wanted
    }
}

/// Column and row of the middle of a pixel.
fn middle_of(at: usize) -> [f64; 2] {
    [at % SIDE, at / SIDE].map(|edge| edge as f64 + 0.5)
}

/// Adds to what lies inside: where `outside`, a distance in pixels, is negative.
fn add(grey: &mut [f64], by: f64, outside: impl Fn([f64; 2]) -> f64) {
    for (at, grey) in grey.iter_mut().enumerate() {
        *grey += by * (0.5 - outside(middle_of(at))).clamp(0.0, 1.0);
    }
}

/// How far a point is from the ink of an object, which is 2 pixels wide. A triangle's apex lies at
/// the share `apex` of its width.
fn outside(object: &Object, apex: f64, [x, y]: [f64; 2]) -> f64 {
    const HALF: f64 = 1.1;
    let [left, top, right, bottom] = object.corners;
    let [left, top, right, bottom] = [left + HALF, top + HALF, right - HALF, bottom - HALF];
    let distance = match object.class {
        0 => {
            let [a, b] = [0.5 * (right - left), 0.5 * (bottom - top)];
            let [u, v] = [x - 0.5 * (left + right), y - 0.5 * (top + bottom)];
            // To first order: the distance from the curve f = 1 is (f - 1) over the slope of f.
            let f = (u / a).hypot(v / b);
            let slope = (u / (a * a)).hypot(v / (b * b)) / f.max(1e-9);
            (f - 1.0).abs() / slope.max(1e-9)
        }
        class => {
            let tip = [left + apex * (right - left), top];
            let corners = [[left, bottom], [right, bottom]];
            let strokes = match class {
                1 => &[
                    [[left, top], [right, bottom]],
                    [[left, bottom], [right, top]],
                ][..],
                _ => &[[tip, corners[0]], [tip, corners[1]], corners][..],
            };
            let distances = strokes.iter().map(|&stroke| distance([x, y], stroke));
            distances.fold(f64::INFINITY, f64::min)
        }
    };
    distance - HALF
}

/// Scenes as a set; with `mirror`, each twice, the second time in a mirror.
fn draw(count: usize, seed: u64, range: MarkRange, mirror: bool) -> Result<(Dataset, Vec<Scene>)> {
    let mut scenes = Vec::new();
    for index in 0..count {
        let scene = Scene::draw(Chance::of(seed, index as u64), range);
        let other = mirror.then(|| scene.mirrored());
        scenes.push(scene);
        scenes.extend(other);
    }
    let images = scenes.iter().flat_map(|scene| scene.pixels.iter().copied());
    let wanted: Vec<f32> = scenes.iter().flat_map(Scene::wanted).collect();
    let wanted = Tensor::f32([scenes.len(), DEPTH, CELLS, CELLS], wanted)?;
    let set = Dataset::of_values(images.collect(), &wanted, [1, SIDE, SIDE])?;
    Ok((set, scenes))
}

// Network and loss.

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

// Boxes of outputs.

/// What each cell says, of outputs `[DEPTH, CELLS, CELLS]` of a picture: its box, its likeliest
/// class, and the probability that there is such an object.
fn decode(made: &[f32]) -> Vec<Found> {
    let cell = |at: usize| {
        let part = |part: usize| f64::from(made[part * CELLS * CELLS + at]);
        let middle = [at % CELLS, at / CELLS].map(|cell| cell as f64 + 0.5);
        let [x, y] = [0, 1].map(|axis| STEP * (middle[axis] + part(1 + axis)));
        // No larger than the picture.
        let [w, h] = [3, 4].map(|at| (USUAL * part(at).exp()).min(SIDE as f64));
        let shares: Vec<f64> = (5..DEPTH).map(|class| part(class).exp()).collect();
        let class = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
        let class = class.unwrap_or(0);
        let share = shares[class] / shares.iter().sum::<f64>();
        Found {
            object: Object {
                corners: [x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h],
                class,
            },
            score: share / (1.0 + (-part(0)).exp()),
        }
    };
    (0..CELLS * CELLS).map(cell).collect()
}

/// Non-maximum suppression of the boxes of a picture's cells.
struct Suppression {
    session: Session,
    boxes: Value,
    scores: Value,
    kept: Value,
    count: Value,
}

impl Suppression {
    fn new(engine: &Engine) -> Result<Self> {
        const ALL: usize = CELLS * CELLS;
        let mut g = Graph::new();
        let boxes = g.input("boxes", Type::f32([ALL, 4]))?;
        let scores = g.input("scores", Type::f32([ALL]))?;
        let (kept, count) = g.nms(boxes, scores, OVERLAP, ALL)?;
        let store = Store::new(engine, &[&g], 0)?;
        Ok(Self {
            session: Session::new(&store, &g, &[kept, count])?,
            boxes,
            scores,
            kept,
            count,
        })
    }

    /// Those that stay, the surest first.
    fn apply(&mut self, found: &[Found]) -> Result<Vec<Found>> {
        let corners = found.iter().flat_map(|found| found.object.corners);
        let corners = corners.map(|at| at as f32).collect();
        let scores = found.iter().map(|found| found.score as f32).collect();
        let boxes = Tensor::f32([found.len(), 4], corners)?;
        self.session.write(self.boxes, &boxes)?;
        let scores = Tensor::f32([found.len()], scores)?;
        self.session.write(self.scores, &scores)?;
        self.session.run(1)?;
        let count = self.session.read(self.count)?.as_u32()?[0] as usize;
        let kept = self.session.read(self.kept)?;
        let kept = kept.as_u32()?[..count].iter();
        Ok(kept.map(|&index| found[index as usize]).collect())
    }
}

/// The mean over classes of the average precision of boxes, where an object is found by a box of
/// its class with an intersection over union of at least 0.5.
///
/// As in the PASCAL VOC challenge from 2010 on (Everingham et al. 2015, "The PASCAL Visual Object
/// Classes Challenge: A Retrospective"): a box belongs to the object that it overlaps most, an
/// object is found once, and precision at a recall is the best at that recall or a higher one,
/// integrated over all recalls.
fn mean_average_precision(scenes: &[Scene], found: &[Vec<Found>]) -> f64 {
    let classes = 0..CLASSES.len();
    let sum: f64 = classes
        .map(|class| average_precision(scenes, found, class))
        .sum();
    sum / CLASSES.len() as f64
}

fn average_precision(scenes: &[Scene], found: &[Vec<Found>], class: usize) -> f64 {
    let own = |object: &&Object| object.class == class;
    let objects: Vec<Vec<&Object>> = scenes
        .iter()
        .map(|scene| scene.objects.iter().filter(own).collect())
        .collect();
    let all: usize = objects.iter().map(Vec::len).sum();
    let mut boxes: Vec<(usize, &Found)> = (found.iter().enumerate())
        .flat_map(|(scene, found)| found.iter().map(move |found| (scene, found)))
        .filter(|(_, found)| found.object.class == class)
        .collect();
    boxes.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
    let mut taken: Vec<Vec<bool>> = objects.iter().map(|own| vec![false; own.len()]).collect();
    let (mut right, mut curve) = (0, Vec::new());
    for (place, (scene, found)) in boxes.into_iter().enumerate() {
        let overlaps = objects[scene].iter().map(|object| found.object.iou(object));
        let best = overlaps.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        if let Some((object, _)) = best.filter(|&(_, iou)| iou >= 0.5)
            && !std::mem::replace(&mut taken[scene][object], true)
        {
            right += 1;
            // Recall rises by 1 / all here.
            curve.push(f64::from(right) / (place + 1) as f64);
        }
    }
    let (mut best, mut area) = (0.0_f64, 0.0);
    for precision in curve.into_iter().rev() {
        best = best.max(precision);
        area += best;
    }
    area / all.max(1) as f64
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
/// Those of training and of writing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (learnt, held_out) = (common.training_seed(), common.held_out_seed());
    let (train, _) = draw(common.pick(1600, 700), learnt, LEARNT, true)?;
    let (test, scenes) = draw(300, held_out, HELD_OUT, false)?;
    let data = Split { train, test };
    let engine = Engine::new()?;
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
    println!("a linear model of 24x24 pixels:");
    let by_pixels = mean_average_precision(&scenes, &train(&linear(), common.pick(6, 5))?);
    println!("five convolutions:");
    let found = train(&network(), common.pick(6, 5))?;
    let by_filters = mean_average_precision(&scenes, &found);
    let same = constant(&data.train)?.repeat(scenes.len());
    let by_nothing = mean_average_precision(&scenes, &boxes_of(&same)?);

    common.write("detect.png", &shown(&scenes, &found)?)?;
    let fullest = (0..SHOWN).max_by_key(|&at| scenes[at].objects.len());
    let fullest = fullest.unwrap_or(0);
    println!("boxes of picture {} of these:", fullest + 1);
    print_table(&scenes[fullest], &found[fullest]);
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
fn print_table(scene: &Scene, found: &[Found]) {
    println!("  class     score   left    top  right bottom   overlaps");
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
        println!("  {class:8} {score:6.2} {left:6.1} {top:6.1} {right:6.1} {bottom:6.1}   {best}");
    }
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
