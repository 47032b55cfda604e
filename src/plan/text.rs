//! A plan as text: a line for each dispatch, and the sums of bytes.

use std::fmt;

use super::Plan;
use crate::kernel::Access;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{} {}", step.op, step.kernel.name)?;
            for (name, value) in &step.constants {
                write!(f, " {name}={value}")?;
            }
            write!(f, " [{}x{}]", step.grid[0], step.grid[1])?;
            for (span, access) in &step.bindings {
                let mode = match access {
                    Access::Read => "r",
                    Access::ReadWrite => "rw",
                    Access::Uniform => "u",
                    Access::Texture => "t",
                    Access::TextureStore(_) => "ts",
                };
                write!(
                    f,
                    " {mode}:{:?}+{}:{}",
                    span.buffer, span.offset, span.bytes
                )?;
            }
            writeln!(f)?;
        }
        let b = &self.bytes;
        write!(
            f,
            "{} dispatches, {} slots of {} bytes (live {}, unplanned {}), inputs {}, constants {}",
            self.steps.len(),
            self.slots.len(),
            b.slots,
            b.live,
            b.unplanned,
            b.inputs,
            b.constants
        )
    }
}
