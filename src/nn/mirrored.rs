//! Evaluation on an image and its mirror image.

use super::{Build, Mode, Module};
use crate::error::Result;
use crate::graph::Value;

/// In evaluation, the mean of what `module` makes of each image and of its mirror image: test-time
/// augmentation for pictures whose left and right do not count. It costs a second forward pass.
/// Training is the module's own.
///
/// ```
/// use striate::models::lenet5;
/// use striate::nn::Mirrored;
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let x = g.input("images", Type::f32([4, 1, 28, 28]))?;
/// let logits = Mirrored(lenet5(10)).build(&mut Build::eval(&mut g), x)?;
/// assert_eq!(g.shape(logits)?[..], [4, 10]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Mirrored<M>(pub M);

impl<M: Module> Module for Mirrored<M> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        if cx.mode() == Mode::Train {
            return self.0.build(cx, x);
        }
        let g = cx.graph();
        let mirrored = g.flip(x, &[-1])?;
        let both = g.concat(&[x, mirrored], 0)?;
        let made = self.0.build(cx, both)?;
        let g = cx.graph();
        let halves = g.chunk(made, 2, 0)?;
        let sum = g.add(halves[0], halves[1])?;
        g.scale(sum, 0.5)
    }

    fn known_as(&self) -> Option<&str> {
        self.0.known_as()
    }
}
