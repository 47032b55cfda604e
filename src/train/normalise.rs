//! Mean and deviation of pixels, over all channels or for each.

use std::fmt;

use crate::data::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Value};
use crate::tensor::Tensor;

/// How pixels are shifted and scaled before a network sees them: the mean is taken off, and what
/// is left divided by the deviation. Networks with weights from elsewhere need the constants that
/// they were trained with.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalise {
    /// One for all channels, or one for each.
    channels: Vec<PixelMoments>,
}

/// Of bytes from 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PixelMoments {
    mean: f64,
    deviation: f64,
}

impl PixelMoments {
    fn of<'a>(pixels: impl Iterator<Item = &'a u8>) -> Self {
        let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
        for &pixel in pixels {
            count += 1;
            sum += u64::from(pixel);
            squares += u64::from(pixel) * u64::from(pixel);
        }
        let count = count.max(1) as f64;
        let mean = sum as f64 / count;
        let deviation = (squares as f64 / count - mean * mean).sqrt().max(1.0);
        Self { mean, deviation }
    }

    /// By what pixels are multiplied, and what is added then.
    fn factors(self) -> [f32; 2] {
        let Self { mean, deviation } = self;
        [(1.0 / deviation) as f32, (-mean / deviation) as f32]
    }
}

impl Normalise {
    /// To mean 0 and deviation 1 over all pixels of a set, of all channels together.
    pub fn measured(set: &Dataset) -> Self {
        Self {
            channels: vec![PixelMoments::of(set.images.iter())],
        }
    }

    /// To mean 0 and deviation 1 over the pixels of each channel of a set.
    pub fn per_channel(set: &Dataset) -> Self {
        let plane = (set.height * set.width).max(1);
        let channel = |channel: usize| {
            let planes = set.images.chunks_exact(plane).skip(channel);
            PixelMoments::of(planes.step_by(set.channels.max(1)).flatten())
        };
        Self {
            channels: (0..set.channels.max(1)).map(channel).collect(),
        }
    }

    /// By these means and deviations, of pixels from 0 to 1 as torchvision's `Normalize` takes
    /// them: one of each for all channels, or one for each channel.
    ///
    /// # Errors
    /// `Shape` for other numbers of means than of deviations, or none; for a mean that is not
    /// finite or a deviation that is not a number above 0.
    pub fn given(means: &[f64], deviations: &[f64]) -> Result<Self> {
        let bytes = |values: &[f64]| values.iter().map(|value| 255.0 * value).collect::<Vec<_>>();
        Self::of_bytes(&bytes(means), &bytes(deviations)).map_err(Error::shape)
    }

    /// By the means and deviations of ImageNet's red, green and blue, with which torchvision's
    /// weights were trained.
    pub fn imagenet() -> Self {
        let moments = |(mean, deviation): (f64, f64)| PixelMoments {
            mean: 255.0 * mean,
            deviation: 255.0 * deviation,
        };
        let channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
        Self {
            channels: channels.map(moments).to_vec(),
        }
    }

    /// Of pixels from 0 to 255; what is wrong with them.
    pub(crate) fn of_bytes(means: &[f64], deviations: &[f64]) -> Result<Self, String> {
        let fine = |(mean, deviation): (&f64, &f64)| {
            mean.is_finite() && deviation.is_finite() && *deviation > 0.0
        };
        let both = || means.iter().zip(deviations);
        if means.is_empty() || means.len() != deviations.len() || !both().all(fine) {
            return Err(format!("mean {means:?} and deviation {deviations:?}"));
        }
        let moments = |(&mean, &deviation): (&f64, &f64)| PixelMoments { mean, deviation };
        Ok(Self {
            channels: both().map(moments).collect(),
        })
    }

    /// Means of bytes from 0 to 255, one for all channels or one for each.
    pub fn means(&self) -> Vec<f64> {
        self.channels.iter().map(|m| m.mean).collect()
    }

    /// Deviations of bytes from 0 to 255, one for all channels or one for each.
    pub fn deviations(&self) -> Vec<f64> {
        self.channels.iter().map(|m| m.deviation).collect()
    }

    /// Checks that images of so many channels can be normalised.
    ///
    /// # Errors
    /// `Data`, with both numbers.
    pub(crate) fn expect_channels(&self, channels: usize) -> Result<()> {
        match self.channels.len() {
            1 => Ok(()),
            own if own == channels => Ok(()),
            own => Err(Error::new(
                ErrorKind::Data,
                format!("means and deviations of {own} channels for images of {channels}"),
            )),
        }
    }

    /// Pixels `[channels, height, width]` of one image as a network takes them.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn image(&self, pixels: &[u8], channels: usize) -> Vec<f32> {
        let plane = (pixels.len() / channels.max(1)).max(1);
        let all = pixels.chunks(plane).enumerate();
        let scaled = all.flat_map(|(channel, plane)| {
            let own = self.channels.get(channel).or(self.channels.first());
            let [scale, shift] = own.map_or([1.0, 0.0], |moments| moments.factors());
            plane
                .iter()
                .map(move |&pixel| f32::from(pixel) * scale + shift)
        });
        scaled.collect()
    }

    /// The inverse of [`image`](Self::image), rounded to bytes.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn pixels(&self, values: &[f32], channels: usize) -> Vec<u8> {
        let plane = (values.len() / channels.max(1)).max(1);
        let all = values.chunks(plane).enumerate();
        let pixels = all.flat_map(|(channel, plane)| {
            let own = self.channels.get(channel).or(self.channels.first());
            let (deviation, mean) = own.map_or((1.0, 0.0), |own| (own.deviation, own.mean));
            let byte = move |&x: &f32| (f64::from(x) * deviation + mean).round() as u8;
            plane.iter().map(byte)
        });
        pixels.collect()
    }

    /// By what pixels are multiplied, and what is added then: one of each for all channels, or one
    /// for each.
    pub(super) fn factors(&self) -> (Vec<f32>, Vec<f32>) {
        let factors = self.channels.iter().map(|moments| moments.factors());
        factors.map(|[scale, shift]| (scale, shift)).unzip()
    }

    /// Images of bytes as f32 `[n, channels, height, width]` as a network takes them.
    pub(super) fn scaled(&self, g: &mut Graph, bytes: Value) -> Result<Value> {
        let (scales, shifts) = self.factors();
        let mut constant = |values: Vec<f32>| {
            let shape = [1, values.len(), 1, 1];
            g.constant(Tensor::f32(shape, values)?)
        };
        let (scales, shifts) = (constant(scales)?, constant(shifts)?);
        let scaled = g.mul(bytes, scales)?;
        g.add(scaled, shifts)
    }

    /// Chosen rows of a set of images u8 `[n, channels, height, width]` as a network takes them. Of
    /// rows that are not meant, nothing is said.
    pub(super) fn gather(
        &self,
        g: &mut Graph,
        images: Value,
        indices: Value,
        valid: Value,
    ) -> Result<Value> {
        if let [moments] = self.channels[..] {
            let [scale, shift] = moments.factors();
            return g.gather_rows(images, indices, valid, scale, shift);
        }
        let bytes = g.gather_rows(images, indices, valid, 1.0, 0.0)?;
        self.scaled(g, bytes)
    }
}

impl fmt::Display for Normalise {
    /// For people: means and deviations of bytes from 0 to 255.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |of: fn(&PixelMoments) -> f64| {
            let numbers = self.channels.iter().map(|own| format!("{:.2}", of(own)));
            numbers.collect::<Vec<_>>().join(", ")
        };
        let plural = if self.channels.len() == 1 { "" } else { "s" };
        let (means, deviations) = (list(|own| own.mean), list(|own| own.deviation));
        write!(f, "mean{plural} {means}, deviation{plural} {deviations}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Engine;
    use crate::session::Session;
    use crate::store::Store;

    /// Two images of two channels of two pixels.
    fn set() -> Dataset {
        let images = vec![0, 10, 100, 200, 20, 30, 120, 220];
        Dataset::new(images, vec![0, 1], [2, 1, 2], 2).unwrap()
    }

    #[test]
    fn each_channel_has_its_own() {
        let set = set();
        let all = Normalise::measured(&set);
        assert_eq!(all.means(), [87.5]);
        assert_eq!(all.to_string(), "mean 87.50, deviation 81.36");
        let each = Normalise::per_channel(&set);
        assert_eq!(each.means(), [15.0, 160.0]);
        assert_eq!(each.deviations()[0], 125f64.sqrt());
        // A channel of one value.
        let flat = Dataset::new(vec![7; 4], vec![0], [1, 2, 2], 1).unwrap();
        assert_eq!(Normalise::per_channel(&flat).deviations(), [1.0]);
        let red = Normalise::imagenet();
        assert_eq!(
            red.to_string(),
            "means 123.67, 116.28, 103.53, deviations 58.40, 57.12, 57.38"
        );
        assert_eq!(
            red,
            Normalise::given(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]).unwrap()
        );
        for (means, deviations) in [
            (&[0.1, 0.2][..], &[0.1][..]),
            (&[], &[]),
            (&[0.5], &[0.0]),
            (&[f64::NAN], &[1.0]),
        ] {
            let error = Normalise::given(means, deviations).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
        }
        assert!(red.expect_channels(3).is_ok());
        let error = red.expect_channels(1).unwrap_err().to_string();
        assert_eq!(error, "means and deviations of 3 channels for images of 1");
    }

    #[test]
    fn a_graph_and_the_host_agree() {
        let set = set();
        for normalise in [
            Normalise::measured(&set),
            Normalise::per_channel(&set),
            Normalise::given(&[0.5, 0.25], &[0.5, 2.0]).unwrap(),
        ] {
            let mut g = Graph::new();
            let images = Tensor::u8([2, 2, 1, 2], set.images.clone()).unwrap();
            let images = g.constant(images).unwrap();
            let indices = g.constant(Tensor::u32([1], vec![1]).unwrap()).unwrap();
            let valid = g.constant(Tensor::u32([1], vec![1]).unwrap()).unwrap();
            let made = normalise.gather(&mut g, images, indices, valid).unwrap();
            let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
            let mut session = Session::new(&store, &g, &[made]).unwrap();
            session.run(1).unwrap();
            let made = session.read(made).unwrap();
            let host = normalise.image(&set.images[4..], 2);
            for (own, other) in made.as_f32().unwrap().iter().zip(host) {
                assert!((own - other).abs() <= 1e-6, "{own} {other}");
            }
        }
    }
}
