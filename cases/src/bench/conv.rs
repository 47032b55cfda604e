//! Convolutions over two and three axes: forward, gradient of the input, gradient of the weight.

use striate::check::{Bound, Case, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{Conv, Conv2d, Conv3d};

use super::{Bench, bytes, count, extents, gradient};

/// Which product of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Forward,
    GradInput,
    GradWeight,
}

impl Pass {
    const ALL: [Self; 3] = [Self::Forward, Self::GradInput, Self::GradWeight];

    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::GradInput => "dx",
            Pass::GradWeight => "dw",
        }
    }
}

/// A convolution that is alike along all of its axes.
#[derive(Debug, Clone, Copy)]
struct Layer {
    /// Batch, channels, then two or three extents.
    x: &'static [usize],
    filters: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    groups: usize,
}

const fn layer(
    x: &'static [usize],
    filters: usize,
    [kernel, stride, padding]: [usize; 3],
) -> Layer {
    Layer {
        x,
        filters,
        kernel,
        stride,
        padding,
        groups: 1,
    }
}

/// Each channel by itself.
const fn depthwise(x: &'static [usize], stride: usize) -> Layer {
    Layer {
        groups: x[1],
        ..layer(x, x[1], [3, stride, 1])
    }
}

const LAYERS: [Layer; 21] = [
    layer(&[32, 64, 56, 56], 64, [3, 1, 1]),
    // LeNet-5.
    layer(&[128, 1, 28, 28], 6, [5, 1, 2]),
    layer(&[128, 6, 14, 14], 16, [5, 1, 0]),
    // VGG-16.
    layer(&[4, 3, 224, 224], 64, [3, 1, 1]),
    layer(&[4, 256, 56, 56], 256, [3, 1, 1]),
    layer(&[4, 512, 14, 14], 512, [3, 1, 1]),
    // ResNet: stem, strided, deep, and the 1x1 of its bottlenecks.
    layer(&[8, 3, 224, 224], 64, [7, 2, 3]),
    layer(&[8, 64, 56, 56], 128, [3, 2, 1]),
    layer(&[8, 128, 28, 28], 128, [3, 1, 1]),
    layer(&[8, 512, 7, 7], 512, [3, 1, 1]),
    layer(&[8, 256, 56, 56], 64, [1, 1, 0]),
    layer(&[8, 256, 28, 28], 256, [1, 1, 0]),
    layer(&[8, 512, 28, 28], 1024, [1, 2, 0]),
    // ResNet-20 on CIFAR.
    layer(&[32, 16, 32, 32], 16, [3, 1, 1]),
    layer(&[32, 64, 8, 8], 64, [3, 1, 1]),
    // MobileNet.
    depthwise(&[8, 32, 112, 112], 1),
    depthwise(&[8, 128, 56, 56], 2),
    depthwise(&[8, 256, 28, 28], 1),
    depthwise(&[8, 512, 14, 14], 1),
    // Volumes, and clips as in C3D (Tran et al. 2015).
    layer(&[4, 1, 32, 32, 32], 16, [5, 1, 2]),
    layer(&[2, 32, 8, 28, 28], 64, [3, 1, 1]),
];

pub fn benches() -> Vec<Bench> {
    let all = LAYERS.iter();
    all.flat_map(|layer| Pass::ALL.map(|pass| layer.bench(pass)))
        .collect()
}

impl Layer {
    fn axes(&self) -> usize {
        self.x.len() - 2
    }

    fn name(&self, pass: Pass) -> String {
        let (x, filters, kernel) = (extents(self.x), self.filters, self.kernel);
        let groups = match self.groups {
            1 => String::new(),
            groups => format!("g{groups}"),
        };
        format!(
            "conv{}d/{x}-{filters}k{kernel}s{}p{}{groups}/{}",
            self.axes(),
            self.stride,
            self.padding,
            pass.name()
        )
    }

    /// Its shapes with `n` images: input, weight, output.
    fn shapes(&self, n: usize) -> [Vec<usize>; 3] {
        let mut x = self.x.to_vec();
        x[0] = n;
        let mut weight = vec![self.filters, x[1] / self.groups];
        weight.resize(x.len(), self.kernel);
        let mut y = vec![n, self.filters];
        let out = |extent: &usize| (extent + 2 * self.padding - self.kernel) / self.stride + 1;
        y.extend(x[2..].iter().map(out));
        [x, weight, y]
    }

    fn apply(&self, g: &mut Graph, x: Value, weight: Value) -> Result<Value> {
        if self.axes() == 2 {
            let conv = Conv2d {
                stride: [self.stride; 2],
                groups: self.groups,
                ..Conv::new().padding(self.padding)
            };
            return g.conv2d(x, weight, None, conv);
        }
        let conv = Conv3d {
            stride: [self.stride; 3],
            groups: self.groups,
            ..Conv::new().padding(self.padding)
        };
        g.conv3d(x, weight, None, conv)
    }

    /// One pass over `n` images.
    fn case(self, pass: Pass, n: usize) -> Case {
        let [x, weight, y] = self.shapes(n);
        let taps = self.kernel.pow(self.axes() as u32);
        let (inputs, terms) = match pass {
            Pass::Forward => ([&x, &weight], weight[1] * taps),
            Pass::GradInput => ([&y, &weight], self.filters / self.groups * taps),
            Pass::GradWeight => ([&x, &y], n * y[2..].iter().product::<usize>()),
        };
        let inputs = inputs.map(|shape| real(shape.as_slice())).into();
        Case::new(self.name(pass), inputs, move |g, v| {
            let result = match pass {
                Pass::Forward => self.apply(g, v[0], v[1])?,
                Pass::GradInput => {
                    let x = g.fill(x.as_slice(), 0.0)?;
                    let y = self.apply(g, x, v[1])?;
                    gradient(g, y, v[0], x)?
                }
                Pass::GradWeight => {
                    let weight = g.fill(weight.as_slice(), 0.0)?;
                    let y = self.apply(g, v[0], weight)?;
                    gradient(g, y, v[1], weight)?
                }
            };
            Ok(vec![result])
        })
        .bound(Bound::Sum { k: terms })
        .inexact()
    }

    fn bench(&self, pass: Pass) -> Bench {
        let n = self.x[0];
        let [x, weight, y] = self.shapes(n);
        let products = count(&y) * count(&weight[1..]);
        let full = self.case(pass, n);
        let result = match pass {
            Pass::Forward => y,
            Pass::GradInput => x,
            Pass::GradWeight => weight,
        };
        let sample = (1e8 / (products / n as f64)) as usize;
        Bench {
            name: full.name.clone(),
            flops: 2.0 * products,
            bytes: bytes(&full.inputs, count(&result)),
            sample: self.case(pass, sample.clamp(1, n)),
            case: full,
        }
    }
}
