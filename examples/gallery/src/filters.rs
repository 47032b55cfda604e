//! What textures are told apart by: Gram matrices of what a network answers to a picture (Gatys,
//! Ecker and Bethge 2015, "Texture synthesis using convolutional neural networks"), here of random
//! filters at several sizes (Ustyuzhaninov et al. 2016, "Texture synthesis using shallow
//! convolutional networks with random filters") or of a VGG.

use std::path::Path;
use std::sync::Arc;

use striate::data::Chance;
use striate::ops::{Conv2d, InterpolateMode};
use striate::prelude::*;
use striate::shape::PaddingMode;
use striate::train::{Adam, Optimizer, warmup_cosine};

use crate::photo::{Photo, normal};
use crate::say;
use crate::vgg::Vgg;

/// By how much colours count more than the answers of a filter.
const COLOURS: f32 = 3.0;

/// Makes maps of pictures, whose Gram matrices are alike where textures are.
pub trait Features {
    /// Maps `[1, ...]` of a picture `[1, 3, height, width]`, whose values are from 0 to 1. A
    /// picture that wraps goes on at the other edge.
    ///
    /// # Errors
    /// `Shape` if the picture is too small.
    fn maps(&self, g: &mut Graph, picture: Value, wraps: bool) -> Result<Vec<Value>>;

    /// The Gram matrices of these maps, `[1, channels, channels]` each.
    ///
    /// # Errors
    /// As [`maps`](Self::maps).
    fn grams(&self, g: &mut Graph, picture: Value, wraps: bool) -> Result<Vec<Value>> {
        let maps = self.maps(g, picture, wraps)?;
        maps.into_iter().map(|maps| g.gram_matrix(maps)).collect()
    }

    /// The Gram matrices of a picture that does not wrap.
    ///
    /// # Errors
    /// As [`maps`](Self::maps); those of the device.
    fn grams_of(&self, engine: &Engine, photo: &Photo) -> Result<Vec<Tensor>> {
        let mut g = Graph::new();
        let picture = g.constant(tensor(photo)?)?;
        let grams = self.grams(&mut g, picture, false)?;
        let store = Store::new(engine, &[&g], 0)?;
        let mut session = Session::new(&store, &g, &grams)?;
        session.run(1)?;
        grams.into_iter().map(|gram| session.read(gram)).collect()
    }

    /// Changes the pixels of `start` downhill along the distance of its Gram matrices to given
    /// ones.
    /// With `content` also along a weight times the mean squared difference of brightness to that
    /// picture, both at a quarter of the size. The picture wraps.
    ///
    /// # Errors
    /// As [`maps`](Self::maps); those of the device.
    fn followed(
        &self,
        engine: &Engine,
        given: &[Tensor],
        start: &Photo,
        steps: usize,
        content: Option<(&Photo, f64)>,
    ) -> Result<Photo> {
        let mut g = Graph::new();
        // A sigmoid keeps pixels from 0 to 1.
        let logits = start.values.iter().map(|value| {
            let value = value.clamp(0.01, 0.99);
            (value / (1.0 - value)).ln()
        });
        let shape = tensor(start)?.shape().clone();
        let logits = Tensor::f32(shape.clone(), logits.collect())?;
        let logits = g.parameter("pixels", shape, Init::Tensor(Arc::new(logits)))?;
        let picture = g.sigmoid(logits)?;
        let grams = self.grams(&mut g, picture, true)?;
        let mut loss = loss(&mut g, &grams, given)?;
        if let Some((content, weight)) = content {
            let own = g.constant(tensor(content)?)?;
            let quarter = start.size.map(|side| side / 4);
            let [now, before] = [picture, own].map(|x| brightness(&mut g, x, quarter));
            let difference = g.sub(now?, before?)?;
            let squares = g.square(difference)?;
            let mean = g.mean(squares, &[0, 1, 2, 3], false)?;
            let weighted = g.scale(mean, weight)?;
            loss = g.add(loss, weighted)?;
        }
        Optimizer::new(Adam::new())
            .schedule(warmup_cosine(0.5, steps / 20, steps)?)
            .minimize(&mut g, loss)?;
        let store = Store::new(engine, &[&g], 0)?;
        let mut session = Session::new(&store, &g, &[loss, picture])?;
        for part in 1..=4 {
            let step = steps * part / 4;
            session.run(step - steps * (part - 1) / 4)?;
            let told = session.read(loss)?.item()?;
            say(format!("step {step:4}: distance {told:.5}"))?;
        }
        let picture = session.read(picture)?;
        Ok(Photo::new(start.size, picture.as_f32()?.iter().copied()))
    }
}

/// The VGG of a file if one is given, random filters otherwise.
///
/// # Errors
/// As [`Vgg::load`].
pub fn features(weights: Option<&Path>, levels: usize, seed: u64) -> Result<Box<dyn Features>> {
    Ok(match weights {
        Some(path) => Box::new(Vgg::load(path)?),
        None => Box::new(Filters::random(64, 7, levels, seed)?.with_colours()),
    })
}

/// Random filters over a picture, over half of it, over a quarter of it, and so on.
#[derive(Clone, Debug)]
pub struct Filters {
    /// `[count, 3, kernel, kernel]`; each sums to 0 over every colour.
    weights: Tensor,
    kernel: usize,
    levels: usize,
    colours: bool,
}

impl Filters {
    /// Normal numbers, less their mean over each colour, with the variance that a relu keeps (He et
    /// al. 2015).
    ///
    /// # Errors
    /// None for a kernel and a count above 0.
    pub fn random(count: usize, kernel: usize, levels: usize, seed: u64) -> Result<Self> {
        let taps = kernel * kernel;
        let scale = (2.0 / (3 * taps) as f64).sqrt();
        let mut weights = Vec::with_capacity(count * 3 * taps);
        for plane in 0..3 * count {
            let mut chance = Chance::of(seed, plane as u64);
            let drawn: Vec<f64> = (0..taps).map(|_| scale * normal(&mut chance)).collect();
            let mean = drawn.iter().sum::<f64>() / taps as f64;
            weights.extend(drawn.into_iter().map(|weight| (weight - mean) as f32));
        }
        Ok(Self {
            weights: Tensor::f32([count, 3, kernel, kernel], weights)?,
            kernel,
            levels,
            colours: false,
        })
    }

    /// With Gram matrices of colours alone besides, which count as much as the others. A plane of
    /// ones among them makes means of them too.
    pub fn with_colours(self) -> Self {
        Self {
            colours: true,
            ..self
        }
    }
}

impl Features for Filters {
    /// What the filters answer at each size, and the colours there: `[1, count + 3, ...]`; then
    /// `[1, 4, ...]` of colours and ones if [they are asked for](Self::with_colours).
    fn maps(&self, g: &mut Graph, picture: Value, wraps: bool) -> Result<Vec<Value>> {
        let weights = g.constant(self.weights.clone())?;
        let grey = g.fill([1, 1, 1, 1], 0.5)?;
        // Of deviation 1, more or less.
        let mut picture = g.sub(picture, grey)?;
        picture = g.scale(picture, 5.0)?;
        let conv = match wraps {
            true => Conv2d::new()
                .padding(self.kernel / 2)
                .padding_mode(PaddingMode::Circular),
            false => Conv2d::new(),
        };
        let mut maps = Vec::with_capacity(self.levels);
        for level in 0..self.levels {
            if level > 0 {
                let size: Vec<usize> = g.shape(picture)?[2..].iter().map(|side| side / 2).collect();
                picture = g.interpolate(picture, &size, InterpolateMode::Area)?;
            }
            let answers = g.conv2d(picture, weights, None, conv)?;
            let answers = g.relu(answers)?;
            let cut = match wraps {
                true => 0,
                false => -((self.kernel / 2) as isize),
            };
            let colours = g.pad(picture, &[cut; 4], PaddingMode::Zeros)?;
            let weighted = g.scale(colours, COLOURS)?;
            maps.push(g.concat(&[answers, weighted], 1)?);
            if self.colours {
                let mut size = g.shape(colours)?.to_vec();
                size[1] = 1;
                let ones = g.fill(size, 1.0)?;
                maps.push(g.concat(&[colours, ones], 1)?);
            }
        }
        Ok(maps)
    }
}

/// The mean of red, green and blue at another size: `[1, 1, ..size]` of x `[1, 3, height, width]`.
fn brightness(g: &mut Graph, x: Value, size: [usize; 2]) -> Result<Value> {
    let x = g.interpolate(x, &size, InterpolateMode::Area)?;
    g.mean(x, &[1], true)
}

/// Planes `[1, 3, height, width]`.
///
/// # Errors
/// `Shape` if the values are not those of the size.
pub fn tensor(photo: &Photo) -> Result<Tensor> {
    let [height, width] = photo.size;
    Tensor::f32([1, 3, height, width], photo.values.clone())
}

/// How far Gram matrices are from given ones: the norm of the difference as a share of the norm of
/// the given one, the mean over all sizes.
///
/// # Errors
/// `Shape` if they are not f32.
pub fn distance(grams: &[Tensor], given: &[Tensor]) -> Result<f64> {
    let mut sum = 0.0;
    for (gram, given) in grams.iter().zip(given) {
        let (gram, given) = (gram.as_f32()?, given.as_f32()?);
        let squares = gram
            .iter()
            .zip(given)
            .map(|(a, b)| f64::from(a - b).powi(2));
        let all = given.iter().map(|b| f64::from(*b).powi(2));
        sum += (squares.sum::<f64>() / all.sum::<f64>().max(1e-30)).sqrt();
    }
    Ok(sum / given.len().max(1) as f64)
}

/// The same as a value of a graph, squared: what is made smaller.
///
/// # Errors
/// `Shape` if they differ in shape.
pub fn loss(g: &mut Graph, grams: &[Value], given: &[Tensor]) -> Result<Value> {
    let mut sum = g.fill([], 0.0)?;
    for (&gram, given) in grams.iter().zip(given) {
        let all: f64 = given.as_f32()?.iter().map(|b| f64::from(*b).powi(2)).sum();
        let given = g.constant(given.clone())?;
        let difference = g.sub(gram, given)?;
        let squares = g.square(difference)?;
        let squares = g.sum(squares, &[0, 1, 2], false)?;
        let share = g.scale(squares, 1.0 / all.max(1e-30))?;
        sum = g.add(sum, share)?;
    }
    Ok(sum)
}
