//! Where in an image a picture of another size comes to lie.

use super::Fit;

/// A part of a picture and the part of an image that it fills, each as left, top, width, height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub from: [u32; 4],
    pub to: [u32; 4],
}

impl Placement {
    /// Of a picture of `[width, height]` pixels in an image of `to`.
    pub fn new(fit: Fit, [width, height]: [u32; 2], to: [u32; 2]) -> Self {
        let [to_width, to_height] = to;
        let from = match fit {
            Fit::Crop => middle([width, height], to),
            Fit::Pad | Fit::Stretch => [0, 0, width, height],
        };
        let [own_width, own_height] = match fit {
            Fit::Crop | Fit::Stretch => to,
            Fit::Pad => {
                let ratio = |to: u32, own: u32| f64::from(to) / f64::from(own.max(1));
                let ratio = ratio(to_width, width).min(ratio(to_height, height));
                let scaled = |own: u32, most: u32| {
                    let scaled = (f64::from(own) * ratio).round() as u32;
                    scaled.clamp(1, most)
                };
                [scaled(width, to_width), scaled(height, to_height)]
            }
        };
        // Where it is smaller, in the middle.
        let (left, top) = ((to_width - own_width) / 2, (to_height - own_height) / 2);
        Self {
            from,
            to: [left, top, own_width, own_height],
        }
    }

    /// The pixel of the picture, column and row, whose middle is nearest to that of one of the
    /// image; none beside the picture.
    ///
    /// ```text
    ///  picture  |  0  |  1  |  2  |  3  |  4  |     column floor((i + 1/2) * 5 / 3)
    ///  image    |    0    |    1    |    2    |     0: 0.83 -> 0, 1: 2.5 -> 2, 2: 4.17 -> 4
    /// ```
    pub fn nearest(&self, column: u32, row: u32) -> Option<[u32; 2]> {
        let along = |axis: usize, at: u32| {
            let (first, extent) = (self.to[axis], self.to[axis + 2]);
            let at = at.checked_sub(first).filter(|&at| at < extent)?;
            let own = (2 * u64::from(at) + 1) * u64::from(self.from[axis + 2]);
            Some(self.from[axis] + (own / (2 * u64::from(extent))) as u32)
        };
        Some([along(0, column)?, along(1, row)?])
    }
}

/// The largest part in the middle of a picture that has the proportions of another: left, top,
/// width and height. Cut before it is resized, a long picture takes no more memory than a short
/// one.
fn middle([width, height]: [u32; 2], [to_width, to_height]: [u32; 2]) -> [u32; 4] {
    let [w, h, to_w, to_h] = [width, height, to_width, to_height].map(u64::from);
    let rounded = |a: u64, b: u64, c: u64, most: u64| ((a * b + c / 2) / c).clamp(1, most) as u32;
    let (own_width, own_height) = match w * to_h > h * to_w {
        true => (rounded(h, to_w, to_h, w), height),
        false => (width, rounded(w, to_h, to_w, h)),
    };
    [
        (width - own_width) / 2,
        (height - own_height) / 2,
        own_width,
        own_height,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_those_in_the_middle() {
        let stretch = Placement::new(Fit::Stretch, [5, 2], [3, 4]);
        let columns: Vec<_> = (0..3).map(|x| stretch.nearest(x, 0).unwrap()[0]).collect();
        let rows: Vec<_> = (0..4).map(|y| stretch.nearest(0, y).unwrap()[1]).collect();
        assert_eq!((columns, rows), (vec![0, 2, 4], vec![0, 0, 1, 1]));
        let crop = Placement::new(Fit::Crop, [8, 4], [2, 2]);
        assert_eq!(crop.from, [2, 0, 4, 4]);
        assert_eq!(crop.nearest(1, 1), Some([5, 3]));
        let pad = Placement::new(Fit::Pad, [8, 4], [4, 4]);
        assert_eq!(pad.to, [0, 1, 4, 2]);
        assert_eq!(pad.nearest(0, 0), None);
        assert_eq!(pad.nearest(3, 2), Some([7, 3]));
        assert_eq!(pad.nearest(0, 3), None);
    }
}
