//! The contract of an op.

use std::any::Any;
use std::fmt::Debug;

use super::{Graph, Node, Value};
use crate::error::Result;
use crate::kernel::{Caps, Io, Lowering, TexelFormat};
use crate::shape::Type;
use crate::tensor::Array;

/// How the CPU executor may cut an `eval` into runs of rows (axis 0) that are computed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvalSplit {
    /// Not at all.
    Whole,
    /// The listed inputs are cut, the others passed whole, the outputs laid one after the other.
    Rows(&'static [usize]),
    /// The listed inputs are cut, the others passed whole, the float outputs added up.
    Sum(&'static [usize]),
}

/// One operation on values: pure, with its type rule, reference, gradient and GPU form.
///
/// `infer` runs first and guards the others: they may rely on the types it accepted.
pub trait Op: Debug + Any + Send + Sync {
    /// Name in messages and dumps, in PyTorch's words where it has them.
    fn name(&self) -> &'static str;

    /// Types of the outputs, or an error that names the op, the operand and the numbers.
    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>>;

    /// The reference: plain loops in `f64` or exact integers.
    ///
    /// It is pure: on the CPU engine it runs while the step holds the store, so that to read or
    /// write that store from here waits for ever.
    fn eval(&self, inputs: &[&Array]) -> Vec<Array>;

    /// Gradients of the inputs given those of the outputs (`dy`), built as graph nodes;
    /// `None` for an input without a gradient.
    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>>;

    /// Pairs (input, output) that may share one buffer.
    fn in_place(&self) -> &[(usize, usize)] {
        &[]
    }

    /// Whether output 0 is the bytes of input 0 under another shape; `lower` is then never called.
    fn view(&self) -> bool {
        false
    }

    /// The matrix-shaped product that it computes, as tables of measured choices name it
    /// ([`Tuning`](crate::kernel::Tuning)): its kind and its extents, no batch among them but that
    /// it has few rows where that makes a difference. `None` for ops whose lowering has nothing to
    /// choose from.
    fn product(&self, inputs: &[&Type]) -> Option<String> {
        let _ = inputs;
        None
    }

    /// Which inputs are textures: [`Graph::texture`] makes what they take, and nothing else takes
    /// that. To the reference a texture is its texels, `f32 [height, width, 4]`.
    fn textures(&self) -> std::ops::Range<usize> {
        0..0
    }

    /// Format of the texture into which output 0 is written, if it is one of the host's.
    fn texture_format(&self) -> Option<TexelFormat> {
        None
    }

    /// Multiply-adds of the matrix-shaped product that it computes: by these a plan tells how long
    /// its dispatches take, and cuts those that take too long. 0 where others do not count.
    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        let _ = inputs;
        0
    }

    /// How the CPU executor may split `eval`.
    fn split(&self) -> EvalSplit {
        EvalSplit::Whole
    }

    /// Whether rows (axis 0) of the outputs depend on other rows of this input, or stand elsewhere,
    /// although the outputs have as many: in training, such an op refuses batches with filler.
    /// Where the outputs have other rows, where the op is a view, or where [`split`](Self::split)
    /// cuts the input into rows, that is known. An op that keeps rows apart says `false`.
    fn mixes_rows(&self, input: usize) -> bool {
        let _ = input;
        true
    }

    /// As [`mixes_rows`](Self::mixes_rows), for an op of which it depends on the types of its
    /// inputs; this one is asked.
    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        let _ = inputs;
        self.mixes_rows(input)
    }

    /// Emits the dispatches that compute the outputs.
    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()>;
}
