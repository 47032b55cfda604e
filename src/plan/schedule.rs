//! The order of nodes: as written, but every reader of a state before the node that can write it.

use std::collections::{HashMap, HashSet};

use crate::graph::{Node, Value};

use super::program::{Program, ValueOrigin, cut_alike};

/// Reorders the nodes so that states can be written in place where the graph permits: for each
/// assignment, the nodes that read the old value come before the node that makes the new one,
/// unless one of them depends on it.
pub(super) fn schedule(program: &mut Program) {
    let count = program.nodes.len();
    let producers = program.producers();
    let roots = program.roots();
    let makers = |node: &Node| -> Vec<usize> {
        let made = |v: &Value| producers[v.index()];
        node.inputs.iter().filter_map(made).collect()
    };
    let mut order = ReadyOrder::new(program.nodes.iter().map(makers).collect());
    let readers = readers(program, &roots);
    for &(state, value) in &program.assigns {
        let Some(writer) = producers[roots[value.index()].index()] else {
            continue;
        };
        let state = program.states[state];
        let readers = readers[state.index()].iter().copied();
        order.put_before(readers.filter(|&reader| reader != writer).collect(), writer);
    }
    let before = order.before;
    let mut order = Vec::with_capacity(count);
    let mut placed = vec![false; count];
    for node in 0..count {
        place(node, &before, &mut placed, &mut order);
    }
    program.nodes = order.iter().map(|&n| program.nodes[n].clone()).collect();
}

/// For each value that views show, the nodes that read it, in order.
fn readers(program: &Program, roots: &[Value]) -> Vec<Vec<usize>> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); program.types.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        if program.is_view(node) {
            continue;
        }
        for input in &node.inputs {
            let known = &mut readers[roots[input.index()].index()];
            if known.last() != Some(&index) {
                known.push(index);
            }
        }
    }
    readers
}

/// What must come before what, and an order in which it does. Further demands move only the nodes
/// between those that they name (Pearce and Kelly 2006, "A dynamic topological sort algorithm for
/// directed acyclic graphs").
struct ReadyOrder {
    /// For each node, those that must come before it.
    before: Vec<Vec<usize>>,
    /// The inverse.
    after: Vec<Vec<usize>>,
    /// A number for each node, above those of all that come before it.
    rank: Vec<usize>,
}

impl ReadyOrder {
    /// Nodes that are in order as they are numbered.
    fn new(before: Vec<Vec<usize>>) -> Self {
        let mut after = vec![Vec::new(); before.len()];
        for (node, earlier) in before.iter().enumerate() {
            for &earlier in earlier {
                after[earlier].push(node);
            }
        }
        Self {
            rank: (0..before.len()).collect(),
            before,
            after,
        }
    }

    /// Puts `nodes` before `writer`, unless one of them depends on it.
    fn put_before(&mut self, nodes: Vec<usize>, writer: usize) {
        let late = |&&node: &&usize| self.rank[node] > self.rank[writer];
        let late: Vec<usize> = nodes.iter().filter(late).copied().collect();
        if let Some(last) = late.iter().map(|&node| self.rank[node]).max() {
            let (first, rank) = (self.rank[writer], &self.rank);
            let behind = reached(&self.after, &[writer], |node| rank[node] <= last);
            if late.iter().any(|node| behind.contains(node)) {
                return;
            }
            let ahead = reached(&self.before, &late, |node| rank[node] >= first);
            // Those ahead take the lower ones of the ranks of both, each group in the order it had.
            let [ahead, behind] = [ahead, behind].map(|group| {
                let mut group: Vec<usize> = group.into_iter().collect();
                group.sort_unstable_by_key(|&node| self.rank[node]);
                group
            });
            let moved = [ahead, behind].concat();
            let mut ranks: Vec<usize> = moved.iter().map(|&node| self.rank[node]).collect();
            ranks.sort_unstable();
            for (node, rank) in moved.into_iter().zip(ranks) {
                self.rank[node] = rank;
            }
        }
        for &node in &nodes {
            self.after[node].push(writer);
        }
        self.before[writer].extend(nodes);
    }
}

/// The nodes that edges lead to from `from`, these too, as far as `within` allows.
fn reached(edges: &[Vec<usize>], from: &[usize], within: impl Fn(usize) -> bool) -> HashSet<usize> {
    let mut seen: HashSet<usize> = from.iter().copied().collect();
    let mut stack = from.to_vec();
    while let Some(at) = stack.pop() {
        for &next in &edges[at] {
            if within(next) && seen.insert(next) {
                stack.push(next);
            }
        }
    }
    seen
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Home {
    /// A slot of its own life time; the value named first occupied it.
    Slot(Value),
    /// Straight in a state.
    State(usize),
    Input,
    Constant,
    /// A texture that the host binds.
    Texture(Value),
    /// A buffer that the host binds for this value.
    Host(Value),
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
        let hosts = program.hosts(&roots);
        for (index, origin) in program.origins.iter().enumerate() {
            let value = Value::from_index(index);
            storage.homes[index] = match origin {
                _ if program.textures.contains(&value) => Some(Home::Texture(value)),
                ValueOrigin::Input if hosts[index] == Some(value) => Some(Home::Host(value)),
                ValueOrigin::Input => Some(Home::Input),
                ValueOrigin::Constant => Some(Home::Constant),
                ValueOrigin::State(state) => Some(Home::State(*state)),
                ValueOrigin::Node => None,
            };
        }
        let targets = storage.targets(program, &roots, &hosts, &chunks_of);
        for (position, node) in program.nodes.iter().enumerate() {
            let mut in_place = vec![None; node.outputs.len()];
            if program.is_view(node) {
                storage.homes[node.outputs[0].index()] = storage.homes[node.inputs[0].index()];
                storage.in_place.push(in_place);
                continue;
            }
            let pairs = pairs_by_output(node);
            let mut reads: HashMap<Home, usize> = HashMap::new();
            let homes = node
                .inputs
                .iter()
                .map(|v| storage.homes[roots[v.index()].index()]);
            for home in homes.flatten() {
                *reads.entry(home).or_default() += 1;
            }
            let mut taken = HashSet::new();
            for (output, &value) in node.outputs.iter().enumerate() {
                let target = targets[value.index()];
                let host = hosts[value.index()];
                let fits = |&&input: &&usize| {
                    let operand = node.inputs[input];
                    let root = roots[operand.index()];
                    let Some(home) = storage.homes[root.index()] else {
                        return false;
                    };
                    let (from, to) = (
                        &program.types[operand.index()],
                        &program.types[value.index()],
                    );
                    let same_size = from.dtype == to.dtype && from.count() == to.count();
                    !taken.contains(&input)
                        && reads[&home] == 1
                        && same_size
                        && cut_alike(from, to, max_binding)
                        && match home {
                            Home::State(state) => target == Some(state),
                            Home::Slot(name) => {
                                target.is_none()
                                    && host.is_none()
                                    && last_use[root.index()] == position
                                    && storage.lives[name.index()].is_none_or(|l| l.1 <= position)
                            }
                            Home::Input | Home::Constant | Home::Texture(_) | Home::Host(_) => {
                                false
                            }
                        }
                };
                let input = pairs[output].iter().find(fits).copied();
                let shared = input.map(|input| roots[node.inputs[input].index()]);
                let new_home = match (host, shared, target) {
                    _ if program.textures.contains(&value) => Home::Texture(value),
                    (Some(host), ..) => Home::Host(host),
                    (_, _, Some(state)) => Home::State(state),
                    (_, Some(root), _) => storage.homes[root.index()].unwrap_or(Home::Slot(value)),
                    _ => Home::Slot(value),
                };
                in_place[output] = input;
                taken.extend(input);
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
        hosts: &[Option<Value>],
        chunks_of: &impl Fn(usize) -> Vec<usize>,
    ) -> Vec<Option<usize>> {
        let producers = program.producers();
        let mut targets: Vec<Option<usize>> = vec![None; program.types.len()];
        let readers = readers(program, roots);
        // A state whose old value is assigned elsewhere must survive the step.
        let assigned = program.assigns.iter();
        let kept: HashSet<Value> = assigned.map(|(_, v)| roots[v.index()]).collect();
        for &(state, value) in &program.assigns {
            let root = roots[value.index()];
            let Some(writer) = producers[root.index()] else {
                continue;
            };
            let early = program.commit.is_some_and(|commit| writer < commit);
            if early && !program.gradients[state] || hosts[root.index()].is_some() {
                continue;
            }
            let old = program.states[state];
            let last = readers[old.index()].last();
            let read_later = last.is_some_and(|&reader| reader > writer);
            if targets[root.index()].is_none() && !read_later && !kept.contains(&old) {
                targets[root.index()] = Some(state);
            }
        }
        // The writer must not bind the state's chunk in any other way than through its in-place
        // pairs.
        for node in &program.nodes {
            let mut times: HashMap<Value, usize> = HashMap::new();
            for input in &node.inputs {
                *times.entry(roots[input.index()]).or_default() += 1;
            }
            let pairs: HashSet<(usize, usize)> = node
                .op
                .in_place()
                .iter()
                .filter_map(|&(input, output)| {
                    Some((input, targets[node.outputs.get(output)?.index()]?))
                })
                .collect();
            let paired = |input: usize| {
                let root = roots[node.inputs[input].index()];
                match program.origins[root.index()] {
                    ValueOrigin::State(state) => {
                        times[&root] == 1 && pairs.contains(&(input, state))
                    }
                    _ => false,
                }
            };
            // Old values of states, and new ones that earlier nodes have put there.
            let read: HashSet<usize> = (0..node.inputs.len())
                .filter(|&input| !paired(input))
                .filter_map(|input| {
                    let root = roots[node.inputs[input].index()].index();
                    match program.origins[root] {
                        ValueOrigin::State(state) => Some(state),
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

/// For each output of a node, the inputs with which it may share.
fn pairs_by_output(node: &Node) -> Vec<Vec<usize>> {
    let mut pairs = vec![Vec::new(); node.outputs.len()];
    for &(input, output) in node.op.in_place() {
        if let Some(pairs) = pairs.get_mut(output)
            && input < node.inputs.len()
        {
            pairs.push(input);
        }
    }
    pairs
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
