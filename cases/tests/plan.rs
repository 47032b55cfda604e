//! Plans of random graphs, run on symbols instead of numbers: whatever is read must be what the
//! graph says.
//!
//! The ops are probes. A probe's dispatch names its node in the params, so that a simulated step
//! knows what it should read and writes a symbol that stands for (node, output, inputs). Sharing of
//! live buffers, reads before writes, lost states and wrong in-place marks all end in a wrong
//! symbol.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use striate::autodiff::{gradients, gradients_from};
use striate::error::{ErrorKind, Result};
use striate::graph::{Graph, Init, Node, Op, Origin, StateKind, Value};
use striate::kernel::{
    Access, Body, CPU_TURNS, Caps, Dispatch, GPU_TURNS, Io, Kernel, Lowering, Operand, Part,
    WINDOW, Wgsl, looped, parts_of,
};
use striate::ops::{Conv2d, Conv3d, CrossEntropyLoss, MaxPool2d};
use striate::plan::{Buffer, Life, Plan, PlanOptions, Span, StateLayout, Step, peak, place};
use striate::rng::Stream;
use striate::shape::Type;
use striate::tensor::{Array, Tensor};
use striate_cases::lower::lower;

/// An op from outside whose invocations take so many turns of their loops.
#[derive(Debug)]
struct Loops(u64);

impl Op for Loops {
    fn name(&self) -> &'static str {
        "loops"
    }

    fn infer(&self, _: &[&Type]) -> Result<Vec<Type>> {
        Ok(vec![Type::f32([4])])
    }

    fn eval(&self, _: &[&Array]) -> Vec<Array> {
        vec![Array::float([4], vec![0.0; 4])]
    }

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![])
    }

    fn lower(&self, _: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let dispatch = Dispatch::of(Cow::Owned(probe_kernel()), &[]).write(Operand::Output(0));
        out.push(dispatch.turns(self.0).workgroups(1));
        Ok(())
    }
}

/// What a device would end in mid sum is refused before anything runs, with both numbers.
#[test]
fn too_many_turns_are_refused() {
    let plan = |turns: u64, caps: &Caps| {
        let mut g = Graph::new();
        let y = g.apply(Loops(turns), &[]).unwrap()[0];
        let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
        Plan::new(&g, &states, &[y], caps, PlanOptions::default())
    };
    for max_turns in [CPU_TURNS, GPU_TURNS, 300] {
        let caps = Caps {
            max_turns,
            ..Caps::default()
        };
        plan(max_turns, &caps).unwrap();
        let error = plan(max_turns + 1, &caps).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        let message = error.to_string();
        for part in [
            "loops: an invocation of kernel probe",
            &(max_turns + 1).to_string(),
            &max_turns.to_string(),
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}

/// However few turns a device allows, a plan is made or refused: cutting comes to an end.
#[test]
fn few_turns_end_in_a_plan_or_a_limit() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([3, 1000, 5])).unwrap();
    let flat = g.input("flat", Type::f32([900, 3])).unwrap();
    let labels = g.input("labels", Type::u32([900])).unwrap();
    let valid = g.input("valid", Type::u32([1])).unwrap();
    let counter = g.input("counter", Type::u32([2])).unwrap();
    let [none, rows] =
        [[0, 3], [3, 0]].map(|shape| g.input(&format!("{shape:?}"), Type::f32(shape)).unwrap());
    let values = [
        g.sum(none, &[0], false).unwrap(),
        g.sum(rows, &[1], false).unwrap(),
        g.mean(none, &[0, 1], false).unwrap(),
        g.norm(rows, &[1], false).unwrap(),
        g.sum(x, &[0, 1, 2], false).unwrap(),
        g.sum(x, &[0, 2], false).unwrap(),
        g.amax(x, &[1], false).unwrap(),
        g.max(x, 1, false).unwrap().0,
        g.softmax(x, 1).unwrap(),
        g.log_softmax(x, 1).unwrap(),
        g.cross_entropy_with(flat, labels, CrossEntropyLoss::new().valid(valid))
            .unwrap(),
        g.count_correct(flat, labels, valid, counter).unwrap(),
        g.clip_grad_norm(&[x, flat], 1.0, None).unwrap().0,
        g.layer_norm(x, 2, None, None, 1e-5).unwrap(),
        g.batch_norm_train(x, None, None, 1e-5).unwrap().0,
    ];
    let mut planned = [0; 2];
    for max_turns in (0..=32).chain([100, 300, 1000, CPU_TURNS]) {
        for (value, most) in values.iter().flat_map(|&v| [(v, 128 << 20), (v, 1024)]) {
            let caps = Caps {
                max_turns,
                max_binding: most,
                ..Caps::default()
            };
            let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
            let plan = Plan::new(&g, &states, &[value], &caps, PlanOptions::default());
            match plan {
                Ok(_) => planned[usize::from(max_turns >= 100 && most > 1024)] += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Limit, "{error}"),
            }
        }
    }
    // None is refused that could be cut.
    assert_eq!(planned[1], 4 * values.len(), "{planned:?}");
}

/// An op of any signature, known by its number.
#[derive(Debug)]
struct Probe {
    id: usize,
    outputs: Vec<Type>,
    pairs: Vec<(usize, usize)>,
    scratch: bool,
    workgroups: usize,
}

fn probe_kernel() -> Kernel {
    Kernel {
        name: "probe".into(),
        wgsl: Wgsl::Module(String::new()),
        variants: &[&[]],
        epilogues: &[&[]],
    }
}

impl Op for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn infer(&self, _: &[&Type]) -> Result<Vec<Type>> {
        Ok(self.outputs.clone())
    }

    fn eval(&self, _: &[&Array]) -> Vec<Array> {
        unreachable!("probes run on symbols")
    }

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![])
    }

    fn in_place(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let shared = |input: usize| io.in_place.contains(&Some(input));
        let scratch = self.scratch.then(|| out.scratch(Type::f32([40])));
        for part in 0..io.output_parts[0].len() {
            let start = |stage: usize| {
                let mut dispatch = Dispatch::of(Cow::Owned(probe_kernel()), &[])
                    .param("node", self.id)
                    .param("part", part)
                    .param("stage", stage)
                    .param("inputs", io.inputs.len())
                    .workgroups(self.workgroups);
                let bound = |&i: &usize| !shared(i) && part < io.input_parts[i].len();
                for input in (0..io.inputs.len()).filter(bound) {
                    dispatch = dispatch.read(Operand::Input(input)).part(part);
                }
                dispatch
            };
            if let Some(scratch) = scratch {
                out.push(start(0).write(scratch));
            }
            let mut dispatch = start(1 + usize::from(self.scratch));
            if let Some(scratch) = scratch {
                dispatch = dispatch.read(scratch);
            }
            for output in 0..io.outputs.len() {
                let input = io.in_place[output].map_or(0, |input| input + 1);
                dispatch = dispatch
                    .write(Operand::Output(output))
                    .part(part)
                    .param("shared", input);
            }
            out.push(dispatch);
        }
        Ok(())
    }
}

type Symbol = u64;

fn symbol(of: impl Hash) -> Symbol {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn made(node: usize, part: usize, output: usize, inputs: &[Content]) -> Symbol {
    symbol(("made", node, part, output, inputs))
}

/// What a range of bytes holds: runs of (whose bytes, from which on, how many).
type Content = Vec<(Symbol, u64, u64)>;

/// The content of a part that one probe made, or somebody gave.
fn all_of(symbol: Symbol, bytes: u64) -> Content {
    vec![(symbol, 0, bytes)]
}

/// Bytes `first` to `end` of `content`.
fn slice(content: &Content, first: u64, end: u64) -> Content {
    let mut cut = Content::new();
    let mut at = 0;
    for &(symbol, from, bytes) in content {
        let (start, stop) = (at.max(first), (at + bytes).min(end));
        if start < stop {
            cut.push((symbol, from + start - at, stop - start));
        }
        at += bytes;
    }
    cut
}

/// Runs that follow each other, joined where the bytes do too.
fn join(runs: impl IntoIterator<Item = (Symbol, u64, u64)>) -> Content {
    let mut joined = Content::new();
    for (symbol, first, bytes) in runs {
        match joined.last_mut() {
            Some(last) if (last.0, last.1 + last.2) == (symbol, first) => last.2 += bytes,
            _ => joined.push((symbol, first, bytes)),
        }
    }
    joined
}

/// The content of buffers, by first byte.
#[derive(Default)]
struct Memory(HashMap<Buffer, BTreeMap<u64, (Symbol, u64, u64)>>);

impl Memory {
    fn read(&self, span: Span) -> Result<Content, String> {
        let mut runs = Content::new();
        let mut at = span.offset;
        let content = self.0.get(&span.buffer).into_iter().flatten();
        for (&start, &run) in content {
            let end = start + run.2;
            if start <= at && at < end && at < span.offset + span.bytes {
                let stop = end.min(span.offset + span.bytes);
                runs.extend(slice(&vec![run], at - start, stop - start));
                at = stop;
            }
        }
        if at < span.offset + span.bytes {
            return Err(format!("{span:?} is read, and nobody wrote byte {at}"));
        }
        Ok(join(runs))
    }

    fn write(&mut self, span: Span, content: Content) {
        let (first, end) = (span.offset, span.offset + span.bytes);
        let old = self.0.entry(span.buffer).or_default();
        let mut new = BTreeMap::new();
        for (start, run) in std::mem::take(old) {
            let stop = start + run.2;
            for (from, to) in [(start, stop.min(first)), (start.max(end), stop)] {
                if from < to {
                    new.insert(from, slice(&vec![run], from - start, to - start)[0]);
                }
            }
        }
        let mut at = first;
        for run in content {
            new.insert(at, run);
            at += run.2;
        }
        *old = new;
    }
}

/// Runs one step of a plan on `memory`.
fn simulate(steps: &[Step], memory: &mut Memory) -> Result<(), String> {
    for step in steps {
        check_bindings(step)?;
        let reads = |access: Access| access != Access::ReadWrite;
        let bound = |wanted: bool| -> Vec<Span> {
            let fit = step.bindings.iter().filter(|b| reads(b.1) == wanted);
            fit.map(|b| b.0).collect()
        };
        let (read, written) = (bound(true), bound(false));
        let param = |i: usize| step.params[i].bits as usize;
        if step.kernel.name == "copy" {
            let content = memory.read(read[0])?;
            memory.write(written[0], content);
            continue;
        }
        if step.kernel.name == "copy_bytes" {
            let [from, to, bytes] = [param(1), param(2), param(3)].map(|n| n as u64);
            let part = |span: Span, first: u64| Span {
                offset: span.offset + first,
                bytes,
                ..span
            };
            let content = memory.read(part(read[0], from))?;
            memory.write(part(written[0], to), content);
            continue;
        }
        let read = read.into_iter().map(|span| memory.read(span));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let (node, part, stage, inputs) = (param(0), param(1), param(2), param(3));
        if stage == 0 {
            let scratch = symbol(("scratch", node, part));
            memory.write(written[0], all_of(scratch, written[0].bytes));
            continue;
        }
        let mut read = read.into_iter();
        let mut contents = vec![None; inputs];
        for (output, &span) in written.iter().enumerate() {
            if let Some(input) = param(4 + output).checked_sub(1) {
                contents[input] = Some(memory.read(span)?);
            }
        }
        for input in contents.iter_mut().filter(|s| s.is_none()) {
            *input = read.next();
        }
        if stage == 2 {
            let scratch = read.next();
            let wanted = symbol(("scratch", node, part));
            if scratch.is_none_or(|content| content[0].0 != wanted || content.len() > 1) {
                return Err(format!("scratch of node {node} was overwritten"));
            }
        }
        let contents: Vec<Content> = contents.into_iter().flatten().collect();
        for (output, &span) in written.iter().enumerate() {
            memory.write(
                span,
                all_of(made(node, part, output, &contents), span.bytes),
            );
        }
    }
    Ok(())
}

/// What WebGPU asks of one dispatch: a buffer that is written is bound in no other way, and written
/// ranges are apart.
fn check_bindings(step: &Step) -> Result<(), String> {
    for (i, (a, access_a)) in step.bindings.iter().enumerate() {
        for (b, access_b) in &step.bindings[i + 1..] {
            let written = [access_a, access_b].map(|&access| access == Access::ReadWrite);
            let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
            if a.buffer == b.buffer && (written[0] != written[1] || (written[0] && !apart)) {
                return Err(format!(
                    "{} binds {a:?} {access_a:?} and {b:?} {access_b:?}",
                    step.op
                ));
            }
        }
    }
    Ok(())
}

/// A random graph of probes with what was fetched.
struct Random {
    graph: Graph,
    fetched: Vec<Value>,
    caps: Caps,
}

struct Dice {
    stream: Stream,
    next: u64,
}

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.next += 1;
        self.stream.word(self.next) as usize % limit.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn random_graph(seed: u64) -> Random {
    let mut dice = Dice {
        stream: Stream::new(seed, 0, 0),
        next: 0,
    };
    // In parts, all values but views have one shape, so that their rows line up.
    let parts = dice.below(3) == 0;
    let caps = Caps {
        max_binding: if parts { 1024 } else { 128 << 20 },
        ..Caps::default()
    };
    let ty = |dice: &mut Dice| match parts {
        true => Type::f32([30, 24]),
        false => Type::f32([dice.pick(&[1, 7, 60, 64, 100]), 4]),
    };
    let mut g = Graph::new();
    let mut values = Vec::new();
    for i in 0..1 + dice.below(3) {
        values.push(g.input(&format!("x{i}"), ty(&mut dice)).unwrap());
    }
    if dice.below(3) == 0 {
        let ty = ty(&mut dice);
        values.push(g.constant(Tensor::zeros(&ty).unwrap()).unwrap());
    }
    let mut states = Vec::new();
    for i in 0..dice.below(4) {
        let (ty, init) = (ty(&mut dice), Init::Constant(0.0));
        let kind = dice.pick(&[StateKind::Parameter, StateKind::Statistic]);
        let state = g.state(&format!("s{i}"), ty, kind, init, None).unwrap();
        states.push(state);
        values.push(state);
    }
    for id in 0..1 + dice.below(12) {
        if dice.below(6) == 0 {
            let x = dice.pick(&values);
            let shape = g.shape(x).unwrap().to_vec();
            let shape = match parts {
                true => dice
                    .pick(&[&[30, 24][..], &[30, 24, 1], &[60, 12], &[720]])
                    .to_vec(),
                false if shape.len() == 2 => [&shape[..], &[1]].concat(),
                false => shape[..2].to_vec(),
            };
            values.push(g.reshape(x, shape).unwrap());
            continue;
        }
        let inputs: Vec<Value> = (0..dice.below(4)).map(|_| dice.pick(&values)).collect();
        let mut outputs: Vec<Type> = (0..1 + dice.below(2)).map(|_| ty(&mut dice)).collect();
        let mut pairs = Vec::new();
        for (input, &x) in inputs.iter().enumerate() {
            // Often a pair of one type, sometimes a pair that must be turned down.
            let output = dice.below(outputs.len());
            if dice.below(2) == 0 {
                pairs.push((input, output));
                if dice.below(4) > 0 {
                    outputs[output] = g.ty(x).unwrap().clone();
                }
            }
        }
        let scratch = dice.below(4) == 0;
        let op = Probe {
            id,
            outputs,
            pairs,
            scratch,
            workgroups: 1,
        };
        values.extend(g.apply(op, &inputs).unwrap());
    }
    for &state in &states {
        let ty = g.ty(state).unwrap().clone();
        let fits: Vec<Value> = values
            .iter()
            .copied()
            .filter(|&v| g.ty(v).unwrap() == &ty)
            .collect();
        if dice.below(3) > 0 {
            let value = dice.pick(&fits);
            g.assign(state, value).unwrap();
        }
    }
    let fetched = (0..1 + dice.below(3)).map(|_| dice.pick(&values)).collect();
    Random {
        graph: g,
        fetched,
        caps,
    }
}

/// What each part of each value should hold in a step, given what the states hold.
fn expected(
    graph: &Graph,
    parts: &impl Fn(Value) -> Vec<u64>,
    states: &HashMap<Value, Vec<Content>>,
) -> HashMap<Value, Vec<Content>> {
    let mut content = HashMap::new();
    for value in graph.values() {
        match graph.source(value).unwrap() {
            Origin::State(_) => content.insert(value, states[&value].clone()),
            Origin::Node { .. } => None,
            _ => {
                let parts = parts(value).into_iter().enumerate();
                let given = parts
                    .map(|(part, bytes)| all_of(symbol(("given", value, part)), bytes))
                    .collect();
                content.insert(value, given)
            }
        };
    }
    for node in graph.nodes() {
        let any: &dyn std::any::Any = node.op.as_ref();
        let Some(probe) = any.downcast_ref::<Probe>() else {
            // A view shows the same bytes, cut as its own parts are.
            let all = content[&node.inputs[0]].concat();
            let mut at = 0;
            let cut = parts(node.outputs[0]).into_iter().map(|bytes| {
                at += bytes;
                join(slice(&all, at - bytes, at))
            });
            content.insert(node.outputs[0], cut.collect());
            continue;
        };
        for (output, &value) in node.outputs.iter().enumerate() {
            let made = parts(value).into_iter().enumerate().map(|(part, bytes)| {
                let inputs: Vec<Content> = node
                    .inputs
                    .iter()
                    .map(|v| content[v].get(part).cloned().unwrap_or_default())
                    .collect();
                all_of(made(probe.id, part, output, &inputs), bytes)
            });
            let made = made.collect();
            content.insert(value, made);
        }
    }
    content
}

fn plan_of(random: &Random) -> Result<(Plan, StateLayout)> {
    let states = StateLayout::new(&[&random.graph], random.caps.max_binding)?;
    let options = PlanOptions::default();
    let plan = Plan::new(
        &random.graph,
        &states,
        &random.fetched,
        &random.caps,
        options,
    )?;
    Ok((plan, states))
}

/// Simulates two steps of `plan` and holds them against the graph.
fn verify(random: &Random, plan: &Plan, states: &StateLayout) -> Result<(), String> {
    let graph = &random.graph;
    let parts = |value: Value| -> Vec<u64> {
        let ty = graph.ty(value).unwrap();
        let parts = parts_of(ty, random.caps.max_binding).unwrap();
        let bytes = |part: &Part| ty.padded_bytes(part.rows * ty.row());
        parts.iter().map(bytes).collect()
    };
    let place = |state: usize| -> Vec<Span> {
        let entry = &states.entries[&graph.states()[state].name];
        let span = |p: &striate::plan::StatePart| Span {
            buffer: Buffer::Chunk(p.chunk),
            offset: p.offset,
            bytes: p.bytes,
        };
        entry.parts.iter().map(span).collect()
    };
    let mut memory = Memory::default();
    let mut held: HashMap<Value, Vec<Content>> = HashMap::new();
    for (index, state) in graph.states().iter().enumerate() {
        let spans = place(index);
        let begin = spans.iter().enumerate();
        let contents: Vec<Content> = begin
            .map(|(part, span)| all_of(symbol(("begin", index, part)), span.bytes))
            .collect();
        for (span, content) in spans.iter().zip(&contents) {
            memory.write(*span, content.clone());
        }
        held.insert(state.value, contents);
    }
    let content = expected(graph, &parts, &held);
    for (value, placed) in &plan.places {
        if matches!(
            graph.source(*value).unwrap(),
            Origin::Input(_) | Origin::Constant(_)
        ) {
            for (placed, content) in placed.iter().zip(&content[value]) {
                memory.write(placed.span, content.clone());
            }
        }
    }
    for step in 0..2 {
        let content = expected(graph, &parts, &held);
        simulate(&plan.steps, &mut memory)?;
        for &(state, value) in graph.assigns() {
            held.insert(state, content[&value].clone());
        }
        for (index, state) in graph.states().iter().enumerate() {
            for (span, content) in place(index).iter().zip(&held[&state.value]) {
                if &memory.read(*span)? != content {
                    return Err(format!("state {} is wrong after step {step}", state.name));
                }
            }
        }
        for (value, placed) in &plan.places {
            // A state reads as it is after the step.
            let want = held.get(value).unwrap_or(&content[value]);
            if placed.len() != want.len() {
                return Err(format!(
                    "{value} has {} parts, not {}",
                    placed.len(),
                    want.len()
                ));
            }
            for (placed, content) in placed.iter().zip(want) {
                if &memory.read(placed.span)? != content {
                    return Err(format!("{value} is wrong after step {step}"));
                }
            }
        }
        if let Some(value) = random.fetched.iter().find(|v| !plan.places.contains_key(v)) {
            return Err(format!("{value} was fetched and has no place"));
        }
    }
    Ok(())
}

const GRAPHS: u64 = 2000;

#[test]
fn random_graphs_run_as_written() {
    let mut in_place = 0;
    let mut slots = 0;
    for seed in 0..GRAPHS {
        let random = random_graph(seed);
        let (plan, states) = plan_of(&random).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        if let Err(message) = verify(&random, &plan, &states) {
            panic!(
                "seed {seed}: {message}\nfetched {:?}\n{}\n{plan}",
                random.fetched, random.graph
            );
        }
        slots += plan.slots.len();
        let shared = plan.steps.iter().flat_map(|s| &s.params);
        in_place += shared.filter(|p| p.name == "shared" && p.bits > 0).count();
    }
    println!("{GRAPHS} graphs, {slots} slots, {in_place} in-place outputs");
    assert!(in_place as u64 > GRAPHS / 10, "the graphs try too little");
}

/// The simulation sees a plan in which two buffers were made one, wherever both are used.
#[test]
fn a_plan_with_slots_thrown_together_is_rejected() {
    let mut rejected = 0;
    for seed in 0..200 {
        let random = random_graph(seed);
        let (mut plan, states) = plan_of(&random).unwrap();
        // Outputs that nobody reads may lie anywhere.
        let bindings = plan.steps.iter().flat_map(|s| &s.bindings);
        let read = bindings.filter(|b| b.1 != Access::ReadWrite).map(|b| b.0);
        let fetched = plan.places.values().flatten().map(|p| p.span);
        let buffers: HashSet<Buffer> = read.chain(fetched).map(|span| span.buffer).collect();
        let slot = |buffer: &&Buffer| matches!(buffer, Buffer::Slot(_));
        if buffers.iter().filter(slot).count() < 2 {
            continue;
        }
        let merge = |span: &mut Span| {
            if let Buffer::Slot(slot) = &mut span.buffer {
                *slot = 0;
            }
        };
        for step in &mut plan.steps {
            step.bindings.iter_mut().for_each(|(span, _)| merge(span));
        }
        for placed in plan.places.values_mut().flatten() {
            merge(&mut placed.span);
        }
        assert!(
            verify(&random, &plan, &states).is_err(),
            "seed {seed}\n{plan}"
        );
        rejected += 1;
    }
    assert!(rejected > 50);
}

#[test]
fn bytes_are_what_is_allocated() {
    for seed in 0..GRAPHS / 4 {
        let random = random_graph(seed);
        let (plan, _) = plan_of(&random).unwrap();
        let bytes = plan.bytes;
        assert_eq!(bytes.slots, plan.slots.iter().sum::<u64>(), "seed {seed}");
        let mut buffers: HashMap<Buffer, u64> = HashMap::new();
        let spans = plan.places.values().flatten().map(|p| p.span);
        for span in spans.chain(plan.steps.iter().flat_map(|s| &s.bindings).map(|b| b.0)) {
            assert_eq!(span.offset % 256, 0, "seed {seed}");
            assert_eq!(span.bytes % 16, 0, "seed {seed}");
            assert!(span.bytes <= random.caps.max_binding, "seed {seed}");
            let size = buffers.entry(span.buffer).or_default();
            *size = (*size).max(span.offset + span.bytes);
        }
        let total = |wanted: fn(&Buffer) -> bool| -> u64 {
            let fit = buffers.iter().filter(|(buffer, _)| wanted(buffer));
            fit.map(|(_, bytes)| bytes.next_multiple_of(256)).sum()
        };
        assert_eq!(
            bytes.inputs,
            total(|b| matches!(b, Buffer::Input(..))),
            "seed {seed}"
        );
        assert_eq!(
            bytes.constants,
            total(|b| matches!(b, Buffer::Constant(..))),
            "seed {seed}"
        );
        for (buffer, size) in &buffers {
            if let Buffer::Slot(slot) = buffer {
                assert!(*size <= plan.slots[*slot], "seed {seed}");
            }
        }
        let blocks = 256 * plan.steps.len().max(1) as u64;
        assert_eq!(bytes.uniforms, blocks, "seed {seed}");
        assert!(bytes.live <= bytes.slots, "seed {seed}");
        let sum = bytes.slots + bytes.inputs + bytes.constants + bytes.uniforms;
        assert_eq!(bytes.total(), sum, "seed {seed}");
    }
}

#[test]
fn a_cap_too_small_says_what_is_missing() {
    for seed in 0..100 {
        let random = random_graph(seed);
        let (plan, states) = plan_of(&random).unwrap();
        let total = plan.bytes.total();
        let capped = |cap| {
            let options = PlanOptions {
                memory_cap: Some(cap),
                ..PlanOptions::default()
            };
            Plan::new(
                &random.graph,
                &states,
                &random.fetched,
                &random.caps,
                options,
            )
        };
        assert_eq!(capped(total).unwrap().steps, plan.steps);
        for missing in [1, total / 2, total] {
            if missing == 0 || missing > total {
                continue;
            }
            let error = capped(total - missing).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit);
            let words = format!("{missing} bytes are missing");
            assert!(error.to_string().contains(&words), "{error}");
        }
    }
}

#[test]
fn plans_are_the_same_every_time() {
    for seed in 0..50 {
        let random = random_graph(seed);
        let (first, second) = (plan_of(&random).unwrap().0, plan_of(&random).unwrap().0);
        assert_eq!(first.steps, second.steps, "seed {seed}");
        assert_eq!(first.slots, second.slots, "seed {seed}");
    }
}

#[test]
fn scratch_beyond_one_binding_is_refused() {
    let mut g = Graph::new();
    let op = Probe {
        id: 0,
        outputs: vec![Type::f32([4])],
        pairs: vec![],
        scratch: true,
        workgroups: 1,
    };
    let y = g.apply(op, &[]).unwrap();
    let caps = Caps {
        max_binding: 128,
        ..Caps::default()
    };
    let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
    let error = Plan::new(&g, &states, &y, &caps, PlanOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let told = "probe: scratch of f32 [40] takes 160 bytes, the device binds 128 at most";
    assert_eq!(error.to_string(), told);
}

/// What gradients of weights keep beside their operands does not grow with the batch, however many
/// dispatches and parts of values their sums take.
#[test]
fn scratch_of_weight_gradients_does_not_grow_with_the_batch() {
    let scratch = |n: usize, form: usize, caps: &Caps| -> f64 {
        let mut g = Graph::new();
        let mut f32 = |shape: &[usize]| g.fill(shape, 1.0).unwrap();
        let kept = |g: &Graph| -> f64 {
            let (io, lowering) = lower(g, g.nodes().last().unwrap(), caps, false).unwrap();
            let bytes: u64 = lowering.scratch.iter().map(Type::bytes).sum();
            bytes as f64 / io.outputs[0].bytes() as f64
        };
        if form == 4 {
            // Of a linear layer.
            let (x, dy) = (f32(&[16 * n, 1024]), f32(&[16 * n, 1000]));
            g.matmul(x, dy, true, false).unwrap();
            return kept(&g);
        }
        let (x, weight) = match form {
            0 => (f32(&[n, 256, 16, 32, 32]), f32(&[256, 256, 3, 3, 3])),
            1 => (f32(&[n, 256, 32, 32]), f32(&[256, 256, 3, 3])),
            2 => (f32(&[n, 64, 112, 112]), f32(&[64, 1, 3, 3])),
            _ => (f32(&[n, 3, 224, 224]), f32(&[64, 3, 7, 7])),
        };
        let conv = Conv2d {
            groups: if form == 2 { 64 } else { 1 },
            ..Conv2d::new().padding(1)
        };
        let y = match form {
            0 => g.conv3d(x, weight, None, Conv3d::new().padding(1)),
            _ => g.conv2d(x, weight, None, conv),
        };
        let y = y.unwrap();
        let dy = g.fill(g.shape(y).unwrap().clone(), 1.0).unwrap();
        gradients_from(&mut g, &[(y, dy)], &[weight]).unwrap();
        kept(&g)
    };
    for (body, windows, max_turns) in [
        (Body::Registers, true, CPU_TURNS),
        (Body::Registers, false, GPU_TURNS),
        (Body::Shared, false, GPU_TURNS),
        (Body::Shared, false, CPU_TURNS),
    ] {
        for (form, max_binding) in (0..5).flat_map(|form| [(form, 128 << 20), (form, 1 << 30)]) {
            let caps = Caps {
                body,
                windows,
                max_turns,
                max_binding,
                max_uniform: 64 << 10,
                ..Caps::default()
            };
            let [few, many] = [16, 128].map(|n| scratch(n, form, &caps));
            // Values in parts take up to three sums more, and few images may fill no device.
            assert!(
                many <= 1.2 * few + 4.0,
                "{form}, {body:?}, {max_turns}, {max_binding}: {few} gradients, then {many}"
            );
        }
    }
}

/// A piece of a window takes the turns of its taps, and of the loop over outputs around them.
#[test]
fn pieces_of_max_pools_state_all_turns() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 2, 300, 300])).unwrap();
    g.max_pool(x, MaxPool2d::new(200)).unwrap();
    for max_turns in [100, 1000, CPU_TURNS] {
        let caps = Caps {
            max_turns,
            ..Caps::default()
        };
        let (_, lowering) = lower(&g, g.nodes().last().unwrap(), &caps, false).unwrap();
        let mut pieces = 0;
        for dispatch in &lowering.dispatches {
            let taps = (dispatch.params.iter()).filter(|p| p.name.starts_with("taps"));
            let taps: Vec<usize> = taps.map(|param| param.bits as usize).collect();
            if let [_, taps @ ..] = &taps[..] {
                let inner = taps.iter().rev();
                let turns = looped(1, inner.fold(0, |inner, &taps| looped(taps, inner)));
                assert!(dispatch.turns >= Some(turns) && turns <= max_turns);
                pieces += 1;
            }
        }
        assert!(pieces > 0, "{max_turns}");
    }
}

#[test]
fn a_batch_of_too_many_matrices_is_refused_in_registers() {
    let mut g = Graph::new();
    let a = g.input("a", Type::f32([5, 1000, 2, 3])).unwrap();
    let b = g.input("b", Type::f32([5, 1000, 3, 2])).unwrap();
    let y = g.matmul(a, b, false, false).unwrap();
    let states = StateLayout::new(&[&g], 1 << 20).unwrap();
    let plan = |body| {
        let caps = Caps {
            body,
            ..Caps::default()
        };
        Plan::new(&g, &states, &[y], &caps, PlanOptions::default())
    };
    assert_eq!(plan(Body::Shared).unwrap().steps.len(), 1);
    let error = plan(Body::Registers).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let told = "a batch of 5000 matrices takes as many dispatches on this device, 4096 at most";
    assert!(error.to_string().contains(told), "{error}");
}

#[test]
fn what_is_not_needed_does_not_run() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([4])).unwrap();
    let y = g.relu(x).unwrap();
    g.scale(y, 2.0).unwrap();
    let states = StateLayout::new(&[&g], 1 << 20).unwrap();
    let plan = Plan::new(&g, &states, &[y], &Caps::default(), PlanOptions::default()).unwrap();
    assert_eq!(plan.steps.len(), 1);
}

/// Of the gradients of a convolution's weight and bias, which one op makes, only those that are
/// read are made.
#[test]
fn gradients_that_nobody_reads_are_not_made() {
    for body in [Body::Registers, Body::Shared] {
        let caps = Caps {
            body,
            ..Caps::default()
        };
        let ops = |wanted: &[usize]| -> HashSet<&'static str> {
            let mut g = Graph::new();
            let x = g.input("x", Type::f32([2, 3, 8, 8])).unwrap();
            let weight = g.input("weight", Type::f32([4, 3, 3, 3])).unwrap();
            let bias = g.input("bias", Type::f32([4])).unwrap();
            let y = g.conv2d(x, weight, Some(bias), Conv2d::default()).unwrap();
            let y = g.square(y).unwrap();
            let loss = g.sum(y, &[0, 1, 2, 3], false).unwrap();
            let wrt: Vec<Value> = wanted.iter().map(|&i| [weight, bias][i]).collect();
            let found = gradients(&mut g, loss, &wrt).unwrap();
            let states = StateLayout::new(&[&g], 1 << 20).unwrap();
            let plan = Plan::new(&g, &states, &found, &caps, PlanOptions::default()).unwrap();
            plan.steps.iter().map(|step| step.op).collect()
        };
        let (weight, bias) = ("conv2d_grad_weight", "sum");
        assert!(ops(&[0, 1]).contains(weight) && !ops(&[0, 1]).contains(bias));
        assert!(ops(&[0]).contains(weight) && !ops(&[0]).contains(bias));
        assert!(!ops(&[1]).contains(weight) && ops(&[1]).contains(bias));
    }
}

/// Windows over values that are smaller than one reach past them, and every buffer as far.
#[test]
fn buffers_reach_as_far_as_windows() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([5, 36])).unwrap();
    let mut y = x;
    for (name, shape) in [("first", [12, 36]), ("second", [7, 12])] {
        let init = Init::Constant(0.0);
        let weight = g.state(name, Type::f32(shape), StateKind::Parameter, init, None);
        y = g.linear(y, weight.unwrap(), None).unwrap();
    }
    let caps = Caps {
        body: Body::Registers,
        windows: true,
        max_uniform: WINDOW,
        ..Caps::default()
    };
    let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
    let plan = Plan::new(&g, &states, &[y], &caps, PlanOptions::default()).unwrap();
    let fixed = plan.fixed();
    let mut windows = HashSet::new();
    for (span, access) in plan.steps.iter().flat_map(|step| &step.bindings) {
        let bytes = match span.buffer {
            Buffer::Slot(slot) => plan.slots[slot],
            Buffer::Chunk(chunk) => caps.padded(states.chunks[chunk].bytes),
            Buffer::Input(..) | Buffer::Constant(..) => fixed[&span.buffer],
            late => panic!("{late:?} in a plan without the host's"),
        };
        assert!(span.offset + span.bytes <= bytes, "{plan}");
        if *access == Access::Uniform {
            assert_eq!(span.bytes, WINDOW);
            windows.insert(span.buffer);
        }
    }
    assert_eq!(windows.len(), 3, "an input, a slot and a chunk: {plan}");
    assert_eq!(plan.bytes.inputs, WINDOW);
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let life = (1u64..2000, 0usize..40, 0usize..12).prop_map(|(bytes, first, length)| Life {
        bytes: bytes * 16,
        first,
        last: first + length,
    });
    prop::collection::vec(life, 0..60)
}

proptest! {
    #[test]
    fn lives_that_overlap_never_share_a_slot(lives in lives()) {
        let (chosen, slots) = place(&lives);
        prop_assert_eq!(chosen.len(), lives.len());
        for (i, a) in lives.iter().enumerate() {
            prop_assert!(a.bytes <= slots[chosen[i]]);
            for (j, b) in lives.iter().enumerate().skip(i + 1) {
                let overlap = a.first <= b.last && b.first <= a.last;
                prop_assert!(!overlap || chosen[i] != chosen[j], "{:?} and {:?}", a, b);
            }
        }
        prop_assert!(slots.iter().sum::<u64>() >= peak(&lives));
        prop_assert!(slots.iter().all(|bytes| bytes % 256 == 0));
        let alone = lives.iter().map(|l| l.bytes.next_multiple_of(256));
        prop_assert!(slots.iter().sum::<u64>() <= alone.sum());
        let alive = |at: usize| lives.iter().filter(move |l| l.first <= at && at <= l.last);
        let most = lives.iter().map(|l| alive(l.first).map(|l| l.bytes).sum()).max();
        prop_assert_eq!(peak(&lives), most.unwrap_or(0u64));
    }

    #[test]
    fn every_workgroup_runs_once(workgroups in 1usize..400, max_workgroups in 1u32..8) {
        let mut g = Graph::new();
        let op = Probe {
            id: 0,
            outputs: vec![Type::f32([4])],
            pairs: vec![],
            scratch: false,
            workgroups,
        };
        let y = g.apply(op, &[]).unwrap()[0];
        let caps = Caps { max_workgroups, ..Caps::default() };
        let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
        let plan = Plan::new(&g, &states, &[y], &caps, PlanOptions::default()).unwrap();
        let mut runs = vec![0; workgroups];
        for step in &plan.steps {
            let [width, height] = step.grid;
            prop_assert!(width <= max_workgroups && height <= max_workgroups);
            prop_assert_eq!(step.count as usize, workgroups);
            // As `workgroup_index` in lib/grid.wgsl.
            for y in 0..height {
                for x in 0..width {
                    let index = (step.base + y * width + x) as usize;
                    if index < workgroups {
                        runs[index] += 1;
                    }
                }
            }
        }
        prop_assert!(runs.iter().all(|&n| n == 1), "{:?}", runs);
    }

    #[test]
    fn states_lie_apart(
        sizes in prop::collection::vec((1usize..400, 0u8..3, any::<bool>()), 1..20),
    ) {
        let mut g = Graph::new();
        let mut parameters = Vec::new();
        for (i, &(rows, kind, twin)) in sizes.iter().enumerate() {
            let kinds = [StateKind::Parameter, StateKind::Statistic, StateKind::Metric];
            let kind = kinds[usize::from(kind)];
            let ty = Type::f32([rows, 3]);
            let name = format!("s{i}");
            let state = g.state(&name, ty.clone(), kind, Init::Constant(0.0), None).unwrap();
            if kind == StateKind::Parameter && twin {
                let name = format!("m{i}");
                let moment = StateKind::Moment(0);
                g.state(&name, ty, moment, Init::Constant(0.0), Some(state)).unwrap();
                parameters.push(i);
            }
        }
        let layout = StateLayout::new(&[&g], 2048).unwrap();
        let mut spans: Vec<(usize, u64, u64)> = Vec::new();
        for entry in layout.entries.values() {
            let rows: usize = entry.parts.iter().map(|p| p.rows.rows).sum();
            prop_assert_eq!(rows, entry.ty.shape.rows());
            for part in &entry.parts {
                prop_assert_eq!(part.offset % 256, 0);
                prop_assert!(part.offset + part.bytes <= layout.chunks[part.chunk].bytes);
                prop_assert!(layout.chunks[part.chunk].bytes <= 2048);
                prop_assert_eq!(layout.chunks[part.chunk].kind, entry.kind);
                spans.push((part.chunk, part.offset, part.offset + part.bytes));
            }
        }
        spans.sort_unstable();
        prop_assert!(spans.windows(2).all(|w| w[0].0 != w[1].0 || w[0].2 <= w[1].1));
        for i in parameters {
            let entry = |name: String| &layout.entries[&name];
            let (own, twin) = (entry(format!("s{i}")), entry(format!("m{i}")));
            for (a, b) in own.parts.iter().zip(&twin.parts) {
                prop_assert_eq!((a.offset, a.bytes, a.rows), (b.offset, b.bytes, b.rows));
                prop_assert_eq!(layout.chunks[b.chunk].like, Some(a.chunk));
            }
        }
    }
}
