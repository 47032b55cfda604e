//! Grey pictures of rings, crosses and triangles among stray lines.

use striate::data::{Chance, Dataset};
use striate::prelude::*;

use super::boxes::Object;
use super::{CELLS, CLASSES, DEPTH, SIDE, STEP, USUAL};
use crate::canvas::distance;

/// How far pictures differ from each other.
#[derive(Clone, Copy)]
pub struct MarkRange {
    /// Width and height of a box in pixels.
    extent: [f64; 2],
    /// Lines of the ground.
    lines: usize,
    /// Standard deviation of what is added to each pixel, times 3, as a share of white.
    noise: f64,
}

/// What networks learn from.
pub const LEARNT: MarkRange = MarkRange {
    extent: [12.0, 20.0],
    lines: 5,
    noise: 0.15,
};

/// Smaller objects, among more lines, in more noise.
pub const HELD_OUT: MarkRange = MarkRange {
    extent: [11.0, 18.0],
    lines: 7,
    noise: 0.2,
};

/// Grey pixels, and what is on them.
pub struct Scene {
    /// `[SIDE, SIDE]`.
    pub pixels: Vec<u8>,
    /// In no order.
    pub objects: Vec<Object>,
}

impl Scene {
    /// One to three objects whose boxes do not overlap.
    pub fn draw(mut chance: Chance, range: MarkRange) -> Self {
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
    pub fn mirrored(&self) -> Self {
        let rows = self.pixels.chunks(SIDE);
        Self {
            pixels: rows.flat_map(|row| row.iter().rev().copied()).collect(),
            objects: self.objects.iter().map(Object::mirrored).collect(),
        }
    }

    /// What a network shall make of the picture, `[DEPTH, CELLS, CELLS]`: 1 where a cell owns an
    /// object, then how far the object's middle is from the cell's, in cells; the logarithms of its
    /// width and height; and 1 for its class. All else is 0.
    pub fn wanted(&self) -> Vec<f32> {
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
    pub const HALF: f64 = 1.1;
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
pub fn draw(
    count: usize,
    seed: u64,
    range: MarkRange,
    mirror: bool,
) -> Result<(Dataset, Vec<Scene>)> {
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
