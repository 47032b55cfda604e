//! Maps by gradients with respect to the picture.

use super::graphs::Sight;
use super::{Attribution, Inspector};
use crate::error::{Error, Result};
use crate::rng::{Stream, stream_of};
use crate::tensor::Tensor;

/// # Which pixels count, by gradients
impl Inspector {
    /// The gradient of a class's score with respect to the picture: how much the score changes
    /// with each pixel (Simonyan et al. 2013, "Deep inside convolutional networks", section 3).
    /// [`Attribution::magnitude`] is the paper's map.
    ///
    /// ```text
    /// dS_class / dx        [channels, height, width]
    /// ```
    ///
    /// # Errors
    /// `Data` if there is no such class; as [`scores`](Self::scores).
    pub fn saliency(&mut self, pixels: &[u8], class: usize) -> Result<Attribution> {
        self.expect_class(class)?;
        let picture = self.normalised(pixels)?;
        let score = self.scores_of(std::slice::from_ref(&picture))?[0][class];
        let gradient = self.mean_gradient(class, 1, |_| picture.clone())?;
        Attribution::new(gradient, self.input(), score)
    }

    /// The mean of the gradients at `samples` copies of the picture, with noise added to each
    /// (Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise"):
    ///
    /// ```text
    /// 1/n sum_k dS_class / dx (x + e_k),    e_k ~ N(0, (noise * (max x - min x))^2)
    /// ```
    ///
    /// The paper takes 50 samples and noise from 0.1 to 0.2.
    ///
    /// # Errors
    /// `Shape` if there are no samples, or if `noise` is no number of at least 0; as
    /// [`saliency`](Self::saliency).
    pub fn smooth_grad(
        &mut self,
        pixels: &[u8],
        class: usize,
        samples: usize,
        noise: f64,
        seed: u64,
    ) -> Result<Attribution> {
        self.expect_class(class)?;
        if samples == 0 || !(noise >= 0.0 && noise.is_finite()) {
            return Err(Error::shape(format!(
                "smooth_grad: {samples} samples with noise {noise}: at least 1, and a number of at \
                 least 0, are needed"
            )));
        }
        let picture = self.normalised(pixels)?;
        let score = self.scores_of(std::slice::from_ref(&picture))?[0][class];
        let low = picture.iter().copied().fold(f32::INFINITY, f32::min);
        let high = picture.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let deviation = noise * f64::from(high - low);
        let noisy = |sample: usize| {
            let stream = Stream::new(seed, stream_of("smooth_grad"), sample as u32);
            let numbers = (0..).zip(&picture);
            let moved =
                numbers.map(|(at, &x)| (f64::from(x) + stream.normal(at, deviation)) as f32);
            moved.collect()
        };
        let gradient = self.mean_gradient(class, samples, noisy)?;
        Attribution::new(gradient, self.input(), score)
    }

    /// What each pixel adds to a class's score, compared with a baseline picture (Sundararajan et
    /// al. 2017, "Axiomatic attribution for deep networks"): the integral of the gradient along the
    /// straight line from the baseline b to the picture, by the midpoint rule.
    ///
    /// ```text
    /// (x - b) * 1/m sum_(k=1..m) dS_class / dx (b + (k - 1/2)/m (x - b))
    /// ```
    ///
    /// Completeness: with enough steps, the sum over all pixels is the difference of the two
    /// scores, [`Attribution::difference`]. The paper takes 20 to 300 steps, and black as the
    /// baseline.
    ///
    /// # Errors
    /// `Shape` if there are no steps, or if the baseline is of another size; as
    /// [`saliency`](Self::saliency).
    pub fn integrated_gradients(
        &mut self,
        pixels: &[u8],
        class: usize,
        steps: usize,
        baseline: &[u8],
    ) -> Result<Attribution> {
        self.expect_class(class)?;
        if steps == 0 {
            return Err(Error::shape(
                "integrated_gradients: at least 1 step is needed",
            ));
        }
        let picture = self.normalised(pixels)?;
        let baseline = self
            .normalised(baseline)
            .map_err(|e| e.context("baseline"))?;
        let between = |step: usize| {
            let share = (step as f64 + 0.5) / steps as f64;
            let ends = picture.iter().zip(&baseline);
            ends.map(|(&x, &b)| (f64::from(b) + share * f64::from(x - b)) as f32)
                .collect()
        };
        let mut gradient = self.mean_gradient(class, steps, between)?;
        for (at, total) in gradient.iter_mut().enumerate() {
            *total *= f64::from(picture[at] - baseline[at]);
        }
        let scores = self.scores_of(&[picture, baseline])?;
        let [score, before] = [0, 1].map(|row| scores[row][class]);
        let attribution = Attribution::new(gradient, self.input(), score)?;
        Ok(attribution.compared_with(before))
    }

    /// The mean of the gradients of a class's score at `count` points.
    fn mean_gradient(
        &mut self,
        class: usize,
        count: usize,
        point: impl Fn(usize) -> Vec<f32>,
    ) -> Result<Vec<f64>> {
        let (classes, batch) = (self.expect_class(class)?, self.batch(count));
        let mut total = vec![0.0; self.input().iter().product()];
        for start in (0..count).step_by(batch) {
            let rows = batch.min(count - start);
            let mut points: Vec<Vec<f32>> = (start..start + rows).map(&point).collect();
            // Filler of a last, partial batch: it counts with weight 0.
            points.resize(batch, points[0].clone());
            let weight = |row| f32::from(u8::from(row < rows));
            let weights = (0..batch).flat_map(|row| Self::one_hot(class, classes, weight(row)));
            let weights = Tensor::f32([batch, classes], weights.collect())?;
            let points = self.pictures(&points)?;
            let outputs = self.look(Sight::Gradients(batch), &[points, weights])?;
            for (total, &own) in total.iter_mut().zip(outputs[0].as_f32()?) {
                *total += f64::from(own);
            }
        }
        total.iter_mut().for_each(|total| *total /= count as f64);
        Ok(total)
    }
}
