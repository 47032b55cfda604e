//! What a VGG answers to pictures, its weights from a file: by this, Gatys, Ecker and Bethge tell
//! textures and styles apart.

use std::collections::HashMap;
use std::path::Path;

use striate::interop::safetensors;
use striate::ops::{AvgPool2d, Conv2d};
use striate::prelude::*;
use striate::shape::PaddingMode;
use striate::train::Normalise;

use crate::filters::Features;

/// The convolutions of a VGG of any depth (Simonyan and Zisserman 2014), without batch
/// normalisation.
#[derive(Clone, Debug)]
pub struct Vgg {
    /// Weights `[out, channels, 3, 3]` and biases `[out]` of the convolutions of each stage.
    stages: Vec<Vec<[Tensor; 2]>>,
}

impl Vgg {
    /// Reads a safetensors file with torchvision's names.
    ///
    /// # Errors
    /// As [`safetensors::load`]; `Data` if the file holds no such network.
    pub fn load(path: &Path) -> Result<Self> {
        let tensors = safetensors::load(path)?;
        Self::of(tensors).map_err(|e| e.context(path.display()))
    }

    /// Of tensors `features.0.weight`, `features.0.bias` and so on. Numbers tell where stages end:
    /// a convolution's relu takes one, and the pooling after a stage another one.
    fn of(tensors: Vec<(String, Tensor)>) -> Result<Self> {
        let mut tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
        let mut take = |number: usize, what: &str| {
            let name = format!("features.{number}.{what}");
            tensors.remove(&name)
        };
        let mut stages = Vec::new();
        let mut number = 0;
        loop {
            let mut stage = Vec::new();
            while let Some(layer) = take(number, "weight").zip(take(number, "bias")) {
                stage.push([layer.0, layer.1]);
                number += 2;
            }
            if stage.is_empty() {
                break;
            }
            stages.push(stage);
            number += 1;
        }
        let left = tensors.keys().any(|name| name.starts_with("features."));
        if left || stages.is_empty() {
            let message = "not the tensors of a VGG without batch normalisation";
            return Err(Error::new(ErrorKind::Data, message));
        }
        Ok(Self { stages })
    }
}

impl Features for Vgg {
    /// What the first convolution of each stage answers, after its relu. Stages end with means of
    /// four pixels in place of maxima, as Gatys, Ecker and Bethge have it.
    fn maps(&self, g: &mut Graph, picture: Value, wraps: bool) -> Result<Vec<Value>> {
        let normalise = Normalise::imagenet();
        let of_channels = |values: &[f64]| {
            let values = values.iter().map(|byte| (byte / 255.0) as f32);
            Tensor::f32([1, 3, 1, 1], values.collect())
        };
        let mean = g.constant(of_channels(&normalise.means())?)?;
        let deviation = g.constant(of_channels(&normalise.deviations())?)?;
        let x = g.sub(picture, mean)?;
        let mut x = g.div(x, deviation)?;
        let edges = match wraps {
            true => PaddingMode::Circular,
            false => PaddingMode::Zeros,
        };
        let conv = Conv2d::new().padding(1).padding_mode(edges);
        let mut maps = Vec::with_capacity(self.stages.len());
        for (number, stage) in self.stages.iter().enumerate() {
            if number > 0 {
                x = g.avg_pool(x, AvgPool2d::new(2))?;
            }
            for (place, [weight, bias]) in stage.iter().enumerate() {
                let weight = g.constant(weight.clone())?;
                let bias = g.constant(bias.clone())?;
                x = g.conv2d(x, weight, Some(bias), conv)?;
                x = g.relu(x)?;
                if place == 0 {
                    maps.push(x);
                }
            }
        }
        Ok(maps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter for each of these channels, which answers what it sees.
    fn layer(number: usize, channels: usize, seen: &[usize]) -> [(String, Tensor); 2] {
        let mut weight = vec![0.0; seen.len() * channels * 9];
        for (filter, channel) in seen.iter().enumerate() {
            weight[9 * (filter * channels + channel) + 4] = 1.0;
        }
        let weight = Tensor::f32([seen.len(), channels, 3, 3], weight).unwrap();
        let bias = Tensor::f32([seen.len()], vec![0.0; seen.len()]).unwrap();
        let name = |what: &str| format!("features.{number}.{what}");
        [(name("weight"), weight), (name("bias"), bias)]
    }

    #[test]
    fn numbers_of_layers_tell_stages() {
        let layers = [
            layer(0, 3, &[0, 2]),
            layer(2, 2, &[1]),
            layer(5, 1, &[0, 0]),
            layer(7, 2, &[0]),
        ];
        let vgg = Vgg::of(layers.concat()).unwrap();
        let mut g = Graph::new();
        let values = (0..48).map(|at| if at < 16 { 0.6 } else { at as f32 / 48.0 });
        let picture = Tensor::f32([1, 3, 4, 4], values.collect()).unwrap();
        let x = g.constant(picture).unwrap();
        let maps = vgg.maps(&mut g, x, true).unwrap();
        let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &maps).unwrap();
        session.run(1).unwrap();
        let made: Vec<Tensor> = maps.iter().map(|&map| session.read(map).unwrap()).collect();
        assert_eq!(made[0].shape()[..], [1, 2, 4, 4]);
        assert_eq!(made[1].shape()[..], [1, 2, 2, 2]);
        let red = made[0].as_f32().unwrap()[0];
        assert!((red - (0.6 - 0.485) / 0.229).abs() < 1e-5, "{red}");
        // The mean of four pixels of blue.
        let blue = made[1].as_f32().unwrap()[0];
        let mean = (32 + 33 + 36 + 37) as f32 / 4.0 / 48.0;
        assert!((blue - (mean - 0.406) / 0.225).abs() < 1e-5, "{blue}");
    }

    #[test]
    fn other_networks_are_refused() {
        let mut normed = layer(0, 3, &[0]).to_vec();
        normed.extend(layer(3, 1, &[0]));
        normed.push(("features.1.running_mean".to_owned(), Tensor::scalar(0.0)));
        let without_bias = layer(0, 3, &[0])[..1].to_vec();
        let head = vec![("fc.weight".to_owned(), Tensor::scalar(0.0))];
        for tensors in [normed, without_bias, head, Vec::new()] {
            assert_eq!(Vgg::of(tensors).unwrap_err().kind(), ErrorKind::Data);
        }
    }
}
