//! The steps of augmentation as tables of equally likely choices.

use crate::error::{Error, Result};
use crate::ops::{AugmentChoice, AugmentRow, AugmentStage, Border};

use super::policy::{Policy, policy};

/// One step of a pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Flip(f64),
    FlipVertical(f64),
    AlternatingFlip,
    Shift(usize),
    Rotate(f64),
    Scale(f64, f64),
    Shear(f64),
    ResizedCrop { scale: [f64; 2], ratio: [f64; 2] },
    Brightness(f64),
    Contrast(f64),
    Saturation(f64),
    Perhaps(f64, AugmentRow),
    Noise(f64),
    Cutout(usize),
    Erasing(f64),
    Policy(Policy),
}

/// So many numbers stand for all between two.
const STEPS: usize = 256;
/// So many of each of two numbers stand for all pairs.
const PAIRS: usize = 32;

/// The choices of a step, on images of this height and width.
pub(super) fn stage(step: &Step, [h, w]: [usize; 2]) -> Result<AugmentStage> {
    let row = AugmentRow::default();
    let [right, bottom] = [w, h].map(|extent| extent as f64 - 1.0);
    let flip = AugmentRow {
        matrix: [-1.0, 0.0, right, 0.0, 1.0, 0.0],
        ..row
    };
    let linear = |matrix: [f64; 6]| AugmentRow {
        matrix,
        bilinear: true,
        ..row
    };
    let around = |turn: [f64; 4]| linear(centred(turn, [right / 2.0, bottom / 2.0]));
    let choices = match *step {
        Step::Flip(p) => perhaps("flip", p, vec![flip.into()])?,
        Step::FlipVertical(p) => {
            let matrix = [1.0, 0.0, 0.0, 0.0, -1.0, bottom];
            perhaps(
                "flip_vertical",
                p,
                vec![AugmentRow { matrix, ..row }.into()],
            )?
        }
        Step::AlternatingFlip => {
            return Ok(AugmentStage {
                choices: vec![row.into(), flip.into()],
                alternate: true,
            });
        }
        Step::Shift(most) => {
            within("shift", most as f64, 0.0, h.max(w) as f64)?;
            let matrix = [1.0, 0.0, -(most as f64), 0.0, 1.0, -(most as f64)];
            let range = 2 * most as u32 + 1;
            vec![AugmentChoice {
                row: AugmentRow { matrix, ..row },
                shift: [range; 2],
                ..AugmentChoice::default()
            }]
        }
        Step::Rotate(degrees) => {
            within("rotate", degrees, 0.0, 360.0)?;
            between(-degrees, degrees, |angle| around(turn(angle)))
        }
        Step::Scale(low, high) => {
            within("scale", low, 0.01, high)?;
            within("scale", high, low, 100.0)?;
            expect_near("scale", low, 1.0 / low, [h, w])?;
            between(low, high, |s| around([1.0 / s, 0.0, 0.0, 1.0 / s]))
        }
        Step::Shear(degrees) => {
            within("shear", degrees, 0.0, 80.0)?;
            expect_near("shear", degrees, degrees.to_radians().tan(), [h, w])?;
            between(-degrees, degrees, |angle| {
                around([1.0, angle.to_radians().tan(), 0.0, 1.0])
            })
        }
        Step::ResizedCrop { scale, ratio } => {
            let crops = boxes("random_resized_crop", scale, ratio, [h, w])?;
            crops.map(|size| crop(size, [h, w])).collect()
        }
        Step::Brightness(most) => factors("brightness", most, |brightness| AugmentRow {
            brightness,
            ..row
        })?,
        Step::Contrast(most) => {
            factors("contrast", most, |contrast| AugmentRow { contrast, ..row })?
        }
        Step::Saturation(most) => factors("saturation", most, |saturation| AugmentRow {
            saturation,
            ..row
        })?,
        Step::Perhaps(p, row) => {
            within("posterize", row.posterize.into(), 0.0, 8.0)?;
            within("sharpness", row.sharpness, 0.0, 7.0)?;
            perhaps("probability", p, vec![row.into()])?
        }
        Step::Noise(noise) => {
            within("noise", noise, 0.0, 255.0)?;
            vec![AugmentRow { noise, ..row }.into()]
        }
        Step::Cutout(side) => {
            within("cutout", side as f64, 0.0, h.min(w) as f64)?;
            vec![erased([side; 2], [h, w])]
        }
        Step::Erasing(p) => {
            let all = boxes("random_erasing", [0.02, 0.33], [0.3, 3.3], [h, w])?;
            // torchvision leaves out boxes that fill an axis.
            let inner = all.filter(|&[height, width]| height < h && width < w);
            let choices: Vec<_> = inner.map(|size| erased(size, [h, w])).collect();
            perhaps("random_erasing", p, choices)?
        }
        Step::Policy(chosen) => policy(chosen, [h, w])?,
    };
    Ok(AugmentStage {
        choices,
        alternate: false,
    })
}

/// Fails unless a setting lies between two numbers.
pub(super) fn within(name: &str, x: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&x) {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{name} of {x} must be from {low} to {high}"
    )))
}

/// The furthest coordinate that 32 bits with 16 of them behind the point hold.
const FURTHEST: f64 = 32_767.0;

/// Fails where coordinates of an image that are multiplied by a factor leave 32 bits.
fn expect_near(name: &str, x: f64, factor: f64, [h, w]: [usize; 2]) -> Result<()> {
    let reached = h.max(w) as f64 * factor;
    if reached <= FURTHEST {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{name} of {x} reaches {reached:.0} pixels far on images of {h}x{w}; {FURTHEST} at most \
         are possible"
    )))
}

/// The inverse of a turn by so many degrees, anticlockwise: where an output pixel comes from.
pub(super) fn turn(degrees: f64) -> [f64; 4] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    [cos, -sin, sin, cos]
}

/// A 2x2 matrix about a point, as one of pixels.
pub(super) fn centred([a, b, c, d]: [f64; 4], [x, y]: [f64; 2]) -> [f64; 6] {
    [a, b, x - a * x - b * y, c, d, y - c * x - d * y]
}

/// Rows for numbers spread evenly between two.
fn between(low: f64, high: f64, row: impl Fn(f64) -> AugmentRow) -> Vec<AugmentChoice> {
    let count = if low == high { 1 } else { STEPS };
    let at = |i: usize| low + (high - low) * (i as f64 + 0.5) / count as f64;
    (0..count).map(|i| row(at(i)).into()).collect()
}

fn factors(name: &str, most: f64, row: impl Fn(f64) -> AugmentRow) -> Result<Vec<AugmentChoice>> {
    within(name, most, 0.0, 6.0)?;
    Ok(between((1.0 - most).max(0.0), 1.0 + most, row))
}

/// One of the choices with probability `p`, to the next 1/256, else nothing.
fn perhaps(name: &str, p: f64, choices: Vec<AugmentChoice>) -> Result<Vec<AugmentChoice>> {
    within(name, p, 0.0, 1.0)?;
    let nothing = AugmentChoice::from(AugmentRow::default());
    if choices.is_empty() {
        return Ok(vec![nothing]);
    }
    let mut share = (p * STEPS as f64).round() as usize;
    let mut whole = STEPS;
    while whole > 1 && share.is_multiple_of(2) {
        (share, whole) = (share / 2, whole / 2);
    }
    let nothing = std::iter::repeat_n(nothing, (whole - share) * choices.len());
    let some = choices.iter().copied().cycle();
    Ok(some.take(share * choices.len()).chain(nothing).collect())
}

/// Height and width of boxes that fit into images of this size, spread evenly over their share of
/// the area and the logarithm of width over height.
fn boxes(
    name: &str,
    scale: [f64; 2],
    ratio: [f64; 2],
    [h, w]: [usize; 2],
) -> Result<impl Iterator<Item = [usize; 2]>> {
    within(name, scale[0], 0.0, scale[1])?;
    within(name, scale[1], scale[0], 1.0)?;
    within(name, ratio[0], 0.01, ratio[1])?;
    within(name, ratio[1], ratio[0], 100.0)?;
    let at =
        |ends: [f64; 2], i: usize| ends[0] + (ends[1] - ends[0]) * (i as f64 + 0.5) / PAIRS as f64;
    let logs = ratio.map(f64::ln);
    let all = (0..PAIRS * PAIRS).map(move |i| {
        let area = at(scale, i / PAIRS) * (h * w) as f64;
        let ratio = at(logs, i % PAIRS).exp();
        [(area / ratio).sqrt(), (area * ratio).sqrt()].map(|side| side.round() as usize)
    });
    let fit = move |size: &[usize; 2]| (1..=h).contains(&size[0]) && (1..=w).contains(&size[1]);
    let found: Vec<[usize; 2]> = all.filter(fit).collect();
    if found.is_empty() {
        return Err(Error::shape(format!(
            "{name}: no box of {scale:?} of the area and ratios of {ratio:?} fits {h}x{w} pixels"
        )));
    }
    Ok(found.into_iter())
}

/// A box of an image, anywhere in it, resized to all of it.
fn crop(size: [usize; 2], [h, w]: [usize; 2]) -> AugmentChoice {
    let [sy, sx] = [size[0] as f64 / h as f64, size[1] as f64 / w as f64];
    AugmentChoice {
        row: AugmentRow {
            matrix: [sx, 0.0, sx / 2.0 - 0.5, 0.0, sy, sy / 2.0 - 0.5],
            bilinear: true,
            border: Border::Edge,
            ..AugmentRow::default()
        },
        shift: [w - size[1] + 1, h - size[0] + 1].map(|range| range as u32),
        ..AugmentChoice::default()
    }
}

/// A box of an image, anywhere in it, cut out.
fn erased([height, width]: [usize; 2], [h, w]: [usize; 2]) -> AugmentChoice {
    AugmentChoice {
        row: AugmentRow {
            erase: [0, 0, width as i32, height as i32],
            ..AugmentRow::default()
        },
        erase_shift: [w - width + 1, h - height + 1].map(|range| range as u32),
        ..AugmentChoice::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(step: Step) -> Vec<AugmentChoice> {
        stage(&step, [32, 24]).unwrap().choices
    }

    #[test]
    fn probabilities_are_shares_of_choices() {
        let flipped = |p| {
            let all = choices(Step::Flip(p));
            let flipped = all.iter().filter(|choice| choice.row.matrix[0] < 0.0);
            (flipped.count(), all.len())
        };
        assert_eq!(flipped(0.5), (1, 2));
        assert_eq!(flipped(0.0), (0, 1));
        assert_eq!(flipped(1.0), (1, 1));
        assert_eq!(flipped(0.1), (13, 128));
    }

    /// Boxes reach every place inside of the image and none outside.
    #[test]
    fn boxes_fit() {
        let crops = choices(Step::ResizedCrop {
            scale: [0.08, 1.0],
            ratio: [0.75, 4.0 / 3.0],
        });
        assert!(crops.len() > 700, "{}", crops.len());
        for crop in crops {
            let [sx, _, _, _, sy, _] = crop.row.matrix;
            let [width, height] = [sx * 24.0, sy * 32.0].map(|side| side.round() as u32);
            assert_eq!(crop.shift, [25 - width, 33 - height]);
        }
        for erased in choices(Step::Cutout(9)) {
            assert_eq!(erased.erase_shift, [16, 24]);
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (step, words) in [
            (Step::Flip(1.5), "flip of 1.5 must be from 0 to 1"),
            (
                Step::Rotate(f64::NAN),
                "rotate of NaN must be from 0 to 360",
            ),
            (Step::Cutout(25), "cutout of 25 must be from 0 to 24"),
            (
                Step::Scale(1.1, 0.9),
                "scale of 1.1 must be from 0.01 to 0.9",
            ),
            (Step::Shift(33), "shift of 33 must be from 0 to 32"),
        ] {
            let error = stage(&step, [32, 24]).unwrap_err();
            assert_eq!(error.to_string(), words);
        }
    }

    #[test]
    fn coordinates_fit_their_words() {
        assert!(stage(&Step::Scale(0.01, 1.0), [327, 20]).is_ok());
        let error = stage(&Step::Scale(0.01, 1.0), [20, 400]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "scale of 0.01 reaches 40000 pixels far on images of 20x400; 32767 at most are possible"
        );
        assert!(stage(&Step::Shear(45.0), [16_384, 1]).is_ok());
        let error = stage(&Step::Shear(80.0), [16_384, 1]).unwrap_err();
        assert!(error.to_string().starts_with("shear of 80 reaches "));
    }
}
