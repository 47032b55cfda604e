//! Average and Lp pooling: one walk, two functions of a window.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Lowering, Operand, looped, overlaps};
use crate::lowering::pieces::{Pieces, nested};
use crate::ops::{expect_inputs, expect_type, no_second_derivative};
use crate::shape::{PerAxis, Type};
use crate::tensor::Array;

use super::average_kernels::{Stage, evenly, finishes, kernel};
use super::windows::{PoolNumbers, Windows};
use super::{WORKGROUP, gathers, into_scratch, operands};

// Parameters and builder.

/// Windows of an average pooling, outermost axis first, as PyTorch's `AvgPool1d`, `AvgPool2d` and
/// `AvgPool3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool<const D: usize> {
    /// Taps of the window.
    pub kernel: [usize; D],
    /// Step between windows.
    pub stride: [usize; D],
    /// Elements of 0 added on each side, at most half the kernel.
    pub padding: [usize; D],
    /// Whether the number of windows is rounded up, so that the last may reach beyond the padding;
    /// what lies there never counts.
    pub ceil_mode: bool,
    /// Whether the padding counts in the divisor (PyTorch's default).
    pub count_include_pad: bool,
    /// What every sum is divided by instead. PyTorch has none for one axis.
    pub divisor_override: Option<usize>,
}

/// Average pooling over `[n, c, length]`.
pub type AvgPool1d = AvgPool<1>;
/// Average pooling over `[n, c, height, width]`.
pub type AvgPool2d = AvgPool<2>;
/// Average pooling over `[n, c, depth, height, width]`.
pub type AvgPool3d = AvgPool<3>;

impl<const D: usize> AvgPool<D> {
    /// Windows of one extent along all axes or of one along each, side by side: stride as the
    /// kernel, no padding.
    pub fn new(kernel: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        Self {
            kernel,
            stride: kernel,
            padding: [0; D],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// Steps between windows, along all axes or along each.
    pub fn stride(mut self, stride: impl Into<PerAxis<D>>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Elements added on both sides of all axes, or of each.
    pub fn padding(mut self, padding: impl Into<PerAxis<D>>) -> Self {
        self.padding = padding.into().0;
        self
    }

    /// Whether the number of windows is rounded up.
    pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
        self.ceil_mode = ceil_mode;
        self
    }

    /// Whether the padding counts in the divisor.
    pub fn count_include_pad(mut self, count: bool) -> Self {
        self.count_include_pad = count;
        self
    }

    /// What every sum is divided by instead of its number of elements.
    pub fn divisor_override(mut self, divisor: usize) -> Self {
        self.divisor_override = Some(divisor);
        self
    }

    fn average(&self) -> AveragePool {
        AveragePool {
            windows: Windows::strided(
                self.kernel,
                self.stride,
                self.padding,
                [1; D],
                self.ceil_mode,
            ),
            average: Average::Mean {
                count_include_pad: self.count_include_pad,
                divisor_override: self.divisor_override,
            },
        }
    }
}

/// Windows of an Lp pooling, outermost axis first, as PyTorch's `LPPool1d`, `LPPool2d` and
/// `LPPool3d`.
///
/// y = (sum of x^p)^(1/p) over each window. As in PyTorch, x is not made positive: a power that has
/// no real root is NaN, and a window that `ceil_mode` cuts short counts as if the elements that it
/// lacks had the mean power of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LpPool<const D: usize> {
    /// p, positive and finite; 1 sums.
    pub norm_type: f32,
    /// Taps of the window.
    pub kernel: [usize; D],
    /// Step between windows.
    pub stride: [usize; D],
    /// Whether the number of windows is rounded up.
    pub ceil_mode: bool,
}

/// Lp pooling over `[n, c, length]`.
pub type LpPool1d = LpPool<1>;
/// Lp pooling over `[n, c, height, width]`.
pub type LpPool2d = LpPool<2>;
/// Lp pooling over `[n, c, depth, height, width]`.
pub type LpPool3d = LpPool<3>;

impl<const D: usize> LpPool<D> {
    /// Windows of one extent along all axes or of one along each, side by side: stride as the
    /// kernel.
    pub fn new(norm_type: f32, kernel: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        Self {
            norm_type,
            kernel,
            stride: kernel,
            ceil_mode: false,
        }
    }

    /// Steps between windows, along all axes or along each.
    pub fn stride(mut self, stride: impl Into<PerAxis<D>>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Whether the number of windows is rounded up.
    pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
        self.ceil_mode = ceil_mode;
        self
    }
}

/// What an [`AveragePool`] makes of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Average {
    /// Its sum over the number of its elements.
    Mean {
        /// Whether the padding counts.
        count_include_pad: bool,
        /// What the sum is divided by instead.
        divisor_override: Option<usize>,
    },
    /// (its taps * mean of x^p)^(1/p).
    Lp {
        /// p.
        norm_type: f32,
    },
}

/// A mean or norm of each window of x `[n, c, ...]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePool {
    /// The windows.
    pub windows: Windows,
    /// What is made of each.
    pub average: Average,
}

/// dx `[n, c, ...]` of an [`AveragePool`] from dy and, for a norm, x and y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePoolGrad {
    /// What made y.
    pub pool: AveragePool,
    /// Extents of dx along the pooled axes, after ones.
    pub input: [usize; 3],
}

/// # Average and Lp pooling
impl Graph {
    /// The mean of each window of x: `[n, c, length]`, `[n, c, height, width]` or `[n, c, depth,
    /// height, width]`; without n it is one image, as in all poolings.
    pub fn avg_pool<const D: usize>(&mut self, x: Value, pool: AvgPool<D>) -> Result<Value> {
        self.batched1(x, 2 + D, |g, x| g.apply1(pool.average(), &[x]))
    }

    /// (sum of x^p)^(1/p) of each window of x: `[n, c, length]`, `[n, c, height, width]` or `[n, c,
    /// depth, height, width]`.
    pub fn lp_pool<const D: usize>(&mut self, x: Value, pool: LpPool<D>) -> Result<Value> {
        let (kernel, stride, norm_type) = (pool.kernel, pool.stride, pool.norm_type);
        let pool = AveragePool {
            windows: Windows::strided(kernel, stride, [0; D], [1; D], pool.ceil_mode),
            average: Average::Lp { norm_type },
        };
        self.batched1(x, 2 + D, |g, x| g.apply1(pool, &[x]))
    }
}

// Shape rule.

impl AveragePool {
    /// Number of values that the gradient reads.
    fn grad_inputs(&self) -> usize {
        match self.average {
            Average::Mean { .. } => 1,
            Average::Lp { .. } => 3,
        }
    }

    fn check(&self) -> Result<()> {
        match self.average {
            Average::Mean {
                divisor_override: Some(divisor),
                ..
            } if divisor == 0 || divisor >= 1 << 31 => Err(Error::shape(format!(
                "{}: divisor {divisor} must be at least 1 and below 2^31",
                self.name()
            ))),
            Average::Lp { norm_type } if !(norm_type > 0.0 && norm_type.is_finite()) => {
                Err(Error::shape(format!(
                    "{}: norm type {norm_type} must be positive and finite",
                    self.name()
                )))
            }
            _ => Ok(()),
        }
    }

    // Reference.

    /// What the sum of each window of a plane is divided by.
    fn divisors(&self, input: [usize; 3], output: [usize; 3]) -> Vec<f64> {
        let include_pad = matches!(
            self.average,
            Average::Mean {
                count_include_pad: true,
                ..
            }
        );
        let mut divisors = self.windows.counted(input, output, include_pad);
        if let Average::Mean {
            divisor_override: Some(divisor),
            ..
        } = self.average
        {
            divisors.fill(divisor as f64);
        }
        divisors
    }

    // Lowering.

    /// The most turns that a power of an element takes, p being the norm type and `less` less than
    /// that: as many as whole numbers up to p have digits.
    fn power_turns(&self, less: f32) -> u64 {
        match self.average {
            Average::Mean { .. } => 0,
            Average::Lp { norm_type } => {
                let digits = u32::BITS - ((norm_type - less) as u32).leading_zeros();
                looped(digits as usize, 0)
            }
        }
    }

    /// What both kernels know.
    fn numbers(&self) -> PoolNumbers {
        match self.average {
            Average::Mean {
                count_include_pad,
                divisor_override,
            } => PoolNumbers {
                include_pad: count_include_pad,
                divisor: divisor_override.unwrap_or(0),
                ..PoolNumbers::default()
            },
            Average::Lp { norm_type } => PoolNumbers {
                power: norm_type,
                ..PoolNumbers::default()
            },
        }
    }
}

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        self.windows.name(match self.average {
            Average::Lp { .. } => ["lp_pool1d", "lp_pool2d", "lp_pool3d"],
            Average::Mean { .. } if self.windows.is_adaptive() => [
                "adaptive_avg_pool1d",
                "adaptive_avg_pool2d",
                "adaptive_avg_pool3d",
            ],
            Average::Mean { .. } => ["avg_pool1d", "avg_pool2d", "avg_pool3d"],
        })
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        self.check()?;
        Ok(vec![self.windows.infer(self.name(), inputs[0])?])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let ty = self.infer(&[x.ty()]).expect("infer accepted x").remove(0);
        let (input, output) = (self.windows.extents(x.ty()), self.windows.extents(&ty));
        let taps = self.windows.taps(input, output);
        let divisors = self.divisors(input, output);
        let mut y = Vec::new();
        for plane in x.floats().chunks_exact(input.iter().product()) {
            for (taps, divisor) in taps.iter().zip(&divisors) {
                let elements = taps.iter().map(|tap| plane[tap.place]);
                y.push(match self.average {
                    Average::Mean { .. } => elements.sum::<f64>() / divisor,
                    Average::Lp { norm_type } => {
                        let p = f64::from(norm_type);
                        let powers: f64 = elements.map(|x| x.powf(p)).sum();
                        (powers * (self.windows.whole() / divisor)).powf(1.0 / p)
                    }
                });
            }
        }
        vec![Array::float(ty.shape, y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let x = at.inputs[0];
        let grad = AveragePoolGrad {
            pool: *self,
            input: self.windows.extents(g.ty(x)?),
        };
        let inputs = &[dy[0], x, at.outputs[0]][..self.grad_inputs()];
        Ok(vec![Some(g.apply1(grad, inputs)?)])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let (input, output) = (self.windows.extents(x), self.windows.extents(y));
        let windows = self.windows.at_equal_steps(input);
        for rows in overlaps(&[&io.input_parts[0], &io.output_parts[0]]) {
            let numbers = PoolNumbers {
                count: rows.count * y.row(),
                x_base: rows.first[0] * x.row(),
                y_base: rows.first[1] * y.row(),
                ..self.numbers()
            };
            let dispatch = |stage, overrides| {
                let kernel = kernel(&self.average, stage);
                Dispatch::of(Cow::Owned(kernel), overrides)
            };
            let most = windows.most_elements(input);
            let inner = self.power_turns(0.0);
            let turns = nested(&most, inner);
            let Some(pieces) = Pieces::new(&most, inner, numbers.count, turns, caps) else {
                let dispatch = operands(
                    dispatch(Stage::Forward, gathers(&windows, false)),
                    &rows.part,
                );
                let workgroups = numbers.count.div_ceil(WORKGROUP);
                let dispatch = windows.params(dispatch, input, output, &numbers);
                out.push(dispatch.turns(turns).workgroups(workgroups));
                continue;
            };
            let scratch = pieces.scratch(out, Type::f32);
            let sums = pieces.sums(out);
            for outputs in pieces.slices(numbers.count) {
                let own = dispatch(Stage::Forward, gathers(&windows, true));
                let own = into_scratch(own, &rows.part[..1], scratch[0]);
                out.push(windows.gather(own, [input, output], &numbers, (&pieces, outputs)));
                pieces.sum(&scratch, outputs[1], (sums, 0, 0), out);
                let own = dispatch(Stage::Finish, finishes(&windows))
                    .read(sums)
                    .write(Operand::Output(0))
                    .part(rows.part[1]);
                let whole = PoolNumbers {
                    count: outputs[1],
                    ..numbers
                };
                let own = windows.walk_params(own, input, output, &whole);
                let workgroups = whole.count.div_ceil(WORKGROUP);
                let own = pieces.params(own, outputs).turns(self.power_turns(0.0));
                out.push(own.workgroups(workgroups));
            }
        }
        Ok(())
    }
}

impl Op for AveragePoolGrad {
    fn name(&self) -> &'static str {
        self.pool.windows.name(match self.pool.average {
            Average::Lp { .. } => ["lp_pool1d_grad", "lp_pool2d_grad", "lp_pool3d_grad"],
            Average::Mean { .. } if self.pool.windows.is_adaptive() => [
                "adaptive_avg_pool1d_grad",
                "adaptive_avg_pool2d_grad",
                "adaptive_avg_pool3d_grad",
            ],
            Average::Mean { .. } => ["avg_pool1d_grad", "avg_pool2d_grad", "avg_pool3d_grad"],
        })
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, self.pool.grad_inputs())?;
        self.pool.check()?;
        let dx = (self.pool.windows).infer_grad(self.name(), self.input, inputs[0])?;
        if let [dy, x, y] = inputs {
            expect_type(self.name(), "x", x, &dx)?;
            expect_type(self.name(), "y", y, dy)?;
        }
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let types: Vec<&Type> = inputs.iter().map(|array| array.ty()).collect();
        let ty = self.infer(&types).expect("infer accepted dy").remove(0);
        let windows = &self.pool.windows;
        let output = windows.extents(types[0]);
        let taps = windows.taps(self.input, output);
        let divisors = self.pool.divisors(self.input, output);
        let plane: usize = self.input.iter().product();
        let mut dx = vec![0.0; ty.count()];
        for (o, dy) in inputs[0].floats().iter().enumerate() {
            let window = o % taps.len();
            for tap in &taps[window] {
                let i = o / taps.len() * plane + tap.place;
                dx[i] += match self.pool.average {
                    Average::Mean { .. } => dy / divisors[window],
                    Average::Lp { norm_type } => {
                        let (x, y) = (inputs[1].floats()[i], inputs[2].floats()[o]);
                        let slope = (x / y).powf(f64::from(norm_type) - 1.0);
                        let share = windows.whole() / divisors[window];
                        if y == 0.0 { 0.0 } else { dy * share * slope }
                    }
                };
            }
        }
        vec![Array::float(ty.shape, dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        match self.pool.average {
            Average::Mean { .. } => Ok(vec![Some(g.apply1(self.pool, &[dy[0]])?)]),
            Average::Lp { .. } => Err(no_second_derivative(self.name())),
        }
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        match self.pool.average {
            Average::Mean { .. } => EvalSplit::Rows(&[0]),
            Average::Lp { .. } => EvalSplit::Rows(&[0, 1, 2]),
        }
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (dy, dx) = (&io.inputs[0], &io.outputs[0]);
        let windows = &self.pool.windows.at_equal_steps(self.input);
        let output = windows.extents(dy);
        let numbers = self.pool.numbers();
        let mean = matches!(self.pool.average, Average::Mean { .. });
        let same = windows.are_even(self.input, output, numbers.include_pad);
        let even = mean && (same || (numbers.divisor > 0 && !windows.is_adaptive()));
        let variant = |cut| match even {
            true => evenly(cut),
            false => gathers(windows, cut),
        };
        let inputs = io.input_parts.iter().map(|parts| &parts[..]);
        let parts: Vec<_> = inputs.chain([&io.output_parts[0][..]]).collect();
        for rows in overlaps(&parts) {
            // x is cut like dx, y like dy.
            let numbers = PoolNumbers {
                count: rows.count * dx.row(),
                y_base: rows.first[0] * dy.row(),
                x_base: rows.first[parts.len() - 1] * dx.row(),
                ..numbers
            };
            let dispatch = |overrides| {
                let kernel = kernel(&self.pool.average, Stage::Grad);
                Dispatch::of(Cow::Owned(kernel), overrides)
            };
            let most = windows.most_windows(self.input, output);
            // The power of an element or that of its reciprocal, which is the zeroth then.
            let inner = match self.pool.average {
                Average::Mean { .. } => 0,
                Average::Lp { .. } => self.pool.power_turns(1.0) + 1,
            };
            let turns = nested(&most, inner);
            let Some(pieces) = Pieces::new(&most, inner, numbers.count, turns, caps) else {
                let dispatch = operands(dispatch(variant(false)), &rows.part);
                let workgroups = numbers.count.div_ceil(WORKGROUP);
                let dispatch = windows.params(dispatch, self.input, output, &numbers);
                out.push(dispatch.turns(turns).workgroups(workgroups));
                continue;
            };
            let (inputs, part) = (&rows.part[..parts.len() - 1], rows.part[parts.len() - 1]);
            let to = (Operand::Output(0), part, numbers.x_base);
            pieces.lower_sums(numbers.count, to, out, |scratch, outputs| {
                let own = into_scratch(dispatch(variant(true)), inputs, scratch);
                windows.gather(own, [self.input, output], &numbers, (&pieces, outputs))
            });
        }
        Ok(())
    }
}
