//! The cases whose speed counts: shapes of LeNet-5, VGG-16 (Simonyan and Zisserman 2014), ResNet-18 and ResNet-50 (He et al. 2015),
//! MobileNet's depthwise layers, and the plain ones that other libraries quote.

use striate::autodiff::gradients_from;
use striate::check::{Bound, Case, Draw, Input, below, drawn, real};
use striate::error::{Error, ErrorKind, Result};
use striate::graph::{Graph, Value};
use striate::ops::{AvgPool2d, Conv, Conv2d, MaxPool2d};

/// A case with the work it is.
pub struct Bench {
    pub name: String,
    pub case: Case,
    /// The same with as few rows as make the reference bearable: for its error.
    pub sample: Case,
    /// Floating-point operations; a multiply-add is two.
    pub flops: f64,
    /// Bytes of all operands and results, each once.
    pub bytes: f64,
}

/// All of them.
pub fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for [m, n, k] in [
        [1024, 1024, 1024],
        [4096, 4096, 4096],
        [128, 120, 400],
        [128, 84, 120],
        [64, 1000, 2048],
        [16, 4096, 4096],
        [8192, 64, 64],
        [64, 64, 8192],
    ] {
        benches.push(matmul(m, n, k));
    }
    for layer in CONVOLUTIONS {
        for pass in [Pass::Forward, Pass::GradInput, Pass::GradWeight] {
            benches.push(layer.bench(pass));
        }
    }
    for shape in [[128, 6, 28, 28], [32, 64, 112, 112]] {
        benches.extend(pools(shape));
    }
    benches.extend(elementwise());
    benches
}

fn count(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>() as f64
}

fn bytes(inputs: &[Input], result: &[usize]) -> f64 {
    let inputs = inputs.iter().map(|input| input.ty.bytes() as f64);
    inputs.sum::<f64>() + 4.0 * count(result)
}

fn matmul(m: usize, n: usize, k: usize) -> Bench {
    let case = |rows: usize| {
        let inputs = vec![real([rows, k]), real([k, n])];
        Case::new(format!("matmul/{rows}x{n}x{k}"), inputs, |g, v| {
            Ok(vec![g.matmul(v[0], v[1], false, false)?])
        })
        .bound(Bound::Sum { k })
        .inexact()
    };
    let full = case(m);
    Bench {
        name: full.name.clone(),
        flops: 2.0 * count(&[m, n, k]),
        bytes: bytes(&full.inputs, &[m, n]),
        sample: case(m.min((1 << 26) / (n * k)).max(1)),
        case: full,
    }
}

/// Which product of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Forward,
    GradInput,
    GradWeight,
}

impl Pass {
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::GradInput => "dx",
            Pass::GradWeight => "dw",
        }
    }
}

/// A square convolution with as much padding as keeps the extents at stride 1, unless none is wanted.
struct Layer {
    x: [usize; 4],
    filters: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    groups: usize,
}

const fn layer(x: [usize; 4], filters: usize, [kernel, stride, padding]: [usize; 3]) -> Layer {
    Layer {
        x,
        filters,
        kernel,
        stride,
        padding,
        groups: 1,
    }
}

const CONVOLUTIONS: &[Layer] = &[
    layer([32, 64, 56, 56], 64, [3, 1, 1]),
    // LeNet-5.
    layer([128, 1, 28, 28], 6, [5, 1, 2]),
    layer([128, 6, 14, 14], 16, [5, 1, 0]),
    // VGG-16.
    layer([4, 3, 224, 224], 64, [3, 1, 1]),
    layer([4, 256, 56, 56], 256, [3, 1, 1]),
    layer([4, 512, 14, 14], 512, [3, 1, 1]),
    // ResNet: stem, strided, deep, and the 1x1 of its bottlenecks.
    layer([8, 3, 224, 224], 64, [7, 2, 3]),
    layer([8, 64, 56, 56], 128, [3, 2, 1]),
    layer([8, 128, 28, 28], 128, [3, 1, 1]),
    layer([8, 512, 7, 7], 512, [3, 1, 1]),
    layer([8, 256, 56, 56], 64, [1, 1, 0]),
    layer([8, 512, 28, 28], 1024, [1, 2, 0]),
    // ResNet-20 on CIFAR.
    layer([32, 16, 32, 32], 16, [3, 1, 1]),
    layer([32, 64, 8, 8], 64, [3, 1, 1]),
    // MobileNet.
    Layer {
        groups: 256,
        ..layer([8, 256, 28, 28], 256, [3, 1, 1])
    },
];

impl Layer {
    fn conv(&self) -> Conv2d {
        Conv2d {
            stride: [self.stride; 2],
            groups: self.groups,
            ..Conv::padding(self.padding)
        }
    }

    fn bench(&self, pass: Pass) -> Bench {
        let [n, c, h, w] = self.x;
        let conv = self.conv();
        let (filters, kernel) = (self.filters, self.kernel);
        let out = |extent: usize| (extent + 2 * self.padding - kernel) / self.stride + 1;
        let (oh, ow) = (out(h), out(w));
        let taps = c / self.groups * kernel * kernel;
        let groups = if self.groups > 1 {
            format!("g{}", self.groups)
        } else {
            String::new()
        };
        let name = format!(
            "conv2d/{n}x{c}x{h}x{w}-{filters}k{kernel}s{}p{}{groups}/{}",
            self.stride,
            self.padding,
            pass.name()
        );
        let weight = [filters, c / self.groups, kernel, kernel];
        let case = |n: usize| {
            let (x, dy) = ([n, c, h, w], [n, filters, oh, ow]);
            let inputs = match pass {
                Pass::Forward => vec![real(x), real(weight)],
                Pass::GradInput => vec![real(dy), real(weight)],
                Pass::GradWeight => vec![real(x), real(dy)],
            };
            let terms = match pass {
                Pass::Forward => taps,
                Pass::GradInput => filters / self.groups * kernel * kernel,
                Pass::GradWeight => n * oh * ow,
            };
            Case::new(name.clone(), inputs, move |g, v| {
                let result = match pass {
                    Pass::Forward => g.conv2d(v[0], v[1], None, conv)?,
                    Pass::GradInput => {
                        let x = g.fill(x, 0.0)?;
                        let y = g.conv2d(x, v[1], None, conv)?;
                        gradient(g, y, v[0], x)?
                    }
                    Pass::GradWeight => {
                        let weight = g.fill(weight, 0.0)?;
                        let y = g.conv2d(v[0], weight, None, conv)?;
                        gradient(g, y, v[1], weight)?
                    }
                };
                Ok(vec![result])
            })
            .bound(Bound::Sum { k: terms })
            .inexact()
        };
        let per_image = count(&[filters, oh, ow, taps]);
        let full = case(n);
        let result = match pass {
            Pass::Forward => count(&[n, filters, oh, ow]),
            Pass::GradInput => count(&[n, c, h, w]),
            Pass::GradWeight => count(&weight),
        };
        Bench {
            flops: 2.0 * n as f64 * per_image,
            bytes: bytes(&full.inputs, &[result as usize]),
            sample: case(n.min((1e8 / per_image) as usize).max(1)),
            case: full,
            name,
        }
    }
}

/// The gradient of `wrt` where that of `y` is `dy`.
fn gradient(g: &mut Graph, y: Value, dy: Value, wrt: Value) -> Result<Value> {
    let found = gradients_from(g, &[(y, dy)], &[wrt])?;
    found
        .into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Error::new(ErrorKind::NotDifferentiable, "the case has no gradient"))
}

/// Work that reads and writes: `flops` per element of the first operand.
fn streaming(
    case: impl Fn(usize) -> Case,
    rows: usize,
    flops: f64,
    result: impl Fn(&[Input]) -> f64,
) -> Bench {
    let full = case(rows);
    Bench {
        name: full.name.clone(),
        flops: flops * full.inputs[0].ty.count() as f64,
        bytes: bytes(&full.inputs, &[]) - 4.0 + 4.0 * result(&full.inputs),
        sample: case(rows.min(2)),
        case: full,
    }
}

fn pools([n, c, h, w]: [usize; 4]) -> Vec<Bench> {
    let quarter = |inputs: &[Input]| inputs[0].ty.count() as f64 / 4.0;
    let max = move |n: usize| {
        let inputs = vec![drawn([n, c, h, w], Draw::Real)];
        Case::new(format!("max_pool2d/{n}x{c}x{h}x{w}-2"), inputs, |g, v| {
            Ok(vec![g.max_pool(v[0], MaxPool2d::square(2))?])
        })
    };
    let average = move |n: usize| {
        Case::new(
            format!("avg_pool2d/{n}x{c}x{h}x{w}-2"),
            vec![real([n, c, h, w])],
            |g, v| Ok(vec![g.avg_pool(v[0], AvgPool2d::square(2))?]),
        )
        .bound(Bound::Sum { k: 4 })
        .inexact()
    };
    vec![
        streaming(max, n, 1.0, quarter),
        streaming(average, n, 1.0, quarter),
    ]
}

fn elementwise() -> Vec<Bench> {
    let same = |inputs: &[Input]| inputs[0].ty.count() as f64;
    let relu = |n: usize| {
        Case::new(format!("relu/{n}x65536"), vec![real([n, 65536])], |g, v| {
            Ok(vec![g.relu(v[0])?])
        })
    };
    let add = |n: usize| {
        let inputs = vec![real([n, 65536]), real([n, 65536])];
        Case::new(format!("add/{n}x65536"), inputs, |g, v| {
            Ok(vec![g.add_values(v[0], v[1])?])
        })
        .bound(Bound::Ulp(1.0))
    };
    let bias = |n: usize| {
        let inputs = vec![real([n, 64, 56, 56]), real([64, 1, 1])];
        Case::new(format!("add/{n}x64x56x56+64"), inputs, |g, v| {
            Ok(vec![g.add_values(v[0], v[1])?])
        })
        .bound(Bound::Ulp(1.0))
    };
    let sum_rows = |n: usize| {
        Case::new(
            format!("sum/{n}x65536/rows"),
            vec![real([n, 65536])],
            |g, v| Ok(vec![g.sum(v[0], &[1], false)?]),
        )
        .bound(Bound::Sum { k: 65536 })
        .inexact()
    };
    let sum_channels = |n: usize| {
        let inputs = vec![real([n, 64, 56, 56])];
        Case::new(format!("sum/{n}x64x56x56/channels"), inputs, move |g, v| {
            Ok(vec![g.sum(v[0], &[0, 2, 3], false)?])
        })
        .bound(Bound::Sum { k: n * 56 * 56 })
        .inexact()
    };
    let loss = |n: usize| {
        let inputs = vec![real([n, 1000]), below([n], 1000)];
        Case::new(
            format!("softmax_cross_entropy/{n}x1000"),
            inputs,
            move |g, v| {
                let rows = g.constant(striate::tensor::Tensor::u32([1], vec![n as u32])?)?;
                Ok(vec![g.softmax_cross_entropy(v[0], v[1], rows)?])
            },
        )
        .bound(Bound::Norm(1e-5))
        .inexact()
    };
    let none = |_: &[Input]| 1.0;
    vec![
        streaming(relu, 256, 1.0, same),
        streaming(add, 256, 1.0, same),
        streaming(bias, 32, 1.0, same),
        streaming(sum_rows, 256, 1.0, none),
        streaming(sum_channels, 32, 1.0, none),
        streaming(loss, 4096, 4.0, none),
    ]
}
