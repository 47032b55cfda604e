//! Graph rewrites that save dispatches and memory. The only place that looks inside an op.
//!
//! Each rewrite leaves every fetched and assigned value equal, and is held so by a test against the unfused graph.

use std::any::Any;
use std::sync::Arc;

use super::program::Program;
use crate::graph::{Node, Op, Value};
use crate::ops::{
    Binary, BinaryFunction, ConvForward, ConvGradInput, ConvGradWeight, Fill, Indices, MatMul,
    MaxPoolForward, MaxPoolGrad, Normalize, Over, Reshape, StatisticPairs, Unary, UnaryFunction,
    UnaryGrad,
};
use crate::shape::{Shape, Type};

/// Applies all rewrites until none applies.
pub(super) fn fuse(program: &mut Program) {
    let rules = [
        sum_into_norm,
        batch_norm_into_conv,
        relu_into_producer,
        mask_through_max_pool,
        mask_through_view,
        mask_into_product,
        unread_indices,
        unread_gradient,
    ];
    while rules.iter().any(|rule| rule(program)) {
        program.drop_unused();
    }
}

fn op<T: Op>(node: &Node) -> Option<&T> {
    (node.op.as_ref() as &dyn Any).downcast_ref()
}

/// The node that makes `value`, if nothing but one use reads it.
fn sole_producer(program: &Program, uses: &[usize], value: Value) -> Option<usize> {
    let made = |node: &Node| node.outputs.contains(&value);
    match uses[value.index()] {
        1 => program.nodes.iter().position(made),
        _ => None,
    }
}

/// Finds the first node at which `rewrite` applies.
fn first(
    program: &Program,
    rewrite: impl Fn(&Node) -> Option<Rewrite>,
) -> Option<(usize, Rewrite)> {
    let at = |(index, node): (usize, &Node)| rewrite(node).map(|rewrite| (index, rewrite));
    program.nodes.iter().enumerate().find_map(at)
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

fn apply(program: &mut Program, found: Option<(usize, Rewrite)>) -> bool {
    let Some((index, rewrite)) = found else {
        return false;
    };
    program.nodes.splice(index..=index, rewrite.by);
    if let Some(gone) = rewrite.gone {
        program.nodes.remove(gone);
    }
    true
}

/// Batch normalisation by given statistics, behind a convolution, moves into its weight and bias: with
/// s = gamma / sqrt(variance + eps) they become weight * s and (bias - mean) * s + beta, made anew in each step. So only where nothing else
/// reads the convolution, and where the weight has no more elements than its output: the pass over that is what is saved. A transposed
/// convolution and a linear layer keep the normalisation behind them.
fn batch_norm_into_conv(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = program.nodes.iter().enumerate().find_map(|(index, node)| {
        let given = |n: &&Normalize| n.over == Over::Batch && n.own.is_none();
        let norm = op::<Normalize>(node).filter(|n| given(n) && !n.residual && !n.relu)?;
        let gone = sole_producer(program, &uses, node.inputs[0])?;
        let conv = op::<ConvForward>(&program.nodes[gone]).filter(|conv| !conv.relu)?;
        let mut nodes = program.nodes.iter();
        let statistics = nodes.find(|n| n.outputs.contains(&node.inputs[1]))?;
        op::<StatisticPairs>(statistics)?;
        let weight = &program.types[program.nodes[gone].inputs[1].index()];
        let output = &program.types[node.inputs[0].index()];
        (weight.count() <= output.count()).then_some((
            index,
            gone,
            *norm,
            *conv,
            statistics.inputs[1],
        ))
    });
    let Some((index, gone, norm, conv, variance)) = found else {
        return false;
    };
    let node = program.nodes[index].clone();
    let product = program.nodes[gone].clone();
    let shape = program.types[product.inputs[1].index()].shape.clone();
    let channels = shape[0];
    let mut by = Vec::new();
    let mut make = |op: Arc<dyn Op>, inputs: Vec<Value>, shape: Shape| {
        let made = program.new_value(Type::f32(shape));
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
        ..norm
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
        op: Arc::new(ConvForward { bias: true, ..conv }),
        inputs: vec![product.inputs[0], weight, bias],
        outputs: node.outputs,
    });
    let gone = Some(gone);
    apply(program, Some((index, Rewrite { gone, by })))
}

/// A normalised value plus another of its shape becomes one op. That goes before [`batch_norm_into_conv`], which would leave the sum, and a relu
/// behind it, a pass each.
fn sum_into_norm(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        if op::<Binary>(node)?.0 != BinaryFunction::Add {
            return None;
        }
        let shape = |value: Value| &program.types[value.index()].shape;
        let &[a, b] = &node.inputs[..] else {
            return None;
        };
        let fused = |normal: Value, other: Value| {
            let gone = sole_producer(program, &uses, normal)?;
            let node = &program.nodes[gone];
            let norm = op::<Normalize>(node).filter(|norm| !norm.residual && !norm.relu)?;
            let norm = Normalize {
                residual: true,
                ..*norm
            };
            let inputs = [&node.inputs[..], &[other]].concat();
            (shape(normal) == shape(other)).then_some((gone, norm, inputs))
        };
        let (gone, norm, inputs) = fused(a, b).or_else(|| fused(b, a))?;
        Some(Rewrite::joined(node, gone, Arc::new(norm), inputs))
    });
    apply(program, found)
}

/// relu(conv(..)), relu(matmul(..)) and relu(normalize(..)) become one op.
fn relu_into_producer(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        if op::<Unary>(node)?.0 != UnaryFunction::Relu {
            return None;
        }
        let gone = sole_producer(program, &uses, node.inputs[0])?;
        let producer = &program.nodes[gone];
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
    });
    apply(program, found)
}

/// The gradient of relu: of its output and dy.
fn is_relu_mask(node: &Node) -> bool {
    op::<UnaryGrad>(node).is_some_and(|grad| grad.0 == UnaryFunction::Relu)
}

/// A relu mask on the gradient of a convolution's input, or on a matrix product, moves into it.
fn mask_into_product(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        if !is_relu_mask(node) {
            return None;
        }
        let gone = sole_producer(program, &uses, node.inputs[1])?;
        let product = &program.nodes[gone];
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
        let mut inputs = product.inputs.clone();
        inputs.push(node.inputs[0]);
        Some(Rewrite::joined(node, gone, fused, inputs))
    });
    apply(program, found)
}

/// mask(x, max_pool_grad(dy)) = max_pool_grad(mask(y, dy)) where y = max_pool(x): at an argmax both masks look at the same number.
/// The mask shrinks and x need not be kept.
fn mask_through_max_pool(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        if !is_relu_mask(node) {
            return None;
        }
        let gone = sole_producer(program, &uses, node.inputs[1])?;
        let grad = &program.nodes[gone];
        op::<MaxPoolGrad>(grad)?;
        let (dy, index) = (grad.inputs[0], grad.inputs[1]);
        let pool = program
            .nodes
            .iter()
            .find(|n| n.outputs.get(1) == Some(&index))?;
        op::<MaxPoolForward>(pool)?;
        if pool.inputs[0] != node.inputs[0] {
            return None;
        }
        Some(Rewrite {
            gone: Some(gone),
            by: vec![
                Node {
                    op: node.op.clone(),
                    inputs: vec![pool.outputs[0], dy],
                    outputs: grad.outputs.clone(),
                },
                Node {
                    op: grad.op.clone(),
                    inputs: vec![grad.outputs[0], index],
                    outputs: node.outputs.clone(),
                },
            ],
        })
    });
    let masked = found.as_ref().map(|(_, rewrite)| {
        let mask = &rewrite.by[0];
        (mask.outputs[0], mask.inputs[1])
    });
    if let Some((value, like)) = masked {
        // The value between the two now has the pooled shape.
        program.types[value.index()] = program.types[like.index()].clone();
    }
    apply(program, found)
}

/// mask(m, reshape(d)) = reshape(mask(reshape(m), d)).
fn mask_through_view(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        if !is_relu_mask(node) {
            return None;
        }
        let gone = sole_producer(program, &uses, node.inputs[1])?;
        let view = &program.nodes[gone];
        op::<Reshape>(view)?;
        Some(Rewrite {
            gone: Some(gone),
            by: vec![
                Node {
                    op: node.op.clone(),
                    inputs: vec![node.inputs[0], view.inputs[0]],
                    outputs: view.outputs.clone(),
                },
                Node {
                    op: view.op.clone(),
                    inputs: view.outputs.clone(),
                    outputs: node.outputs.clone(),
                },
            ],
        })
    });
    let Some((index, mut rewrite)) = found else {
        return false;
    };
    let masked = &mut rewrite.by[0];
    let ty = program.types[masked.inputs[1].index()].clone();
    program.types[masked.outputs[0].index()] = ty.clone();
    let mask = program.new_value(ty.clone());
    let reshape = Node {
        op: Arc::new(Reshape { shape: ty.shape }),
        inputs: vec![masked.inputs[0]],
        outputs: vec![mask],
    };
    masked.inputs[0] = mask;
    rewrite.by.insert(0, reshape);
    apply(program, Some((index, rewrite)))
}

/// The gradients of a convolution's weight and bias, of which nobody reads one, make only the other. The terms of a bias's may then be added up
/// in another order.
fn unread_gradient(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        let both = op::<ConvGradWeight>(node)?;
        let (&[x, dy], &[dweight, dbias]) = (&node.inputs[..], &node.outputs[..]) else {
            return None;
        };
        let is_read = |value: Value| uses[value.index()] > 0;
        let by = match (is_read(dweight), is_read(dbias)) {
            (true, false) => Node {
                op: Arc::new(ConvGradWeight {
                    bias: false,
                    ..*both
                }),
                inputs: vec![x, dy],
                outputs: vec![dweight],
            },
            (false, true) => Node {
                op: Arc::new(ConvGradWeight::bias_alone(&program.types[dy.index()].shape)),
                inputs: vec![dy],
                outputs: vec![dbias],
            },
            _ => return None,
        };
        Some(Rewrite {
            gone: None,
            by: vec![by],
        })
    });
    apply(program, found)
}

/// A max pool whose indices nobody reads does not write them.
fn unread_indices(program: &mut Program) -> bool {
    let uses = program.use_counts();
    let found = first(program, |node| {
        let pool = op::<MaxPoolForward>(node)?;
        let &[y, index] = &node.outputs[..] else {
            return None;
        };
        if uses[index.index()] > 0 {
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
    });
    apply(program, found)
}
