//! A case: one use of an op, and what it must hold.

use std::fmt;

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::shape::{DType, Shape, Type};

/// How the elements of a case's input are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Uniform in [-1, 1); small integers in the integer-valued run.
    Real,
    /// As `Real`, but at least 1/16 away from 0: for kinks there.
    AwayFromZero,
    /// Uniform between these two; in the integer-valued run, integers among them, of which there
    /// must be some, none above 2^24.
    Between(f32, f32),
    /// All different by at least 1/64 within the tensor: for maxima without ties. The sums behind
    /// [`Bound::Sum`] keep its signs.
    Distinct,
    /// As `Real`, with NaN, infinities and zeros of both signs sprinkled in, one of them at least:
    /// for the policy on them.
    Special,
    /// Integers below this number (`u32` inputs).
    Below(u32),
    /// Bytes (`u8` inputs).
    Bytes,
    /// These words (`u32` inputs): clocks, valid-row counts.
    Words(&'static [u32]),
    /// The texels of a texture, `f32 [height, width, 4]`, uniform between these two.
    Texels(f32, f32),
    /// As `Texels`, with the numbers of `Special` sprinkled in.
    SpecialTexels(f32, f32),
}

impl Draw {
    /// Whether NaN and infinities are among the elements.
    pub fn is_special(self) -> bool {
        matches!(self, Draw::Special | Draw::SpecialTexels(..))
    }
}

/// How far a GPU result may lie from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Bit for bit, after the reference is rounded to `f32`.
    Exact,
    /// This many units in the last place of the reference.
    Ulp(f64),
    /// (k + 8) * 2^-24 * S, S being the reference on the absolute values of all float inputs: for
    /// sums of k products.
    Sum {
        /// Number of terms.
        k: usize,
    },
    /// Relative to the largest magnitude of the reference's output: for compositions; each use
    /// cites its rule.
    Norm(f64),
    /// As `Sum`, and 2^-9 * S + k * 2^-23 more: for products of numbers of magnitude up to 1 that
    /// are rounded to `f16` first. WGSL 15.7.6 lets that go to either neighbour: 2^-10 of a number,
    /// or 2^-24 where it is subnormal, for each of two factors. A device that takes subnormal ones
    /// for zero, as WGSL lets it, may exceed it.
    HalfSum {
        /// Number of terms.
        k: usize,
    },
}

impl Bound {
    /// What it becomes where `products` products in a row round their factors to `f16`. Whatever is
    /// not a sum of products is a composition: each product is allowed eight times its 2^-9, since
    /// what follows may cancel.
    pub fn in_halves(self, products: usize) -> Self {
        match self {
            _ if products == 0 => self,
            Bound::Sum { k } | Bound::HalfSum { k } => Bound::HalfSum { k },
            Bound::Norm(relative) => Bound::Norm(relative + products as f64 / 64.0),
            Bound::Exact | Bound::Ulp(_) => Bound::Norm(products as f64 / 64.0),
        }
    }
}

/// One input of a case.
#[derive(Debug, Clone)]
pub struct Input {
    /// Shape and element type.
    pub ty: Type,
    /// Its elements.
    pub draw: Draw,
}

impl Input {
    /// Puts it into a graph: an input, or a texture.
    ///
    /// # Errors
    /// What the graph says.
    pub fn add(&self, g: &mut Graph, name: &str) -> Result<Value> {
        match (self.draw, &self.ty.shape[..]) {
            (Draw::Texels(..) | Draw::SpecialTexels(..), &[height, width, 4]) => {
                g.texture(name, [height, width])
            }
            _ => g.input(name, self.ty.clone()),
        }
    }
}

/// What puts a case into a graph: from its inputs to the outputs that are compared.
pub type BuildGraph = Box<dyn Fn(&mut Graph, &[Value]) -> Result<Vec<Value>> + Send + Sync>;

/// One use of one op, with what it must hold.
pub struct Case {
    /// `op/extents/options`.
    pub name: String,
    /// What `build` receives.
    pub inputs: Vec<Input>,
    /// Makes the outputs that are compared.
    pub build: BuildGraph,
    /// Bound of the outputs on real-valued inputs.
    pub bound: Bound,
    /// Inputs whose gradients are compared, for a random gradient of the outputs.
    pub wrt: Vec<usize>,
    /// Bound of the gradients on real-valued inputs.
    pub gradient_bound: Bound,
    /// How the gradients of the outputs are drawn.
    pub dy: Draw,
    /// Whether integer-valued inputs must give the reference's bits (sums of products, data
    /// movement).
    pub integers: bool,
    /// Whether the op is linear in each of `wrt`, so that the adjoint test applies.
    pub linear: bool,
    /// What the op says where values are cut into parts, if it does not work on these: a piece of
    /// its `Limit` error.
    pub whole: Option<&'static str>,
    /// What the plan says where a device allows few turns of loops, if the op cannot be cut: a
    /// piece of its `Limit` error.
    pub uncut: Option<&'static str>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

impl Case {
    /// A case whose results are exact and that has no gradient; the methods below widen it.
    pub fn new(
        name: impl Into<String>,
        inputs: Vec<Input>,
        build: impl Fn(&mut Graph, &[Value]) -> Result<Vec<Value>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            inputs,
            build: Box::new(build),
            bound: Bound::Exact,
            wrt: Vec::new(),
            gradient_bound: Bound::Exact,
            dy: Draw::Real,
            integers: true,
            linear: false,
            whole: None,
            uncut: None,
        }
    }

    /// Sets the bound of the outputs.
    pub fn bound(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    /// Compares gradients of the inputs `wrt` too.
    pub fn gradients(mut self, wrt: &[usize], bound: Bound) -> Self {
        self.wrt = wrt.to_vec();
        self.gradient_bound = bound;
        self
    }

    /// Leaves out the bit-for-bit run on integers: for functions that divide, take roots or
    /// exponentials.
    pub fn inexact(mut self) -> Self {
        self.integers = false;
        self
    }

    /// Applies the adjoint test: <f(x), dy> = <x, f^T(dy)>.
    pub fn linear(mut self) -> Self {
        self.linear = true;
        self
    }

    /// Expects that the op refuses values in parts, with an error that holds these words. It must
    /// then: an op that learns to work on parts no longer says so.
    pub fn whole(mut self, words: &'static str) -> Self {
        self.whole = Some(words);
        self
    }

    /// Expects that the case is refused where a device allows few turns of loops, with an error
    /// that holds these words, since the op cannot be cut into dispatches that take fewer. It must
    /// then.
    pub fn uncut(mut self, words: &'static str) -> Self {
        self.uncut = Some(words);
        self
    }

    /// The same case in the middle of a graph: every `f32` input comes from a node and every `f32`
    /// output goes into one, so that its gradients arrive from a node too. Those nodes multiply by
    /// 1.
    pub fn inside(self) -> Self {
        let build = self.build;
        let one = |g: &mut Graph, values: &[Value]| -> Result<Vec<Value>> {
            let scaled = values.iter().map(|&value| match g.ty(value)?.dtype {
                DType::F32 if g.texture_of(value).is_none() => g.scale(value, 1.0),
                _ => Ok(value),
            });
            scaled.collect()
        };
        let inside = move |g: &mut Graph, inputs: &[Value]| {
            let inputs = one(g, inputs)?;
            let outputs = build(g, &inputs)?;
            one(g, &outputs)
        };
        Self {
            name: format!("{}/inside", self.name),
            build: Box::new(inside),
            ..self
        }
    }

    /// The same case with NaN, infinities and zeros in input `at`.
    pub fn special(mut self, at: usize) -> Self {
        if let Some(input) = self.inputs.get_mut(at) {
            input.draw = match input.draw {
                Draw::Texels(low, high) => Draw::SpecialTexels(low, high),
                _ => Draw::Special,
            };
        }
        Self {
            name: format!("{}/special {at}", self.name),
            linear: false,
            ..self
        }
    }

    /// The same case with NaN, infinities and zeros in the gradients of its outputs.
    pub fn special_dy(self) -> Self {
        Self {
            name: format!("{}/special dy", self.name),
            dy: Draw::Special,
            linear: false,
            ..self
        }
    }

    /// Whether NaN and infinities are among its inputs, and among the gradients of its outputs.
    /// Neither differences nor adjoints hold for such a case.
    pub fn is_special(&self) -> [bool; 2] {
        let operand = self.inputs.iter().any(|input| input.draw.is_special());
        [operand, !self.wrt.is_empty() && self.dy == Draw::Special]
    }

    /// Whether one of its loops takes more turns than an invocation may: a part of its name is
    /// `long`.
    pub fn is_long(&self) -> bool {
        self.name.split('/').any(|part| part == "long")
    }

    /// The op, the part of the name before the first slash.
    pub fn op(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// An `f32` input drawn as `Real`.
pub fn real(shape: impl Into<Shape>) -> Input {
    drawn(shape, Draw::Real)
}

/// An `f32` input.
pub fn drawn(shape: impl Into<Shape>, draw: Draw) -> Input {
    Input {
        ty: Type::f32(shape),
        draw,
    }
}

/// A `u32` input with elements below `limit`.
pub fn below(shape: impl Into<Shape>, limit: u32) -> Input {
    Input {
        ty: Type::u32(shape),
        draw: Draw::Below(limit),
    }
}

/// The texels of a texture, between these two.
pub fn texels(height: usize, width: usize, low: f32, high: f32) -> Input {
    drawn([height, width, 4], Draw::Texels(low, high))
}
