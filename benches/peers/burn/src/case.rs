//! Cases by name: `matmul/[BATCHx]MxNxK`,
//! `conv2d/NxCxHxW-FILTERSkKERNELsSTRIDEpPADDING[gGROUPS]/PASS`, `lenet5/bBATCH`,
//! `resnet20/bBATCH`, `resnet50/bBATCH`.

use crate::Result;

/// A case with the work it is.
pub struct Case {
    pub name: &'static str,
    pub work: Work,
    /// Floating-point operations of a kernel; a multiply-add is two.
    pub flops: Option<f64>,
    /// Bytes of all operands and results of a kernel, each once.
    pub bytes: f64,
}

pub enum Work {
    /// A training step.
    LeNet5 {
        batch: usize,
    },
    /// A training step.
    ResNet20 {
        batch: usize,
    },
    /// A training step.
    ResNet50 {
        batch: usize,
    },
    /// Of a batch of matrices, often one.
    MatMul {
        batch: usize,
        m: usize,
        n: usize,
        k: usize,
    },
    Conv2d(Layer),
}

/// A square convolution.
#[derive(Clone, Copy)]
pub struct Layer {
    pub x: [usize; 4],
    pub filters: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub groups: usize,
    pub pass: Pass,
}

/// Which product of a convolution.
#[derive(Clone, Copy, PartialEq)]
pub enum Pass {
    Forward,
    GradInput,
    GradWeight,
}

impl Layer {
    pub fn weight(&self) -> [usize; 4] {
        let kernel = self.kernel;
        [self.filters, self.x[1] / self.groups, kernel, kernel]
    }

    pub fn y(&self) -> [usize; 4] {
        let out = |extent: usize| (extent + 2 * self.padding - self.kernel) / self.stride + 1;
        [self.x[0], self.filters, out(self.x[2]), out(self.x[3])]
    }
}

impl Case {
    /// # Errors
    /// If the name is none of the forms above.
    pub fn parse(name: &'static str) -> Result<Self> {
        let wrong = || format!("\"{name}\" is no case");
        let parts: Vec<&str> = name.split('/').collect();
        let batch = |text: &str| text.strip_prefix('b').and_then(|n| n.parse().ok());
        let (work, flops, bytes) = match parts[..] {
            ["lenet5", size] => {
                let batch = batch(size).ok_or_else(wrong)?;
                (Work::LeNet5 { batch }, None, 0.0)
            }
            ["resnet20", size] => {
                let batch = batch(size).ok_or_else(wrong)?;
                (Work::ResNet20 { batch }, None, 0.0)
            }
            ["resnet50", size] => {
                let batch = batch(size).ok_or_else(wrong)?;
                (Work::ResNet50 { batch }, None, 0.0)
            }
            ["matmul", size] => {
                let one = || extents(size).map(|[m, n, k]| [1, m, n, k]);
                let [batch, m, n, k] = extents(size).or_else(one).ok_or_else(wrong)?;
                let bytes = count(&[m, k]) + count(&[k, n]) + count(&[m, n]);
                let flops = 2.0 * count(&[batch, m, n, k]);
                let work = Work::MatMul { batch, m, n, k };
                (work, Some(flops), 4.0 * count(&[batch]) * bytes)
            }
            ["conv2d", size, pass] => {
                let layer = layer(size, pass).ok_or_else(wrong)?;
                let (x, weight, y) = (layer.x, layer.weight(), layer.y());
                let bytes = count(&x) + count(&weight) + count(&y);
                let flops = 2.0 * count(&y) * count(&weight[1..]);
                (Work::Conv2d(layer), Some(flops), 4.0 * bytes)
            }
            _ => return Err(wrong().into()),
        };
        Ok(Self {
            name,
            work,
            flops,
            bytes,
        })
    }
}

fn count(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>() as f64
}

fn extents<const D: usize>(text: &str) -> Option<[usize; D]> {
    let found: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok()).collect();
    found?.try_into().ok()
}

fn layer(size: &str, pass: &str) -> Option<Layer> {
    let (x, rest) = size.split_once('-')?;
    let (rest, groups) = rest.split_once('g').unwrap_or((rest, "1"));
    let (rest, padding) = rest.split_once('p')?;
    let (rest, stride) = rest.split_once('s')?;
    let (filters, kernel) = rest.split_once('k')?;
    Some(Layer {
        x: extents(x)?,
        filters: filters.parse().ok()?,
        kernel: kernel.parse().ok()?,
        stride: stride.parse().ok().filter(|&stride| stride > 0)?,
        padding: padding.parse().ok()?,
        groups: groups.parse().ok().filter(|&groups| groups > 0)?,
        pass: match pass {
            "forward" => Pass::Forward,
            "dx" => Pass::GradInput,
            "dw" => Pass::GradWeight,
            _ => return None,
        },
    })
}
