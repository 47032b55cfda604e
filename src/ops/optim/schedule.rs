//! Numbers that follow the clock: a table looked up by its step.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use crate::ops::{expect_clock, expect_dtype, expect_inputs};

// Parameters and builder.

/// Element min(step, n - 1) of a table `[n]`: a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup;

/// # Learning rates from a table
impl Graph {
    /// Element min(step, n - 1) of `table` `[n]` by the clock's step: a learning-rate schedule.
    pub fn lookup(&mut self, table: Value) -> Result<Value> {
        let clock = self.clock()?;
        self.apply1(Lookup, &[table, clock])
    }
}

/// Steps counted by a clock.
pub(in crate::ops) fn step(clock: &Array) -> u32 {
    clock.u32s()[2]
}

impl Op for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("lookup", inputs, 2)?;
        let (table, clock) = (inputs[0], inputs[1]);
        expect_dtype("lookup", "table", table, DType::F32)?;
        if table.shape.len() != 1 || table.count() == 0 {
            return Err(Error::shape(format!(
                "lookup: table {} is not a row of at least one element",
                table.shape
            )));
        }
        expect_clock("lookup", clock)?;
        Ok(vec![Type::f32([])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let table = inputs[0].floats();
        let at = (step(inputs[1]) as usize).min(table.len() - 1);
        vec![Array::float([], vec![table[at]])]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None, None])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("lookup")?;
        out.push(
            Dispatch::new(&LOOKUP, ONE)
                .read(Operand::Input(0))
                .write(Operand::Output(0))
                .uniform(Operand::Input(1))
                .param("count", io.inputs[0].count())
                .workgroups(1),
        );
        Ok(())
    }
}

const ONE: Overrides = &[];

static LOOKUP: Kernel = Kernel::new("lookup", &[source!("optim/lookup")], &[ONE]);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&LOOKUP];
