//! Dropout, keyed by the clock (seed and step), and the clock's own step.

pub(in crate::ops) mod batches;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::rng::Stream;
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::quads;
use crate::ops::elementwise::in_place::{bind_places, form};
use crate::ops::{expect_clock, expect_f32, expect_inputs};

// Parameters and builder.

/// Multiplies each element by 0 with probability `p` and the others by 1 / (1 - p).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of zero, in [0, 1).
    pub p: f32,
    /// From [`Graph::new_stream`]; a gradient has that of its forward op.
    pub stream: u32,
}

/// The clock of the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance;

/// # Randomness
impl Graph {
    /// `x` with each element multiplied by 0 with probability `p` and the others by 1 / (1 - p), so
    /// that the mean stays.
    ///
    /// `p` lies in [0, 1). Draws are new in each step of `clock`, u32 `[4]` (see [`Graph::clock`]):
    /// element i is kept where the uniform number i of this op's stream is at least `p`.
    pub fn dropout(&mut self, x: Value, p: f32, clock: Value) -> Result<Value> {
        let stream = self.new_stream();
        self.apply1(Dropout { p, stream }, &[x, clock])
    }

    /// As [`dropout`](Self::dropout), but with one draw for each feature map: `x` is `[n, c, ...]`
    /// with at least 3 axes.
    pub fn dropout2d(&mut self, x: Value, p: f32, clock: Value) -> Result<Value> {
        let mut maps = self.operand("dropout2d", x)?.shape.to_vec();
        if maps.len() < 3 {
            return Err(Error::shape(format!(
                "dropout2d: x {maps:?} must have at least 3 axes, [n, c, ...]"
            )));
        }
        maps[2..].fill(1);
        let ones = self.fill(maps, 1.0)?;
        let mask = self
            .dropout(ones, p, clock)
            .map_err(|e| e.context("dropout2d"))?;
        self.mul(x, mask)
    }

    /// `clock` one step later; to be assigned to it.
    pub fn advance(&mut self, clock: Value) -> Result<Value> {
        self.apply1(Advance, &[clock])
    }
}

// Shape rule.

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("dropout", inputs, 2)?;
        expect_f32("dropout", "x", inputs[0])?;
        expect_clock("dropout", inputs[1])?;
        if !(0.0..1.0).contains(&self.p) {
            return Err(Error::shape(format!(
                "dropout: p {} must be at least 0 and below 1",
                self.p
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let clock = inputs[1].u32s();
        let draws = Stream::new(seed(clock), self.stream, clock[2]);
        let y = inputs[0].floats().iter().enumerate().map(|(i, x)| {
            match draws.unit(i as u64) >= self.p {
                true => x * self.scale(),
                false => x * 0.0,
            }
        });
        vec![Array::float(inputs[0].shape().clone(), y.collect())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.apply1(*self, &[dy[0], at.inputs[1]])?;
        Ok(vec![Some(dx), None])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            let quads = quads(&io.outputs[0], rows.rows);
            let first = rows.start * io.outputs[0].row();
            let kernel = form([&DROPOUT, &DROPOUT_IN_PLACE], io);
            let dispatch = Dispatch::new(kernel, VARIANTS[0]).uniform(Operand::Input(1));
            out.push(
                bind_places(dispatch, io, 0, part)
                    .param("quads", quads)
                    .param("block", first / 4)
                    .param("offset", first % 4)
                    .param("stream", self.stream as usize)
                    .param_f32("p", self.p)
                    .param_f32("scale", self.scale() as f32)
                    .workgroups(quads.div_ceil(64)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        false
    }
}

impl Dropout {
    /// The factor on elements that are kept.
    fn scale(&self) -> f64 {
        1.0 / (1.0 - f64::from(self.p))
    }
}

fn seed(clock: &[u32]) -> u64 {
    u64::from(clock[0]) | u64::from(clock[1]) << 32
}

impl Op for Advance {
    fn name(&self) -> &'static str {
        "advance"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("advance", inputs, 1)?;
        expect_clock("advance", inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let mut clock = inputs[0].u32s().to_vec();
        clock[2] = clock[2].wrapping_add(1);
        vec![Array::u32([4], clock)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let dispatch = Dispatch::new(form([&ADVANCE, &ADVANCE_IN_PLACE], io), VARIANTS[0]);
        out.push(bind_places(dispatch, io, 0, 0).workgroups(1));
        Ok(())
    }
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
static DROPOUT: Kernel = Kernel::new(
    "dropout",
    &[
        source!("random/dropout"),
        source!("lib/separate"),
        source!("lib/philox"),
    ],
    VARIANTS,
);
static DROPOUT_IN_PLACE: Kernel = Kernel::new(
    "dropout_in_place",
    &[
        source!("random/dropout"),
        source!("lib/in_place"),
        source!("lib/philox"),
    ],
    VARIANTS,
);
static ADVANCE: Kernel = Kernel::new(
    "advance",
    &[source!("optim/advance"), source!("lib/separate")],
    VARIANTS,
);
static ADVANCE_IN_PLACE: Kernel = Kernel::new(
    "advance_in_place",
    &[source!("optim/advance"), source!("lib/in_place")],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] =
    &[&DROPOUT, &DROPOUT_IN_PLACE, &ADVANCE, &ADVANCE_IN_PLACE];
