//! Boxes: what outputs say, which of them stay, and how good they are.

use striate::graph::Value;
use striate::prelude::*;

use super::scenes::Scene;
use super::{CELLS, CLASSES, DEPTH, OVERLAP, SIDE, STEP, USUAL};

/// An object: left, top, right and bottom in pixels, and its class.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Left, top, right and bottom.
    pub corners: [f64; 4],
    /// Its number among the classes.
    pub class: usize,
}

/// An object that was found, and how sure that is.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Its box and its class.
    pub object: Object,
    /// From 0 to 1.
    pub score: f64,
}

impl Object {
    /// Column and row of the middle.
    pub fn middle(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.corners;
        [0.5 * (left + right), 0.5 * (top + bottom)]
    }

    /// Width and height.
    pub fn extent(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.corners;
        [right - left, bottom - top]
    }

    /// Intersection over union of two boxes.
    pub fn iou(&self, other: &Self) -> f64 {
        let common = |low: usize| {
            let end = self.corners[low + 2].min(other.corners[low + 2]);
            (end - self.corners[low].max(other.corners[low])).max(0.0)
        };
        let area = |object: &Self| object.extent().iter().product::<f64>();
        let common = common(0) * common(1);
        common / (area(self) + area(other) - common)
    }

    /// The same in a mirror beside the picture.
    pub fn mirrored(&self) -> Self {
        let [left, top, right, bottom] = self.corners;
        let side = SIDE as f64;
        Self {
            corners: [side - right, top, side - left, bottom],
            class: self.class,
        }
    }
}

/// What each cell says, of outputs `[DEPTH, CELLS, CELLS]` of a picture: its box, its likeliest
/// class, and the probability that there is such an object.
pub fn decode(made: &[f32]) -> Vec<Found> {
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
pub struct Suppression {
    session: Session,
    boxes: Value,
    scores: Value,
    kept: Value,
    count: Value,
}

impl Suppression {
    pub fn new(engine: &Engine) -> Result<Self> {
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
    pub fn apply(&mut self, found: &[Found]) -> Result<Vec<Found>> {
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
pub fn mean_average_precision(scenes: &[Scene], found: &[Vec<Found>]) -> f64 {
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
