//! Policies that draw one of torchvision's 14 operations: its file `autoaugment.py`, with the same
//! magnitudes.

use crate::error::Result;
use crate::ops::{AugmentChoice, AugmentRow, Levels};

use super::steps::{centred, turn, within};

/// How operations and magnitudes are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    TrivialAugmentWide,
    RandAugment { magnitude: usize },
}

/// Magnitudes of each operation.
const BINS: usize = 31;

/// The choices of a policy: all equally likely, so that operations with fewer of them than others
/// stand there several times.
pub(super) fn policy(policy: Policy, [h, w]: [usize; 2]) -> Result<Vec<AugmentChoice>> {
    let (wide, bins) = match policy {
        Policy::TrivialAugmentWide => (true, 0..BINS),
        Policy::RandAugment { magnitude } => {
            within("magnitude", magnitude as f64, 0.0, BINS as f64 - 1.0)?;
            (false, magnitude..magnitude + 1)
        }
    };
    let operations = operations(wide, [h, w]);
    let mut choices = Vec::new();
    for bin in bins {
        for operation in &operations {
            choices.extend([1.0, -1.0].map(|sign| AugmentChoice::from(operation(bin, sign))));
        }
    }
    Ok(choices)
}

type Operation = Box<dyn Fn(usize, f64) -> AugmentRow>;

/// Each operation: what it does with a magnitude of this number and this sign.
fn operations(wide: bool, size: [usize; 2]) -> [Operation; 14] {
    let row = AugmentRow::default();
    let [h, w] = size.map(|extent| extent as f32);
    let most = |wide_end: f32, end: f32| if wide { wide_end } else { end };
    let shear = linspace(0.0, most(0.99, 0.3));
    let [across, down] = [w, h].map(|extent| linspace(0.0, most(32.0, 150.0 / 331.0 * extent)));
    let angles = linspace(0.0, most(135.0, 30.0));
    let factors = linspace(0.0, most(0.99, 0.9));
    let moved = move |matrix: [f64; 6]| AugmentRow { matrix, ..row };
    let factor = move |set: fn(&mut AugmentRow, f64)| -> Operation {
        Box::new(move |bin, sign| {
            let mut changed = row;
            set(&mut changed, 1.0 + sign * factors[bin]);
            changed
        })
    };
    let bits = if wide { 6.0 } else { 4.0 };
    [
        Box::new(move |_, _| row),
        // About the corner of the first pixel.
        Box::new(move |bin, sign| moved(centred([1.0, sign * shear[bin], 0.0, 1.0], [-0.5, -0.5]))),
        Box::new(move |bin, sign| moved(centred([1.0, 0.0, sign * shear[bin], 1.0], [-0.5, -0.5]))),
        Box::new(move |bin, sign| moved([1.0, 0.0, -(sign * across[bin]).trunc(), 0.0, 1.0, 0.0])),
        Box::new(move |bin, sign| moved([1.0, 0.0, 0.0, 0.0, 1.0, -(sign * down[bin]).trunc()])),
        Box::new(move |bin, sign| {
            let middle = [w, h].map(|extent| (f64::from(extent) - 1.0) / 2.0);
            moved(centred(turn(sign * angles[bin]), middle))
        }),
        factor(|row, factor| row.brightness = factor),
        factor(|row, factor| row.saturation = factor),
        factor(|row, factor| row.contrast = factor),
        factor(|row, factor| row.sharpness = factor),
        Box::new(move |bin, _| {
            let less = (bin as f64 / ((BINS - 1) as f64 / bits)).round_ties_even();
            AugmentRow {
                posterize: 8 - less as u32,
                ..row
            }
        }),
        // The lowest byte that is not below the magnitude.
        Box::new(move |bin, _| AugmentRow {
            solarize: linspace(255.0, 0.0)[bin].ceil() as u32,
            ..row
        }),
        Box::new(move |_, _| AugmentRow {
            levels: Levels::Autocontrast,
            ..row
        }),
        Box::new(move |_, _| AugmentRow {
            levels: Levels::Equalize,
            ..row
        }),
    ]
}

/// 31 numbers from `start` to `end`, with the rounding of PyTorch's `linspace` to `f32`: from both
/// ends towards the middle, with fused products.
fn linspace(start: f32, end: f32) -> [f64; BINS] {
    let step = (end - start) / (BINS - 1) as f32;
    std::array::from_fn(|i| {
        let x = match i < BINS / 2 {
            true => step.mul_add(i as f32, start),
            false => (-step).mul_add((BINS - 1 - i) as f32, end),
        };
        f64::from(x)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;
    use crate::graph::Graph;
    use crate::reference::evaluate;
    use crate::tensor::Tensor;

    /// What torchvision 0.29 has for images of 32x32.
    #[test]
    fn magnitudes_are_those_of_torchvision() {
        let moved = |wide, sign: f64| {
            let operations = operations(wide, [32, 32]);
            let pixels = |bin| -operations[3](bin, sign).matrix[2] as i32;
            (0..BINS).map(pixels).collect::<Vec<_>>()
        };
        let wide: Vec<i32> = (0..16).chain(17..31).chain([32]).collect();
        assert_eq!(moved(true, 1.0), wide);
        let back: Vec<i32> = wide.iter().map(|pixels| -pixels).collect();
        assert_eq!(moved(true, -1.0), back);
        assert_eq!(
            moved(false, 1.0)[..12],
            [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
        );
        assert_eq!(moved(false, 1.0)[29..], [14, 14]);
        let bits = |wide| {
            let operations = operations(wide, [32, 32]);
            let bits = |bin: usize| operations[10](bin, 1.0).posterize;
            [0, 2, 3, 9, 28, 30].map(bits)
        };
        assert_eq!(bits(true), [8, 8, 7, 6, 2, 2]);
        assert_eq!(bits(false), [8, 8, 8, 7, 4, 4]);
        let operations = operations(true, [32, 32]);
        let thresholds = [0, 1, 2, 29, 30].map(|bin| operations[11](bin, 1.0).solarize);
        assert_eq!(thresholds, [255, 247, 238, 9, 0]);
    }

    /// Bytes of the picture of `tests/oracle/augment.py`.
    fn picture(channels: u32, plane: u32) -> Vec<f32> {
        const RANGES: [[u32; 2]; 3] = [[20, 200], [0, 256], [90, 100]];
        let byte = |at: u32| {
            let [low, count] = RANGES[(at / plane) as usize];
            let word = (at + 1).wrapping_mul(2_654_435_761);
            let word = (word ^ word >> 15).wrapping_mul(2_246_822_519);
            (low + (word >> 24) * count / 256) as f32
        };
        (0..channels * plane).map(byte).collect()
    }

    /// All operations make torchvision's bytes, but for as many as `known` says, which stand
    /// exactly between two answers:
    /// - a turn by 135 degrees puts a diagonal midway between two columns of pixels;
    /// - factors times bytes are whole numbers, or nearly, which torchvision computes in `f32` and
    ///   rounds down: one level less or more. At the rim, sharpness blends a byte with itself.
    #[test]
    fn operations_are_those_of_torchvision() {
        let json = include_str!("../../../tests/oracle/augment.json");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let whole = |case: &serde_json::Value, key: &str| case[key].as_i64().unwrap() as usize;
        let size = [18, 20];
        let mut differing = BTreeMap::new();
        let cases = json.as_array().unwrap();
        assert_eq!(cases.len(), 132);
        for case in cases {
            let wide = case["policy"] == "trivial-augment-wide";
            let sign = case["sign"].as_f64().unwrap();
            let row = operations(wide, size)[whole(case, "operation")](whole(case, "bin"), sign);
            let channels = whole(case, "channels");
            let shape = [1, channels, size[0], size[1]];
            let images = Tensor::f32(shape, picture(channels as u32, 18 * 20)).unwrap();
            let rows = Tensor::u32([1, row.words().len()], row.words().to_vec()).unwrap();
            let mut g = Graph::new();
            let images = g.constant(images).unwrap();
            let rows = g.constant(rows).unwrap();
            let tables = g.augment_tables(images, rows).unwrap();
            let made = g
                .augment_with(images, rows, tables, &[1.0], &[0.0])
                .unwrap();
            let made = &evaluate(&g, &HashMap::new(), &[made], 1).unwrap()[0];
            let hex = case["bytes"].as_str().unwrap();
            let wanted = (0..hex.len()).step_by(2);
            let wanted =
                wanted.map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()));
            let pairs = made.floats().iter().zip(wanted);
            let off: Vec<f64> = pairs.filter(|(a, b)| *a != b).map(|(a, b)| a - b).collect();
            let name = case["name"].as_str().unwrap();
            let near = off.iter().all(|off| off.abs() == 1.0);
            assert!(near || name == "Rotate", "{name}: {off:?}");
            if !off.is_empty() {
                *differing.entry(name).or_insert(0) += off.len();
            }
        }
        let known = [
            ("Brightness", 15),
            ("Color", 9),
            ("Rotate", 77),
            ("Sharpness", 209),
        ];
        let known = BTreeMap::from(known);
        assert_eq!(differing, known);
    }

    #[test]
    fn policies_have_all_operations_equally_often() {
        let wide = policy(Policy::TrivialAugmentWide, [28, 28]).unwrap();
        assert_eq!(wide.len(), 14 * 31 * 2);
        let rand = policy(Policy::RandAugment { magnitude: 9 }, [28, 28]).unwrap();
        assert_eq!(rand.len(), 14 * 2);
        let message = policy(Policy::RandAugment { magnitude: 31 }, [28, 28]);
        let message = message.unwrap_err().to_string();
        assert_eq!(message, "magnitude of 31 must be from 0 to 30");
    }
}
