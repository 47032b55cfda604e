//! Maps of numbers as pictures.

use super::Thumbnail;
use crate::error::Result;

/// The longest edge of a picture of a map; larger ones are averaged down.
const MOST_EDGE: usize = 96;

/// What the colours of a layer's pictures mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    /// From black at 0 to white.
    Positive(f32),
    /// Red below 0, white at it, blue above.
    Signed(f32),
}

impl Range {
    /// One that holds all of some numbers.
    pub fn of(values: &[f32]) -> Self {
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let most = finite
            .clone()
            .fold(0.0, |most: f32, value| most.max(value.abs()));
        match finite.fold(0.0, f32::min) < 0.0 {
            true => Self::Signed(most),
            false => Self::Positive(most),
        }
    }

    /// In words.
    pub fn note(self) -> String {
        let shown = |most: f32| crate::train::digits(f64::from(most));
        match self {
            Self::Positive(most) => format!("black 0, white {}", shown(most)),
            Self::Signed(most) => {
                let most = shown(most);
                format!("red \u{2212}{most}, white 0, blue {most}")
            }
        }
    }

    fn colour(self, value: f32) -> [u8; 3] {
        /// The ends of ColorBrewer's RdBu, and its middle.
        const ENDS: [[f32; 3]; 3] = [[178.0, 24.0, 43.0], [247.0; 3], [33.0, 102.0, 172.0]];
        match self {
            Self::Positive(most) => {
                let share = if most > 0.0 { value / most } else { 0.0 };
                [(255.0 * share.clamp(0.0, 1.0)).round() as u8; 3]
            }
            Self::Signed(most) => {
                let share = (value / most).clamp(-1.0, 1.0);
                let end = ENDS[if share < 0.0 { 0 } else { 2 }];
                let mix = |at: usize| ENDS[1][at] + (end[at] - ENDS[1][at]) * share.abs();
                std::array::from_fn(|at| mix(at).round() as u8)
            }
        }
    }

    /// A map of numbers `[height, width]`.
    pub fn picture(self, values: &[f32], [height, width]: [usize; 2]) -> Result<Thumbnail> {
        let each = height.max(width).div_ceil(MOST_EDGE).max(1);
        let [high, wide] = [height, width].map(|extent| extent.div_ceil(each));
        let mut pixels = vec![0; 3 * high * wide];
        for row in 0..high {
            for column in 0..wide {
                let rows = each * row..height.min(each * (row + 1));
                let columns = each * column..width.min(each * (column + 1));
                let count = (rows.len() * columns.len()) as f32;
                let sum: f32 = rows
                    .flat_map(|y| columns.clone().map(move |x| (y, x)))
                    .map(|(y, x)| values[y * width + x])
                    .sum();
                let colour = self.colour(sum / count);
                for (plane, part) in colour.into_iter().enumerate() {
                    pixels[(plane * high + row) * wide + column] = part;
                }
            }
        }
        Thumbnail::new(pixels, [3, high, wide])
    }
}

/// Three maps of weights `[3, height, width]` as one picture in colours: grey is 0.
pub(super) fn coloured(
    values: &[f32],
    [height, width]: [usize; 2],
    most: f32,
) -> Result<Thumbnail> {
    let most = most.max(f32::MIN_POSITIVE);
    let pixel = |value: &f32| (127.5 + 127.5 * (value / most).clamp(-1.0, 1.0)).round() as u8;
    Thumbnail::new(values.iter().map(pixel).collect(), [3, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_say_sign_and_size() {
        let range = Range::of(&[-1.0, 2.0, f32::NAN]);
        assert_eq!(range, Range::Signed(2.0));
        assert_eq!(range.colour(0.0), [247; 3]);
        assert_eq!(range.colour(2.0), [33, 102, 172]);
        assert_eq!(range.colour(-2.0), [178, 24, 43]);
        assert_eq!(range.note(), "red \u{2212}2, white 0, blue 2");
        let range = Range::of(&[0.0, 0.5]);
        assert_eq!(range, Range::Positive(0.5));
        assert_eq!(range.colour(0.25), [128; 3]);
        assert_eq!(Range::of(&[0.0]).colour(0.0), [0; 3]);
    }

    #[test]
    fn large_maps_are_averaged_down() {
        let values: Vec<f32> = (0..192 * 100).map(|at| (at % 2) as f32).collect();
        let picture = Range::Positive(1.0).picture(&values, [192, 100]).unwrap();
        assert_eq!(picture.size, [3, 96, 50]);
        assert!(picture.pixels.iter().all(|&pixel| pixel == 128));
    }
}
