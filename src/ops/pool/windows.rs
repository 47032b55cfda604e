//! Where the windows of a pooling lie: one, two or three axes, walked as three.

use crate::error::{Error, Result};
use crate::kernel::Dispatch;
use crate::lowering::pieces::Pieces;
use crate::ops::axes::{Axes, three};
use crate::ops::expect_f32;
use crate::shape::{Type, Window};

use super::{Indices, WORKGROUP};

/// The windows of a pooling over the last one, two or three axes of `[n, c, ...]`; they are walked
/// as three, with axes of extent 1 in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    axes: Axes,
    walk: Walk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// Of one span at equal steps, their number rounded up with `ceil_mode`.
    Strided { axes: [Window; 3], ceil_mode: bool },
    /// So many along each axis: window i of n from floor(i * extent / n) to ceil((i + 1) * extent /
    /// n).
    Adaptive([usize; 3]),
}

/// An element that a window reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    /// Its place in the plane.
    pub(super) place: usize,
    /// Its place in the window (see [`Indices::Window`]).
    pub(super) offset: usize,
}

impl Windows {
    pub(super) fn strided<const D: usize>(
        kernel: [usize; D],
        stride: [usize; D],
        padding: [usize; D],
        dilation: [usize; D],
        ceil_mode: bool,
    ) -> Self {
        let windows = std::array::from_fn(|axis| Window {
            kernel: kernel[axis],
            stride: stride[axis],
            before: padding[axis],
            after: padding[axis],
            dilation: dilation[axis],
        });
        Self {
            axes: Axes::new::<D>(),
            walk: Walk::Strided {
                axes: three::<_, D>(windows, Window::NONE),
                ceil_mode,
            },
        }
    }

    pub(super) fn adaptive<const D: usize>(output: [usize; D]) -> Self {
        Self {
            axes: Axes::new::<D>(),
            walk: Walk::Adaptive(three(output, 1)),
        }
    }

    /// The same windows at equal steps, where adaptive ones share each axis evenly.
    pub(super) fn at_equal_steps(&self, input: [usize; 3]) -> Self {
        let Walk::Adaptive(windows) = self.walk else {
            return *self;
        };
        if (0..3).any(|axis| !input[axis].is_multiple_of(windows[axis])) {
            return *self;
        }
        let axes = std::array::from_fn(|axis| Window {
            kernel: input[axis] / windows[axis],
            stride: input[axis] / windows[axis],
            ..Window::NONE
        });
        Self {
            walk: Walk::Strided {
                axes,
                ceil_mode: false,
            },
            ..*self
        }
    }

    /// Whether an average counts as many elements in each window, as far as that is plain: at equal
    /// steps, none reaches beyond the image or, with `padding`, the padded image.
    pub(super) fn are_even(&self, input: [usize; 3], output: [usize; 3], padding: bool) -> bool {
        let Walk::Strided { axes, .. } = &self.walk else {
            return false;
        };
        (0..3).all(|axis| {
            let Window {
                kernel,
                stride,
                before,
                after,
                ..
            } = axes[axis];
            let end = (output[axis] - 1) * stride + kernel;
            match padding {
                true => end <= before + input[axis] + after,
                false => before == 0 && end <= input[axis],
            }
        })
    }

    pub(super) fn is_adaptive(&self) -> bool {
        matches!(self.walk, Walk::Adaptive(_))
    }

    /// The name of an op for this number of axes.
    pub(super) fn name(&self, names: [&'static str; 3]) -> &'static str {
        self.axes.op(names)
    }

    /// Extents of the pooled axes of `[n, c, ...]`, 1 for those that are not there.
    pub(super) fn extents(&self, ty: &Type) -> [usize; 3] {
        self.axes
            .extents(&ty.shape)
            .expect("infer accepted the axes")
    }

    /// `[n, c, ...]` with these extents.
    pub(super) fn image(&self, like: &Type, extents: [usize; 3]) -> Type {
        let shape = self.axes.shape(like.shape[0], like.shape[1], extents);
        Type::new(like.dtype, shape)
    }

    /// The extents of an `f32` value `[n, c, ...]` with at least one element in a plane.
    pub(super) fn expect_image(&self, op: &str, operand: &str, ty: &Type) -> Result<[usize; 3]> {
        expect_f32(op, operand, ty)?;
        let extents = self.axes.extents(&ty.shape);
        if let Some(extents) = extents.filter(|extents| !extents.contains(&0)) {
            return Ok(extents);
        }
        Err(Error::shape(format!(
            "{op}: {operand} {} is not [batch, channels, {}] with at least one element",
            ty.shape,
            self.axes.names().join(", ")
        )))
    }

    /// Type of the pooled x.
    pub(super) fn infer(&self, op: &str, x: &Type) -> Result<Type> {
        let input = self.expect_image(op, "x", x)?;
        let mut output = [1; 3];
        for axis in self.axes.first()..3 {
            let name = self.axes.name(axis);
            output[axis] = match &self.walk {
                Walk::Strided { axes, ceil_mode } => {
                    self.check_padding(op, axes)?;
                    axes[axis].pooled(input[axis], *ceil_mode, op, name)?
                }
                Walk::Adaptive(windows) => {
                    check_adaptive(op, name, input[axis], windows[axis])?;
                    windows[axis]
                }
            };
        }
        Ok(self.image(x, output))
    }

    fn check_padding(&self, op: &str, axes: &[Window; 3]) -> Result<()> {
        if axes.iter().all(|axis| axis.before <= axis.kernel / 2) {
            return Ok(());
        }
        let own = &axes[self.axes.first()..];
        let list = |of: fn(&Window) -> usize| own.iter().map(of).collect::<Vec<_>>();
        Err(Error::shape(format!(
            "{op}: padding {:?} is more than half the kernel {:?}",
            list(|axis| axis.before),
            list(|axis| axis.kernel)
        )))
    }

    /// Type of dx with these extents, checked to pool to dy.
    pub(super) fn infer_grad(&self, op: &str, input: [usize; 3], dy: &Type) -> Result<Type> {
        self.expect_image(op, "dy", dy)?;
        let dx = self.image(dy, input);
        let pooled = self.infer(op, &dx)?;
        if dy != &pooled {
            return Err(Error::shape(format!(
                "{op}: dy {}, an input {} pools to {}",
                dy.shape, dx.shape, pooled.shape
            )));
        }
        Ok(dx)
    }

    /// Elements from the first to the last of a window along each axis, those between its taps too.
    pub(super) fn spans(&self) -> [usize; 3] {
        match &self.walk {
            Walk::Strided { axes, .. } => axes.map(|axis| {
                let gaps = axis.kernel.saturating_sub(1);
                axis.dilation.saturating_mul(gaps).saturating_add(1)
            }),
            Walk::Adaptive(_) => [1; 3],
        }
    }

    /// The most elements of x that a window reads along each axis.
    pub(super) fn most_elements(&self, input: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| match &self.walk {
            Walk::Strided { axes, .. } => {
                let Window {
                    kernel, dilation, ..
                } = axes[axis];
                kernel.min(input[axis].div_ceil(dilation))
            }
            Walk::Adaptive(windows) => most_shared(input[axis], windows[axis]),
        })
    }

    /// The most windows that reach over an element of x along each axis.
    pub(super) fn most_windows(&self, input: [usize; 3], output: [usize; 3]) -> [usize; 3] {
        let spans = self.spans();
        std::array::from_fn(|axis| match &self.walk {
            Walk::Strided { axes, .. } => output[axis].min(spans[axis].div_ceil(axes[axis].stride)),
            Walk::Adaptive(windows) => most_shared(windows[axis], input[axis]),
        })
    }

    /// Number of taps of a whole window.
    pub(super) fn whole(&self) -> f64 {
        match &self.walk {
            Walk::Strided { axes, .. } => axes.iter().map(|axis| axis.kernel as f64).product(),
            Walk::Adaptive(_) => 1.0,
        }
    }

    /// Whether the windows are 2 x 2 in flat planes, side by side, each whole.
    pub(super) fn are_pairs(&self, input: [usize; 3], output: [usize; 3]) -> bool {
        let two = Window {
            kernel: 2,
            stride: 2,
            ..Window::NONE
        };
        let whole = || (1..3).all(|axis| 2 * output[axis] <= input[axis]);
        match &self.walk {
            Walk::Strided { axes, .. } => {
                axes[1..] == [two; 2] && axes[0] == Window::NONE && input[0] == 1 && whole()
            }
            Walk::Adaptive(_) => false,
        }
    }

    // Reference.

    /// The elements that a window reads along an axis, in order, each with its distance from the
    /// window's first place.
    fn along(&self, axis: usize, window: usize, extent: usize) -> Vec<[usize; 2]> {
        match &self.walk {
            Walk::Strided { axes, .. } => {
                let axis = &axes[axis];
                let first = window * axis.stride;
                let skipped = axis.before.saturating_sub(first).div_ceil(axis.dilation);
                (skipped..axis.kernel)
                    .map_while(|tap| {
                        let place = axis.input(window, tap, extent)?;
                        Some([place, tap * axis.dilation])
                    })
                    .collect()
            }
            Walk::Adaptive(windows) => {
                let begin = window * extent / windows[axis];
                let end = ((window + 1) * extent).div_ceil(windows[axis]);
                (begin..end).map(|place| [place, place - begin]).collect()
            }
        }
    }

    /// What each window of a plane reads, the windows and their elements in order.
    pub(super) fn taps(&self, input: [usize; 3], output: [usize; 3]) -> Vec<Vec<Tap>> {
        let [_, height, width] = input;
        let [_, span_height, span_width] = self.spans();
        let along = |axis: usize| -> Vec<Vec<[usize; 2]>> {
            let windows = 0..output[axis];
            windows.map(|w| self.along(axis, w, input[axis])).collect()
        };
        let [depths, rows, columns] = [along(0), along(1), along(2)];
        let mut taps = Vec::new();
        for depths in &depths {
            for rows in &rows {
                for columns in &columns {
                    let mut window = Vec::new();
                    for &[d, tap_d] in depths {
                        for &[h, tap_h] in rows {
                            window.extend(columns.iter().map(|&[w, tap_w]| Tap {
                                place: (d * height + h) * width + w,
                                offset: (tap_d * span_height + tap_h) * span_width + tap_w,
                            }));
                        }
                    }
                    taps.push(window);
                }
            }
        }
        taps
    }

    /// How many elements of each window of a plane an average counts: those in the image or, with
    /// `padding`, in the padded image.
    pub(super) fn counted(&self, input: [usize; 3], output: [usize; 3], padding: bool) -> Vec<f64> {
        let along = |axis: usize, window: usize| match &self.walk {
            Walk::Strided { axes, .. } if padding => {
                let Window { before, kernel, .. } = axes[axis];
                let first = window * axes[axis].stride;
                ((first + kernel).min(input[axis] + 2 * before) - first) as f64
            }
            _ => self.along(axis, window, input[axis]).len() as f64,
        };
        let mut counted = Vec::new();
        for d in 0..output[0] {
            for h in 0..output[1] {
                let rows = along(0, d) * along(1, h);
                counted.extend((0..output[2]).map(|w| rows * along(2, w)));
            }
        }
        counted
    }

    // Lowering.

    /// Appends the fields of `pool/params.wgsl`, for windows that are gathered whole.
    pub(super) fn params(
        &self,
        dispatch: Dispatch,
        input: [usize; 3],
        output: [usize; 3],
        numbers: &PoolNumbers,
    ) -> Dispatch {
        let dispatch = self.walk_params(dispatch, input, output, numbers);
        Pieces::WHOLE.params(dispatch, [0, numbers.count])
    }

    /// Appends the fields of `pool/params.wgsl` but for those of pieces.
    pub(super) fn walk_params(
        &self,
        dispatch: Dispatch,
        input: [usize; 3],
        output: [usize; 3],
        numbers: &PoolNumbers,
    ) -> Dispatch {
        let spans = self.spans();
        let axes = match self.walk {
            Walk::Strided { axes, .. } => axes,
            Walk::Adaptive(_) => [Window::NONE; 3],
        };
        let relative = numbers.indices == Indices::Window;
        let [_, height, width] = if relative { spans } else { input };
        let fields = [
            (["depth", "height", "width"], input),
            (["out_depth", "out_height", "out_width"], output),
            (["span_depth", "span_height", "span_width"], spans),
            (
                ["stride_depth", "stride_height", "stride_width"],
                axes.map(|axis| axis.stride),
            ),
            (
                ["pad_depth", "pad_height", "pad_width"],
                axes.map(|axis| axis.before),
            ),
            (
                ["step_depth", "step_height", "step_width"],
                axes.map(|axis| axis.dilation),
            ),
        ];
        let mut dispatch = dispatch
            .param("count", numbers.count)
            .param("x_base", numbers.x_base)
            .param("y_base", numbers.y_base)
            .param("index_base", numbers.index_base);
        for (names, values) in fields {
            for (name, value) in names.into_iter().zip(values) {
                dispatch = dispatch.param(name, value);
            }
        }
        dispatch
            .param("pitch_depth", height.wrapping_mul(width))
            .param("pitch_height", width)
            .param("relative", relative.into())
            .param_f32("lowest", f32::NEG_INFINITY)
            .param("include_pad", numbers.include_pad.into())
            .param("divisor", numbers.divisor)
            .param_f32("power", numbers.power)
            .param_f32("root", 1.0 / numbers.power)
            .param_f32("undefined", f32::NAN)
    }

    /// [`Windows::params`] of a dispatch that gathers these outputs in pieces.
    pub(super) fn gather(
        &self,
        dispatch: Dispatch,
        [input, output]: [[usize; 3]; 2],
        numbers: &PoolNumbers,
        (pieces, outputs): (&Pieces, [usize; 2]),
    ) -> Dispatch {
        let numbers = PoolNumbers {
            count: pieces.count() * outputs[1],
            ..*numbers
        };
        let workgroups = numbers.count.div_ceil(WORKGROUP);
        let dispatch = self.walk_params(dispatch, input, output, &numbers);
        pieces.gather(dispatch, outputs).workgroups(workgroups)
    }
}

/// The most elements that one of `parts` parts which share an axis reaches over.
fn most_shared(extent: usize, parts: usize) -> usize {
    match extent.is_multiple_of(parts) {
        true => extent / parts,
        false => (extent / parts + 2).min(extent),
    }
}

/// Fails unless the products of window numbers and extents stay below 2^31.
fn check_adaptive(op: &str, axis: &str, extent: usize, windows: usize) -> Result<()> {
    if windows == 0 {
        return Err(Error::shape(format!("{op}: an output {axis} of 0")));
    }
    match windows.checked_mul(extent) {
        Some(product) if product < 1 << 31 => Ok(()),
        _ => Err(Error::shape(format!(
            "{op}: output {axis} {windows} times input {axis} {extent} is 2^31 or more"
        ))),
    }
}

/// What a dispatch knows beside its windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolNumbers {
    /// Elements that it makes.
    pub(super) count: usize,
    /// First element of x, and of dx.
    pub(super) x_base: usize,
    /// First element of y, and of dy.
    pub(super) y_base: usize,
    /// First index.
    pub(super) index_base: usize,
    /// What indices count from.
    pub(super) indices: Indices,
    /// Whether an average counts the padding.
    pub(super) include_pad: bool,
    /// What an average divides by instead of the number of elements, unless it is 0.
    pub(super) divisor: usize,
    /// p of an Lp pooling.
    pub(super) power: f32,
}

impl Default for PoolNumbers {
    fn default() -> Self {
        Self {
            count: 0,
            x_base: 0,
            y_base: 0,
            index_base: 0,
            indices: Indices::None,
            include_pad: false,
            divisor: 0,
            power: 1.0,
        }
    }
}
