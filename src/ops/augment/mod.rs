//! Augmentation of images: a row of parameters per image, made on the device, and the kernels that
//! it drives.
//!
//! Images are bytes, held as `f32`, and all that is computed of them is integers: coordinates have
//! 16 bits behind the point, factors 20, so that every adapter and the reference agree to the bit.
//! Only the last step, value * scale + shift, is rounded.

pub(in crate::ops) mod mask;
pub(in crate::ops) mod mix;
pub(in crate::ops) mod pixels;
pub(in crate::ops) mod row;
pub(in crate::ops) mod rows;
pub(in crate::ops) mod tables;

use crate::error::{Error, Result};
use crate::kernel::{Kernel, Overrides};
use crate::ops::expect_dtype;
use crate::shape::{DType, Type};
use crate::tensor::Array;

use row::{HEAD, Word};

/// The most rows and columns of an image, so that coordinates with 16 bits behind the point fit 32.
const LONGEST: usize = 16_384;

/// Fails unless `x` of `op` is `[n, c, h, w]` of this element type, with sides that coordinates
/// can hold.
fn expect_images(op: &str, operand: &str, x: &Type, dtype: DType) -> Result<[usize; 4]> {
    expect_dtype(op, operand, x, dtype)?;
    let &[n, c, h, w] = &x.shape[..] else {
        return Err(Error::shape(format!(
            "{op}: {operand} {} must have 4 axes, [n, c, h, w]",
            x.shape
        )));
    };
    if c == 0 || h.max(w) > LONGEST {
        return Err(Error::shape(format!(
            "{op}: {operand} {} must have a channel and sides of at most {LONGEST}",
            x.shape
        )));
    }
    Ok([n, c, h, w])
}

/// Fails unless `rows` of `op` is u32 `[n, 24]`, or longer by the knots of a field of
/// displacements; returns how many knots an axis has, 0 without a field.
fn expect_rows(op: &str, rows: &Type, n: usize) -> Result<usize> {
    expect_dtype(op, "rows", rows, DType::U32)?;
    let knots = match &rows.shape[..] {
        &[count, words] if count == n && words >= HEAD => knots_of(words - HEAD),
        _ => None,
    };
    knots.ok_or_else(|| {
        Error::shape(format!(
            "{op}: rows {} must be [{n}, {HEAD} + 2 * k * k], k being 0 or 2 to {}",
            rows.shape,
            rows::MOST_KNOTS
        ))
    })
}

/// k of 2 * k * k words.
fn knots_of(words: usize) -> Option<usize> {
    let known = std::iter::once(0).chain(2..=rows::MOST_KNOTS);
    known.into_iter().find(|k| 2 * k * k == words)
}

/// The row of parameters of one image, for the reference.
#[derive(Clone, Copy)]
struct Params<'a> {
    words: &'a [u32],
    knots: usize,
    height: usize,
    width: usize,
}

impl<'a> Params<'a> {
    fn of(rows: &'a Array, row: usize, knots: usize, [height, width]: [usize; 2]) -> Self {
        let words = rows.shape()[1];
        Self {
            words: &rows.u32s()[row * words..][..words],
            knots,
            height,
            width,
        }
    }

    fn word(&self, word: Word) -> i32 {
        self.words[word as usize] as i32
    }

    /// Where output pixel (x, y) lies in the image, with 16 bits behind the point.
    ///
    /// ```text
    /// | x' |   | m0 m1 m2 |   | x |
    /// | y' | = | m3 m4 m5 | * | y | + displacement(x, y)
    ///                         | 1 |
    /// ```
    fn place(&self, x: usize, y: usize) -> [i32; 2] {
        let m = |at: usize| self.words[at] as i32;
        let [dx, dy] = self.displacement(x, y);
        let (x, y) = (x as i32, y as i32);
        let line = |at: usize| {
            let turned = m(at)
                .wrapping_mul(x)
                .wrapping_add(m(at + 1).wrapping_mul(y));
            turned.wrapping_add(m(at + 2))
        };
        [line(0).wrapping_add(dx), line(3).wrapping_add(dy)]
    }

    /// The field of displacements at a pixel: linear between its knots, of which the outermost lie
    /// on the outermost pixels.
    fn displacement(&self, x: usize, y: usize) -> [i32; 2] {
        let knots = self.knots;
        if knots == 0 {
            return [0; 2];
        }
        let [(gx, fx), (gy, fy)] = [(x, self.width), (y, self.height)].map(|(at, extent)| {
            let along = at * knot_step(extent, knots);
            let cell = (along >> 16).min(knots - 2);
            (cell, (along - (cell << 16)) as i32)
        });
        let between = |a: i32, b: i32, f: i32| a.wrapping_add(fixed_mul(b.wrapping_sub(a), f));
        [0, 1].map(|axis| {
            let at = |dx: usize, dy: usize| {
                self.words[HEAD + (axis * knots + gy + dy) * knots + gx + dx] as i32
            };
            let [above, below] = [0, 1].map(|dy| between(at(0, dy), at(1, dy), fx));
            between(above, below, fy)
        })
    }

    /// Column and row of the nearest pixel of the image, if there is one.
    fn nearest(&self, x: usize, y: usize) -> Option<[usize; 2]> {
        let [x, y] = self.place(x, y).map(|v| v.wrapping_add(0x8000) >> 16);
        self.bordered(x, y)
    }

    /// The pixel of the image that stands for one that may lie outside; `None` for the fill.
    fn bordered(&self, x: i32, y: i32) -> Option<[usize; 2]> {
        let mode = self.word(Word::Flags) as u32 >> 1 & 3;
        let along = |v: i32, extent: usize| {
            match mode {
                0 => usize::try_from(v).ok().filter(|&v| v < extent),
                1 => {
                    // Mirrored at 0, a coordinate is as good as its magnitude.
                    let period = (2 * extent - 2).max(1);
                    let v = v.unsigned_abs() as usize % period;
                    Some(v.min(period - v))
                }
                _ => Some(v.clamp(0, extent as i32 - 1) as usize),
            }
        };
        Some([along(x, self.width)?, along(y, self.height)?])
    }

    /// Whether a pixel lies in the box that is erased, or taken from the partner.
    fn in_box(&self, x: usize, y: usize) -> bool {
        let inside = |v: usize, first: Word, extent: Word| {
            (v as u32).wrapping_sub(self.word(first) as u32) < self.word(extent) as u32
        };
        inside(x, Word::BoxX, Word::BoxWidth) && inside(y, Word::BoxY, Word::BoxHeight)
    }
}

/// By how many knots of a field, with 16 bits behind the point, one pixel is further than the last.
fn knot_step(extent: usize, knots: usize) -> usize {
    (knots.saturating_sub(1) << 16) / (extent.max(2) - 1)
}

/// a * b with 16 bits behind the point of `b`, rounded to the nearest, halves up; wraps.
fn fixed_mul(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + 0x8000) >> 16) as i32
}

/// The byte that an element stands for: the nearest, halves up; 0 for NaN.
fn byte_of(x: f64) -> i32 {
    let x = if x.is_nan() { 0.0 } else { x.clamp(0.0, 255.0) };
    (x.floor() + f64::from(x - x.floor() >= 0.5)) as i32
}

/// The grey of a pixel: ITU-R 601-2 luma of three channels as torchvision weighs them, of other
/// numbers of channels the mean; rounded down.
fn grey(bytes: impl ExactSizeIterator<Item = i32> + Clone) -> i32 {
    let channels = bytes.len() as i32;
    match channels {
        3 => {
            let weighed = bytes.zip([2989, 5870, 1140]).map(|(b, weight)| b * weight);
            weighed.sum::<i32>() / 10_000
        }
        _ => bytes.sum::<i32>() / channels,
    }
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &rows::AUGMENT_ROWS,
    &tables::AUGMENT_TABLES,
    &pixels::AUGMENT,
    &mask::AUGMENT_MASK,
    &mix::MIX,
    &mix::MIX_LABELS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_nearest() {
        let found = [-3.0, 0.49, 0.5, 1.5, 254.5, 300.0, f64::NAN].map(byte_of);
        assert_eq!(found, [0, 0, 1, 2, 255, 255, 0]);
    }

    #[test]
    fn fixed_products_round_to_the_nearest() {
        assert_eq!(fixed_mul(3 << 16, -1 << 15), -3 << 15);
        assert_eq!([1, -1].map(|a| fixed_mul(a, 0x8000)), [1, 0]);
        assert_eq!(fixed_mul(i32::MIN, 1 << 16), i32::MIN);
    }
}
