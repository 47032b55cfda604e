//! The U-Net of Open Image Denoise, at any widths: 3x3 convolutions, relu, 2x2 max pooling, nearest
//! upsampling, and what was pooled joined to what comes back up.

use std::path::Path;

use striate::interop::safetensors;
use striate::nn::Conv2d;
use striate::nn::init::{Fan, RELU_GAIN, Scheme};
use striate::ops::{InterpolateMode, MaxPool2d};
use striate::prelude::*;
use striate::shape::PaddingMode;

use crate::transfer::Transfer;
use crate::tza;

/// Its convolutions, by their names in tensor archives, in the order in which they run.
const LAYERS: [&str; 16] = [
    "enc_conv0",
    "enc_conv1",
    "enc_conv2",
    "enc_conv3",
    "enc_conv4",
    "enc_conv5a",
    "enc_conv5b",
    "dec_conv4a",
    "dec_conv4b",
    "dec_conv3a",
    "dec_conv3b",
    "dec_conv2a",
    "dec_conv2b",
    "dec_conv1a",
    "dec_conv1b",
    "dec_conv0",
];

/// Channels that the layers of [`Network::small`] make.
const SMALL: [usize; 16] = [
    16, 16, 16, 16, 16, 16, 16, 24, 24, 24, 24, 24, 16, 16, 16, 3,
];

/// How weights begin: normal by fan in, which keeps activations as they are from layer to layer.
const KAIMING: Scheme = Scheme::KaimingNormal {
    fan: Fan::In,
    gain: RELU_GAIN,
};

/// Height and width are padded to a multiple of this: it pools four times.
const ALIGNMENT: usize = 16;

/// The tensor that marks the files of networks with [`Transfer::Pu`].
const PU: &str = "transfer.pu";

/// What the network sees of a frame, each `[n, 3, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Linear radiance.
    pub colour: Value,
    /// Reflectance in [0, 1].
    pub albedo: Value,
    /// Normals as n * 0.5 + 0.5.
    pub normal: Value,
}

impl Seen {
    /// Inputs of a graph, under these names.
    ///
    /// # Errors
    /// Those of inputs.
    pub fn inputs(g: &mut Graph, shape: [usize; 4]) -> Result<Self> {
        let mut input = |name| g.input(name, Type::f32(shape));
        Ok(Self {
            colour: input("colour")?,
            albedo: input("albedo")?,
            normal: input("normal")?,
        })
    }
}

/// What comes out, each `[n, 3, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Denoised {
    /// On the curve of the network's [`Transfer`]: what training compares.
    pub encoded: Value,
    /// Linear radiance.
    pub linear: Value,
    /// The scale of the radiance before the curve.
    pub scale: Value,
}

/// A network's sizes; its weights are in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Channels that each of the [`LAYERS`] makes.
    widths: [usize; 16],
    /// Channels that it sees: 3 of colour, 6 with albedo, 9 with normals.
    inputs: usize,
    /// Curve of the radiance.
    pub transfer: Transfer,
}

impl Network {
    /// The one that is trained here: 59,755 parameters over colour, albedo and normals.
    pub fn small() -> Self {
        Self {
            widths: SMALL,
            inputs: 9,
            transfer: Transfer::Log,
        }
    }

    /// Reads a network and its weights: a tensor archive of Open Image Denoise (`.tza`, one of its
    /// HDR networks), or a safetensors file that was trained or adapted here.
    ///
    /// # Errors
    /// `Io` and `Data` from the file; `Checkpoint` if its tensors are not those of such a network.
    pub fn load(path: &Path) -> Result<(Self, Vec<(String, Tensor)>)> {
        let archive = path.extension().is_some_and(|ending| ending == "tza");
        let (mut tensors, mut transfer) = match archive {
            true => (tza::load(path)?, Transfer::Pu),
            false => (safetensors::load(path)?, Transfer::Log),
        };
        if let Some(at) = tensors.iter().position(|(name, _)| name == PU) {
            tensors.remove(at);
            transfer = Transfer::Pu;
        }
        let tensors: Vec<_> = tensors
            .into_iter()
            .map(|(name, tensor)| Ok((name, as_f32(tensor)?)))
            .collect::<Result<_>>()?;
        let network = Self::of(&tensors, transfer);
        let network = network.map_err(|error| error.context(path.display()))?;
        Ok((network, tensors))
    }

    /// The bytes of a safetensors file of this network, which [`load`](Self::load) reads.
    ///
    /// # Errors
    /// `Checkpoint` if the weights do not fit one.
    pub fn encode(&self, weights: &[(String, Tensor)]) -> Result<Vec<u8>> {
        let mut tensors = weights.to_vec();
        if self.transfer == Transfer::Pu {
            tensors.push((PU.to_owned(), Tensor::u8([1], vec![1])?));
        }
        safetensors::encode(&tensors)
    }

    /// The network that such weights are of.
    ///
    /// # Errors
    /// `Checkpoint` if a weight or bias is missing, or one does not fit those before it.
    fn of(tensors: &[(String, Tensor)], transfer: Transfer) -> Result<Self> {
        let wrong = |message: String| Error::new(ErrorKind::Checkpoint, message);
        let shape = |name: String| {
            let found = tensors.iter().find(|(own, _)| *own == name);
            let found = found.ok_or_else(|| wrong(format!("there is no tensor \"{name}\"")))?;
            Ok((name, found.1.shape()))
        };
        let mut widths = [0; 16];
        let mut inputs = 0;
        for (layer, width) in LAYERS.into_iter().zip(&mut widths) {
            let (name, weight) = shape(format!("{layer}.weight"))?;
            let [out, channels, 3, 3] = weight[..] else {
                return Err(wrong(format!("{name} {weight} is not [out, in, 3, 3]")));
            };
            let (name, bias) = shape(format!("{layer}.bias"))?;
            if bias[..] != [out] {
                return Err(wrong(format!("{name} {bias} is not [{out}]")));
            }
            if layer == LAYERS[0] {
                inputs = channels;
            }
            *width = out;
        }
        if ![3, 6, 9].contains(&inputs) || widths[15] != 3 {
            return Err(wrong(format!(
                "it makes {} channels of {inputs}; 3 of 3, 6 or 9 are needed",
                widths[15]
            )));
        }
        let network = Self {
            widths,
            inputs,
            transfer,
        };
        for (layer, from) in LAYERS.into_iter().zip(network.channels()) {
            let (name, weight) = shape(format!("{layer}.weight"))?;
            if weight[1] != from {
                let message = format!("{name} {weight} sees {} channels of {from}", weight[1]);
                return Err(wrong(message));
            }
        }
        if tensors.len() != 2 * LAYERS.len() {
            let (found, wanted) = (tensors.len(), 2 * LAYERS.len());
            return Err(wrong(format!("{found} tensors, {wanted} are needed")));
        }
        Ok(network)
    }

    /// Channels that each of the [`LAYERS`] sees.
    fn channels(&self) -> [usize; 16] {
        let w = &self.widths;
        let mut from = [0; 16];
        from[0] = self.inputs;
        from[1..].copy_from_slice(&w[..15]);
        // Beside what comes back up lies what was pooled at that size, and last the input.
        from[7] += w[3];
        from[9] += w[2];
        from[11] += w[1];
        from[13] += self.inputs;
        from
    }

    /// How many parameters it has.
    pub fn parameters(&self) -> usize {
        let layers = self.channels().into_iter().zip(self.widths);
        layers.map(|(from, out)| (9 * from + 1) * out).sum()
    }

    /// Appends the network to the graph of the context. Its parameters are named as in files,
    /// behind `prefix`.
    ///
    /// # Errors
    /// `Shape` if the three do not have one shape `[n, 3, height, width]`.
    pub fn build(&self, cx: &mut Build, prefix: &str, seen: Seen) -> Result<Denoised> {
        let g = cx.graph();
        let shape = g.shape(seen.colour)?.clone();
        let [_, 3, height, width] = shape[..] else {
            let message = format!("denoise: colour {shape} is not [n, 3, height, width]");
            return Err(Error::new(ErrorKind::Shape, message));
        };
        let scale = self.transfer.scale(g, seen.colour, seen.albedo)?;
        let colour = self.transfer.forward(g, seen.colour, scale)?;
        let all = [colour, seen.albedo, seen.normal];
        let x = g.concat(&all[..self.inputs / 3], 1)?;
        let [down, right] = [height, width].map(|n| n.next_multiple_of(ALIGNMENT) - n);
        let x = match down + right {
            0 => x,
            _ => {
                let padding = [0, right as isize, 0, down as isize];
                g.pad(x, &padding, PaddingMode::Replicate)?
            }
        };
        let y = self.layers(cx, prefix, x)?;
        let g = cx.graph();
        let encoded = match down + right {
            0 => y,
            _ => {
                let y = g.narrow(y, 2, 0, height)?;
                g.narrow(y, 3, 0, width)?
            }
        };
        Ok(Denoised {
            encoded,
            linear: self.transfer.inverse(g, encoded, scale)?,
            scale,
        })
    }

    /// The convolutions from x `[n, inputs, height, width]` to `[n, 3, height, width]`.
    fn layers(&self, cx: &mut Build, prefix: &str, input: Value) -> Result<Value> {
        let channels = self.channels();
        let conv = |cx: &mut Build, layer: usize, x: Value| {
            let conv = Conv2d::new(channels[layer], self.widths[layer], 3).padding(1);
            let conv = conv.init(KAIMING);
            cx.layer(&format!("{prefix}{}", LAYERS[layer]), &conv, x)
        };
        let relu_conv = |cx: &mut Build, layer: usize, x: Value| {
            let y = conv(cx, layer, x)?;
            cx.graph().relu(y)
        };
        let mut x = relu_conv(cx, 0, input)?;
        let mut beside = vec![input];
        for layer in 1..=4 {
            x = relu_conv(cx, layer, x)?;
            x = cx.graph().max_pool(x, MaxPool2d::new(2))?;
            beside.push(x);
        }
        // The lowest level has nothing beside it.
        beside.pop();
        x = relu_conv(cx, 5, x)?;
        x = relu_conv(cx, 6, x)?;
        for (layer, beside) in [7, 9, 11, 13].into_iter().zip(beside.into_iter().rev()) {
            let g = cx.graph();
            let risen = g.interpolate_by(x, &[2.0], InterpolateMode::Nearest)?;
            let joined = g.concat(&[risen, beside], 1)?;
            x = relu_conv(cx, layer, joined)?;
            x = relu_conv(cx, layer + 1, x)?;
        }
        conv(cx, 15, x)
    }
}

/// Elements of half floats as `f32`.
fn as_f32(tensor: Tensor) -> Result<Tensor> {
    if tensor.ty().dtype != DType::F16 {
        return Ok(tensor);
    }
    let elements = tensor.bytes().chunks_exact(2);
    let elements = elements.map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32());
    Tensor::f32(tensor.shape().clone(), elements.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros under the names and in the shapes of a network.
    fn zeros(network: &Network) -> Vec<(String, Tensor)> {
        let layers = network.channels().into_iter().zip(network.widths);
        let tensors = LAYERS
            .into_iter()
            .zip(layers)
            .flat_map(|(layer, (from, out))| {
                let weight = Tensor::zeros(&Type::f32([out, from, 3, 3])).unwrap();
                let bias = Tensor::zeros(&Type::f32([out])).unwrap();
                [
                    (format!("{layer}.weight"), weight),
                    (format!("{layer}.bias"), bias),
                ]
            });
        tensors.collect()
    }

    #[test]
    fn sizes_come_from_weights() {
        let small = Network::small();
        assert_eq!(small.parameters(), 59_755);
        let mut tensors = zeros(&small);
        assert_eq!(Network::of(&tensors, Transfer::Log).unwrap(), small);

        let bias = tensors.pop().unwrap();
        let error = Network::of(&tensors, Transfer::Log)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "there is no tensor \"dec_conv0.bias\"");
        tensors.push(bias);
        tensors[4].1 = Tensor::zeros(&Type::f32([16, 15, 3, 3])).unwrap();
        let error = Network::of(&tensors, Transfer::Log)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "enc_conv2.weight [16, 15, 3, 3] sees 15 channels of 16"
        );
    }

    #[test]
    fn files_tell_the_curve_of_their_network() {
        for transfer in [Transfer::Log, Transfer::Pu] {
            let network = Network {
                transfer,
                ..Network::small()
            };
            let file = format!("denoise-{transfer:?}-{}.safetensors", std::process::id());
            let path = std::env::temp_dir().join(file);
            std::fs::write(&path, network.encode(&zeros(&network)).unwrap()).unwrap();
            let (again, weights) = Network::load(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!((again, weights.len()), (network, 32));
        }
    }

    #[test]
    fn frames_of_any_size_keep_it_and_the_store_has_its_tensors() {
        let small = Network::small();
        let mut g = Graph::new();
        let seen = Seen::inputs(&mut g, [2, 3, 20, 33]).unwrap();
        let made = small.build(&mut Build::eval(&mut g), "", seen).unwrap();
        assert_eq!(g.shape(made.linear).unwrap()[..], [2, 3, 20, 33]);
        for (name, tensor) in zeros(&small) {
            let state = g.find_state(&name).unwrap();
            assert_eq!(g.ty(state).unwrap(), tensor.ty(), "{name}");
        }
    }
}
