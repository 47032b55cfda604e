//! Handwritten-looking digits, drawn from nothing but a seed.
//!
//! Each digit has a few ways to be written, as strokes of a pen. An image picks one, moves its
//! control points, bends, slants, stretches and turns it, fits it to MNIST's frame (a 20-pixel box
//! in 28x28) and inks it with a soft pen.
//!
//! The bits are the same on every platform: integers, and `f64` under `+ - * /` and `sqrt`, whose
//! rounding IEEE 754 fixes. No function of the platform's mathematics library is called.

use std::ops::Range;

use super::Dataset;
use super::chance::{Chance, Purpose};
use crate::error::Result;
use crate::tensor::room;

/// Rows and columns of an image.
const SIDE: usize = 28;
/// The longer side of a digit at its largest, ink included, in pixels.
const BOX: f64 = 20.0;
const CLASSES: usize = 10;
/// Straight pieces per curve.
const PIECES: usize = 6;
/// How far a control point strays at most along each axis, in heights of the digit.
const JITTER: f64 = 0.17;

/// Draws `count` images of 28x28 pixels, white on black, in ten classes.
///
/// Every ten images in a row hold each class once, in a shuffled order. Image `i` depends on `seed`
/// and `i` alone, so a shorter set is the beginning of a longer one. Take another seed for the
/// images to test on.
///
/// # Errors
/// `OutOfMemory`.
pub fn digits(count: usize, seed: u64) -> Result<Dataset> {
    digits_range(0..count, seed)
}

/// The images of these numbers of a set that [`digits`] draws: for whoever draws some at a time,
/// between frames.
///
/// # Errors
/// `OutOfMemory`.
pub fn digits_range(numbers: Range<usize>, seed: u64) -> Result<Dataset> {
    let count = numbers.len();
    let (mut labels, mut images) = room(count)
        .and_then(|labels| Ok((labels, room(count.saturating_mul(SIDE * SIDE))?)))
        .map_err(|e| e.context(format!("digits: {count} images")))?;
    labels.extend(numbers.clone().map(|number| label(seed, number as u64)));
    images.resize(count * SIDE * SIDE, 0);
    let drawn = images.chunks_exact_mut(SIDE * SIDE);
    for ((image, number), &label) in drawn.zip(numbers).zip(&labels) {
        let chance = Chance::new(seed, Purpose::Draw, number as u64);
        draw(label, chance, image);
    }
    Ok(Dataset {
        images,
        labels,
        targets: super::Targets::Labels,
        count,
        channels: 1,
        height: SIDE,
        width: SIDE,
        classes: CLASSES,
        class_names: (0..10).map(|digit: u8| digit.to_string()).collect(),
    })
}

/// The class of image `index`: its place in the shuffled ten that it belongs to.
fn label(seed: u64, index: u64) -> u32 {
    let ten = CLASSES as u64;
    let mut chance = Chance::new(seed, Purpose::Shuffle, index / ten);
    let mut order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    for last in (1..CLASSES).rev() {
        order.swap(last, chance.below(last + 1));
    }
    order[(index % ten) as usize]
}

/// Horizontal to the right, vertical downwards.
type Point = [f64; 2];

/// Draws one digit on a black `image` `[SIDE, SIDE]`.
fn draw(label: u32, mut chance: Chance, image: &mut [u8]) {
    let styles = STYLES[label as usize];
    let glyph = styles[chance.below(styles.len())];
    let mut strokes: Vec<Vec<Point>> = glyph
        .iter()
        .map(|stroke| trace(stroke, &mut chance))
        .collect();
    let pen = Pen::pick(&mut chance);
    distort(&mut strokes, &mut chance);
    fit(&mut strokes, BOX - 2.0 * pen.radius, &mut chance);

    let mut cover = [0.0; SIDE * SIDE];
    for stroke in &strokes {
        pen.ink(stroke, &mut cover);
    }
    for (pixel, cover) in image.iter_mut().zip(cover) {
        let grain = 1.0 - pen.grain * chance.unit();
        *pixel = (255.0 * pen.strength * grain * cover + 0.5) as u8;
    }
}

/// The line a pen takes along jittered control points: quadratic Bezier curves, which meet halfway
/// between one control point and the next, cut into straight pieces.
fn trace(stroke: &[(i8, i8)], chance: &mut Chance) -> Vec<Point> {
    let mut controls: Vec<Point> = Vec::with_capacity(stroke.len());
    for (k, &(x, y)) in stroke.iter().enumerate() {
        if k > 0 && stroke[k - 1] == (x, y) {
            controls.push(controls[k - 1]);
            continue;
        }
        let mut stray = |hundredths| f64::from(hundredths) / 100.0 + JITTER * chance.swing();
        controls.push([stray(x), stray(y)]);
    }

    let mut from = controls[0];
    let mut line = vec![from];
    let last = controls.len() - 1;
    for k in 1..last {
        let (control, next) = (controls[k], controls[k + 1]);
        let to = if k + 1 == last {
            next
        } else {
            mix(control, next, 0.5)
        };
        for piece in 1..=PIECES {
            let t = piece as f64 / PIECES as f64;
            line.push(mix(mix(from, control, t), mix(control, to, t), t));
        }
        from = to;
    }
    if last == 1 {
        line.push(controls[1]);
    }
    line
}

/// Gives a digit its hand: moves its waist, widens, bends, slants, stretches and turns it about its
/// middle.
fn distort(strokes: &mut [Vec<Point>], chance: &mut Chance) {
    let waist = 0.6 * chance.swing();
    let stretch = 1.0 + 0.45 * chance.swing();
    let widening = 0.6 * chance.swing();
    let slant = 0.15 + 0.5 * chance.swing();
    let bend = 0.5 * chance.swing();
    // The tangent of half the angle gives sine and cosine without trigonometry.
    let t = 0.2 * chance.swing();
    let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    for point in strokes.iter_mut().flatten() {
        let [x, y] = [point[0] - 0.35, point[1] - 0.5];
        let y = y + waist * (0.25 - y * y);
        let x = stretch * (1.0 + widening * y) * x - slant * y + bend * y * y;
        *point = [cos * x - sin * y, sin * x + cos * y];
    }
}

/// Scales a digit so that its longer side is at most `side` pixels, and places it near the middle
/// of the image.
fn fit(strokes: &mut [Vec<Point>], side: f64, chance: &mut Chance) {
    let mut low = [f64::INFINITY; 2];
    let mut high = [f64::NEG_INFINITY; 2];
    for point in strokes.iter().flatten() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    let longer = (high[0] - low[0]).max(high[1] - low[1]);
    let scale = side * (1.0 - 0.2 * chance.unit()) / longer;
    let middle = mix(low, high, 0.5);
    let place = [0, 1].map(|_| 0.5 * SIDE as f64 + 2.5 * chance.swing());
    for point in strokes.iter_mut().flatten() {
        for axis in 0..2 {
            point[axis] = place[axis] + scale * (point[axis] - middle[axis]);
        }
    }
}

/// A pen with its ink.
struct Pen {
    /// Half the width of a stroke where it begins, in pixels.
    radius: f64,
    /// Half the width of a stroke where it ends, over `radius`.
    taper: f64,
    /// Half the width of the blurred edge, in pixels.
    blur: f64,
    /// Brightness of full ink, at most 1.
    strength: f64,
    /// The largest share of its brightness that a pixel loses by chance.
    grain: f64,
}

impl Pen {
    fn pick(chance: &mut Chance) -> Self {
        Self {
            radius: 1.35 + 0.65 * chance.swing(),
            taper: 1.0 + 0.3 * chance.swing(),
            blur: 0.6 + 0.4 * chance.unit(),
            strength: 1.0 - 0.15 * chance.unit(),
            grain: 0.2 * chance.unit(),
        }
    }

    /// Raises `cover`, the share of ink in each pixel, along a line.
    fn ink(&self, line: &[Point], cover: &mut [f64; SIDE * SIDE]) {
        let pieces = (line.len() - 1) as f64;
        for (k, ends) in line.windows(2).enumerate() {
            let (a, b) = (ends[0], ends[1]);
            let radius = self.radius * (1.0 + (self.taper - 1.0) * k as f64 / pieces);
            let reach = radius + self.blur;
            for row in pixels_between(a[1].min(b[1]) - reach, a[1].max(b[1]) + reach) {
                for column in pixels_between(a[0].min(b[0]) - reach, a[0].max(b[0]) + reach) {
                    let center = [column as f64 + 0.5, row as f64 + 0.5];
                    let inside = (reach - distance(center, a, b)) / (2.0 * self.blur);
                    let share = inside.clamp(0.0, 1.0);
                    let pixel = &mut cover[row * SIDE + column];
                    *pixel = pixel.max(share * share * (3.0 - 2.0 * share));
                }
            }
        }
    }
}

/// The rows or columns that the interval from `low` to `high` touches inside the image.
fn pixels_between(low: f64, high: f64) -> std::ops::Range<usize> {
    // Casts from float saturate, so an interval outside the image gives an empty range.
    low as usize..((high + 1.0) as usize).min(SIDE)
}

/// Distance from `p` to the straight piece from `a` to `b`.
fn distance(p: Point, a: Point, b: Point) -> f64 {
    let along = [b[0] - a[0], b[1] - a[1]];
    let length2 = along[0] * along[0] + along[1] * along[1];
    let mut t = 0.0;
    if length2 > 0.0 {
        t = (((p[0] - a[0]) * along[0] + (p[1] - a[1]) * along[1]) / length2).clamp(0.0, 1.0);
    }
    let [dx, dy] = [p[0] - a[0] - t * along[0], p[1] - a[1] - t * along[1]];
    (dx * dx + dy * dy).sqrt()
}

fn mix(a: Point, b: Point, t: f64) -> Point {
    [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]
}

/// Control points `(x, y)` of one movement of the pen, in hundredths of the digit's height from its
/// top left. A point given twice in a row is a corner.
type Stroke = &'static [(i8, i8)];

/// The ways to write each digit, each a list of strokes.
#[rustfmt::skip]
const STYLES: [&[&[Stroke]]; CLASSES] = [
    &[
        // Begun at the top, and closed there.
        &[&[(50, 0), (15, 0), (0, 35), (2, 85), (32, 108), (64, 92), (70, 45), (62, 2), (35, -2)]],
        // Narrow, closed with an overlap.
        &[&[(52, 10), (32, -8), (8, 25), (4, 75), (25, 108), (52, 95), (62, 50), (55, 10),
          (30, 0)]],
        // Begun at the side, other way round.
        &[&[(8, 30), (25, -4), (65, 0), (72, 55), (58, 102), (20, 104), (0, 70), (8, 25), (25, 6)]],
    ],
    &[
        // A plain line.
        &[&[(38, 0), (36, 50), (35, 100)]],
        // With a nose.
        &[&[(20, 32), (40, 0), (40, 0), (40, 100)]],
        // With a nose and a foot.
        &[&[(20, 30), (38, 0), (38, 0), (38, 98)], &[(14, 99), (62, 98)]],
    ],
    &[
        // With a corner at the foot.
        &[&[(6, 22), (22, -6), (68, -4), (68, 42), (30, 75), (2, 99), (2, 99), (70, 97)]],
        // With a loop at the foot.
        &[&[(8, 22), (25, -6), (70, -2), (62, 45), (35, 85), (8, 104), (-4, 86), (22, 76),
          (45, 102), (76, 94)]],
        // With a wave at the foot.
        &[&[(10, 14), (35, -8), (70, 8), (52, 50), (5, 98), (5, 98), (35, 86), (55, 106),
          (74, 90)]],
    ],
    &[
        // Two bows with a corner between.
        &[&[(6, 12), (32, -8), (70, 6), (62, 44), (28, 47), (28, 47), (76, 50), (74, 102),
          (25, 110), (2, 88)]],
        // A flat roof.
        &[&[(6, 2), (62, 2), (62, 2), (30, 42), (30, 42), (78, 46), (72, 104), (22, 108), (2, 88)]],
        // A small loop between the bows.
        &[&[(12, 14), (34, -8), (72, 10), (50, 48), (22, 54), (24, 40), (80, 50), (72, 106),
          (18, 108), (2, 90)]],
    ],
    &[
        // Open, with corners.
        &[&[(14, 2), (4, 56), (4, 56), (72, 52)], &[(60, 8), (56, 55), (52, 100)]],
        // Closed, with corners, in one movement.
        &[&[(72, 64), (0, 66), (0, 66), (54, 0), (54, 0), (50, 100)]],
        // Open and round.
        &[&[(8, 4), (0, 48), (18, 62), (64, 44)], &[(66, 0), (62, 50), (54, 100)]],
    ],
    &[
        // In one movement, with corners.
        &[&[(66, 1), (18, 2), (18, 2), (12, 44), (12, 44), (52, 30), (80, 62), (58, 104),
          (18, 106), (2, 90)]],
        // The roof added last.
        &[&[(18, 2), (12, 46), (12, 46), (60, 32), (80, 70), (50, 110), (2, 94)], &[(17, 3),
          (72, -1)]],
        // Without corners.
        &[&[(70, 4), (30, 0), (14, 12), (6, 46), (30, 48), (70, 46), (76, 84), (40, 112), (0, 92)]],
    ],
    &[
        // A round back.
        &[&[(60, 2), (30, 8), (2, 52), (4, 104), (56, 110), (70, 72), (44, 48), (14, 60), (6, 80)]],
        // A straight back and a small belly.
        &[&[(46, 0), (14, 50), (0, 104), (40, 112), (64, 84), (42, 56), (8, 76)]],
        // A hook at the top.
        &[&[(70, 12), (48, -6), (12, 18), (0, 68), (14, 110), (62, 106), (68, 58), (28, 48),
          (6, 78)]],
    ],
    &[
        // Plain.
        &[&[(4, 4), (66, 2), (66, 2), (42, 50), (30, 100)]],
        // With a bar.
        &[&[(4, 4), (66, 2), (66, 2), (40, 50), (26, 100)], &[(18, 52), (64, 48)]],
        // With a serif.
        &[&[(2, 20), (5, 3), (5, 3), (68, 2), (68, 2), (44, 45), (36, 100)]],
        // Round.
        &[&[(2, 10), (28, 2), (78, -8), (56, 36), (36, 62), (30, 100)]],
    ],
    &[
        // Begun at the top right, crossing twice.
        &[&[(62, 10), (36, -8), (2, 14), (22, 44), (66, 64), (64, 104), (26, 112), (2, 90),
          (16, 60), (60, 34), (60, 8)]],
        // Begun at the top, closed there.
        &[&[(40, 0), (6, 2), (6, 34), (66, 58), (70, 104), (24, 112), (0, 86), (22, 56),
          (64, 32), (60, 0), (32, 0)]],
        // Two rings.
        &[
            &[(36, 47), (8, 40), (8, 2), (40, -6), (66, 10), (60, 42), (34, 48)],
            &[(36, 48), (4, 54), (0, 100), (36, 108), (72, 98), (68, 56), (34, 48)],
        ],
    ],
    &[
        // A straight leg.
        &[&[(62, 14), (38, -8), (4, 8), (4, 46), (34, 58), (60, 38), (64, 8), (64, 8), (60, 60),
          (56, 100)]],
        // A hooked leg.
        &[&[(60, 14), (38, -8), (2, 8), (4, 50), (40, 56), (62, 30), (64, 8), (70, 60),
          (52, 110), (12, 96)]],
        // A ring with a slanted leg.
        &[&[(64, 22), (44, -8), (4, 2), (2, 44), (36, 52), (64, 28), (58, 6), (58, 40), (36, 100)]],
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a, 64 bits.
    fn hash(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn bits_stay_as_they_are() {
        let set = digits(200, 2026).unwrap();
        let labels: Vec<u8> = set.labels.iter().map(|&label| label as u8).collect();
        assert_eq!(
            (hash(&set.images), hash(&labels)),
            (0xab75_4512_5d85_e644, 0x5eb1_4dd4_f183_ce57)
        );
    }

    #[test]
    fn a_shorter_set_begins_a_longer_one() {
        let (short, long) = (digits(37, 5).unwrap(), digits(60, 5).unwrap());
        assert!(long.images.starts_with(&short.images));
        assert!(long.labels.starts_with(&short.labels));
        assert_eq!((short.count, short.images.len()), (37, 37 * SIDE * SIDE));
        assert_eq!(digits(0, 5).unwrap().count, 0);
    }

    #[test]
    fn a_set_is_drawn_some_at_a_time() {
        let whole = digits(60, 5).unwrap();
        let pieces = [0..7, 7..33, 33..60].map(|numbers| digits_range(numbers, 5).unwrap());
        assert_eq!(
            pieces.each_ref().map(|set| &set.images[..]).concat(),
            whole.images
        );
        assert_eq!(
            pieces.each_ref().map(|set| &set.labels[..]).concat(),
            whole.labels
        );
        assert_eq!(pieces.map(|set| set.count), [7, 26, 27]);
    }

    #[test]
    fn seeds_differ_in_images_and_labels() {
        let sets = [
            digits(40, 1).unwrap(),
            digits(40, 2).unwrap(),
            digits(40, 1 << 32).unwrap(),
        ];
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            assert!(sets[a].images != sets[b].images);
            assert!(sets[a].labels != sets[b].labels);
        }
    }

    #[test]
    fn every_ten_images_hold_each_class() {
        for ten in digits(200, 3).unwrap().labels.chunks_exact(CLASSES) {
            let mut sorted = ten.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
    }

    /// As in MNIST, where a fifth of the pixels carry ink and the outermost hardly any.
    #[test]
    fn digits_fill_the_middle() {
        let set = digits(500, 4).unwrap();
        for image in set.images.chunks_exact(SIDE * SIDE) {
            let inked = image.iter().filter(|&&pixel| pixel > 0).count();
            assert!((40..400).contains(&inked), "{inked} pixels with ink");
            assert!(image.iter().any(|&pixel| pixel > 150));
            let (top, bottom) = (&image[..SIDE], &image[SIDE * (SIDE - 1)..]);
            let sides = image
                .chunks_exact(SIDE)
                .flat_map(|row| [row[0], row[SIDE - 1]]);
            let rim = top.iter().chain(bottom).copied().chain(sides);
            assert!(rim.map(u32::from).sum::<u32>() < 2_000);
        }
    }
}
