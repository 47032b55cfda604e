//! Normalisation layers: names, running statistics, training and inference over one store, batch
//! sizes.

use striate::autodiff::gradients;
use striate::error::ErrorKind;
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::kernel::Caps;
use striate::nn::{
    BatchNorm1d, BatchNorm2d, BatchNorm3d, Build, Conv2d, GroupNorm, InstanceNorm1d,
    InstanceNorm2d, InstanceNorm3d, LayerNorm, LocalResponseNorm, Mode, Module, Relu, RmsNorm,
    Sequential,
};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::session::Session;
use striate::shape::{Shape, Type};
use striate::store::Store;
use striate::tensor::Tensor;
use striate_cases::devices;

fn input(g: &mut Graph, shape: impl Into<Shape>) -> Value {
    g.input("x", Type::f32(shape)).unwrap()
}

fn states(g: &Graph) -> Vec<(&str, StateKind, &[usize])> {
    let states = g.states().iter();
    states
        .map(|s| (s.name.as_str(), s.kind, &s.ty.shape[..]))
        .collect()
}

#[test]
fn layers_have_the_states_of_their_state_dicts() {
    use StateKind::{Parameter, Statistic};
    let affine = |extents: &'static [usize]| {
        vec![
            ("norm.weight", Parameter, extents),
            ("norm.bias", Parameter, extents),
        ]
    };
    let running = vec![
        ("norm.running_mean", Statistic, &[6][..]),
        ("norm.running_var", Statistic, &[6]),
    ];
    let batch = [affine(&[6]), running.clone()].concat();
    let untracked = BatchNorm2d {
        track_running_stats: false,
        ..BatchNorm2d::new(6)
    };
    let bare = BatchNorm2d {
        affine: false,
        ..BatchNorm2d::new(6)
    };
    let instance = InstanceNorm2d {
        affine: true,
        ..InstanceNorm2d::new(6)
    };
    let layer = LayerNorm {
        bias: false,
        ..LayerNorm::new([3, 5])
    };
    type States = Vec<(&'static str, StateKind, &'static [usize])>;
    let cases: Vec<(Box<dyn Module>, Vec<usize>, States)> = vec![
        (Box::new(BatchNorm1d::new(6)), vec![4, 6], batch.clone()),
        (Box::new(BatchNorm1d::new(6)), vec![4, 6, 3], batch.clone()),
        (
            Box::new(BatchNorm2d::new(6)),
            vec![4, 6, 3, 5],
            batch.clone(),
        ),
        (Box::new(BatchNorm3d::new(6)), vec![4, 6, 2, 3, 5], batch),
        (Box::new(untracked), vec![4, 6, 3, 5], affine(&[6])),
        (Box::new(bare), vec![4, 6, 3, 5], running),
        (Box::new(InstanceNorm1d::new(6)), vec![4, 6, 5], vec![]),
        (Box::new(instance), vec![4, 6, 3, 5], affine(&[6])),
        (
            Box::new(InstanceNorm3d::new(6)),
            vec![4, 6, 2, 3, 5],
            vec![],
        ),
        (
            Box::new(GroupNorm::new(2, 6)),
            vec![4, 6, 3, 5],
            affine(&[6]),
        ),
        (
            Box::new(layer),
            vec![4, 6, 3, 5],
            vec![("norm.weight", Parameter, &[3, 5])],
        ),
    ];
    for (module, shape, wanted) in cases {
        for mode in [Mode::Train, Mode::Eval] {
            let mut g = Graph::new();
            let x = input(&mut g, shape.clone());
            let y = Build::new(&mut g, mode).layer("norm", &module, x).unwrap();
            assert_eq!(g.shape(y).unwrap()[..], shape);
            assert_eq!(states(&g), wanted, "{module:?}");
            let tracked = wanted.iter().any(|(_, kind, _)| *kind == Statistic);
            let assigned = if tracked && mode == Mode::Train { 2 } else { 0 };
            assert_eq!(g.assigns().len(), assigned, "{module:?}");
        }
    }
    let mut g = Graph::new();
    let x = input(&mut g, [2, 6, 4]);
    let mut cx = Build::eval(&mut g);
    cx.layer("rms", &RmsNorm::new([4]), x).unwrap();
    cx.layer("response", &LocalResponseNorm::new(5), x).unwrap();
    assert_eq!(states(&g), [("rms.weight", Parameter, &[4][..])]);
}

#[test]
fn a_wrong_x_is_told() {
    let mut g = Graph::new();
    let x = input(&mut g, [2, 6, 4]);
    let mut message = |module: &dyn Module| {
        let error = module.build(&mut Build::eval(&mut g), x).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        error.to_string()
    };
    assert_eq!(
        message(&BatchNorm2d::new(6)),
        "BatchNorm2d: batch_norm2d: x [2, 6, 4] is not [batch, 6] with 2 axes behind"
    );
    assert_eq!(
        message(&InstanceNorm1d::new(5)),
        "InstanceNorm1d: instance_norm1d: x [2, 6, 4] is not [batch, 5] with 1 axes behind"
    );
    assert_eq!(
        message(&GroupNorm::new(2, 4)),
        "GroupNorm: group_norm: x [2, 6, 4] is not [batch, 4, ...]"
    );
    assert_eq!(
        message(&LayerNorm::new([6, 5])),
        "LayerNorm: layer_norm: the last axes of x [2, 6, 4] are not [6, 5]"
    );
    let zero = Init::Constant(0.0);
    g.parameter("norm.running_mean", [6], zero).unwrap();
    let norm = BatchNorm1d::new(6);
    let error = Build::eval(&mut g).layer("norm", &norm, x).unwrap_err();
    assert_eq!(
        error.to_string(),
        "norm: statistic \"norm.running_mean\" f32 [6]: the graph has a Parameter of this name, \
         f32 [6]"
    );
}

fn engines() -> Vec<Engine> {
    let gpus = devices::gpus(&GpuOptions::default());
    let gpus = gpus.into_iter().map(Engine::from);
    std::iter::once(Engine::cpu()).chain(gpus).collect()
}

/// Three steps of training renew the running statistics as PyTorch does; inference then uses them,
/// at another batch size.
#[test]
fn running_statistics_are_learned_and_used() {
    let (n, c, plane) = (3, 2, 4);
    let images: Vec<f32> = (0..n * c * plane)
        .map(|i| 3.0 + (i * i % 17) as f32 / 4.0 - (i % c) as f32)
        .collect();
    let (mut means, mut variances) = (vec![0.0; c], vec![1.0; c]);
    for _ in 0..3 {
        for channel in 0..c {
            let of_channel = |i: &usize| i / plane % c == channel;
            let values: Vec<f64> = (0..images.len())
                .filter(of_channel)
                .map(|i| f64::from(images[i]))
                .collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
            means[channel] = 0.9 * means[channel] + 0.1 * mean;
            variances[channel] = 0.9 * variances[channel] + 0.1 * squares / (count - 1.0);
        }
    }
    let graph = |mode, batch: usize| {
        let mut g = Graph::new();
        let x = input(&mut g, [batch, c, 2, 2]);
        let norm = BatchNorm2d::new(c);
        let y = Build::new(&mut g, mode).layer("bn", &norm, x).unwrap();
        (g, x, y)
    };
    let (train, infer, nothing) = (
        graph(Mode::Train, n),
        graph(Mode::Eval, 1),
        graph(Mode::Train, 0),
    );
    for engine in engines() {
        let store = Store::new(&engine, &[&train.0, &infer.0, &nothing.0], 0).unwrap();
        let mut session = Session::new(&store, &train.0, &[train.2]).unwrap();
        session
            .write(train.1, &Tensor::f32([n, c, 2, 2], images.clone()).unwrap())
            .unwrap();
        session.run(3).unwrap();
        // An empty batch changes nothing.
        let mut empty = Session::new(&store, &nothing.0, &[]).unwrap();
        let none = Tensor::f32([0, c, 2, 2], vec![]).unwrap();
        empty.write(nothing.1, &none).unwrap();
        empty.run(1).unwrap();
        for (name, wanted) in [("bn.running_mean", &means), ("bn.running_var", &variances)] {
            let found = store.get(name).unwrap();
            for (found, wanted) in found.as_f32().unwrap().iter().zip(wanted) {
                let near = (f64::from(*found) - wanted).abs() <= 1e-6 * wanted.abs();
                assert!(near, "{name}: {found}, not {wanted} on {engine:?}");
            }
        }
        let mut session = Session::new(&store, &infer.0, &[infer.2]).unwrap();
        let first = images[..c * plane].to_vec();
        session
            .write(infer.1, &Tensor::f32([1, c, 2, 2], first.clone()).unwrap())
            .unwrap();
        session.run(1).unwrap();
        let y = session.read(infer.2).unwrap();
        for (i, (found, x)) in y.as_f32().unwrap().iter().zip(&first).enumerate() {
            let channel = i / plane;
            let wanted = (f64::from(*x) - means[channel]) / (variances[channel] + 1e-5).sqrt();
            assert!(
                (f64::from(*found) - wanted).abs() < 1e-5,
                "{found}, not {wanted}"
            );
        }
    }
}

/// A layer that sees two batches in a step renews its statistics by one after the other, as in
/// PyTorch.
#[test]
fn a_shared_layer_learns_from_each_of_its_inputs() {
    let mut g = Graph::new();
    let first = g.input("first", Type::f32([4, 1])).unwrap();
    let second = g.input("second", Type::f32([2, 1])).unwrap();
    for x in [first, second] {
        let layer = BatchNorm1d::new(1);
        Build::train(&mut g).layer("bn", &layer, x).unwrap();
    }
    assert_eq!(g.assigns().len(), 2);
    // Means 2.5 and 20, unbiased variances 5 / 3 and 200.
    let renew = |old: f64, [first, second]: [f64; 2]| {
        let between = 0.9 * old + 0.1 * first;
        0.9 * between + 0.1 * second
    };
    let wanted = [
        ("bn.running_mean", renew(0.0, [2.5, 20.0])),
        ("bn.running_var", renew(1.0, [5.0 / 3.0, 200.0])),
    ];
    for engine in engines() {
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[]).unwrap();
        let numbers = Tensor::f32([4, 1], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        session.write(first, &numbers).unwrap();
        let numbers = Tensor::f32([2, 1], vec![10.0, 30.0]).unwrap();
        session.write(second, &numbers).unwrap();
        session.run(1).unwrap();
        for (name, wanted) in wanted {
            let found = f64::from(store.get(name).unwrap().as_f32().unwrap()[0]);
            let near = (found - wanted).abs() <= 1e-6 * wanted;
            assert!(near, "{name}: {found}, not {wanted} on {engine:?}");
        }
    }
}

/// Another batch size builds no pipeline, with each normalisation, forward and backward.
#[test]
fn another_batch_size_compiles_nothing() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let pipelines = |batch: usize| {
            let mut g = Graph::new();
            let x = input(&mut g, [batch, 3, 12, 12]);
            let net = Sequential::new()
                .then(Conv2d::new(3, 8, 3).bias(false))
                .then(BatchNorm2d::new(8))
                .then(Relu)
                .then(Conv2d::new(8, 6, 3))
                .then(GroupNorm::new(2, 6))
                .then(InstanceNorm2d::new(6))
                .then(LayerNorm::new([8, 8]))
                .then(LocalResponseNorm::new(3));
            let y = net.build(&mut Build::train(&mut g), x).unwrap();
            let loss = g.sum(y, &[0, 1, 2, 3], false).unwrap();
            let parameters: Vec<Value> = g
                .states()
                .iter()
                .filter(|s| s.kind == StateKind::Parameter)
                .map(|s| s.value)
                .collect();
            let found = gradients(&mut g, loss, &parameters).unwrap();
            let store = Store::new(&gpu.clone().into(), &[&g], 0).unwrap();
            Session::new(&store, &g, &found).unwrap();
            gpu.pipeline_count()
        };
        let first = pipelines(7);
        for batch in [2, 64, 300, 1000] {
            assert_eq!(pipelines(batch), first, "batch {batch}");
        }
    }
}

/// The activation that a convolution, a batch norm and a relu make in inference comes from one
/// dispatch of the convolution, unless its weight is larger.
#[test]
fn inference_folds_batch_norms_into_convolutions() {
    let last_op = |extent: usize, fuse: bool| {
        let mut g = Graph::new();
        let x = input(&mut g, [2, 8, extent, extent]);
        let net = Sequential::new()
            .then(Conv2d::new(8, 8, 3).padding(1).bias(false))
            .then(BatchNorm2d::new(8))
            .then(Relu);
        let y = net.build(&mut Build::eval(&mut g), x).unwrap();
        let caps = Caps::default();
        let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
        let options = PlanOptions {
            fuse,
            ..PlanOptions::default()
        };
        let plan = Plan::new(&g, &states, &[y], &caps, options).unwrap();
        plan.steps.last().unwrap().op
    };
    assert_eq!(last_op(12, true), "conv2d");
    assert_eq!(last_op(12, false), "relu");
    // As many elements in two images as in the weight.
    assert_eq!(last_op(6, true), "conv2d");
    assert_eq!(last_op(5, true), "batch_norm");
}

/// What a residual block puts behind its normalisation is one dispatch with it, in training and in
/// inference, as long as nobody else reads what lies between and nothing is broadcast.
#[test]
fn sums_and_relus_join_the_normalisation_before_them() {
    let ops = |mode: Mode, same_shape: bool, read: bool, fuse: bool| {
        let mut g = Graph::new();
        let x = input(&mut g, [2, 8, 4, 4]);
        let rows = if same_shape { 2 } else { 1 };
        let residual = g.input("residual", Type::f32([rows, 8, 4, 4])).unwrap();
        let layers = Sequential::new()
            .then(Conv2d::new(8, 8, 3).padding(1).bias(false))
            .then(BatchNorm2d::new(8));
        let normal = layers.build(&mut Build::new(&mut g, mode), x).unwrap();
        let sum = g.add(residual, normal).unwrap();
        let y = g.relu(sum).unwrap();
        let fetched = if read { vec![normal, y] } else { vec![y] };
        let caps = Caps::default();
        let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
        let options = PlanOptions {
            fuse,
            ..PlanOptions::default()
        };
        let plan = Plan::new(&g, &states, &fetched, &caps, options).unwrap();
        let ops = plan.steps.iter().map(|step| step.op);
        ops.filter(|op| ["add", "relu"].contains(op))
            .collect::<Vec<_>>()
    };
    for mode in [Mode::Train, Mode::Eval] {
        assert_eq!(ops(mode, true, false, true), [""; 0]);
        assert_eq!(ops(mode, true, false, false), ["add", "relu"]);
        assert_eq!(ops(mode, true, true, true), ["add", "relu"]);
        assert_eq!(ops(mode, false, false, true), ["add", "relu"]);
    }
}
