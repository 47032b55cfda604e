//! Pictures that excite a channel.

use std::sync::Arc;

use super::graphs::Network;
use super::{Inspector, network_states};
use crate::autodiff::gradients;
use crate::data::Picture;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Init, StateKind, Value};
use crate::ops::{AxisRange, Conv2d};
use crate::rng::{Stream, stream_of};
use crate::session::Session;
use crate::shape::{PaddingMode, Type};
use crate::store::Store;
use crate::tensor::Tensor;

/// The state in which the picture lies.
const PICTURE: &str = "inspect.picture";
/// Deviation of the noise that a picture begins as, in the network's units.
const START: f64 = 0.1;

/// How [`Inspector::maximise`] goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaximiseOptions {
    /// How many steps it takes.
    pub steps: usize,
    /// The root mean square of what a step adds to the picture, in the network's units: deviations
    /// of the training set's pixels.
    pub rate: f64,
    /// The most pixels by which the picture is moved along each axis before the network sees it,
    /// anew in each step. What leaves at one edge comes in at the other.
    pub jitter: usize,
    /// Deviation, in pixels, of the Gaussian that blurs the picture after each step: this one after
    /// the first, with each further step less by 1 / `steps` of it, so that the last ones leave
    /// edges sharp. 0 to 16; 0 blurs nothing.
    pub blur: f64,
    /// The share of the picture's distance from the mean that is taken off in each step.
    pub l2: f64,
    /// Keys the noise that the picture begins as, and its moves.
    pub seed: u64,
}

impl Default for MaximiseOptions {
    /// 200 steps of 0.05 with a jitter of 2 pixels, a blur of 0.7 and an l2 of 0.02.
    fn default() -> Self {
        Self {
            steps: 200,
            rate: 0.05,
            jitter: 2,
            blur: 0.7,
            l2: 0.02,
            seed: 0,
        }
    }
}

/// What [`Inspector::maximise`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Maximised {
    /// The picture as pixels `[channels, height, width]`.
    pub pixels: Vec<u8>,
    /// Its size.
    pub size: [usize; 3],
    /// The picture as the network takes it.
    pub values: Vec<f32>,
    /// Mean activation of the channel at the noise that the picture began as, moved as the first
    /// step moves it.
    pub before: f32,
    /// Mean activation of the channel at the picture, which is not moved.
    pub after: f32,
}

impl Maximised {
    /// The picture; each pixel one pixel.
    ///
    /// # Errors
    /// `Shape` if it has neither 1 nor 3 channels.
    pub fn picture(&self) -> Result<Picture> {
        Picture::of_image(&self.pixels, self.size)
    }
}

/// The graph of a step: a picture, moved, through the network, and what it is assigned.
struct Ascent {
    graph: Graph,
    picture: Value,
    /// Kernels that move and that blur.
    kernels: [Value; 2],
    score: Value,
}

/// # What a channel looks for
impl Inspector {
    /// A picture that excites channel `channel` of a layer the most: from noise, uphill along the
    /// gradient of the channel's mean activation (Erhan et al. 2009, "Visualizing higher-layer
    /// features of a deep network"; Simonyan et al. 2013, section 2). For a class, take the layer
    /// that makes the logits.
    ///
    /// ```text
    /// g  = d mean(layer[channel](move_t(x))) / dx
    /// x' = blur_t(clamp((1 - l2) x + rate g / rms(g)))
    /// ```
    ///
    /// Pixels stay from 0 to 255. Moves (jitter: Mordvintsev et al. 2015, "Inceptionism") and blur
    /// (Yosinski et al. 2015, "Understanding neural networks through deep visualization") keep the
    /// picture from noise that nothing but this network sees. The picture is a state on the device,
    /// beside a copy of the weights; the host writes two small kernels per step.
    ///
    /// # Errors
    /// `Graph` if there is no such layer, with the name most like it or some names; `Shape` if it
    /// has no such channel, or for settings out of range; `NotFinite`; those of the device.
    pub fn maximise(
        &mut self,
        layer: &str,
        channel: usize,
        options: &MaximiseOptions,
    ) -> Result<Maximised> {
        self.expect_settings(options)?;
        let [channels, height, width] = self.input;
        let stream = Stream::new(options.seed, stream_of(PICTURE), 0);
        let ends = [0, 255].map(|pixel| self.normalise.image(&vec![pixel; channels], channels));
        let count = channels * height * width;
        let noise = (0..count as u64).map(|at| stream.normal(at, START) as f32);
        let plane = height * width;
        let noise = noise.enumerate().map(|(at, x)| {
            let channel = at / plane.max(1);
            x.clamp(ends[0][channel], ends[1][channel])
        });
        let noise = noise.collect();
        let start = Tensor::f32([1, channels, height, width], noise)?;
        let ascent = self.ascent(layer, channel, options, start, ends)?;

        let graph = &ascent.graph;
        let store = Store::new(self.store.engine(), &[graph], 0)?;
        store.restore(&self.store.snapshot(&network_states(graph))?)?;
        let mut session = Session::new(&store, graph, &[ascent.score])?;
        let mut before = 0.0;
        let moves = stream_of("inspect.jitter");
        for step in 0..options.steps {
            let stream = Stream::new(options.seed, moves, step as u32);
            let by = [0, 1].map(|axis| stream.word(axis) as usize % (2 * options.jitter + 1));
            let left = 1.0 - step as f64 / options.steps as f64;
            let kernels = [
                moving(channels, options.jitter, by)?,
                blurring(channels, radius(options.blur), options.blur * left)?,
            ];
            for (kernel, tensor) in ascent.kernels.iter().zip(&kernels) {
                session.write(*kernel, tensor)?;
            }
            session.run(1)?;
            if step == 0 {
                before = session.read(ascent.score)?.item()?;
            }
        }
        let values = session.read(ascent.picture)?.as_f32()?.to_vec();
        // One more step gives the score of the picture as it is.
        let middle = [options.jitter; 2];
        session.write(
            ascent.kernels[0],
            &moving(channels, options.jitter, middle)?,
        )?;
        session.run(1)?;
        let after = session.read(ascent.score)?.item()?;
        if !values
            .iter()
            .chain([&before, &after])
            .all(|x| x.is_finite())
        {
            let message =
                format!("maximise: channel {channel} of \"{layer}\" becomes NaN or infinite");
            return Err(Error::new(ErrorKind::NotFinite, message));
        }
        Ok(Maximised {
            pixels: self.normalise.pixels(&values, channels),
            size: self.input,
            values,
            before,
            after,
        })
    }

    fn expect_settings(&self, options: &MaximiseOptions) -> Result<()> {
        let MaximiseOptions {
            steps,
            rate,
            jitter,
            blur,
            l2,
            ..
        } = *options;
        let [_, height, width] = self.input;
        let most = (height.min(width) - 1) / 2;
        let wrong = if steps == 0 || steps > u32::MAX as usize {
            format!("{steps} steps; at least 1 is needed")
        } else if !(rate > 0.0 && rate.is_finite()) {
            format!("a rate of {rate}; a number above 0 is needed")
        } else if jitter > most {
            format!(
                "a jitter of {jitter}; pictures of {height}x{width} are moved by {most} at most"
            )
        } else if !(0.0..=16.0).contains(&blur) {
            format!("a blur of {blur}; 0 to 16 pixels are possible")
        } else if !(0.0..1.0).contains(&l2) {
            format!("an l2 of {l2}; at least 0 and less than 1 is needed")
        } else {
            return Ok(());
        };
        Err(Error::shape(format!("maximise: {wrong}")))
    }

    fn ascent(
        &self,
        layer: &str,
        channel: usize,
        options: &MaximiseOptions,
        start: Tensor,
        ends: [Vec<f32>; 2],
    ) -> Result<Ascent> {
        let channels = self.input[0];
        let mut g = Graph::new();
        let (ty, init) = (start.ty().clone(), Init::Tensor(Arc::new(start)));
        let picture = g.state(PICTURE, ty, StateKind::Data, init, None)?;
        let kernel = |g: &mut Graph, name: &str, radius: usize| {
            let side = 2 * radius + 1;
            g.input(name, Type::f32([channels, 1, side, side]))
        };
        let depthwise = |radius: usize, mode| {
            let conv = Conv2d::new().padding(radius).groups(channels);
            conv.padding_mode(mode)
        };
        let shift = kernel(&mut g, "move", options.jitter)?;
        let around = depthwise(options.jitter, PaddingMode::Circular);
        let moved = g.conv2d(picture, shift, None, around)?;

        let network = Network::over(g, picture, moved, &*self.net)?;
        let output = network.layer(layer)?;
        let mut g = network.graph;
        let shape = g.shape(output)?.clone();
        let axis = if shape.len() == 1 { 0 } else { 1 };
        if shape.get(axis).is_none_or(|&count| channel >= count) {
            return Err(Error::shape(format!(
                "maximise: layer \"{layer}\" is {shape}, without channel {channel}"
            )));
        }
        let range = AxisRange::new(axis, channel, channel + 1);
        let own = g.slice(output, &[range])?;
        let axes: Vec<usize> = (0..shape.len()).collect();
        let score = g.mean(own, &axes, false)?;
        let gradient = gradients(&mut g, score, &[picture]).map_err(|e| e.context(layer))?[0];

        let square = g.square(gradient)?;
        let square = g.mean(square, &[0, 1, 2, 3], false)?;
        let root = g.sqrt(square)?;
        // A gradient of zeros moves nothing.
        let least = g.fill([], 1e-20)?;
        let root = g.maximum(root, least)?;
        let step = g.div(gradient, root)?;
        let step = g.scale(step, options.rate)?;
        let shrunk = g.scale(picture, 1.0 - options.l2)?;
        let next = g.add(shrunk, step)?;
        let [low, high] = ends.map(|end| Tensor::f32([1, channels, 1, 1], end));
        let (low, high) = (g.constant(low?)?, g.constant(high?)?);
        let next = g.maximum(next, low)?;
        let next = g.minimum(next, high)?;
        let radius = radius(options.blur);
        let blur = kernel(&mut g, "blur", radius)?;
        let next = g.conv2d(next, blur, None, depthwise(radius, PaddingMode::Replicate))?;
        g.assign(picture, next)?;
        Ok(Ascent {
            graph: g,
            picture,
            kernels: [shift, blur],
            score,
        })
    }
}

/// How far a Gaussian of this deviation reaches, in pixels.
fn radius(deviation: f64) -> usize {
    (3.0 * deviation).ceil() as usize
}

/// A kernel for each channel `[channels, 1, side, side]` that moves a picture: it is 1 at `by`, 0
/// elsewhere.
fn moving(channels: usize, jitter: usize, by: [usize; 2]) -> Result<Tensor> {
    let side = 2 * jitter + 1;
    let mut kernel = vec![0.0; side * side];
    kernel[by[0] * side + by[1]] = 1.0;
    Tensor::f32([channels, 1, side, side], kernel.repeat(channels))
}

/// A Gaussian for each channel `[channels, 1, side, side]`, cut off at its radius, of sum 1.
fn blurring(channels: usize, radius: usize, deviation: f64) -> Result<Tensor> {
    let side = 2 * radius + 1;
    let line: Vec<f64> = (0..side)
        .map(|at| {
            let distance = at as f64 - radius as f64;
            match deviation > 0.0 {
                true => (-0.5 * (distance / deviation).powi(2)).exp(),
                false => f64::from(u8::from(distance == 0.0)),
            }
        })
        .collect();
    let sum = line.iter().sum::<f64>().powi(2);
    let kernel = line
        .iter()
        .flat_map(|a| line.iter().map(move |b| (a * b / sum) as f32));
    let kernel: Vec<f32> = kernel.collect();
    Tensor::f32([channels, 1, side, side], kernel.repeat(channels))
}
