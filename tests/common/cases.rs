//! The one table of op cases: correctness, gradients, adjoints and benches read it.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::shape::{Shape, Type};

/// How the elements of a case's input are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Uniform in [-1, 1); small integers in the integer-valued run.
    Real,
    /// As `Real`, but at least 1/16 away from 0: for kinks there.
    AwayFromZero,
    /// All different by at least 1/64 within the tensor: for maxima without ties.
    Distinct,
    /// Integers below this number (`u32` inputs).
    Below(u32),
    /// Bytes (`u8` inputs).
    Bytes,
    /// These words (`u32` inputs): clocks, valid-row counts.
    Words(&'static [u32]),
}

/// How far a GPU result may lie from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Bit for bit, after the reference is rounded to `f32`.
    Exact,
    /// This many units in the last place of the reference.
    Ulp(f64),
    /// (k + 8) * 2^-24 * S, S being the reference on the absolute values of all float inputs: for sums of k products.
    Sum {
        /// Number of terms.
        k: usize,
    },
    /// Relative to the largest magnitude of the reference's output: for compositions; each use cites its rule.
    Norm(f64),
}

/// One input of a case.
#[derive(Debug, Clone)]
pub struct Input {
    /// Shape and element type.
    pub ty: Type,
    /// Its elements.
    pub draw: Draw,
}

type Build = Box<dyn Fn(&mut Graph, &[Value]) -> Result<Vec<Value>> + Send + Sync>;

/// One use of one op, with what it must hold.
pub struct Case {
    /// `op/extents/options`.
    pub name: String,
    /// What `build` receives.
    pub inputs: Vec<Input>,
    /// Makes the outputs that are compared.
    pub build: Build,
    /// Bound of the outputs on real-valued inputs.
    pub bound: Bound,
    /// Inputs whose gradients are compared, for a random gradient of the outputs.
    pub wrt: Vec<usize>,
    /// Bound of the gradients on real-valued inputs.
    pub gradient_bound: Bound,
    /// Whether integer-valued inputs must give the reference's bits (sums of products, data movement).
    pub integers: bool,
    /// Whether the op is linear in each of `wrt`, so that the adjoint test applies.
    pub linear: bool,
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
            integers: true,
            linear: false,
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

    /// Leaves out the bit-for-bit run on integers: for functions that divide, take roots or exponentials.
    pub fn inexact(mut self) -> Self {
        self.integers = false;
        self
    }

    /// Applies the adjoint test.
    pub fn linear(mut self) -> Self {
        self.linear = true;
        self
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

/// All cases.
pub fn cases() -> Vec<Case> {
    [elementwise(), reduce()].into_iter().flatten().collect()
}

fn elementwise() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [
        Shape::from([1]),
        [7].into(),
        [2, 3, 5, 4].into(),
        [257].into(),
        [0, 3].into(),
    ] {
        cases.push(
            Case::new(
                format!("relu/{shape}"),
                vec![drawn(shape.clone(), Draw::AwayFromZero)],
                |g, x| Ok(vec![g.relu(x[0])?]),
            )
            .gradients(&[0], Bound::Exact),
        );
        cases.push(
            Case::new(format!("scale/{shape}"), vec![real(shape)], |g, x| {
                Ok(vec![g.scale(x[0], 3.0)?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    let pairs: [(Shape, Shape); 8] = [
        ([5].into(), [5].into()),
        ([2, 3, 4, 5].into(), [2, 3, 4, 5].into()),
        ([2, 3, 4, 5].into(), [3, 1, 1].into()),
        ([4, 7].into(), [7].into()),
        ([4, 1, 3].into(), [5, 1].into()),
        ([2, 1, 3, 1, 2].into(), [1, 4, 1, 3, 1].into()),
        ([].into(), [3, 2].into()),
        ([1].into(), [1].into()),
    ];
    for (a, b) in pairs {
        let k = a.count().max(b.count()).max(60);
        let inputs = || vec![real(a.clone()), real(b.clone())];
        let bound = Bound::Sum { k };
        cases.push(
            Case::new(format!("add/{a}+{b}"), inputs(), |g, x| {
                Ok(vec![g.add_values(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound),
        );
        cases.push(
            Case::new(format!("sub/{a}-{b}"), inputs(), |g, x| {
                Ok(vec![g.sub(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound),
        );
        cases.push(
            Case::new(format!("mul/{a}*{b}"), inputs(), |g, x| {
                Ok(vec![g.mul(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound)
            .linear(),
        );
    }
    cases
}

fn reduce() -> Vec<Case> {
    let mut cases = Vec::new();
    let sums: [(Shape, &'static [usize]); 26] = [
        ([1].into(), &[0]),
        ([].into(), &[]),
        ([5].into(), &[0]),
        ([5, 3].into(), &[]),
        ([0, 3].into(), &[0]),
        ([3, 0].into(), &[0]),
        ([257].into(), &[0]),
        ([4, 7].into(), &[1]),
        ([7, 8].into(), &[1]),
        ([7, 8].into(), &[0]),
        ([7, 5].into(), &[0]),
        ([67, 3].into(), &[0, 1]),
        ([2, 3, 5, 4].into(), &[0, 2, 3]),
        ([2, 3, 4, 5].into(), &[1]),
        ([2, 3, 4, 5].into(), &[1, 3]),
        ([1, 7, 1, 5].into(), &[0, 2]),
        ([2, 3, 1, 2, 5, 3].into(), &[0, 3, 5]),
        ([3, 2, 2, 3, 2, 4].into(), &[1, 3, 5]),
        ([2, 3, 2, 2, 3, 4].into(), &[0, 2, 4]),
        ([1031].into(), &[0]),
        ([40_004].into(), &[0]),
        ([2, 401].into(), &[1]),
        ([509, 3].into(), &[0]),
        ([1025, 12].into(), &[0]),
        ([17, 6, 11, 4].into(), &[0, 2, 3]),
        ([19, 5, 7, 7].into(), &[0, 2, 3]),
    ];
    for (shape, axes) in sums {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("sum/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.sum(x[0], axes, false)?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    for (shape, axes) in [
        (Shape::from([6, 5]), &[1][..]),
        ([4, 3, 7, 7].into(), &[2, 3]),
        ([600].into(), &[0]),
    ] {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("mean/{shape}/{axes:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.mean(x[0], axes, true)?]),
            )
            .inexact()
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    cases
}
