//! What a caller may do by mistake: values of other graphs, ops that do not keep their word, absurd
//! numbers. Each is an error of the right kind that names what is wrong, and nothing panics.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use striate::autodiff::{gradients, gradients_from};
use striate::check::Case;
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{EvalSplit, Graph, Init, Node, Op, StateKind, Value};
use striate::kernel::{
    Body, CPU_TURNS, Caps, Dispatch, GRID, Io, Kernel, Lowering, Operand, Overrides, Part,
    TexelFormat, overlaps, parts_of,
};
use striate::nn::{self, Build, Module, Sequential};
use striate::ops::{
    AdamRule, AdaptiveAvgPool, AdaptiveMaxPool, AugmentChoice, AugmentRow, AugmentStage, AvgPool,
    AxisRange, Batches, Blending, Concat, Conv, ConvTranspose, CrossEntropyLoss, Elastic, Ema,
    Expand, GridSample, Interpolate, InterpolateMode, LocalResponseNorm, LossFunction, LpPool,
    MaxPool, MaxUnpool, Paint, Permute, Reduction, Rule, SampleMode, SamplePadding, Slice,
    TexelResize, Texels, TextureInput, TextureOutput, TripletMargin, Unary, UnaryFunction,
    VideoRange, Warmup,
};
use striate::plan::{Buffer, Plan, PlanOptions, StateLayout};
use striate::reference::evaluate;
use striate::rng::{Stream, stream_of};
use striate::session::Session;
use striate::shape::{DType, PaddingMode, Shape, Type, Window};
use striate::store::Store;
use striate::tensor::{Array, Tensor};
use striate::train::schedule;
use striate_cases::devices;

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, message: &str) {
    let error: Error = result.expect_err(message);
    assert_eq!(error.to_string(), message);
    assert_eq!(error.kind(), kind, "{error}");
}

/// `y = x * w` and its sum.
fn product() -> (Graph, [Value; 4]) {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([2])).unwrap();
    let w = g.parameter("w", [2], Init::Constant(3.0)).unwrap();
    let y = g.mul(x, w).unwrap();
    let loss = g.sum(y, &[0], false).unwrap();
    (g, [x, w, y, loss])
}

#[test]
fn values_of_another_graph_are_refused() {
    let (_, [x, w, y, loss]) = product();
    let (mut g, [own_x, own_w, _, own_loss]) = product();
    let told = |op: &str, value: Value| format!("{op}: {value} is a value of another graph");
    let kind = ErrorKind::Graph;
    refused(g.add(x, w), kind, &told("add", x));
    refused(g.add(own_x, w), kind, &told("add", w));
    refused(g.assign(w, own_x), kind, &told("assign", w));
    refused(g.assign(own_w, y), kind, &told("assign", y));
    assert_eq!(g.assigned(w), None);
    assert_eq!(g.producer(y), None);
    refused(g.set_group(w, 1), kind, &told("set_group", w));
    refused(g.set_clock(w), kind, &told("set_clock", w));
    let like = g.state(
        "m",
        Type::f32([2]),
        StateKind::Moment(1),
        Init::Seed,
        Some(w),
    );
    refused(like, kind, &told("state \"m\"", w));
    refused(
        gradients(&mut g, loss, &[own_w]),
        kind,
        &told("gradients", loss),
    );
    refused(
        gradients(&mut g, own_loss, &[w]),
        kind,
        &told("gradients", w),
    );
    let seeds = [(own_loss, loss)];
    refused(
        gradients_from(&mut g, &seeds, &[own_w]),
        kind,
        &told("gradients", loss),
    );
    refused(g.ty(y), kind, &format!("{y} is a value of another graph"));

    let given = HashMap::from([(x, Arc::new(Array::float([2], vec![1.0, 2.0])))]);
    refused(
        evaluate(&g, &given, &[own_x], 1),
        kind,
        &told("evaluate", x),
    );
    refused(
        evaluate(&g, &HashMap::new(), &[y], 1),
        kind,
        &told("evaluate", y),
    );
    let caps = Caps::default();
    let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
    let plan = Plan::new(&g, &states, &[y], &caps, PlanOptions::default());
    refused(plan, kind, &told("plan", y));
    let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
    refused(Session::new(&store, &g, &[y]), kind, &told("session", y));
    let mut session = Session::new(&store, &g, &[own_loss]).unwrap();
    let ones = Tensor::f32([2], vec![1.0; 2]).unwrap();
    refused(session.write(x, &ones), kind, &told("write", x));
    session.write(own_x, &ones).unwrap();
    session.run(1).unwrap();
    refused(session.read(loss), kind, &told("read", loss));
    assert_eq!(session.read(own_loss).unwrap().item().unwrap(), 6.0);
}

/// Values made before a clone belong to both graphs, later ones to the graph that made them.
#[test]
fn clones_share_the_values_from_before() {
    let (mut parent, [x, w, y, _]) = product();
    let mut child = parent.clone();
    assert!(child.values().eq(parent.values()));
    let of_child = child.scale(y, 2.0).unwrap();
    let of_parent = parent.scale(y, 5.0).unwrap();
    assert_eq!(of_child.to_string(), of_parent.to_string());
    assert_ne!(of_child, of_parent);
    let later = format!(
        "scale: {of_parent} is a value of another graph, made after this one was cloned from it"
    );
    refused(child.scale(of_parent, 1.0), ErrorKind::Graph, &later);
    let later = format!("scale: {of_child} is a value of another graph");
    refused(parent.scale(of_child, 1.0), ErrorKind::Graph, &later);

    let mut grandchild = child.clone();
    let last = grandchild.add(of_child, y).unwrap();
    grandchild.assign(w, last).unwrap();
    let found = gradients_from(&mut grandchild, &[(last, y)], &[w]).unwrap();
    assert!(found[0].is_some());
    assert!(child.ty(last).is_err() && parent.ty(last).is_err());
    let all: Vec<Value> = grandchild.values().collect();
    assert!(all.iter().all(|&value| grandchild.ty(value).is_ok()));
    assert_eq!(all[of_child_index(&child)], of_child);

    // A session takes values of the graph it was made from and of its clones' common past.
    let store = Store::new(&Engine::cpu(), &[&child], 0).unwrap();
    let mut session = Session::new(&store, &child, &[y, of_child]).unwrap();
    session
        .write(x, &Tensor::f32([2], vec![1.0, 2.0]).unwrap())
        .unwrap();
    session.run(1).unwrap();
    let read = |value| session.read(value).unwrap().as_f32().unwrap().to_vec();
    assert_eq!(read(of_child), [6.0, 12.0]);
    assert_eq!(read(y), [3.0, 6.0]);
    let added = child.scale(y, 7.0).unwrap();
    let error = session.read(added).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "read: {added} is a value of another graph, made after this one was cloned from it"
        )
    );
    let caps = Caps::default();
    let states = StateLayout::new(&[&child], caps.max_binding).unwrap();
    let plan = Plan::new(&child, &states, &[y], &caps, PlanOptions::default()).unwrap();
    assert!(plan.places.contains_key(&x) && plan.places.contains_key(&y));
    assert!(plan.fixed().contains_key(&Buffer::Input(x, 0)));
}

fn of_child_index(child: &Graph) -> usize {
    child.value_count() - 1
}

#[test]
fn messages_name_values() {
    let (mut g, [x, w, y, loss]) = product();
    let v = g.parameter("layer.v", [2], Init::Constant(1.0)).unwrap();
    refused(
        gradients(&mut g, loss, &[w, v]),
        ErrorKind::NotDifferentiable,
        &format!(
            "gradients: parameter \"layer.v\" has no differentiable path to the loss {loss} (of \
             sum)"
        ),
    );
    refused(
        gradients(&mut g, y, &[w]),
        ErrorKind::NotDifferentiable,
        &format!("gradients: the loss must be one f32 element, {y} (of mul) is f32 [2]"),
    );
    let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
    let mut session = Session::new(&store, &g, &[loss]).unwrap();
    session
        .write(x, &Tensor::f32([2], vec![1.0; 2]).unwrap())
        .unwrap();
    session.run(1).unwrap();
    refused(
        session.read(y),
        ErrorKind::Graph,
        &format!("read: {y} (of mul) was not fetched, or nothing ran yet"),
    );
    let tensor = Tensor::f32([2], vec![1.0; 2]).unwrap();
    refused(
        session.write(v, &tensor),
        ErrorKind::Graph,
        "write: parameter \"layer.v\" is not an input",
    );
    refused(
        g.assign(x, y),
        ErrorKind::Graph,
        "assign: input \"x\" is not a state",
    );
    let pool = striate::ops::MaxPool2d::new(2);
    let images = g.input("images", Type::f32([1, 1, 4, 4])).unwrap();
    let (_, indices) = g.max_pool_with_indices(images, pool).unwrap();
    assert_eq!(
        g.describe(indices),
        format!("{indices} (output 1 of max_pool2d)")
    );
}

/// Where an op from elsewhere does not keep its word.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    NoOutputs,
    HugeOutput,
    EvalNothing,
    EvalTwice,
    EvalShort,
    EvalIntegers,
    SplitAbsent,
    SplitUneven,
    SplitScalars,
    ViewOfMore,
    ViewOfNothing,
    InPlaceAbsent,
    VjpNothing,
    VjpShape,
    VjpForeign,
    LowerNothing,
    LowerInput,
    LowerOutput,
    LowerScratch,
    LowerPart,
    LowerThrough,
    LowerWindow,
    LowerVariants,
    LowerOverrides,
    LowerWorkgroups,
    LowerParams,
    LowerScratchSize,
    LowerTwice,
    LowerBindings,
    LowerTurns,
}

/// y = 2 x, but for one lie.
#[derive(Debug)]
struct Liar(Lie);

const NO_OVERRIDES: &[Overrides] = &[&[]];

const DOUBLE: &str = "
struct Params { grid: Grid, count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * 64u + local;
    if (i < params.count) {
        y[i] = 2.0 * x[i];
    }
}
";

impl Op for Liar {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        Ok(match self.0 {
            Lie::NoOutputs => vec![],
            Lie::HugeOutput => vec![Type::f32([usize::MAX, 2, usize::MAX])],
            Lie::ViewOfMore => vec![Type::f32([inputs[0].count() + 1])],
            Lie::SplitScalars => vec![Type::f32([])],
            _ => vec![inputs[0].clone()],
        })
    }

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let shape = inputs[0].shape().clone();
        let y: Vec<f64> = inputs[0].floats().iter().map(|x| 2.0 * x).collect();
        let right = Array::float(shape.clone(), y.clone());
        match self.0 {
            Lie::EvalNothing => vec![],
            Lie::EvalTwice => vec![right.clone(), right],
            Lie::EvalShort => vec![Array::float(shape, y[1..].to_vec())],
            Lie::EvalIntegers => vec![Array::u32(shape, vec![0; y.len()])],
            Lie::SplitScalars => vec![Array::float([], vec![1.0])],
            _ => vec![right],
        }
    }

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.scale(dy[0], 2.0)?;
        Ok(match self.0 {
            Lie::VjpNothing => vec![],
            Lie::VjpShape => vec![Some(g.sum(dx, &[0], false)?)],
            Lie::VjpForeign => vec![Some(Graph::new().fill([64], 1.0)?)],
            _ => vec![Some(dx)],
        })
    }

    fn in_place(&self) -> &[(usize, usize)] {
        match self.0 {
            Lie::InPlaceAbsent => &[(7, 0), (0, 7), (usize::MAX, usize::MAX)],
            _ => &[],
        }
    }

    fn view(&self) -> bool {
        matches!(self.0, Lie::ViewOfMore | Lie::ViewOfNothing)
    }

    fn split(&self) -> EvalSplit {
        match self.0 {
            Lie::SplitAbsent => EvalSplit::Rows(&[0, 3]),
            Lie::SplitUneven => EvalSplit::Sum(&[0, 1]),
            Lie::SplitScalars => EvalSplit::Rows(&[0]),
            _ => EvalSplit::Whole,
        }
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let count = io.outputs[0].count();
        let variants: &[Overrides] = match self.0 {
            Lie::LowerVariants => &[],
            _ => NO_OVERRIDES,
        };
        let kernel = Kernel::module("double", format!("{DOUBLE}{GRID}"), variants);
        let overrides: Overrides = match self.0 {
            Lie::LowerOverrides => &[("tile", 4)],
            _ => &[],
        };
        let mut dispatch = Dispatch::of(Cow::Owned(kernel), overrides);
        let x = Operand::Input(0);
        dispatch = match self.0 {
            Lie::LowerNothing => return Ok(()),
            Lie::LowerInput => dispatch.read(Operand::Input(usize::MAX)),
            Lie::LowerScratch => dispatch.read(Operand::Scratch(3)),
            Lie::LowerPart => dispatch.read(x).part(usize::MAX),
            Lie::LowerThrough => dispatch.read(x).through(Operand::Output(0)),
            Lie::LowerWindow => dispatch.read(x).window(u64::MAX - 255),
            Lie::LowerScratchSize => dispatch.read(out.scratch(Type::f32([usize::MAX; 3]))),
            Lie::LowerBindings => dispatch,
            _ => dispatch.read(x),
        };
        dispatch = match self.0 {
            Lie::LowerOutput => dispatch.write(Operand::Output(1)),
            Lie::LowerTwice => dispatch.write(x),
            _ => dispatch.write(Operand::Output(0)),
        };
        dispatch = dispatch.param("count", count).workgroups(match self.0 {
            Lie::LowerWorkgroups => usize::MAX,
            _ => count.div_ceil(64),
        });
        if self.0 == Lie::LowerParams {
            for _ in 0..100 {
                dispatch = dispatch.param("more", usize::MAX);
            }
        }
        if self.0 == Lie::LowerTurns {
            dispatch = dispatch.turns(caps.max_turns + 1);
        }
        out.push(dispatch);
        Ok(())
    }
}

/// Gradient and one step on an engine, on x `[64]` of ones and, for ops of several rows, a scalar.
fn run_liar(engine: &Engine, lie: Lie) -> Result<Vec<f32>> {
    let mut g = Graph::new();
    let x = g.parameter("x", [64], Init::Constant(1.0))?;
    let scalar = g.parameter("scalar", [1], Init::Constant(1.0))?;
    let inputs = match lie {
        Lie::ViewOfNothing => vec![],
        _ => vec![x, scalar],
    };
    let inputs: Vec<Value> = match lie {
        Lie::SplitUneven | Lie::SplitAbsent => inputs,
        _ => inputs.into_iter().take(1).collect(),
    };
    let y = match lie {
        Lie::ViewOfNothing => g.apply1(Nothing, &inputs)?,
        _ => g.apply1(Liar(lie), &inputs)?,
    };
    let mut fetched = vec![y];
    if g.ty(y)?.shape.len() == 1 && !matches!(lie, Lie::SplitUneven | Lie::SplitAbsent) {
        let loss = g.sum(y, &[0], false)?;
        fetched.extend(gradients(&mut g, loss, &[x])?);
    }
    let store = Store::new(engine, &[&g], 0)?;
    let mut session = Session::new(&store, &g, &fetched)?;
    session.run(2)?;
    Ok(session.read(y)?.as_f32()?.to_vec())
}

/// A view without an input.
#[derive(Debug)]
struct Nothing;

impl Op for Nothing {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn infer(&self, _: &[&Type]) -> Result<Vec<Type>> {
        Ok(vec![Type::f32([64])])
    }

    fn eval(&self, _: &[&Array]) -> Vec<Array> {
        vec![]
    }

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![])
    }

    fn view(&self) -> bool {
        true
    }

    fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
        Ok(())
    }
}

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus = devices::gpus(&GpuOptions::default());
    let gpus = gpus.into_iter().map(Engine::from);
    std::iter::once(Engine::cpu()).chain(gpus).collect()
}

#[test]
fn ops_that_break_their_word_are_errors() {
    use ErrorKind::{Graph as Wrong, Limit, Shader, Shape};
    // What each is on any engine, on the CPU alone, on a GPU alone.
    let [any, cpu, gpu] = [[true, true], [true, false], [false, true]];
    let lies = [
        (Lie::NoOutputs, any, Wrong, "liar: no outputs"),
        (Lie::HugeOutput, any, Shape, "liar: f32 ["),
        (
            Lie::EvalNothing,
            cpu,
            Wrong,
            "liar: eval made 0 outputs, 1 are needed",
        ),
        (
            Lie::EvalTwice,
            cpu,
            Wrong,
            "liar: eval made 2 outputs, 1 are needed",
        ),
        (
            Lie::EvalShort,
            cpu,
            Wrong,
            "liar: output 0 is f32 [64], eval made f32 [63]",
        ),
        (
            Lie::EvalIntegers,
            cpu,
            Wrong,
            "liar: output 0 is f32 [64], eval made u32 [64]",
        ),
        (
            Lie::SplitAbsent,
            cpu,
            Wrong,
            "liar: split cuts input 3 of 2",
        ),
        (
            Lie::SplitUneven,
            cpu,
            Wrong,
            "liar: split cuts input 1 of 2",
        ),
        (
            Lie::SplitScalars,
            cpu,
            Shape,
            "liar: eval of a run of rows: concat: arrays of f32 []",
        ),
        (Lie::ViewOfMore, any, Wrong, "liar: a view makes one output"),
        (
            Lie::ViewOfNothing,
            any,
            Wrong,
            "liar: a view makes one output",
        ),
        (
            Lie::VjpNothing,
            any,
            Wrong,
            "gradient of liar: 0 gradients for 1 inputs",
        ),
        (
            Lie::VjpShape,
            any,
            Wrong,
            "gradient of liar: input 0 is f32 [64], its gradient f32 []",
        ),
        (
            Lie::VjpForeign,
            any,
            Wrong,
            "gradient of liar: %0 is a value of another graph",
        ),
        (
            Lie::LowerNothing,
            gpu,
            Wrong,
            "liar: lower emits no dispatch",
        ),
        (Lie::LowerInput, gpu, Wrong, "liar: lower binds Input("),
        (Lie::LowerOutput, gpu, Wrong, "liar: lower binds Output(1)"),
        (
            Lie::LowerScratch,
            gpu,
            Wrong,
            "liar: lower binds Scratch(3)",
        ),
        (Lie::LowerPart, gpu, Wrong, "liar: Input(0): %0 has 1 parts"),
        (
            Lie::LowerThrough,
            gpu,
            Wrong,
            "liar: a binding runs through",
        ),
        (Lie::LowerWindow, gpu, Wrong, "liar: a window at byte"),
        (
            Lie::LowerVariants,
            gpu,
            Wrong,
            "liar: kernel double does not list",
        ),
        (
            Lie::LowerOverrides,
            gpu,
            Wrong,
            "liar: kernel double does not list",
        ),
        (Lie::LowerWorkgroups, gpu, Limit, "liar: "),
        (
            Lie::LowerParams,
            gpu,
            Limit,
            "liar: kernel double has 101 params",
        ),
        (Lie::LowerScratchSize, gpu, Shape, "liar: f32 ["),
        (Lie::LowerTwice, gpu, Wrong, "liar: kernel double binds"),
        (Lie::LowerBindings, gpu, Shader, ""),
        (
            Lie::LowerTurns,
            gpu,
            Limit,
            "liar: an invocation of kernel double takes",
        ),
    ];
    for engine in engines() {
        for honest in [Lie::None, Lie::InPlaceAbsent] {
            assert_eq!(run_liar(&engine, honest).unwrap(), [2.0; 64], "{engine:?}");
        }
        let own = usize::from(matches!(engine, Engine::Gpu(_)));
        for (lie, told, kind, message) in lies {
            match run_liar(&engine, lie) {
                Ok(y) if told[own] => panic!("{lie:?} on {engine:?} gave {y:?}"),
                Ok(y) if lie == Lie::SplitScalars => assert_eq!(y.len(), 1),
                Ok(y) => assert_eq!(y, [2.0; 64], "{lie:?} on {engine:?}"),
                Err(error) => {
                    assert!(told[own], "{lie:?} on {engine:?}: {error}");
                    assert_eq!(error.kind(), kind, "{lie:?} on {engine:?}: {error}");
                    assert!(error.to_string().starts_with(message), "{lie:?}: {error}");
                }
            }
        }
    }
}

/// An op that runs a kernel of the crate as it likes: relu of far more elements than there are.
#[derive(Debug)]
struct Borrower;

impl Op for Borrower {
    fn name(&self) -> &'static str {
        "borrower"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        Ok(vec![inputs[0].clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![inputs[0].clone()]
    }

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    /// What [`Unary`] itself would emit for more elements.
    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let mut more = io.clone();
        let rows = 1 << 20;
        for ty in more.inputs.iter_mut().chain(&mut more.outputs) {
            *ty = Type::f32([rows]);
        }
        for parts in more.input_parts.iter_mut().chain(&mut more.output_parts) {
            *parts = vec![Part { start: 0, rows }];
        }
        Unary(UnaryFunction::Relu).lower(&more, caps, out)?;
        // A copy of a public kernel is no other one.
        for dispatch in &mut out.dispatches {
            let kernels = striate::ops::kernels();
            let found = kernels.into_iter().find(|k| k == dispatch.kernel.as_ref());
            dispatch.kernel = Cow::Owned(found.unwrap());
        }
        Ok(())
    }
}

/// Only this crate's own ops run kernels without checks, whoever holds a kernel's text.
#[test]
fn kernels_in_other_hands_are_checked() {
    for engine in engines() {
        let Engine::Gpu(gpu) = &engine else { continue };
        let session = |borrowed: bool| {
            let mut g = Graph::new();
            let x = g.parameter("x", [64], Init::Constant(-1.0)).unwrap();
            let y = match borrowed {
                true => g.apply1(Borrower, &[x]).unwrap(),
                false => g.relu(x).unwrap(),
            };
            let store = Store::new(&engine, &[&g], 0).unwrap();
            let mut session = Session::new(&store, &g, &[y]).unwrap();
            session.run(1).unwrap();
            assert_eq!(session.read(y).unwrap().as_f32().unwrap(), [0.0; 64]);
            assert_eq!(store.get("x").unwrap().as_f32().unwrap(), [-1.0; 64]);
            let steps = session.plan().unwrap().steps.clone();
            assert!(steps.iter().all(|step| step.trusted != borrowed));
            (steps, gpu.pipeline_count())
        };
        let (own, before) = session(false);
        let (borrowed, after) = session(true);
        assert_eq!(own[0].kernel, borrowed[0].kernel);
        assert_eq!(own[0].constants, borrowed[0].constants);
        assert_eq!(after, before + 1, "another pipeline on {gpu:?}");
    }
}

/// Every op that a case adds, or a rewrite of the plan, is known as the crate's own.
#[test]
fn own_ops_are_trusted() {
    let caps = Caps::default();
    let mut others = BTreeSet::new();
    for case in striate_cases::cases() {
        let Ok(built) = striate::check::build(&case) else {
            continue;
        };
        let states = StateLayout::new(&[&built.graph], caps.max_binding).unwrap();
        for fuse in [false, true] {
            let options = PlanOptions {
                fuse,
                ..PlanOptions::default()
            };
            let plan = Plan::new(&built.graph, &states, &built.results(), &caps, options);
            let steps = plan.map(|plan| plan.steps).unwrap_or_default();
            others.extend(
                steps
                    .iter()
                    .filter(|step| !step.trusted)
                    .map(|step| step.op),
            );
        }
    }
    assert!(others.is_empty(), "not in `ops::is_own`: {others:?}");
}

/// Numbers that overflow something, or are nothing.
const WILD: [usize; 16] = [
    0,
    1,
    2,
    3,
    5,
    64,
    65_535,
    65_536,
    1 << 20,
    1 << 28,
    (1 << 31) - 1,
    1 << 31,
    1 << 40,
    usize::MAX / 2,
    usize::MAX - 1,
    usize::MAX,
];

/// Random picks that are the same in every run.
struct Picks(Stream, u64);

impl Picks {
    fn new(name: &str) -> Self {
        Self(Stream::new(13, stream_of(name), 0), 0)
    }

    fn below(&mut self, count: usize) -> usize {
        self.1 += 1;
        self.0.word(self.1) as usize % count.max(1)
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// The inputs of a case, of which one or all have become something else.
fn mangled(case: &Case, picks: &mut Picks) -> Vec<Type> {
    let mut types: Vec<Type> = case.inputs.iter().map(|input| input.ty.clone()).collect();
    if types.is_empty() {
        return types;
    }
    let at = picks.below(types.len());
    let mut shape = types[at].shape.to_vec();
    let axis = picks.below(shape.len());
    match picks.below(8) {
        0 => types[at].dtype = picks.of(&[DType::F16, DType::U32, DType::U8]),
        1 => drop(shape.pop()),
        2 => shape.insert(axis, picks.of(&WILD)),
        3 if !shape.is_empty() => shape[axis] = picks.of(&WILD),
        4 => shape = vec![picks.of(&WILD); picks.below(7)],
        // Inputs that agree go on to agree.
        _ if !shape.is_empty() => {
            let (old, new) = (shape[axis], picks.of(&WILD));
            for ty in &mut types {
                let renewed = ty.shape.iter().map(|&e| if e == old { new } else { e });
                ty.shape = renewed.collect::<Vec<_>>().into();
            }
            return types;
        }
        _ => {}
    }
    types[at].shape = shape.into();
    types
}

/// Builds a case on inputs of these types, its gradients too, and plans it.
fn build_and_plan(case: &Case, types: &[Type], caps: &Caps) -> Result<()> {
    let mut g = Graph::new();
    let inputs = types.iter().enumerate();
    let inputs = inputs.map(|(i, ty)| g.input(&format!("x{i}"), ty.clone()));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let mut wanted = (case.build)(&mut g, &inputs)?;
    let mut seeds = Vec::new();
    for (i, &output) in wanted.iter().enumerate() {
        let ty = g.ty(output)?.clone();
        if ty.dtype == DType::F32 {
            seeds.push((output, g.input(&format!("dy{i}"), ty)?));
        }
    }
    let wrt: Vec<Value> = case.wrt.iter().map(|&i| inputs[i]).collect();
    if !wrt.is_empty() {
        wanted.extend(gradients_from(&mut g, &seeds, &wrt)?.into_iter().flatten());
    }
    let states = StateLayout::new(&[&g], caps.max_binding)?;
    Plan::new(&g, &states, &wanted, caps, PlanOptions::default())?;
    Ok(())
}

/// Every case, and so every builder, on inputs of other types and extents: whatever is not refused
/// by its rule has a gradient and a plan, or an error.
#[test]
fn builders_survive_wild_inputs() {
    let mut panicked = BTreeSet::new();
    let (mut accepted, mut refused) = (0, 0);
    let windows = Caps {
        body: Body::Registers,
        windows: true,
        max_uniform: 1 << 16,
        max_turns: CPU_TURNS,
        ..Caps::default()
    };
    for case in striate_cases::cases() {
        let mut picks = Picks::new(&case.name);
        for caps in [&Caps::default(), &windows] {
            let types = mangled(&case, &mut picks);
            let begun = std::time::Instant::now();
            let tried = catch_unwind(AssertUnwindSafe(|| build_and_plan(&case, &types, caps)));
            if begun.elapsed().as_secs() > 2 {
                println!("{} {types:?}: {:?}", case.name, begun.elapsed());
            }
            match tried {
                Ok(Ok(())) => accepted += 1,
                Ok(Err(_)) => refused += 1,
                Err(_) => drop(panicked.insert(format!("{} on {types:?}", case.name))),
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(
        accepted > 100 && refused > 1000,
        "{accepted} accepted, {refused} refused"
    );
    let panicked: Vec<_> = panicked.into_iter().collect();
    assert!(panicked.is_empty(), "{}", panicked.join("\n"));
}

/// Settings of layers and ops that overflow something, or are nothing.
struct Settings(Picks);

impl Settings {
    fn stage(&mut self) -> AugmentStage {
        let row = AugmentRow {
            sharpness: f64::from(self.real()),
            matrix: [0; 6].map(|_| f64::from(self.real())),
            bilinear: self.flag(),
            fill: self.whole() as u8,
            contrast: f64::from(self.real()),
            saturation: f64::from(self.real()),
            brightness: f64::from(self.real()),
            posterize: self.whole() as u32,
            solarize: self.whole() as u32,
            noise: f64::from(self.real()),
            erase: [0; 4].map(|_| self.signed() as i32),
            share: f64::from(self.real()),
            ..AugmentRow::default()
        };
        let choice = AugmentChoice {
            row,
            shift: [0; 2].map(|_| self.whole() as u32),
            erase_shift: [0; 2].map(|_| self.whole() as u32),
        };
        AugmentStage {
            choices: if self.flag() {
                vec![choice]
            } else {
                Vec::new()
            },
            alternate: self.flag(),
        }
    }

    fn elastic(&mut self) -> Option<Elastic> {
        let most = f64::from(self.real());
        let knots = self.whole();
        self.flag().then_some(Elastic { knots, most })
    }

    fn whole(&mut self) -> usize {
        self.0.of(&WILD)
    }

    fn wholes<const N: usize>(&mut self) -> [usize; N] {
        std::array::from_fn(|_| match self.0.below(2) {
            0 => 1,
            _ => self.whole(),
        })
    }

    fn several(&mut self) -> Vec<usize> {
        let count = self.0.below(5);
        (0..count).map(|_| self.whole()).collect()
    }

    fn signed(&mut self) -> isize {
        let ends = [isize::MIN, -(1 << 40), -3, -1, 0, 1, 2, 1 << 31, isize::MAX];
        self.0.of(&ends)
    }

    fn real(&mut self) -> f32 {
        let reals = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            f32::NAN,
            f32::INFINITY,
            f32::MIN,
            1e-45,
            3e38,
        ];
        self.0.of(&reals)
    }

    fn flag(&mut self) -> bool {
        self.0.below(2) == 0
    }

    fn mode(&mut self) -> PaddingMode {
        use PaddingMode::{Circular, Reflect, Replicate, Zeros};
        self.0.of(&[Zeros, Reflect, Replicate, Circular])
    }

    fn reduction(&mut self) -> Reduction {
        self.0
            .of(&[Reduction::None, Reduction::Mean, Reduction::Sum])
    }

    fn interpolation(&mut self) -> InterpolateMode {
        let align_corners = self.flag();
        self.0.of(&[
            InterpolateMode::Nearest,
            InterpolateMode::NearestExact,
            InterpolateMode::Linear { align_corners },
            InterpolateMode::Cubic { align_corners },
            InterpolateMode::Area,
        ])
    }

    fn conv<const D: usize>(&mut self) -> Conv<D> {
        Conv {
            stride: self.wholes(),
            padding: std::array::from_fn(|_| self.wholes()),
            dilation: self.wholes(),
            groups: self.wholes::<1>()[0],
            padding_mode: self.mode(),
        }
    }

    fn transposed<const D: usize>(&mut self) -> ConvTranspose<D> {
        ConvTranspose {
            stride: self.wholes(),
            padding: std::array::from_fn(|_| self.wholes()),
            output_padding: self.wholes(),
            dilation: self.wholes(),
            groups: self.wholes::<1>()[0],
        }
    }
}

/// One call of the builder number `which` with wild settings, on a small operand of the right kind;
/// `None` past the last.
fn call(which: usize, g: &mut Graph, s: &mut Settings) -> Option<Result<Value>> {
    let mut input = |name: &str, ty: Type| g.input(name, ty).unwrap();
    let x1 = input("x1", Type::f32([2, 4, 9]));
    let x2 = input("x2", Type::f32([2, 4, 6, 5]));
    let x3 = input("x3", Type::f32([2, 4, 3, 3, 3]));
    let [w1, w2, w3] = [1, 2, 3].map(|axes| {
        let shape = [vec![4, 4], vec![3; axes]].concat();
        input(&format!("w{axes}"), Type::f32(shape))
    });
    let matrix = input("matrix", Type::f32([3, 5]));
    let labels = input("labels", Type::u32([3]));
    let plane = input("plane", Type::u32([2, 4, 6, 5]));
    let bytes = input("bytes", Type::u8([7, 5]));
    let one = input("one", Type::u32([1]));
    let c = input("c", Type::f32([4]));
    let one_float = input("one_float", Type::f32([]));
    let clock = g.clock().unwrap();
    let (axis, keep) = (s.whole(), s.flag());
    let axes = s.several();
    let label = CrossEntropyLoss {
        ignore_index: Some(s.whole() as u32),
        label_smoothing: s.real(),
        reduction: s.reduction(),
        ..CrossEntropyLoss::default()
    };
    let first = |pair: Result<(Value, Value)>| pair.map(|(first, _)| first);
    let any = |all: Result<Vec<Value>>| all.map(|all| all.first().copied().unwrap_or(x2));
    Some(match which {
        0 => g.conv1d(x1, w1, None, s.conv()),
        1 => g.conv2d(x2, w2, None, s.conv()),
        2 => g.conv3d(x3, w3, None, s.conv()),
        3 => g.conv_transpose1d(x1, w1, None, s.transposed()),
        4 => g.conv_transpose2d(x2, w2, None, s.transposed()),
        5 => g.conv_transpose3d(x3, w3, None, s.transposed()),
        6 => g.conv(x2, w2, None, s.conv::<2>().same(s.wholes())),
        7 => g.conv_transpose(x2, w2, None, s.transposed::<2>()),
        8 => {
            let pool = MaxPool {
                kernel: s.wholes(),
                stride: s.wholes(),
                padding: s.wholes(),
                dilation: s.wholes(),
                ceil_mode: s.flag(),
            };
            g.max_pool::<2>(x2, pool)
        }
        9 => first(g.max_pool_with_indices(x1, MaxPool::new(s.wholes::<1>()))),
        10 => {
            let pool = AvgPool {
                kernel: s.wholes(),
                stride: s.wholes(),
                padding: s.wholes(),
                ceil_mode: s.flag(),
                count_include_pad: s.flag(),
                divisor_override: Some(s.whole()),
            };
            g.avg_pool::<2>(x2, pool)
        }
        11 => {
            let pool = LpPool {
                norm_type: s.real(),
                kernel: s.wholes(),
                stride: s.wholes(),
                ceil_mode: s.flag(),
            };
            g.lp_pool::<3>(x3, pool)
        }
        12 => {
            let unpool = MaxUnpool {
                kernel: s.wholes(),
                stride: s.wholes(),
                padding: s.wholes(),
                output_size: s.flag().then(|| s.wholes()),
            };
            g.max_unpool::<2>(x2, plane, unpool)
        }
        13 => g.adaptive_avg_pool(
            x2,
            AdaptiveAvgPool {
                output: s.wholes::<2>(),
            },
        ),
        14 => g.adaptive_max_pool(
            x2,
            AdaptiveMaxPool {
                output: s.wholes::<2>(),
            },
        ),
        15 => {
            let pool = AdaptiveMaxPool {
                output: s.wholes::<1>(),
            };
            first(g.adaptive_max_pool_with_indices(x1, pool))
        }
        16 => {
            let padding: Vec<isize> = axes.iter().map(|_| s.signed()).collect();
            g.pad(x2, &padding, s.mode())
        }
        17 => g.pad_constant(x2, &[s.signed(), s.signed()], s.real()),
        18 => g.interpolate(x2, &s.wholes::<2>(), s.interpolation()),
        19 => {
            let factors = [f64::from(s.real()), f64::from(s.real())];
            g.interpolate_by(x2, &factors, s.interpolation())
        }
        20 => g.pixel_shuffle(x2, axis),
        21 => g.pixel_unshuffle(x2, axis),
        22 => g.concat(&[x2, x2], axis),
        23 => any(g.split(x2, &axes, s.whole())),
        24 => any(g.chunk(x2, s.whole(), s.0.below(4))),
        25 => {
            let range = AxisRange {
                axis: s.0.below(5).into(),
                start: s.whole(),
                end: s.whole(),
                step: s.whole(),
            };
            g.slice(x2, &[range])
        }
        26 => g.narrow(x2, s.0.below(5), s.whole(), s.whole()),
        27 => g.flip(x2, &axes),
        28 => g.permute(x2, &axes),
        29 => g.reshape(x2, axes),
        30 => g.expand(x2, axes),
        31 => g.flatten(x2, axis),
        32 => g.fill(axes, s.real()),
        33 => g.sum(x2, &axes, keep),
        34 => g.mean(x2, &axes, keep),
        35 => g.var(x2, &axes, s.whole(), keep),
        36 => g.std(x2, &axes, s.whole(), keep),
        37 => g.norm(x2, &axes, keep),
        38 => g.amax(x2, &axes, keep),
        39 => g.amin(x2, &axes, keep),
        40 => first(g.max(x2, axis, keep)),
        41 => first(g.min(x2, axis, keep)),
        42 => g.argmax(x2, axis, keep),
        43 => g.argmin(x2, axis, keep),
        44 => g.softmax(x2, axis),
        45 => g.log_softmax(x2, axis),
        46 => g.group_norm(x2, axis, Some(c), Some(c), s.real()),
        47 => g.layer_norm(x2, axis, None, None, s.real()),
        48 => g.rms_norm(x2, axis, None, s.real()),
        49 => g.instance_norm(x2, Some(c), None, s.real()),
        50 => g.batch_norm(x2, [c, c], Some(c), Some(c), s.real()),
        51 => first(g.batch_norm_train(x2, None, Some(c), s.real())),
        52 => {
            let statistics = g.batch_norm_train(x2, None, None, s.real());
            statistics.and_then(|(_, statistics)| {
                let renewed = g.running_statistics([c, c], statistics, x2, s.real())?;
                Ok(renewed[0])
            })
        }
        53 => {
            let norm = LocalResponseNorm {
                size: s.whole(),
                alpha: s.real(),
                beta: s.real(),
                k: s.real(),
            };
            g.local_response_norm(x2, norm)
        }
        54 => g.cross_entropy_with(matrix, labels, label),
        55 => g.nll_loss_with(matrix, labels, label),
        56 => g.smooth_l1_loss(x2, x2, s.real(), s.reduction()),
        57 => g.huber_loss(x2, x2, s.real(), s.reduction()),
        58 => g.dropout(x2, s.real(), clock),
        59 => g.dropout2d(x2, s.real(), clock),
        60 => first(g.shuffled_batch(clock, s.whole(), s.whole(), keep)),
        61 => g.gather_rows(bytes, labels, one, s.real(), s.real()),
        62 => first(g.clip_grad_norm(&[x2, c], f64::from(s.real()), None)),
        63 => {
            let ema = Ema {
                decay: f64::from(s.real()),
                start: s.whole() as u32,
                warmup: Some(Warmup {
                    gamma: f64::from(s.real()),
                    power: f64::from(s.real()),
                }),
            };
            any(g.blend(Blending::Ema(ema), &[c], &[c], clock))
        }
        64 => g.clamp(x2, s.real(), s.real()),
        65 => g.leaky_relu(x2, s.real()),
        66 => g.scale(x2, s.real()),
        67 => g.pow(x2, s.real()),
        68 => g.cast(x2, s.0.of(&[DType::F32, DType::F16, DType::U32, DType::U8])),
        69 => {
            let function = s.0.below(4);
            let (a, b) = (s.real(), s.real());
            let function = [
                UnaryFunction::Elu { alpha: a },
                UnaryFunction::Celu { alpha: a },
                UnaryFunction::Softplus {
                    beta: a,
                    threshold: b,
                },
                UnaryFunction::Hardtanh { min: a, max: b },
            ][function];
            g.unary(x2, function)
        }
        70 => {
            let function = LossFunction::SmoothL1 { beta: s.real() };
            g.pointwise_loss(x2, x2, function, s.reduction())
        }
        71 => {
            let rule = Rule::Adam(AdamRule {
                weight_decay: f64::from(s.real()),
                ..AdamRule::default()
            });
            let lr = g.fill([], s.real()).unwrap();
            let updated = g.update(rule, &[c], &[c], &[vec![c], vec![c]], lr);
            updated.map(|updated| updated.params[0])
        }
        72 => {
            let shape: Vec<usize> = (0..4).map(|_| s.whole()).collect();
            let begin = (0..4).map(|_| s.whole()).collect();
            let step = (0..4).map(|_| s.signed()).collect();
            let shape = shape.into();
            g.apply1(Slice { begin, step, shape }, &[x2])
        }
        73 => {
            let interpolate = Interpolate {
                mode: s.interpolation(),
                size: s.wholes::<2>().to_vec(),
                step: vec![s.wholes(), s.wholes()],
            };
            g.apply1(interpolate, &[x2])
        }
        74 => g.apply1(Concat { axis, sizes: axes }, &[x2, x2]),
        75 => any(g.apply(
            striate::ops::SplitAxis {
                axis: s.0.below(5),
                sizes: axes,
            },
            &[x2],
        )),
        76 => g.apply1(Expand { shape: axes.into() }, &[x2]),
        77 => g.apply1(Permute { axes }, &[x2]),
        78 => {
            let batches = Batches {
                count: s.whole(),
                batch: s.whole(),
                shuffle: s.flag(),
                drop_last: s.flag(),
            };
            first(g.batch_rows(clock, batches, s.whole()))
        }
        79..=83 => {
            let images = g.input("numbers", Type::u32([2])).unwrap();
            let masks = g.input("masks", Type::u32([2, 6, 5])).unwrap();
            let rows = g.augment_rows(clock, images, s.whole(), &[s.stage()], s.elastic());
            return Some(rows.and_then(|rows| {
                let (scale, shift) = ([s.real()], [s.real()]);
                match which {
                    79 => Ok(rows),
                    80 => g.augment(x2, rows, &scale, &shift),
                    81 => {
                        let tables = g.augment_tables(x2, rows)?;
                        g.augment_with(x2, rows, tables, &scale, &shift)
                    }
                    82 => g.augment_mask(masks, rows, s.whole() as u32),
                    _ => g.mix_labels(images, rows, s.whole(), s.wholes()),
                }
            }));
        }
        84 => {
            let size = s.wholes();
            let textures = [0, 1].map(|i| g.texture(&format!("t{i}"), [6, 5 + i]).unwrap());
            let resize = [
                TexelResize::Nearest,
                TexelResize::Bilinear,
                TexelResize::Area,
            ];
            let components = [s.0.below(5), s.0.below(5)];
            let texels = Texels::new(&components[..1 + s.0.below(2)]);
            let settings = TextureInput::new(size).resize(resize[s.0.below(3)]);
            let settings = settings.read(texels.normalise(&[s.real()], &[s.real()]));
            let settings = match s.flag() {
                true => settings.video(VideoRange::Limited, s.real().into(), s.real().into()),
                false => settings,
            };
            let count = 1 + s.0.below(2);
            g.texture_input(&textures[..count], &settings)
        }
        85 => {
            let format = TexelFormat::ALL[s.0.below(4)];
            let colours = vec![[s.real(); 4]; s.0.below(4)];
            let paints = [
                Paint::Image,
                Paint::Map(colours.clone()),
                Paint::Classes(colours),
            ];
            let settings = TextureOutput::new(format, s.wholes());
            let settings = settings.paint(paints[s.0.below(3)].clone());
            let settings = match s.flag() {
                true => settings.sample(s.whole()).channel(s.whole()),
                false => settings.normalised(&[s.real()], &[s.real()]),
            };
            g.texture_output("target", x2, &settings)
        }
        86 => {
            let texture = g.texture("light", s.wholes());
            texture.and_then(|texture| g.auto_exposure(texture))
        }
        87 => g.prod(x2, &axes, keep),
        88 => g.cumsum(x2, axis),
        89 => first(g.topk(x2, s.whole(), axis, keep)),
        90 => {
            let index = g.input("index", Type::u32(s.several()));
            index.and_then(|index| g.gather(x2, axis, index))
        }
        91 => {
            let shape = s.several();
            let index = g.input("index", Type::u32(shape.clone()));
            let src = g.input("src", Type::f32(shape));
            index.and_then(|index| g.scatter_add(x2, axis, index, src?))
        }
        92 => {
            let labels = g.input("labels2", Type::u32(s.several()));
            labels.and_then(|labels| g.one_hot(labels, s.whole()))
        }
        93 => g.kl_div(x2, x2, keep, s.reduction()),
        94 => {
            let settings = TripletMargin {
                margin: s.real(),
                p: s.real(),
                eps: s.real(),
                swap: keep,
            };
            g.triplet_margin_loss(x2, x2, x2, settings, s.reduction())
        }
        95 => g.contrastive_loss(c, c, one_float, s.real(), s.reduction()),
        96 => g.dice_loss(x2, x2, s.real(), s.reduction()),
        97 => {
            let alpha = keep.then(|| s.real());
            g.sigmoid_focal_loss(x2, x2, alpha, s.real(), s.reduction())
        }
        98 => {
            let b = g.transpose(matrix);
            b.and_then(|b| g.addmm(one_float, matrix, b, s.real(), s.real()))
        }
        99 => {
            let grid = g.input("grid", Type::f32([2, 3, 3, 2]));
            let sample = GridSample {
                mode: s.0.of(&[SampleMode::Bilinear, SampleMode::Nearest]),
                padding: SamplePadding::Reflection,
                align_corners: keep,
            };
            grid.and_then(|grid| g.grid_sample(x2, grid, sample))
        }
        100 => {
            let theta = g.input("theta", Type::f32([2, 2, 3]));
            theta.and_then(|theta| g.affine_grid(theta, s.wholes(), keep))
        }
        101 => {
            let boxes = g.input("boxes", Type::f32([9, 4]));
            let scores = g.input("scores", Type::f32([9]));
            boxes.and_then(|boxes| first(g.nms(boxes, scores?, s.real(), s.whole())))
        }
        _ => return None,
    })
}

/// What an op refuses by its settings is refused before anything of it is in the graph.
#[test]
fn limits_of_ops_are_refused_at_once() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([2, 3000])).unwrap();
    let words = g.input("words", Type::u32([2, 3000])).unwrap();
    let (unsupported, shape) = (ErrorKind::Unsupported, ErrorKind::Shape);
    let message = "topk: 1025 elements, 1024 are the most";
    refused(g.topk(x, 1025, 1, true), unsupported, message);
    let boxes = g.input("boxes", Type::f32([16_385, 4])).unwrap();
    let scores = g.input("scores", Type::f32([16_385])).unwrap();
    let message = "nms: 16385 boxes, 16384 are the most";
    refused(g.nms(boxes, scores, 0.5, 1), unsupported, message);
    let message = "scatter_add: x is u32 [2, 3000], f32 is needed";
    refused(g.scatter_add(words, 1, words, x), shape, message);
    let few = g.input("few", Type::f32([1, 3])).unwrap();
    let message = "gather: index is f32 [1, 3], u32 is needed";
    refused(g.gather(x, 1, few), shape, message);
    for alpha in [-1.0, 1.5, f32::NAN] {
        let loss = g.sigmoid_focal_loss(x, x, Some(alpha), 2.0, Reduction::Mean);
        let message = format!("sigmoid_focal_loss: the alpha {alpha} does not lie between 0 and 1");
        refused(loss, shape, &message);
    }
    for p in [0.0, f32::INFINITY, f32::NAN] {
        let settings = TripletMargin {
            p,
            ..TripletMargin::default()
        };
        let loss = g.triplet_margin_loss(x, x, x, settings, Reduction::Mean);
        let message = format!("triplet_margin_loss: there is no norm of p {p}");
        refused(loss, shape, &message);
    }
    assert!(g.nodes().is_empty());
    g.topk(x, 1024, 1, true).unwrap();
}

/// Without `eps`, what is equal has no gradient, whatever the norm.
#[test]
fn distances_of_equal_elements() {
    for p in [0.5, 1.0, 1.5, 2.0, 3.0] {
        for (other, moved) in [([0.5, 2.0], false), ([0.5, 1.0], true)] {
            let mut g = Graph::new();
            let x = g.input("x", Type::f32([1, 2])).unwrap();
            let y = g.input("y", Type::f32([1, 2])).unwrap();
            let far = g.fill([1, 2], 9.0).unwrap();
            let settings = TripletMargin {
                margin: 99.0,
                p,
                eps: 0.0,
                swap: false,
            };
            let loss = g.triplet_margin_loss(x, y, far, settings, Reduction::Sum);
            let wanted = [gradients(&mut g, loss.unwrap(), &[y]).unwrap()[0]];
            let given = [(x, [0.5, 2.0]), (y, other)].map(|(value, row)| {
                let row = Tensor::f32([1, 2], row.to_vec()).unwrap();
                (value, Arc::new(row.to_array().unwrap()))
            });
            let dy = evaluate(&g, &HashMap::from(given), &wanted, 1).unwrap();
            let expected = [0.0, if moved { -1.0 } else { 0.0 }];
            // The exponent 1/p is an f32.
            let near = |(a, b): (&f64, f64)| (a - b).abs() < 1e-6;
            let all = dy[0].floats().iter().zip(expected).all(near);
            assert!(all, "p {p}: {:?}", dy[0]);
        }
    }
}

/// Builders that take no number but values alone: [`builders_survive_wild_inputs`].
const OF_VALUES: &[&str] = &[
    "abs",
    "add",
    "advance",
    "bce_loss",
    "bce_with_logits",
    "binary",
    "ceil",
    "confusion_matrix",
    "cos",
    "count_correct",
    "cross_entropy",
    "div",
    "eq",
    "erf",
    "exp",
    "floor",
    "gather_labels",
    "ge",
    "gelu",
    "gram_matrix",
    "global_avg_pool",
    "global_max_pool",
    "gt",
    "l1_loss",
    "le",
    "linear",
    "log",
    "lookup",
    "lt",
    "matmul",
    "maximum",
    "mix",
    "minimum",
    "nll_loss",
    "mse_loss",
    "mul",
    "ne",
    "neg",
    "prelu",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "select",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sqrt",
    "square",
    "sub",
    "tanh",
    "transpose",
    "update_with",
    "where_",
];

/// Every builder with settings, under many wild ones: an error, or a value with a gradient and a
/// plan.
#[test]
fn builders_survive_wild_settings() {
    let mut panicked = BTreeSet::new();
    let (mut accepted, mut refused) = (0, 0);
    let caps = Caps::default();
    for which in 0.. {
        let mut settings = Settings(Picks::new(&format!("settings {which}")));
        let mut last = false;
        for turn in 0..150 {
            let tried = catch_unwind(AssertUnwindSafe(|| -> Option<Result<()>> {
                let mut g = Graph::new();
                let value = call(which, &mut g, &mut settings)?;
                let planned = value.and_then(|value| {
                    let ty = g.ty(value)?.clone();
                    let mut wanted = vec![value];
                    if ty.dtype == DType::F32 {
                        let dy = g.input("dy", ty)?;
                        let x = g.find_input("x2").unwrap();
                        match gradients_from(&mut g, &[(value, dy)], &[x]) {
                            Err(e) if e.kind() == ErrorKind::NotDifferentiable => {}
                            found => wanted.extend(found?.into_iter().flatten()),
                        }
                    }
                    let states = StateLayout::new(&[&g], caps.max_binding)?;
                    Plan::new(&g, &states, &wanted, &caps, PlanOptions::default())?;
                    Ok(())
                });
                Some(planned)
            }));
            match tried {
                Ok(None) => last = true,
                Ok(Some(Ok(()))) => accepted += 1,
                Ok(Some(Err(_))) => refused += 1,
                Err(_) => drop(panicked.insert(format!("builder {which}, turn {turn}"))),
            }
        }
        if last {
            break;
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(
        accepted > 500 && refused > 5000,
        "{accepted} accepted, {refused} refused"
    );
    let panicked: Vec<_> = panicked.into_iter().collect();
    assert!(panicked.is_empty(), "{}", panicked.join("\n"));
}

/// A new builder is called above, or named as one without settings.
#[test]
fn every_builder_is_called_wildly() {
    fn texts(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => texts(&path, found),
                false => found.push(std::fs::read_to_string(&path).unwrap()),
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = std::fs::read_to_string(root.join("tests/api.rs")).unwrap();
    let (mut found, mut builders) = (Vec::new(), BTreeSet::new());
    texts(&root.join("src/ops"), &mut found);
    for text in &found {
        let blocks = text.split("\nimpl Graph {\n").skip(1);
        for block in blocks.filter_map(|rest| Some(rest.split_once("\n}\n")?.0)) {
            let names = block
                .lines()
                .filter_map(|line| line.strip_prefix("    pub fn "));
            builders
                .extend(names.filter_map(|rest| Some(rest.split(['(', '<']).next()?.to_owned())));
        }
    }
    assert!(builders.len() > 80, "{} builders", builders.len());
    let called = |name: &String| {
        let call = [format!("g.{name}("), format!("g.{name}::<")];
        call.iter().any(|call| own.contains(call)) || OF_VALUES.contains(&name.as_str())
    };
    let missing: Vec<&String> = builders.iter().filter(|name| !called(name)).collect();
    assert!(
        missing.is_empty(),
        "not called in tests/api.rs: {missing:?}"
    );
}

/// What is no builder but takes numbers.
#[test]
fn functions_survive_wild_numbers() {
    let mut s = Settings(Picks::new("functions"));
    for _ in 0..1000 {
        let shape: Shape = s.several().into();
        let ty = Type::new(
            s.0.of(&[DType::F32, DType::F16, DType::U32, DType::U8]),
            shape.clone(),
        );
        let _ = (
            shape.count(),
            shape.strides(),
            shape.rows(),
            ty.row(),
            ty.bytes(),
        );
        let _ = (
            ty.padded_bytes(s.whole()),
            shape.broadcast(&s.several().into()),
        );
        let window = Window {
            kernel: s.whole(),
            stride: s.whole(),
            before: s.whole(),
            after: s.whole(),
            dilation: s.whole(),
        };
        let _ = window.output(s.whole(), "op", "width");
        let _ = window.pooled(s.whole(), s.flag(), "op", "width");
        let _ = window.input(s.whole(), s.whole(), s.whole());
        let extent = s.whole();
        let source = s.mode().source(s.signed(), extent);
        assert!(source.is_none_or(|at| at < extent));
        let _ = s.mode().check(s.wholes(), s.whole(), "op", "width");
        let _ = parts_of(&ty, s.0.of(&[0, 1, 16, 255, 1 << 20, u64::MAX]));
        let part = |s: &mut Settings| Part {
            start: s.whole(),
            rows: s.whole(),
        };
        let _ = overlaps(&[&[part(&mut s), part(&mut s)], &[part(&mut s)], &[]]);
        let _ = Tensor::f32(shape.clone(), vec![1.0; 3]);
        let _ = Tensor::u32(shape.clone(), vec![1; 3]);
        let _ = Tensor::u8(shape.clone(), vec![1; 3]);
        let _ = Tensor::f16_bits(shape.clone(), vec![1; 3]);
        let _ = Tensor::from_bytes(&ty, &[1; 12]);
        let array = Array::float(shape.clone(), vec![1.0; 6]);
        let _ = (array.floats(), array.u32s(), array.u8s(), array.to_tensor());
        let _ = array
            .reshaped(s.several())
            .rows(s.whole(), s.whole())
            .rounded();
        let other = Array::u32(s.several(), vec![1; 4]);
        let _ = Array::concat(&[array.clone(), other.clone()]);
        let _ = Array::sum(&[array.clone(), other, Array::u8(shape, vec![])]);
        if ty.bytes() < 1 << 24 || ty.check().is_err() {
            let _ = Tensor::zeros(&ty);
        }
        let number = |s: &mut Settings| f64::from(s.real());
        let long = |s: &mut Settings| s.0.of(&[0, 1, 2, 100, 1 << 31, 1 << 40, usize::MAX]);
        let _ = schedule::step(number(&mut s), long(&mut s), number(&mut s), long(&mut s));
        let _ = schedule::multi_step(number(&mut s), &[long(&mut s), 3], number(&mut s));
        let _ = schedule::exponential(number(&mut s), number(&mut s), long(&mut s));
        let _ = schedule::linear(1.0, number(&mut s), number(&mut s), long(&mut s));
        let _ = schedule::polynomial(number(&mut s), long(&mut s), number(&mut s));
        let _ = schedule::cosine_annealing(number(&mut s), long(&mut s), number(&mut s));
        let (first, times, steps) = (long(&mut s), long(&mut s), long(&mut s));
        let _ = schedule::cosine_annealing_warm_restarts(1.0, first, times, 0.0, steps);
        let cycle = schedule::OneCycle {
            pct_start: number(&mut s),
            ..schedule::OneCycle::new(number(&mut s), long(&mut s))
        };
        let _ = cycle.table();
        let _ = schedule::then(vec![1.0; 2], long(&mut s), vec![0.0; 3]);
        let _ = schedule::warmup_cosine(s.real(), long(&mut s), long(&mut s));
    }
    let long = 1 << 40;
    let told = "schedule of 1099511627776 steps: f32 [1099511627776] has 2^31 elements or more, \
                the limit for one value";
    refused(
        schedule::exponential(1.0, 0.5, long),
        ErrorKind::Shape,
        told,
    );
    refused(
        schedule::then(vec![1.0], long, vec![]),
        ErrorKind::Shape,
        told,
    );
    // A warm-up costs no more than its table, and is refused before any rate of it is computed.
    let rates = schedule::warmup_cosine((1u64 << 40) as f32, long, 2).unwrap();
    assert_eq!(rates, [1.0, 2.0]);
    let error = schedule::warmup_cosine(1.0, 2, 1 << 31).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
    let error = striate::data::digits(usize::MAX, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().starts_with("digits: "), "{error}");
    let error = Tensor::zeros(&Type::f32([usize::MAX, 2])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
}

/// A layer is named by its errors: by its name, or by its kind.
#[test]
fn layers_name_themselves() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([2, 4, 6, 5])).unwrap();
    let conv = nn::Conv2d::new(3, 16, 3);
    let message = |g: &mut Graph, module: &dyn Module, name: &str| {
        let error = Build::train(g).layer(name, &module, x).unwrap_err();
        error.to_string()
    };
    let told = "conv2d: weight [16, 3, 3, 3] expects 3 input channels, input [2, 4, 6, 5] has 4";
    assert_eq!(message(&mut g, &conv, ""), format!("Conv2d: {told}"));
    assert_eq!(
        message(&mut g, &conv, "stem.conv"),
        format!("stem.conv: {told}")
    );
    let inner = Sequential::new().then(nn::Relu).named("conv", conv);
    let net = Sequential::new().named("block", inner);
    assert_eq!(message(&mut g, &net, ""), format!("block.conv: {told}"));
    assert_eq!(
        message(&mut g, &net, "net"),
        format!("net.block.conv: {told}")
    );
    let same_weights = nn::Conv2d::new(4, 16, 1);
    let error = message(&mut g, &same_weights, "");
    assert!(error.starts_with("Conv2d: parameter \"weight\""), "{error}");
    let dropout = nn::Dropout { p: 2.0 };
    let error = message(&mut g, &dropout, "");
    assert!(error.starts_with("Dropout: dropout: "), "{error}");
}
