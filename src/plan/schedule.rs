//! The order of nodes: as written, but every reader of a state before the node that can write it.

use crate::graph::Value;

use super::program::{Origin, Program, cut_alike};

/// Reorders the nodes so that states can be written in place where the graph permits: for each assignment, the nodes that read
/// the old value come before the node that makes the new one, unless one of them depends on it.
pub(super) fn schedule(program: &mut Program) {
    let count = program.nodes.len();
    let producers = program.producers();
    let roots = program.roots();
    // Edges from a node to those that must come before it.
    let mut before: Vec<Vec<usize>> = program
        .nodes
        .iter()
        .map(|node| {
            node.inputs
                .iter()
                .filter_map(|v| producers.get(v).copied())
                .collect()
        })
        .collect();
    for &(state, value) in &program.assigns {
        let Some(&writer) = producers.get(&roots[value.index()]) else {
            continue;
        };
        let state = program.states[state];
        let readers: Vec<usize> = (0..count)
            .filter(|&n| {
                let reads = |v: &Value| roots[v.index()] == state;
                n != writer
                    && !program.is_view(&program.nodes[n])
                    && program.nodes[n].inputs.iter().any(reads)
            })
            .collect();
        if readers
            .iter()
            .any(|&reader| depends(&before, reader, writer))
        {
            continue;
        }
        before[writer].extend(readers);
    }
    let mut order = Vec::with_capacity(count);
    let mut placed = vec![false; count];
    for node in 0..count {
        place(node, &before, &mut placed, &mut order);
    }
    program.nodes = order.iter().map(|&n| program.nodes[n].clone()).collect();
}

/// Whether `node` needs `other`, directly or not.
fn depends(before: &[Vec<usize>], node: usize, other: usize) -> bool {
    let mut seen = vec![false; before.len()];
    let mut stack = vec![node];
    while let Some(at) = stack.pop() {
        if at == other {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            stack.extend(&before[at]);
        }
    }
    false
}

/// Appends `node` to `order` after everything it needs.
fn place(node: usize, before: &[Vec<usize>], placed: &mut [bool], order: &mut Vec<usize>) {
    let mut stack = vec![(node, 0)];
    while let Some((at, next)) = stack.pop() {
        if placed[at] {
            continue;
        }
        match before[at].get(next) {
            Some(&earlier) => {
                stack.push((at, next + 1));
                stack.push((earlier, 0));
            }
            None => {
                placed[at] = true;
                order.push(at);
            }
        }
    }
}

/// Where the bytes of each value live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// A slot of its own life time; the value named first occupied it.
    Slot(Value),
    /// Straight in a state.
    State(usize),
    Input,
    Constant,
}

/// Homes of all values, in-place marks of all nodes, and the assignments that need a copy.
#[derive(Debug, Default)]
pub(super) struct Storage {
    pub homes: Vec<Option<Home>>,
    /// For each node and output, the input whose buffer it takes over.
    pub in_place: Vec<Vec<Option<usize>>>,
    /// Assignments (state, value) that are not written in place.
    pub copies: Vec<(usize, Value)>,
    /// First and last position at which each slot value is alive, by the value that named the slot.
    pub lives: Vec<Option<(usize, usize)>>,
}

impl Storage {
    /// `chunks_of` gives the store chunks of a state.
    pub fn new(
        program: &Program,
        chunks_of: impl Fn(usize) -> Vec<usize>,
        max_binding: u64,
    ) -> Self {
        let roots = program.roots();
        let last_use = last_uses(program, &roots);
        let mut storage = Self {
            homes: vec![None; program.types.len()],
            lives: vec![None; program.types.len()],
            ..Self::default()
        };
        for (index, origin) in program.origins.iter().enumerate() {
            storage.homes[index] = match origin {
                Origin::Input => Some(Home::Input),
                Origin::Constant => Some(Home::Constant),
                Origin::State(state) => Some(Home::State(*state)),
                Origin::Node => None,
            };
        }
        let targets = storage.targets(program, &roots, &chunks_of);
        for (position, node) in program.nodes.iter().enumerate() {
            let mut in_place = vec![None; node.outputs.len()];
            if program.is_view(node) {
                storage.homes[node.outputs[0].index()] = storage.homes[node.inputs[0].index()];
                storage.in_place.push(in_place);
                continue;
            }
            for (output, &value) in node.outputs.iter().enumerate() {
                let target = targets[value.index()];
                let home = |v: Value| storage.homes[roots[v.index()].index()];
                let pair = node.op.in_place().iter().find(|&&(input, paired)| {
                    if paired != output || in_place.contains(&Some(input)) {
                        return false;
                    }
                    let Some(&operand) = node.inputs.get(input) else {
                        return false;
                    };
                    let root = roots[operand.index()];
                    let once = node
                        .inputs
                        .iter()
                        .filter(|v| home(**v) == home(operand))
                        .count()
                        == 1;
                    let (from, to) = (
                        &program.types[operand.index()],
                        &program.types[value.index()],
                    );
                    let same_size = from.dtype == to.dtype && from.count() == to.count();
                    once && same_size
                        && cut_alike(from, to, max_binding)
                        && match home(operand) {
                            Some(Home::State(state)) => target == Some(state),
                            Some(Home::Slot(name)) => {
                                target.is_none()
                                    && last_use[root.index()] == position
                                    && storage.lives[name.index()].is_none_or(|l| l.1 <= position)
                            }
                            _ => false,
                        }
                });
                let new_home = match (pair, target) {
                    (_, Some(state)) => Home::State(state),
                    (Some(&(input, _)), None) => storage.homes
                        [roots[node.inputs[input].index()].index()]
                    .expect("inputs have homes before their users"),
                    (None, None) => Home::Slot(value),
                };
                in_place[output] = pair.map(|&(input, _)| input);
                storage.homes[value.index()] = Some(new_home);
                if let Home::Slot(name) = new_home {
                    let end = last_use[value.index()].max(position);
                    let life = storage.lives[name.index()].get_or_insert((position, end));
                    life.1 = life.1.max(end);
                }
            }
            storage.in_place.push(in_place);
        }
        for &(state, value) in &program.assigns {
            let stays = storage.homes[value.index()] == Some(Home::State(state));
            if !stays {
                storage.copies.push((state, value));
            }
        }
        storage
    }

    /// For each value, the state into which it can be written directly.
    fn targets(
        &self,
        program: &Program,
        roots: &[Value],
        chunks_of: &impl Fn(usize) -> Vec<usize>,
    ) -> Vec<Option<usize>> {
        let producers = program.producers();
        let mut targets: Vec<Option<usize>> = vec![None; program.types.len()];
        for &(state, value) in &program.assigns {
            let root = roots[value.index()];
            let Some(&writer) = producers.get(&root) else {
                continue;
            };
            let old = program.states[state];
            let read_later = program.nodes[writer + 1..]
                .iter()
                .any(|n| !program.is_view(n) && n.inputs.iter().any(|v| roots[v.index()] == old));
            // A state whose old value is assigned elsewhere must survive the step.
            let kept = program.assigns.iter().any(|(_, v)| roots[v.index()] == old);
            if targets[root.index()].is_none() && !read_later && !kept {
                targets[root.index()] = Some(state);
            }
        }
        // The writer must not bind the state's chunk in any other way than through its in-place pairs.
        for node in &program.nodes {
            let paired = |input: usize| {
                let state = match program.origins[roots[node.inputs[input].index()].index()] {
                    Origin::State(state) => state,
                    _ => return false,
                };
                let times = node
                    .inputs
                    .iter()
                    .filter(|v| roots[v.index()] == program.states[state])
                    .count();
                times == 1
                    && node.op.in_place().iter().any(|&(i, o)| {
                        i == input
                            && node
                                .outputs
                                .get(o)
                                .is_some_and(|v| targets[v.index()] == Some(state))
                    })
            };
            // Old values of states, and new ones that earlier nodes have put there.
            let read: Vec<usize> = (0..node.inputs.len())
                .filter(|&input| !paired(input))
                .filter_map(|input| {
                    let root = roots[node.inputs[input].index()].index();
                    match program.origins[root] {
                        Origin::State(state) => Some(state),
                        _ => targets[root],
                    }
                })
                .flat_map(chunks_of)
                .collect();
            let clash = node.outputs.iter().any(|v| {
                let written = targets[v.index()].map(chunks_of).unwrap_or_default();
                written.iter().any(|chunk| read.contains(chunk))
            });
            // One clash takes all targets of the node away: pairs stand or fall together.
            if clash {
                for output in &node.outputs {
                    targets[output.index()] = None;
                }
            }
        }
        targets
    }
}

/// The last position at which each root is read; past the end for what must survive the step.
fn last_uses(program: &Program, roots: &[Value]) -> Vec<usize> {
    let mut last = vec![0; program.types.len()];
    for (position, node) in program.nodes.iter().enumerate() {
        for output in &node.outputs {
            last[output.index()] = last[output.index()].max(position);
        }
        if !program.is_view(node) {
            for input in &node.inputs {
                last[roots[input.index()].index()] = position;
            }
        }
    }
    let kept = program
        .fetched
        .iter()
        .chain(program.assigns.iter().map(|(_, v)| v));
    for value in kept {
        last[roots[value.index()].index()] = usize::MAX;
    }
    last
}
