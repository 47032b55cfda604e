//! Maps by covering parts of the picture.

use super::{HeatMap, Inspector};
use crate::error::{Error, Result};

/// # Which pixels count, by covering them
impl Inspector {
    /// How much a class's score falls where a square of `window` pixels covers the picture, in the
    /// mean that is taken off pixels (Zeiler and Fergus 2013, "Visualizing and understanding
    /// convolutional networks", section 4.2). The square moves by `stride`; the last one of a row
    /// or column ends at the edge.
    ///
    /// The map has the picture's size `[height, width]`: each pixel has the mean over the squares
    /// that cover it. It is negative where covering helps the class.
    ///
    /// # Errors
    /// `Shape` if the window is not from 1 to the shorter side, or the stride not from 1 to the
    /// window; `Data` if there is no such class; as [`scores`](Self::scores).
    pub fn occlusion(
        &mut self,
        pixels: &[u8],
        class: usize,
        window: usize,
        stride: usize,
    ) -> Result<HeatMap> {
        self.expect_class(class)?;
        let [_, height, width] = self.input();
        if !(1..=height.min(width)).contains(&window) || !(1..=window).contains(&stride) {
            return Err(Error::shape(format!(
                "occlusion: a window of {window} pixels that moves by {stride}, on a picture of \
                 {height}x{width}: the window has 1 to {} pixels, the stride 1 to as many as the \
                 window",
                height.min(width)
            )));
        }
        let picture = self.normalised(pixels)?;
        let covered = |top: usize, left: usize| {
            let mut covered = picture.clone();
            for plane in covered.chunks_exact_mut(height * width) {
                for row in plane.chunks_exact_mut(width).skip(top).take(window) {
                    // The mean, once it is taken off.
                    row[left..left + window].fill(0.0);
                }
            }
            covered
        };
        let whole = self.scores_of(std::slice::from_ref(&picture))?[0][class];
        let (mut falls, mut counts) = (vec![0.0; height * width], vec![0u32; height * width]);
        let corners: Vec<(usize, usize)> = starts(height, window, stride)
            .flat_map(|top| starts(width, window, stride).map(move |left| (top, left)))
            .collect();
        for corners in corners.chunks(self.batch(corners.len())) {
            let pictures: Vec<_> = corners
                .iter()
                .map(|&(top, left)| covered(top, left))
                .collect();
            for (&(top, left), scores) in corners.iter().zip(self.scores_of(&pictures)?) {
                for row in top..top + window {
                    for at in row * width + left..row * width + left + window {
                        falls[at] += f64::from(whole) - f64::from(scores[class]);
                        counts[at] += 1;
                    }
                }
            }
        }
        let means = falls.iter().zip(counts);
        let means = means.map(|(fall, count)| (fall / f64::from(count)) as f32);
        HeatMap::new(means.collect(), [height, width])
    }
}

/// Where windows begin along an axis: every `stride`, and one that ends where the axis does.
fn starts(extent: usize, window: usize, stride: usize) -> impl Iterator<Item = usize> {
    let last = extent - window;
    (0..last).step_by(stride).chain([last])
}

#[cfg(test)]
mod tests {
    use super::starts;

    #[test]
    fn windows_cover_an_axis() {
        let of = |extent, window, stride| starts(extent, window, stride).collect::<Vec<_>>();
        assert_eq!(of(8, 4, 2), [0, 2, 4]);
        assert_eq!(of(9, 4, 2), [0, 2, 4, 5]);
        assert_eq!(of(4, 4, 1), [0]);
        assert_eq!(of(5, 1, 1), [0, 1, 2, 3, 4]);
    }
}
