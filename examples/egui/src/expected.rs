//! The filtered picture once more, on the CPU and without the library: what frames are held to.

use image::{Rgba, RgbaImage};
use striate::shape::PaddingMode;

use crate::filter::Filter;

/// `picture`, filtered: products and sums in `f64`, cut to bytes at the end.
pub fn filtered(picture: &RgbaImage, filter: Filter) -> RgbaImage {
    let matrices = filter.kernel.matrices();
    let (width, height) = picture.dimensions();
    RgbaImage::from_fn(width, height, |x, y| {
        let mut pixel = [255; 4];
        for (channel, byte) in pixel.iter_mut().take(3).enumerate() {
            let results = matrices.iter().map(|matrix| {
                let mut sum = 0.0;
                for (at, &factor) in (0i64..).zip(matrix) {
                    let column = source(i64::from(x) + at % 3 - 1, width, filter.padding);
                    let row = source(i64::from(y) + at / 3 - 1, height, filter.padding);
                    if let (Some(column), Some(row)) = (column, row) {
                        let seen = picture.get_pixel(column, row).0[channel];
                        sum += f64::from(factor) * f64::from(seen) / 255.0;
                    }
                }
                sum
            });
            let results: Vec<f64> = results.collect();
            let result = match results[..] {
                [across, down] => across.hypot(down),
                _ => results.iter().sum(),
            };
            let shown = (result + f64::from(filter.kernel.offset())).clamp(0.0, 1.0);
            *byte = (255.0 * shown).round() as u8;
        }
        Rgba(pixel)
    })
}

/// The pixel of an axis that stands at `at`; `None` for black.
fn source(at: i64, extent: u32, padding: PaddingMode) -> Option<u32> {
    let last = i64::from(extent) - 1;
    let from = match padding {
        PaddingMode::Reflect if at < 0 => -at,
        PaddingMode::Reflect if at > last => 2 * last - at,
        PaddingMode::Replicate => at.clamp(0, last),
        PaddingMode::Circular => at.rem_euclid(i64::from(extent)),
        _ => at,
    };
    let from = u32::try_from(from).ok();
    from.filter(|&from| from < extent)
}

/// The largest difference between two bytes, which for pictures of two sizes is 255.
pub fn difference(one: &RgbaImage, other: &RgbaImage) -> u8 {
    if one.dimensions() != other.dimensions() {
        return u8::MAX;
    }
    let pairs = one.as_raw().iter().zip(other.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Kernel;

    /// The product that textbooks work out: 5 * 22 - 16 - 25 - 18 - 20.
    #[test]
    fn the_worked_product_of_textbooks_is_31() {
        let patch = [21, 16, 11, 25, 22, 18, 19, 20, 21];
        let picture = RgbaImage::from_fn(3, 3, |x, y| {
            let byte = patch[(3 * y + x) as usize];
            Rgba([byte, byte, byte, 255])
        });
        for (padding, corner) in [
            (PaddingMode::Zeros, 5 * 21 - 16 - 25),
            (PaddingMode::Reflect, 5 * 21 - 2 * 16 - 2 * 25),
            (PaddingMode::Replicate, 5 * 21 - 16 - 25 - 2 * 21),
            (PaddingMode::Circular, 5 * 21 - 16 - 11 - 25 - 19),
        ] {
            let kernel = Kernel::Sharpen;
            let sharp = filtered(&picture, Filter { kernel, padding });
            assert_eq!(sharp.get_pixel(1, 1).0, [31, 31, 31, 255]);
            assert_eq!(i32::from(sharp.get_pixel(0, 0).0[0]), corner, "{padding:?}");
        }
    }

    #[test]
    fn a_byte_that_differs_is_seen() {
        let picture = RgbaImage::new(4, 3);
        let mut other = picture.clone();
        assert_eq!(difference(&picture, &other), 0);
        other.get_pixel_mut(2, 1).0[1] = 7;
        assert_eq!(difference(&picture, &other), 7);
        assert_eq!(difference(&picture, &RgbaImage::new(3, 4)), 255);
    }
}
