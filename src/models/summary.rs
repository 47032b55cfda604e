//! What a network consists of, layer by layer.

use std::fmt;
use std::ops::Range;

use super::Model;
use crate::autodiff::gradients;
use crate::error::Result;
use crate::graph::{Graph, Node, Origin, StateKind, Value};
use crate::kernel::Caps;
use crate::nn::{Build, Module};
use crate::plan::{Bytes, Plan, PlanOptions, StateLayout};
use crate::shape::{Shape, Type};

/// A layer of a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Full name.
    pub name: String,
    /// Its ops, one after the other.
    pub ops: String,
    /// Extents of its output.
    pub output: Shape,
    /// Elements of its parameters that no layer before it has.
    pub parameters: usize,
    /// Products of its convolutions and linear layers, each with its addition.
    pub multiply_adds: u64,
}

/// What a network consists of for a batch, as a table ([`Display`](fmt::Display)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Name of the network.
    pub name: String,
    /// The innermost layers of evaluation, in order. What blocks do between their layers, such as
    /// the sums of residual networks, is in no row.
    pub rows: Vec<Row>,
    /// Elements of all parameters, those of auxiliary classifiers too.
    pub parameters: usize,
    /// Products of evaluation, each with its addition.
    pub multiply_adds: u64,
    /// What a session of evaluation allocates on a GPU, without parameters.
    pub evaluation: Bytes,
    /// The same of a training step: the gradients of all parameters, without an optimizer.
    pub training: Bytes,
}

impl Model {
    /// Layers, parameters, multiply-adds and memory for a batch of images of its own size
    /// ([`input`](Self::input)), as a GPU with WebGPU's default limits has them.
    ///
    /// ```
    /// # fn main() -> striate::error::Result<()> {
    /// let summary = striate::models::resnet18(1000).summary(1)?;
    /// assert_eq!(summary.parameters, 11_689_512);
    /// assert_eq!(summary.multiply_adds, 1_814_073_344);
    /// println!("{summary}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of building it for such a batch, and of planning it.
    pub fn summary(&self, batch: usize) -> Result<Summary> {
        let [channels, height, width] = self.input();
        let ty = Type::f32([batch, channels, height, width]);

        let mut g = Graph::new();
        let x = g.input("x", ty.clone())?;
        let mut cx = Build::eval(&mut g);
        let logits = self.build(&mut cx, x)?;
        let layers = cx.into_layers();
        let rows = rows(&g, &layers)?;
        let evaluation = planned(&g, &[logits])?;
        let multiply_adds = products(&g, 0..g.nodes().len())?;

        let mut g = Graph::new();
        let x = g.input("x", ty)?;
        let mut cx = Build::train(&mut g);
        let logits = self.build(&mut cx, x)?;
        let heads: Vec<Value> = cx.outputs().iter().map(|output| output.value).collect();
        let mut loss = None;
        for head in [vec![logits], heads].concat() {
            let axes: Vec<isize> = (0..g.shape(head)?.len() as isize).collect();
            let sum = g.sum(head, &axes, false)?;
            loss = Some(match loss {
                Some(other) => g.add(other, sum)?,
                None => sum,
            });
        }
        let trained = |state: &&crate::graph::State| state.kind == StateKind::Parameter;
        let states: Vec<_> = g.states().iter().filter(trained).cloned().collect();
        let parameters = states.iter().map(|state| state.ty.count()).sum();
        let values: Vec<Value> = states.iter().map(|state| state.value).collect();
        let found = gradients(&mut g, loss.unwrap_or(logits), &values)?;
        let training = planned(&g, &found)?;
        Ok(Summary {
            name: self.name().to_owned(),
            rows,
            parameters,
            multiply_adds,
            evaluation,
            training,
        })
    }
}

fn planned(g: &Graph, fetched: &[Value]) -> Result<Bytes> {
    let caps = Caps::default();
    let states = StateLayout::new(&[g], caps.max_binding)?;
    Ok(Plan::new(g, &states, fetched, &caps, PlanOptions::default())?.bytes)
}

/// The layers that have none inside, each with the nodes that it added.
fn rows(g: &Graph, layers: &[(String, Value, Range<usize>)]) -> Result<Vec<Row>> {
    let mut seen = vec![false; g.states().len()];
    let mut rows = Vec::new();
    for (i, (name, output, nodes)) in layers.iter().enumerate() {
        // Inner layers come before those around them.
        let inside = format!("{name}.");
        if layers[..i]
            .iter()
            .any(|(other, ..)| other.starts_with(&inside))
        {
            continue;
        }
        let mut parameters = 0;
        for node in &g.nodes()[nodes.clone()] {
            for &input in &node.inputs {
                if let Origin::State(index) = *g.source(input)?
                    && g.states()[index].kind == StateKind::Parameter
                    && !std::mem::replace(&mut seen[index], true)
                {
                    parameters += g.states()[index].ty.count();
                }
            }
        }
        let ops = g.nodes()[nodes.clone()].iter().map(|node| node.op.name());
        rows.push(Row {
            name: name.clone(),
            ops: ops.collect::<Vec<_>>().join(", "),
            output: g.shape(*output)?.clone(),
            parameters,
            multiply_adds: products(g, nodes.clone())?,
        });
    }
    Ok(rows)
}

/// Multiply-adds of convolutions and matrix products among some nodes.
fn products(g: &Graph, nodes: Range<usize>) -> Result<u64> {
    let mut sum = 0;
    for node in &g.nodes()[nodes] {
        sum += products_of(g, node)?;
    }
    Ok(sum)
}

fn products_of(g: &Graph, node: &Node) -> Result<u64> {
    let name = node.op.name();
    let (&[first, second, ..], &[output, ..]) = (&node.inputs[..], &node.outputs[..]) else {
        return Ok(0);
    };
    let (x, weight, y) = (g.shape(first)?, g.shape(second)?, g.shape(output)?);
    // Each element of the one side meets a filter of the other.
    let filter = || (weight.count() / weight.first().copied().unwrap_or(1).max(1)) as u64;
    Ok(match name {
        _ if name.starts_with("conv_transpose") => x.count() as u64 * filter(),
        "conv1d" | "conv2d" | "conv3d" => y.count() as u64 * filter(),
        "matmul" => y.count() as u64 * x.last().copied().unwrap_or(1) as u64,
        _ => 0,
    })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "ops", "output", "parameters", "multiply-adds"];
        let mut table = vec![head.map(str::to_owned)];
        for row in &self.rows {
            table.push([
                row.name.clone(),
                row.ops.clone(),
                row.output.to_string(),
                grouped(row.parameters as u64),
                grouped(row.multiply_adds),
            ]);
        }
        let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let [name, ops, output, parameters, products] = [0, 1, 2, 3, 4].map(width);
        for row in &table {
            let [a, b, c, d, e] = row;
            writeln!(
                f,
                "{a:name$}  {b:ops$}  {c:output$}  {d:>parameters$}  {e:>products$}"
            )?;
        }
        let megabytes = |bytes: &Bytes| bytes.total() as f64 / 1e6;
        write!(
            f,
            "{}: {} parameters, {} multiply-adds, {:.1} MB in evaluation, {:.1} MB in training",
            self.name,
            grouped(self.parameters as u64),
            grouped(self.multiply_adds),
            megabytes(&self.evaluation),
            megabytes(&self.training)
        )
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
