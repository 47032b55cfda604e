//! A case as a graph with gradients, and the numbers it runs on.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Case, Draw};
use crate::autodiff;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Init, Value};
use crate::rng::{Stream, stream_of};
use crate::shape::{DType, Type};
use crate::tensor::{Array, Tensor};

/// Which numbers float inputs hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Fractions.
    Real,
    /// Integers from -4 to 4 (all different for [`Draw::Distinct`]), so that sums of products stay
    /// exact in `f32`.
    Integers,
}

/// Values with what they hold, as the reference takes them.
pub type Given = HashMap<Value, Arc<Array>>;

/// A case built into a graph, its gradients for a given gradient of each float output included.
#[derive(Debug)]
pub struct Built {
    /// The whole graph.
    pub graph: Graph,
    /// How many of its nodes, the first ones, are the case's own; the others are its gradients'.
    pub forward: usize,
    /// The case's inputs.
    pub inputs: Vec<Value>,
    /// The case's outputs.
    pub outputs: Vec<Value>,
    /// Each float output with the graph input that holds its gradient; empty for a case without
    /// gradients.
    pub seeds: Vec<(Value, Value)>,
    /// The gradients of `case.wrt`, in that order.
    pub gradients: Vec<Value>,
}

/// Builds a case and its gradients.
///
/// # Errors
/// What building says; `NotDifferentiable` if an input in `wrt` gets no gradient.
pub fn build(case: &Case) -> Result<Built> {
    let mut graph = Graph::new();
    let inputs = case
        .inputs
        .iter()
        .enumerate()
        .map(|(i, input)| input.add(&mut graph, &format!("x{i}")))
        .collect::<Result<Vec<_>>>()?;
    let outputs = (case.build)(&mut graph, &inputs)?;
    let forward = graph.nodes().len();
    let mut seeds = Vec::new();
    let mut gradients = Vec::new();
    if !case.wrt.is_empty() {
        for (i, &output) in outputs.iter().enumerate() {
            let ty = graph.ty(output)?.clone();
            if ty.dtype == DType::F32 {
                seeds.push((output, graph.input(&format!("dy{i}"), ty)?));
            }
        }
        let input = |&i: &usize| {
            inputs.get(i).copied().ok_or_else(|| {
                let count = inputs.len();
                Error::graph(format!("{}: no input {i} among {count}", case.name))
            })
        };
        let wrt = case.wrt.iter().map(input).collect::<Result<Vec<_>>>()?;
        let found = autodiff::gradients_from(&mut graph, &seeds, &wrt)?;
        for (&i, gradient) in case.wrt.iter().zip(found) {
            gradients.push(gradient.ok_or_else(|| {
                Error::new(
                    ErrorKind::NotDifferentiable,
                    format!("{}: input {i} gets no gradient", case.name),
                )
            })?);
        }
    }
    Ok(Built {
        graph,
        forward,
        inputs,
        outputs,
        seeds,
        gradients,
    })
}

impl Built {
    /// Outputs, then gradients: everything that is compared.
    pub fn results(&self) -> Vec<Value> {
        [self.outputs.clone(), self.gradients.clone()].concat()
    }

    /// A limit for bindings that cuts the largest values into about eight parts, each of one row or
    /// more.
    pub fn part_limit(&self) -> u64 {
        let parts = self
            .types()
            .map(|ty| (ty.bytes() / 8).max(ty.padded_bytes(ty.row())));
        parts.max().unwrap_or(0).next_multiple_of(256)
    }

    /// Whether bindings of at most `limit` bytes cut any value.
    pub fn cuts(&self, limit: u64) -> bool {
        self.types().any(|ty| ty.bytes() > limit)
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> u64 {
        self.types().map(Type::bytes).sum()
    }

    fn types(&self) -> impl Iterator<Item = &Type> {
        self.graph
            .values()
            .filter_map(|value| self.graph.ty(value).ok())
    }

    /// The graph's inputs with what they hold: those of the case, then the outputs' gradients.
    pub fn draw(&self, case: &Case, numbers: Numbers) -> Result<Vec<(Value, Tensor)>> {
        let mut given = Vec::new();
        for (i, (&value, input)) in self.inputs.iter().zip(&case.inputs).enumerate() {
            given.push((value, draw(&case.name, i, &input.ty, input.draw, numbers)?));
        }
        for (i, &(_, dy)) in self.seeds.iter().enumerate() {
            let ty = self.graph.ty(dy)?;
            let tensor = draw(&case.name, 1000 + i, ty, case.dy, numbers)?;
            given.push((dy, tensor));
        }
        Ok(given)
    }

    /// `given` with the absolute values of all floats: on these, the reference gives sums of
    /// absolute products. Inputs drawn as [`Draw::Distinct`] stay, since the op picks by them.
    pub fn absolute(&self, case: &Case, given: &Given) -> Given {
        let drawn = self.inputs.iter().zip(&case.inputs);
        let picked: Vec<Value> = drawn
            .filter(|(_, input)| input.draw == Draw::Distinct)
            .map(|(&value, _)| value)
            .collect();
        let absolute = |(&value, array): (&Value, &Arc<Array>)| {
            if array.ty().dtype != DType::F32 || picked.contains(&value) {
                return (value, array.clone());
            }
            let values = array.floats().iter().map(|x| x.abs()).collect();
            let array = Array::float(array.shape().clone(), values);
            (value, Arc::new(array))
        };
        given.iter().map(absolute).collect()
    }

    /// The states of the graph as they begin, for cases that make some (a clock).
    pub fn states(&self) -> Result<Vec<(Value, Tensor)>> {
        self.graph
            .states()
            .iter()
            .map(|state| {
                let tensor = match (&state.init, state.ty.dtype) {
                    (Init::Tensor(tensor), _) => tensor.as_ref().clone(),
                    (&Init::Constant(x), DType::F32) => {
                        Tensor::f32(state.ty.shape.clone(), vec![x; state.ty.count()])?
                    }
                    // The stores of checks are made with seed 0.
                    (Init::Constant(0.0) | Init::Seed, _) => Tensor::zeros(&state.ty)?,
                    (init, _) => {
                        let message =
                            format!("state \"{}\" of a case begins as {init:?}", state.name);
                        return Err(Error::new(ErrorKind::Unsupported, message));
                    }
                };
                Ok((state.value, tensor))
            })
            .collect()
    }
}

/// Tensors as the reference takes them.
pub fn arrays(tensors: &[(Value, Tensor)]) -> Result<Given> {
    tensors
        .iter()
        .map(|(value, tensor)| Ok((*value, Arc::new(tensor.to_array()?))))
        .collect()
}

/// What [`Draw::Special`] sprinkles in.
const SPECIAL: [f32; 5] = [f32::NAN, f32::INFINITY, -0.0, f32::NEG_INFINITY, 0.0];

/// `f32` holds all integers up to this one.
const LARGEST_INTEGER: f32 = 16_777_216.0;

/// Input number `index` of the case `name`.
///
/// # Errors
/// `Unsupported` if `draw` does not fit the element type, or holds no such numbers.
pub fn draw(name: &str, index: usize, ty: &Type, draw: Draw, numbers: Numbers) -> Result<Tensor> {
    let stream = Stream::new(0, stream_of(name), index as u32);
    let words = || (0..ty.count() as u64).map(|i| stream.word(i));
    let units = || (0..ty.count() as u64).map(|i| stream.unit(i));
    let floats = |values: Vec<f32>| Tensor::f32(ty.shape.clone(), values);
    let undrawable = |why: &str| {
        let message = format!("{name}: no numbers for {ty} drawn as {draw:?}: {why}");
        Error::new(ErrorKind::Unsupported, message)
    };
    match (ty.dtype, draw, numbers) {
        (DType::F32, Draw::Real, Numbers::Real) => floats(units().map(|u| 2.0 * u - 1.0).collect()),
        (DType::F32, Draw::Real, Numbers::Integers) => {
            floats(words().map(|w| (w % 9) as f32 - 4.0).collect())
        }
        (DType::F32, Draw::AwayFromZero, Numbers::Real) => floats(
            units()
                .map(|u| 2.0 * u - 1.0)
                .map(|x| x.signum() * (1.0 / 16.0 + x.abs() * 15.0 / 16.0))
                .collect(),
        ),
        (DType::F32, Draw::AwayFromZero, Numbers::Integers) => floats(
            words()
                .map(|w| (w % 4 + 1) as f32 * if w & 4 == 0 { 1.0 } else { -1.0 })
                .collect(),
        ),
        (DType::F32, Draw::Between(low, high), Numbers::Real) => {
            let right = low <= high && (high - low).is_finite();
            if !right {
                return Err(undrawable(
                    "the ends are not two numbers in order with a finite distance",
                ));
            }
            floats(units().map(|u| low + u * (high - low)).collect())
        }
        (DType::F32, Draw::Between(low, high), Numbers::Integers) => {
            let (first, last) = (low.ceil(), high.floor());
            let right = first <= last && first.abs().max(last.abs()) <= LARGEST_INTEGER;
            if !right {
                return Err(undrawable("no integers there, or some above 2^24"));
            }
            let count = (last - first) as u32 + 1;
            floats(words().map(|w| first + (w % count) as f32).collect())
        }
        (DType::F32, Draw::Distinct, numbers) => {
            let step = match numbers {
                Numbers::Real => 1.0 / 64.0,
                Numbers::Integers => 1.0,
            };
            let middle = (ty.count() / 2) as f32;
            let mut order: Vec<(u32, usize)> = words().zip(0..).collect();
            order.sort_unstable();
            floats(
                order
                    .iter()
                    .map(|&(_, rank)| (rank as f32 - middle) * step)
                    .collect(),
            )
        }
        (DType::F32, Draw::Texels(low, high), numbers) => {
            self::draw(name, index, ty, Draw::Between(low, high), numbers)
        }
        (DType::F32, Draw::Special | Draw::SpecialTexels(..), numbers) => {
            let plain = match draw {
                Draw::SpecialTexels(low, high) => Draw::Between(low, high),
                _ => Draw::Real,
            };
            let plain = self::draw(name, index, ty, plain, numbers)?;
            let mut values = plain.as_f32()?.to_vec();
            let first = ty.count().saturating_sub(1).min(3);
            let sprinkled = values.iter_mut().skip(first).step_by(11);
            for (value, special) in sprinkled.zip(SPECIAL.into_iter().cycle()) {
                *value = special;
            }
            floats(values)
        }
        (DType::U32, Draw::Below(limit), _) => Tensor::u32(
            ty.shape.clone(),
            words().map(|w| w % limit.max(1)).collect(),
        ),
        (DType::U32, Draw::Words(given), _) => Tensor::u32(ty.shape.clone(), given.to_vec()),
        (DType::U8, Draw::Bytes, _) => {
            Tensor::u8(ty.shape.clone(), words().map(|w| w as u8).collect())
        }
        (DType::U8, Draw::Below(limit), _) => Tensor::u8(
            ty.shape.clone(),
            words().map(|w| (w % limit.max(1)) as u8).collect(),
        ),
        _ => Err(undrawable("not for this element type")),
    }
}
