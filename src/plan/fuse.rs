//! Graph rewrites that save dispatches and memory. The only place that looks inside an op.
//!
//! Each rewrite leaves every fetched and assigned value equal, and is held so by a test against the
//! unfused graph.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use super::program::Program;
use crate::graph::{Node, Op, Value};
use crate::ops::{
    Binary, BinaryFunction, ConvForward, ConvGradInput, ConvGradWeight, Fill, Indices, MatMul,
    MaxPoolForward, MaxPoolGrad, Normalize, Over, Reshape, StatisticPairs, Unary, UnaryFunction,
    UnaryGrad,
};
use crate::shape::{Shape, Type};

/// Applies all rewrites until none applies: each rule to all nodes that it fits, in order, before
/// the rules after it have a turn.
pub(super) fn fuse(program: &mut Program) {
    let rules: [FusionRule; 8] = [
        sum_into_norm,
        batch_norm_into_conv,
        relu_into_producer,
        mask_through_max_pool,
        mask_through_view,
        mask_into_product,
        unread_indices,
        unread_gradient,
    ];
    while rules.iter().any(|&rule| apply(program, rule)) {
        program.drop_unused();
    }
}

/// What a rule makes of a node, if it fits.
type FusionRule = for<'a> fn(&mut Rewriter<'a>, &'a Node) -> Option<Rewrite>;

fn op<T: Op>(node: &Node) -> Option<&T> {
    (node.op.as_ref() as &dyn Any).downcast_ref()
}

/// A program while a rule goes over its nodes.
struct Rewriter<'a> {
    /// Without its nodes.
    program: &'a mut Program,
    nodes: &'a [Node],
    /// How often each value is read.
    uses: Vec<usize>,
    /// The node that makes each value.
    producers: Vec<Option<usize>>,
    /// Nodes that were rewritten or are gone: they wait for the next round.
    touched: Vec<bool>,
}

impl<'a> Rewriter<'a> {
    fn ty(&self, value: Value) -> &Type {
        &self.program.types[value.index()]
    }

    fn is_read(&self, value: Value) -> bool {
        self.uses[value.index()] > 0
    }

    /// The node that makes `value`.
    fn producer(&self, value: Value) -> Option<&'a Node> {
        self.producers[value.index()].map(|index| &self.nodes[index])
    }

    /// The node that makes `value`, if nothing but one use reads it, and its number.
    fn sole_producer(&self, value: Value) -> Option<(usize, &'a Node)> {
        let index = self.producers[value.index()]?;
        let free = self.uses[value.index()] == 1 && !self.touched[index];
        free.then(|| (index, &self.nodes[index]))
    }
}

/// A node is replaced by others, and one before it disappears.
struct Rewrite {
    gone: Option<usize>,
    by: Vec<Node>,
}

impl Rewrite {
    /// What `node` makes comes from one op, which does the work of node `gone` too.
    fn joined(node: &Node, gone: usize, op: Arc<dyn Op>, inputs: Vec<Value>) -> Self {
        let by = vec![Node {
            op,
            inputs,
            outputs: node.outputs.clone(),
        }];
        Self {
            gone: Some(gone),
            by,
        }
    }
}

/// Goes over all nodes once; whether the rule fitted any.
///
/// Reads are counted before. A rewrite may add some: of what the nodes that it replaces read, of
/// the output of a pool (`mask_through_max_pool`), of a variance (`batch_norm_into_conv`). None of
/// these is a value whose only reader the same rule may replace: it asks for the producer of a
/// gradient there, of a value that is normalised here. So no count that it goes by is too low.
fn apply(program: &mut Program, rule: FusionRule) -> bool {
    let (uses, producers) = (program.use_counts(), program.producers());
    let nodes = std::mem::take(&mut program.nodes);
    let mut rewriter = Rewriter {
        program,
        nodes: &nodes,
        uses,
        producers,
        touched: vec![false; nodes.len()],
    };
    let mut rewrites: HashMap<usize, Vec<Node>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        if rewriter.touched[index] {
            continue;
        }
        if let Some(Rewrite { gone, by }) = rule(&mut rewriter, node) {
            for (index, by) in gone
                .map(|gone| (gone, Vec::new()))
                .into_iter()
                .chain([(index, by)])
            {
                rewriter.touched[index] = true;
                rewrites.insert(index, by);
            }
        }
    }
    let found = !rewrites.is_empty();
    let kept = nodes.into_iter().enumerate();
    let kept = kept.flat_map(|(index, node)| rewrites.remove(&index).unwrap_or_else(|| vec![node]));
    program.nodes = kept.collect();
    found
}

/// Batch normalisation by given statistics, behind a convolution, moves into its weight and bias:
/// with s = gamma / sqrt(variance + eps) they become weight * s and (bias - mean) * s + beta, made
/// anew in each step. So only where nothing else reads the convolution, and where the weight has no
/// more elements than its output: the pass over that is what is saved. A transposed convolution and
/// a linear layer keep the normalisation behind them.
fn batch_norm_into_conv<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    let given = |n: &&Normalize| n.over == Over::Batch && n.own.is_none();
    let norm = op::<Normalize>(node).filter(|n| given(n) && !n.residual && !n.relu)?;
    let (gone, product) = rewriter.sole_producer(node.inputs[0])?;
    let conv = op::<ConvForward>(product).filter(|conv| !conv.relu)?;
    let statistics = rewriter.producer(node.inputs[1])?;
    op::<StatisticPairs>(statistics)?;
    let variance = statistics.inputs[1];
    let weight = rewriter.ty(product.inputs[1]);
    if weight.count() > rewriter.ty(node.inputs[0]).count() {
        return None;
    }
    let shape = weight.shape.clone();
    let channels = shape[0];
    let mut by = Vec::new();
    let mut make = |op: Arc<dyn Op>, inputs: Vec<Value>, shape: Shape| {
        let made = rewriter.program.new_value(Type::f32(shape));
        by.push(Node {
            op,
            inputs,
            outputs: vec![made],
        });
        made
    };
    let reshape = |shape: &Shape| -> Arc<dyn Op> {
        let shape = shape.clone();
        Arc::new(Reshape { shape })
    };
    // A batch norm of mean 0 and no bias scales the weight, seen as one image.
    let zeros = Fill {
        shape: [channels].into(),
        value: 0.0,
    };
    let zeros = make(Arc::new(zeros), vec![], [channels].into());
    let pairs = vec![zeros, variance];
    let scales = make(Arc::new(StatisticPairs), pairs, [channels, 2].into());
    let image = Shape::from([1, channels, shape[1..].iter().product()]);
    let weight = make(reshape(&image), vec![product.inputs[1]], image.clone());
    let scale = Normalize {
        bias: false,
        ..*norm
    };
    let gamma = node.inputs[2..].iter().take(usize::from(norm.weight));
    let inputs = [weight, scales].into_iter().chain(gamma.copied());
    let weight = make(Arc::new(scale), inputs.collect(), image);
    let weight = make(reshape(&shape), vec![weight], shape);
    // The same batch norm of the bias, seen as an image of one pixel.
    let pixel = Shape::from([1, channels]);
    let bias = if conv.bias { product.inputs[2] } else { zeros };
    let bias = make(reshape(&pixel), vec![bias], pixel.clone());
    let inputs = [vec![bias], node.inputs[1..].to_vec()].concat();
    let bias = make(node.op.clone(), inputs, pixel);
    let bias = make(reshape(&[channels].into()), vec![bias], [channels].into());
    by.push(Node {
        op: Arc::new(ConvForward {
            bias: true,
            ..*conv
        }),
        inputs: vec![product.inputs[0], weight, bias],
        outputs: node.outputs.clone(),
    });
    Some(Rewrite {
        gone: Some(gone),
        by,
    })
}

/// A normalised value plus another of its shape becomes one op. That goes before
/// [`batch_norm_into_conv`], which would leave the sum, and a relu behind it, a pass each.
fn sum_into_norm<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    if op::<Binary>(node)?.0 != BinaryFunction::Add {
        return None;
    }
    let &[a, b] = &node.inputs[..] else {
        return None;
    };
    let fused = |normal: Value, other: Value| {
        let (gone, producer) = rewriter.sole_producer(normal)?;
        let norm = op::<Normalize>(producer).filter(|norm| !norm.residual && !norm.relu)?;
        let norm = Normalize {
            residual: true,
            ..*norm
        };
        let inputs = [&producer.inputs[..], &[other]].concat();
        let alike = rewriter.ty(normal).shape == rewriter.ty(other).shape;
        alike.then_some((gone, norm, inputs))
    };
    let (gone, norm, inputs) = fused(a, b).or_else(|| fused(b, a))?;
    Some(Rewrite::joined(node, gone, Arc::new(norm), inputs))
}

/// relu(conv(..)), relu(matmul(..)) and relu(normalize(..)) become one op.
fn relu_into_producer<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    if op::<Unary>(node)?.0 != UnaryFunction::Relu {
        return None;
    }
    let (gone, producer) = rewriter.sole_producer(node.inputs[0])?;
    let fused: Arc<dyn Op> = if let Some(conv) = op::<ConvForward>(producer) {
        Arc::new(ConvForward {
            relu: true,
            ..*conv
        })
    } else if let Some(norm) = op::<Normalize>(producer) {
        Arc::new(Normalize {
            relu: true,
            ..*norm
        })
    } else {
        let matmul = op::<MatMul>(producer).filter(|m| !m.mask)?;
        Arc::new(MatMul {
            relu: true,
            ..*matmul
        })
    };
    let inputs = producer.inputs.clone();
    Some(Rewrite::joined(node, gone, fused, inputs))
}

/// The gradient of relu: of its output and dy.
fn is_relu_mask(node: &Node) -> bool {
    op::<UnaryGrad>(node).is_some_and(|grad| grad.0 == UnaryFunction::Relu)
}

/// A relu mask on the gradient of a convolution's input, or on a matrix product, moves into it.
fn mask_into_product<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    if !is_relu_mask(node) {
        return None;
    }
    let (gone, product) = rewriter.sole_producer(node.inputs[1])?;
    let fused: Arc<dyn Op> = if let Some(grad) = op::<ConvGradInput>(product) {
        if grad.mask || grad.bias {
            return None;
        }
        Arc::new(ConvGradInput {
            mask: true,
            ..*grad
        })
    } else {
        let matmul = op::<MatMul>(product).filter(|m| !m.mask && !m.relu && !m.bias)?;
        Arc::new(MatMul {
            mask: true,
            ..*matmul
        })
    };
    let inputs = [&product.inputs[..], &[node.inputs[0]]].concat();
    Some(Rewrite::joined(node, gone, fused, inputs))
}

/// mask(x, max_pool_grad(dy)) = max_pool_grad(mask(y, dy)) where y = max_pool(x): at an argmax both
/// masks look at the same number. The mask shrinks and x need not be kept.
fn mask_through_max_pool<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    if !is_relu_mask(node) {
        return None;
    }
    let (gone, grad) = rewriter.sole_producer(node.inputs[1])?;
    op::<MaxPoolGrad>(grad)?;
    let (dy, index) = (grad.inputs[0], grad.inputs[1]);
    let pool = rewriter.producer(index)?;
    op::<MaxPoolForward>(pool)?;
    if pool.outputs.get(1) != Some(&index) || pool.inputs[0] != node.inputs[0] {
        return None;
    }
    // The value between the two now has the pooled shape.
    let between = grad.outputs[0];
    rewriter.program.types[between.index()] = rewriter.ty(dy).clone();
    let mask = Node {
        op: node.op.clone(),
        inputs: vec![pool.outputs[0], dy],
        outputs: vec![between],
    };
    let grad = Node {
        op: grad.op.clone(),
        inputs: vec![between, index],
        outputs: node.outputs.clone(),
    };
    Some(Rewrite {
        gone: Some(gone),
        by: vec![mask, grad],
    })
}

/// mask(m, reshape(d)) = reshape(mask(reshape(m), d)).
fn mask_through_view<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    if !is_relu_mask(node) {
        return None;
    }
    let (gone, view) = rewriter.sole_producer(node.inputs[1])?;
    op::<Reshape>(view)?;
    let ty = rewriter.ty(view.inputs[0]).clone();
    let between = view.outputs[0];
    rewriter.program.types[between.index()] = ty.clone();
    let mask = rewriter.program.new_value(ty.clone());
    let reshape = Node {
        op: Arc::new(Reshape { shape: ty.shape }),
        inputs: vec![node.inputs[0]],
        outputs: vec![mask],
    };
    let masked = Node {
        op: node.op.clone(),
        inputs: vec![mask, view.inputs[0]],
        outputs: vec![between],
    };
    let view = Node {
        op: view.op.clone(),
        inputs: vec![between],
        outputs: node.outputs.clone(),
    };
    Some(Rewrite {
        gone: Some(gone),
        by: vec![reshape, masked, view],
    })
}

/// The gradients of a convolution's weight and bias, of which one is not read, make only the other.
/// The terms of a bias's may then be added up in another order.
fn unread_gradient<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    let both = op::<ConvGradWeight>(node)?;
    let (&[x, dy], &[dweight, dbias]) = (&node.inputs[..], &node.outputs[..]) else {
        return None;
    };
    let by = match (rewriter.is_read(dweight), rewriter.is_read(dbias)) {
        (true, false) => Node {
            op: Arc::new(ConvGradWeight {
                bias: false,
                ..*both
            }),
            inputs: vec![x, dy],
            outputs: vec![dweight],
        },
        (false, true) => Node {
            op: Arc::new(ConvGradWeight::bias_alone(&rewriter.ty(dy).shape)),
            inputs: vec![dy],
            outputs: vec![dbias],
        },
        _ => return None,
    };
    Some(Rewrite {
        gone: None,
        by: vec![by],
    })
}

/// A max pool whose indices are not read does not write them.
fn unread_indices<'a>(rewriter: &mut Rewriter<'a>, node: &'a Node) -> Option<Rewrite> {
    let pool = op::<MaxPoolForward>(node)?;
    let &[y, index] = &node.outputs[..] else {
        return None;
    };
    if rewriter.is_read(index) {
        return None;
    }
    let pool = MaxPoolForward {
        indices: Indices::None,
        ..*pool
    };
    let by = vec![Node {
        op: Arc::new(pool),
        inputs: node.inputs.clone(),
        outputs: vec![y],
    }];
    Some(Rewrite { gone: None, by })
}
