//! Training steps: the networks of `src/models` with cross-entropy, SGD with momentum 0.9 and one
//! batch that lies on the device.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData, s};

use crate::Subject;

/// Logits of images.
trait Network {
    fn forward(&self, x: Tensor<4>) -> Tensor<2>;
}

#[derive(Module, Debug)]
struct LeNet5 {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet5 {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([1, 6], [5, 5])
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .init(device),
            conv2: Conv2dConfig::new([6, 16], [5, 5]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            fc1: LinearConfig::new(16 * 5 * 5, 120).init(device),
            fc2: LinearConfig::new(120, 84).init(device),
            fc3: LinearConfig::new(84, 10).init(device),
        }
    }
}

impl Network for LeNet5 {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(x)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten(1, 3)));
        self.fc3.forward(relu(self.fc2.forward(x)))
    }
}

#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    stride: usize,
    /// Planes of zeros before and after the channels of the shortcut.
    planes: usize,
}

fn conv([channels, out]: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([channels, out], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: std::f64::consts::SQRT_2,
            fan_out_only: true,
        })
        .init(device)
}

impl BasicBlock {
    fn new(channels: usize, out: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv1: conv([channels, out], 3, stride, device),
            bn1: BatchNormConfig::new(out).init(device),
            conv2: conv([out, out], 3, 1, device),
            bn2: BatchNormConfig::new(out).init(device),
            stride,
            planes: (out - channels) / 2,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let y = self.bn2.forward(self.conv2.forward(y));
        let shortcut = match self.stride {
            1 => x,
            _ => {
                let planes = (self.planes, self.planes);
                x.slice(s![.., .., ..;2, ..;2])
                    .pad([planes, (0, 0), (0, 0)], PadMode::Constant(0.0))
            }
        };
        relu(y + shortcut)
    }
}

#[derive(Module, Debug)]
struct ResNet20 {
    conv1: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<BasicBlock>,
    fc: Linear,
}

impl ResNet20 {
    fn new(device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = 16;
        for out in [16, 32, 64] {
            for _ in 0..3 {
                let stride = if out == channels { 1 } else { 2 };
                blocks.push(BasicBlock::new(channels, out, stride, device));
                channels = out;
            }
        }
        Self {
            conv1: conv([3, 16], 3, 1, device),
            bn1: BatchNormConfig::new(16).init(device),
            blocks,
            fc: LinearConfig::new(channels, 10).init(device),
        }
    }
}

impl Network for ResNet20 {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.bn1.forward(self.conv1.forward(x)));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let means = x.flatten::<3>(2, 3).mean_dim(2).flatten(1, 2);
        self.fc.forward(means)
    }
}

#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    shortcut: Option<Conv2d>,
    shortcut_bn: Option<BatchNorm>,
}

impl Bottleneck {
    fn new(channels: usize, width: usize, stride: usize, device: &Device) -> Self {
        let out = 4 * width;
        let changes = stride != 1 || channels != out;
        Self {
            conv1: conv([channels, width], 1, 1, device),
            bn1: BatchNormConfig::new(width).init(device),
            conv2: conv([width, width], 3, stride, device),
            bn2: BatchNormConfig::new(width).init(device),
            conv3: conv([width, out], 1, 1, device),
            bn3: BatchNormConfig::new(out).init(device),
            shortcut: changes.then(|| conv([channels, out], 1, stride, device)),
            shortcut_bn: changes.then(|| BatchNormConfig::new(out).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let y = relu(self.bn2.forward(self.conv2.forward(y)));
        let y = self.bn3.forward(self.conv3.forward(y));
        let shortcut = match (&self.shortcut, &self.shortcut_bn) {
            (Some(conv), Some(bn)) => bn.forward(conv.forward(x)),
            _ => x,
        };
        relu(y + shortcut)
    }
}

#[derive(Module, Debug)]
struct ResNet50 {
    conv1: Conv2d,
    bn1: BatchNorm,
    pool: MaxPool2d,
    blocks: Vec<Bottleneck>,
    fc: Linear,
}

impl ResNet50 {
    fn new(device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = 64;
        for (count, width) in [(3, 64), (4, 128), (6, 256), (3, 512)] {
            for block in 0..count {
                let stride = if width > 64 && block == 0 { 2 } else { 1 };
                blocks.push(Bottleneck::new(channels, width, stride, device));
                channels = 4 * width;
            }
        }
        Self {
            conv1: conv([3, 64], 7, 2, device),
            bn1: BatchNormConfig::new(64).init(device),
            pool: MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            blocks,
            fc: LinearConfig::new(channels, 1000).init(device),
        }
    }
}

impl Network for ResNet50 {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self
            .pool
            .forward(relu(self.bn1.forward(self.conv1.forward(x))));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let means = x.flatten::<3>(2, 3).mean_dim(2).flatten(1, 2);
        self.fc.forward(means)
    }
}

/// A subject that takes training steps and reads the last loss.
fn train<M: Network + Module + 'static>(
    model: M,
    device: &Device,
    [batch, channels, side]: [usize; 3],
) -> Subject {
    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new().with_dampening(0.0)))
        .init();
    let loss = CrossEntropyLossConfig::new().init(device);
    let shape = [batch, channels, side, side];
    let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let labels: Vec<i64> = (0..batch as i64).map(|i| i % 10).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::from(labels.as_slice()), device);
    let mut model = Some(model);
    Box::new(move |count| {
        let mut last = None;
        for _ in 0..count {
            let before = model.take().ok_or("an earlier step failed")?;
            let loss = loss.forward(before.forward(x.clone()), labels.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &before);
            model = Some(optimizer.step(0.01, before, gradients));
            last = Some(loss);
        }
        if let Some(loss) = last {
            let loss = loss.try_into_scalar::<f32>()?;
            if !loss.is_finite() {
                return Err(format!("the loss is {loss}").into());
            }
        }
        Ok(())
    })
}

pub fn lenet5(device: &Device, batch: usize) -> Subject {
    let device = device.clone().autodiff();
    train(LeNet5::new(&device), &device, [batch, 1, 28])
}

pub fn resnet20(device: &Device, batch: usize) -> Subject {
    let device = device.clone().autodiff();
    train(ResNet20::new(&device), &device, [batch, 3, 32])
}

pub fn resnet50(device: &Device, batch: usize) -> Subject {
    let device = device.clone().autodiff();
    train(ResNet50::new(&device), &device, [batch, 3, 224])
}
