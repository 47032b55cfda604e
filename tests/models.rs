//! Layers and models: parameter names and sharing, train and inference forms over one store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use striate::autodiff::{gradients, gradients_from};
use striate::error::ErrorKind;
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::kernel::{Body, CPU_TURNS, Caps, WINDOW};
use striate::models::{lenet5, resnet_cifar, resnet20, resnet50};
use striate::nn::{
    AvgPool2d, BatchNorm2d, Build, Conv2d, Dropout, Dropout2d, Flatten, GlobalAvgPool, Linear,
    MaxPool2d, Mode, Module, Relu, Sequential, SqueezeExcite,
};
use striate::ops::{CrossEntropyLoss, Rule, SgdRule};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::reference::evaluate;
use striate::session::Session;
use striate::shape::{Shape, Type};
use striate::store::Store;
use striate::tensor::{Array, Tensor};
use striate::train::{self, learning_rate, minimize_params};
use striate_cases::devices;

fn input(g: &mut Graph, shape: impl Into<Shape>) -> Value {
    g.input("x", Type::f32(shape)).unwrap()
}

fn parameters(g: &Graph) -> Vec<(&str, &[usize])> {
    let states = g.states().iter().filter(|s| s.kind == StateKind::Parameter);
    states.map(|s| (s.name.as_str(), &s.ty.shape[..])).collect()
}

#[test]
fn lenet5_has_the_parameters_of_its_state_dict() {
    let mut g = Graph::new();
    let x = input(&mut g, [4, 1, 28, 28]);
    let logits = lenet5(10).build(&mut Build::train(&mut g), x).unwrap();
    assert_eq!(g.shape(logits).unwrap()[..], [4, 10]);
    let wanted: [(&str, &[usize]); 10] = [
        ("conv1.weight", &[6, 1, 5, 5]),
        ("conv1.bias", &[6]),
        ("conv2.weight", &[16, 6, 5, 5]),
        ("conv2.bias", &[16]),
        ("fc1.weight", &[120, 400]),
        ("fc1.bias", &[120]),
        ("fc2.weight", &[84, 120]),
        ("fc2.bias", &[84]),
        ("fc3.weight", &[10, 84]),
        ("fc3.bias", &[10]),
    ];
    assert_eq!(parameters(&g), wanted);
    let count: usize = wanted
        .iter()
        .map(|(_, s)| s.iter().product::<usize>())
        .sum();
    assert_eq!(count, 61_706);
}

/// Parameters by table 6 of He et al. 2015, in millions, and by hand for the shortcuts without any.
#[test]
fn residual_networks_have_as_many_parameters_as_the_paper_says() {
    for (depth, millions, exact) in [
        (20, 0.27, 269_722),
        (32, 0.46, 464_154),
        (44, 0.66, 658_586),
        (56, 0.85, 853_018),
        (110, 1.7, 1_727_962),
    ] {
        let mut g = Graph::new();
        let x = input(&mut g, [2, 3, 32, 32]);
        let logits = resnet_cifar(depth, 10)
            .unwrap()
            .build(&mut Build::train(&mut g), x)
            .unwrap();
        assert_eq!(g.shape(logits).unwrap()[..], [2, 10]);
        let counts = parameters(&g).into_iter();
        let count: usize = counts.map(|(_, s)| s.iter().product::<usize>()).sum();
        assert_eq!(count, exact, "resnet{depth}");
        let found = count as f64 / 1e6;
        assert!(
            (found - millions).abs() <= if depth == 110 { 0.05 } else { 0.005 },
            "resnet{depth}: {found} million, not {millions}"
        );
    }
}

#[test]
fn resnet20_names_its_parameters_like_a_state_dict() {
    let mut g = Graph::new();
    let x = input(&mut g, [2, 3, 32, 32]);
    resnet20(10).build(&mut Build::train(&mut g), x).unwrap();
    let found = parameters(&g);
    // A weight, and a weight and a bias of its normalisation, for each of 19 convolutions; the
    // linear layer's two.
    assert_eq!(found.len(), 3 * 19 + 2);
    let wanted: [(&str, &[usize]); 9] = [
        ("conv1.weight", &[16, 3, 3, 3]),
        ("bn1.bias", &[16]),
        ("layer1.0.conv1.weight", &[16, 16, 3, 3]),
        ("layer1.2.bn2.weight", &[16]),
        ("layer2.0.conv1.weight", &[32, 16, 3, 3]),
        ("layer3.0.conv1.weight", &[64, 32, 3, 3]),
        ("layer3.2.conv2.weight", &[64, 64, 3, 3]),
        ("fc.weight", &[10, 64]),
        ("fc.bias", &[10]),
    ];
    for wanted in wanted {
        assert!(found.contains(&wanted), "{wanted:?} is not among {found:?}");
    }
    let statistics = g.states().iter().filter(|s| s.kind == StateKind::Statistic);
    assert_eq!(statistics.count(), 2 * 19);
}

/// As torchvision's: 25,557,032 parameters in 161 tensors, two statistics for each of 53
/// normalisations, planes of 7 x 7 at the end.
#[test]
fn resnet50_is_torchvisions() {
    let mut g = Graph::new();
    let x = input(&mut g, [1, 3, 224, 224]);
    let logits = resnet50(1000).build(&mut Build::train(&mut g), x).unwrap();
    assert_eq!(g.shape(logits).unwrap()[..], [1, 1000]);
    let found = parameters(&g);
    let count: usize = found.iter().map(|(_, s)| s.iter().product::<usize>()).sum();
    assert_eq!((found.len(), count), (161, 25_557_032));
    let wanted: [(&str, &[usize]); 8] = [
        ("conv1.weight", &[64, 3, 7, 7]),
        ("layer1.0.conv1.weight", &[64, 64, 1, 1]),
        ("layer1.0.downsample.0.weight", &[256, 64, 1, 1]),
        ("layer1.0.downsample.1.bias", &[256]),
        ("layer2.0.conv2.weight", &[128, 128, 3, 3]),
        ("layer3.5.conv3.weight", &[1024, 256, 1, 1]),
        ("layer4.2.bn3.weight", &[2048]),
        ("fc.weight", &[1000, 2048]),
    ];
    for wanted in wanted {
        assert!(found.contains(&wanted), "{wanted:?} is not among {found:?}");
    }
    let statistics = g.states().iter().filter(|s| s.kind == StateKind::Statistic);
    assert_eq!(statistics.count(), 2 * 53);
    let shapes = g.values().map(|value| g.shape(value).unwrap());
    assert!(shapes.into_iter().any(|shape| shape[..] == [1, 2048, 7, 7]));
}

/// A training step by 64 images, whose first activations exceed a binding of 128 MiB, has a plan on
/// GPUs and on CPU adapters.
#[test]
fn resnet50_trains_on_any_device() {
    let mut g = Graph::new();
    let x = input(&mut g, [64, 3, 224, 224]);
    let labels = g.input("labels", Type::u32([64])).unwrap();
    let logits = resnet50(1000).build(&mut Build::train(&mut g), x).unwrap();
    let loss = g.cross_entropy(logits, labels).unwrap();
    let rate = learning_rate(&mut g, 0.1).unwrap();
    let trained = train::parameters(&g);
    minimize_params(&mut g, loss, &trained, Rule::Sgd(SgdRule::default()), rate).unwrap();
    let cpu = Caps {
        body: Body::Registers,
        windows: true,
        max_uniform: 1 << 16,
        ..Caps::default()
    };
    for caps in [Caps::default(), cpu] {
        let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
        let plan = Plan::new(&g, &states, &[loss], &caps, PlanOptions::default()).unwrap();
        // 53 convolutions forward and by weight, all but the first by input; a linear layer's
        // three.
        let of = |name: &str| plan.steps.iter().filter(|step| step.op == name).count();
        assert!(
            of("conv2d") >= 53 && of("conv2d_grad_weight") >= 53 && of("conv2d_grad_input") >= 52
        );
        assert!(plan.bytes.live <= plan.bytes.slots && plan.bytes.slots < plan.bytes.unplanned);
    }
}

/// With all weights of the second normalisation 0, a block is the relu of its shortcut, which moves
/// numbers and no more.
#[test]
fn shortcuts_drop_every_second_pixel_and_add_planes_of_zeros() {
    let mut g = Graph::new();
    let x = input(&mut g, [1, 3, 8, 8]);
    resnet_cifar(8, 10)
        .unwrap()
        .build(&mut Build::eval(&mut g), x)
        .unwrap();
    // The relu after the first normalisation, and the one that ends each block.
    let ends: Vec<Value> = g
        .nodes()
        .iter()
        .filter(|node| node.op.name() == "relu")
        .map(|node| node.outputs[0])
        .collect();
    let [stem, _, one, _, two, _, three] = ends[..] else {
        panic!("{} activations, not 7", ends.len());
    };
    let store = Store::new(&Engine::cpu(), &[&g], 3).unwrap();
    for stage in 1..=3 {
        let name = format!("layer{stage}.0.bn2.weight");
        let count = [16, 32, 64][stage - 1];
        let zeros = Tensor::f32([count], vec![0.0; count]).unwrap();
        store.set(&name, &zeros).unwrap();
    }
    let mut session = Session::new(&store, &g, &[stem, one, two, three]).unwrap();
    let image: Vec<f32> = (0..192)
        .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
        .collect();
    session
        .write(x, &Tensor::f32([1, 3, 8, 8], image).unwrap())
        .unwrap();
    session.run(1).unwrap();
    let values = |value| session.read(value).unwrap().as_f32().unwrap().to_vec();
    let (stem, one, two, three) = (values(stem), values(one), values(two), values(three));
    assert!(stem.iter().any(|&v| v > 0.1));
    assert_eq!(one, stem);
    let narrowed = |wide: &[f32], channels: usize, side: usize| {
        let half = side / 2;
        let mut narrow = vec![0.0; 2 * channels * half * half];
        for channel in 0..channels {
            for (i, pixel) in narrow[(channels / 2 + channel) * half * half..][..half * half]
                .iter_mut()
                .enumerate()
            {
                let (row, column) = (2 * (i / half), 2 * (i % half));
                *pixel = wide[(channel * side + row) * side + column];
            }
        }
        narrow
    };
    assert_eq!(two, narrowed(&one, 16, 8));
    assert_eq!(three, narrowed(&two, 32, 4));
}

#[test]
fn a_depth_that_does_not_divide_into_blocks_is_an_error() {
    for depth in [0, 2, 18, 21] {
        let error = resnet_cifar(depth, 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let start = format!("resnet_cifar: depth {depth} is not 8, 14, 20");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    let mut g = Graph::new();
    let grey = input(&mut g, [2, 1, 32, 32]);
    let error = resnet20(10)
        .build(&mut Build::train(&mut g), grey)
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("resnet20_cifar: conv1: conv2d: "),
        "{message}"
    );
}

#[test]
fn train_and_inference_forms_agree_over_one_store() {
    let graph = |mode, batch: usize| {
        let mut g = Graph::new();
        let x = input(&mut g, [batch, 1, 28, 28]);
        let logits = lenet5(10).build(&mut Build::new(&mut g, mode), x).unwrap();
        (g, x, logits)
    };
    let (train, infer) = (graph(Mode::Train, 3), graph(Mode::Eval, 1));
    let image: Vec<f32> = (0..784).map(|i| (i % 29) as f32 / 29.0).collect();
    let gpus = devices::gpus(&GpuOptions::default());
    let mut reference: Option<Vec<f32>> = None;
    for engine in std::iter::once(Engine::cpu()).chain(gpus.into_iter().map(Engine::from)) {
        let store = Store::new(&engine, &[&train.0, &infer.0], 5).unwrap();
        let logits = |(g, x, logits): &(Graph, Value, Value), batch: usize| {
            let mut session = Session::new(&store, g, &[*logits]).unwrap();
            let images = Tensor::f32([batch, 1, 28, 28], image.repeat(batch)).unwrap();
            session.write(*x, &images).unwrap();
            session.run(1).unwrap();
            session.read(*logits).unwrap().as_f32().unwrap()[..10].to_vec()
        };
        for found in [logits(&train, 3), logits(&infer, 1)] {
            let wanted = reference.get_or_insert(found.clone());
            assert!(wanted.iter().any(|&logit| logit.abs() > 1e-3));
            for (a, b) in wanted.iter().zip(found) {
                assert!((*a - b).abs() < 1e-5, "{engine:?}: {b}, not {a}");
            }
        }
    }
}

#[test]
fn a_wrong_image_is_an_error_that_names_the_layer() {
    let mut g = Graph::new();
    let x = input(&mut g, [4, 3, 28, 28]);
    let error = lenet5(10).build(&mut Build::eval(&mut g), x).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let message = error.to_string();
    assert!(message.starts_with("lenet5: conv1: conv2d: "), "{message}");
}

#[test]
fn a_module_built_twice_under_one_name_shares_its_parameters() {
    let mut g = Graph::new();
    let x = input(&mut g, [2, 6]);
    let layer = Linear::new(6, 6);
    let once = Build::train(&mut g).layer("fc", &layer, x).unwrap();
    Build::train(&mut g).layer("fc", &layer, once).unwrap();
    assert_eq!(
        parameters(&g),
        [("fc.weight", &[6, 6][..]), ("fc.bias", &[6])]
    );
    let other = Linear::new(6, 7);
    let error = Build::train(&mut g).layer("fc", &other, x).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Graph);
    assert_eq!(
        error.to_string(),
        "fc: parameter \"fc.weight\" f32 [7, 6]: the graph has a Parameter of this name, f32 [6, 6]"
    );
    let zero = Init::Constant(0.0);
    g.state("table", Type::f32([3]), StateKind::Data, zero.clone(), None)
        .unwrap();
    let mut cx = Build::train(&mut g);
    assert!(cx.parameter("table", [3], zero).is_err());
}

#[test]
fn sequential_names_by_number_and_by_name() {
    let mut g = Graph::new();
    let x = input(&mut g, [2, 4, 8, 8]);
    let inner = Sequential::new()
        .then(Conv2d::new(4, 8, 3).padding(1).groups(2).bias(false))
        .then(Relu)
        .then(AvgPool2d::new(2));
    let net = Sequential::new()
        .named("features", inner)
        .then(MaxPool2d::new(2))
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("head", Linear::new(8, 3).bias(false));
    let y = Build::eval(&mut g).layer("net", &net, x).unwrap();
    assert_eq!(g.shape(y).unwrap()[..], [2, 3]);
    assert_eq!(
        parameters(&g),
        [
            ("net.features.0.weight", &[8, 2, 3, 3][..]),
            ("net.head.weight", &[3, 8]),
        ]
    );
}

#[test]
fn dropout_is_nothing_in_inference() {
    for module in [&Dropout { p: 0.5 } as &dyn Module, &Dropout2d { p: 0.5 }] {
        let mut g = Graph::new();
        let x = input(&mut g, [2, 4, 3, 3]);
        assert_eq!(module.build(&mut Build::eval(&mut g), x).unwrap(), x);
        assert!(g.find_state("clock").is_none());
        let y = module.build(&mut Build::train(&mut g), x).unwrap();
        assert_ne!(y, x);
        assert_eq!(g.ty(y).unwrap(), g.ty(x).unwrap());
    }
}

/// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), the shortcut a convolution 1x1 where the
/// shape changes.
fn basic_block(g: &mut Graph, name: &str, x: Value, from: usize, to: usize) -> Value {
    let stride = if from == to { 1 } else { 2 };
    let conv = |from, to, kernel: usize, stride| {
        let conv = Conv2d::new(from, to, kernel).stride(stride);
        conv.padding(kernel / 2).bias(false)
    };
    let residual = Sequential::new()
        .named("conv1", conv(from, to, 3, stride))
        .named("bn1", BatchNorm2d::new(to))
        .then(Relu)
        .named("conv2", conv(to, to, 3, 1))
        .named("bn2", BatchNorm2d::new(to));
    let y = Build::train(g).layer(name, &residual, x).unwrap();
    let shortcut = match from == to {
        true => x,
        false => {
            let shrink = Sequential::new()
                .then(conv(from, to, 1, stride))
                .then(BatchNorm2d::new(to));
            let name = format!("{name}.downsample");
            Build::train(g).layer(&name, &shrink, x).unwrap()
        }
    };
    let sum = g.add(y, shortcut).unwrap();
    g.relu(sum).unwrap()
}

/// A step of training ResNet-18 on images `[batch, 3, 32, 32]`, and its loss.
fn resnet18_cifar(batch: usize) -> (Graph, Value) {
    let mut g = Graph::new();
    let x = input(&mut g, [batch, 3, 32, 32]);
    let labels = g.input("labels", Type::u32([batch])).unwrap();
    let rows = g.input("rows", Type::u32([1])).unwrap();
    let stem = Sequential::new()
        .named("conv1", Conv2d::new(3, 64, 3).padding(1).bias(false))
        .named("bn1", BatchNorm2d::new(64))
        .then(Relu);
    let mut y = stem.build(&mut Build::train(&mut g), x).unwrap();
    let mut from = 64;
    for (stage, to) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let name = format!("layer{}.{block}", stage + 1);
            y = basic_block(&mut g, &name, y, from, to);
            from = to;
        }
    }
    let head = Sequential::new()
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(512, 10));
    let logits = head.build(&mut Build::train(&mut g), y).unwrap();
    let loss = g
        .cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(rows))
        .unwrap();
    let rate = learning_rate(&mut g, 0.01).unwrap();
    let trained = train::parameters(&g);
    minimize_params(&mut g, loss, &trained, Rule::Sgd(SgdRule::default()), rate).unwrap();
    (g, loss)
}

/// What a CPU adapter offers.
fn cpu_caps(windows: bool) -> Caps {
    Caps {
        body: Body::Registers,
        windows,
        max_uniform: 1 << 16,
        max_turns: CPU_TURNS,
        ..Caps::default()
    }
}

fn planned(g: &Graph, fetched: &[Value], caps: &Caps) -> Plan {
    let states = StateLayout::new(&[g], caps.max_binding).unwrap();
    Plan::new(g, &states, fetched, caps, PlanOptions::default()).unwrap()
}

#[test]
fn windows_cost_resnet18_no_memory() {
    let (g, loss) = resnet18_cifar(128);
    let [with, without] =
        [true, false].map(|windows| planned(&g, &[loss], &cpu_caps(windows)).bytes);
    println!("{with:?} with windows, {without:?} without");
    assert!(
        with.slots as f64 <= 1.2 * without.slots as f64,
        "{with:?} with windows, {without:?} without"
    );
}

/// The scratch of a weight's gradient does not grow with the batch.
#[test]
fn gradients_of_weights_need_no_more_scratch_for_more_images() {
    for (x_shape, filters) in [
        ([56, 256, 8, 8], 256),
        ([57, 256, 8, 8], 256),
        ([32, 512, 4, 4], 512),
        ([256, 512, 4, 4], 512),
    ] {
        let mut g = Graph::new();
        let x = input(&mut g, x_shape);
        let x = g.relu(x).unwrap();
        let weight_shape = [filters, x_shape[1], 3, 3];
        let weight = g.fill(weight_shape, 1.0).unwrap();
        let conv = striate::ops::Conv2d::new().padding(1);
        let y = g.conv2d(x, weight, None, conv).unwrap();
        let dy = g.relu(y).unwrap();
        let found = gradients_from(&mut g, &[(y, dy)], &[weight]).unwrap();
        let plan = planned(&g, &[found[0].unwrap()], &cpu_caps(true));
        let images: usize = x_shape.iter().product();
        let weights: usize = weight_shape.iter().product();
        // x, y, the filters, their packed form, their gradient and its scratch, with what windows
        // show past their ends.
        let most = 4 * (3 * images + 5 * weights) as u64 + (1 << 20);
        assert!(plan.bytes.slots <= most, "{x_shape:?}: {:?}", plan.bytes);
    }
}

/// One real step on every software adapter; it takes minutes, and runs where `STRIATE_LONG` is 1.
#[test]
fn resnet18_trains_a_step_at_batch_128() {
    if std::env::var("STRIATE_LONG").as_deref() != Ok("1") {
        println!("SKIPPED: STRIATE_LONG is not 1");
        return;
    }
    let options = GpuOptions {
        backends: Some(striate::wgpu::Backends::VULKAN),
        ..GpuOptions::default()
    };
    for gpu in devices::gpus(&options) {
        let batch = 128;
        let (g, loss) = resnet18_cifar(batch);
        let store = Store::new(&Engine::from(gpu), &[&g], 1).unwrap();
        let mut session = Session::new(&store, &g, &[loss]).unwrap();
        let pixels = (0..batch * 3 * 32 * 32).map(|i| ((i * 37 % 255) as f32) / 255.0);
        let x = Tensor::f32([batch, 3, 32, 32], pixels.collect()).unwrap();
        let labels = (0..batch as u32).map(|i| i % 10).collect();
        let inputs = [
            ("x", x),
            ("labels", Tensor::u32([batch], labels).unwrap()),
            ("rows", Tensor::u32([1], vec![batch as u32]).unwrap()),
        ];
        for (name, tensor) in &inputs {
            session.write(g.find_input(name).unwrap(), tensor).unwrap();
        }
        let mut losses = Vec::new();
        for _ in 0..2 {
            session.run(1).unwrap();
            losses.push(session.read(loss).unwrap().as_f32().unwrap()[0]);
        }
        println!("{losses:?}");
        // Ten classes at random, and the same images again after a step.
        assert!((losses[0] - 10f32.ln()).abs() < 0.5, "{losses:?}");
        assert!(losses[1] < losses[0], "{losses:?}");
    }
}

/// Training LeNet-5 with another batch size builds no pipeline, in either body, but for the fast
/// variant of products of few rows in registers on CPU adapters.
#[test]
fn another_batch_size_compiles_nothing() {
    use striate::kernel::Body;
    use striate::ops::{CrossEntropyLoss, Rule, SgdRule};
    use striate::train::{learning_rate, minimize_params, parameters};
    for body in [Body::Registers, Body::Shared] {
        let options = striate::gpu::GpuOptions {
            body: Some(body),
            ..Default::default()
        };
        for gpu in striate::gpu::Gpu::all(&options) {
            let gpu = gpu.unwrap();
            let pipelines = |batch: usize| {
                let mut g = Graph::new();
                let x = g.input("x", Type::f32([batch, 1, 28, 28])).unwrap();
                let labels = g.input("labels", Type::u32([batch])).unwrap();
                let valid = g.input("valid", Type::u32([1])).unwrap();
                let logits = lenet5(10).build(&mut Build::train(&mut g), x).unwrap();
                let loss = g
                    .cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(valid))
                    .unwrap();
                let params = parameters(&g);
                let rate = learning_rate(&mut g, 0.01).unwrap();
                minimize_params(&mut g, loss, &params, Rule::Sgd(SgdRule::default()), rate)
                    .unwrap();
                let store = Store::new(&gpu.clone().into(), &[&g], 0).unwrap();
                Session::new(&store, &g, &[loss]).unwrap();
                gpu.pipeline_count()
            };
            let first = pipelines(128);
            for batch in [5, 50, 64, 1000] {
                assert_eq!(pipelines(batch), first, "{body:?}, batch {batch}");
            }
            let few_rows = match body {
                Body::Registers if gpu.caps().windows => 1,
                _ => 0,
            };
            for batch in [1, 3, 4] {
                assert_eq!(
                    pipelines(batch),
                    first + few_rows,
                    "{body:?}, batch {batch}"
                );
            }
        }
    }
}

/// Sets of one element each: their tables are larger than the values, and windows show one row of
/// them. Neither dispatches nor slots follow the rows.
#[test]
fn many_small_sets_take_few_dispatches_and_little_memory() {
    let cpu = Caps {
        body: Body::Registers,
        max_uniform: WINDOW,
        windows: true,
        ..Caps::default()
    };
    for caps in [Caps::default(), cpu] {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([8192, 2625])).unwrap();
        let weight = g.parameter("w", [2625], Init::Constant(1.0)).unwrap();
        let bias = g.parameter("b", [2625], Init::Constant(0.0)).unwrap();
        let y = g
            .group_norm(x, 2625, Some(weight), Some(bias), 1e-5)
            .unwrap();
        let y = g.tanh(y).unwrap();
        let loss = g.sum(y, &[0, 1], false).unwrap();
        let found = gradients(&mut g, loss, &[x, weight, bias]).unwrap();
        let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
        let plan = Plan::new(&g, &states, &found, &caps, PlanOptions::default()).unwrap();
        assert!(plan.steps.len() < 400, "{} dispatches", plan.steps.len());
        let most = plan.bytes.unplanned + (64 << 20);
        assert!(plan.bytes.slots < most, "{:?}", plan.bytes);
    }
}

/// A chain whose plan is made in steps that grow as n log n: eight times its length within
/// twenty-four times its time, where one that grows as the square takes sixty-four times. Both take
/// turns, and the shortest of their times counts: other tests run meanwhile.
#[test]
fn planning_time_grows_as_n_log_n() {
    let caps = Caps::default();
    let chain = |n: usize| {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([64])).unwrap();
        let mut y = x;
        for i in 0..n {
            let w = g
                .parameter(&format!("w{i}"), [64], Init::Constant(1.0))
                .unwrap();
            y = g.mul(y, w).unwrap();
            y = g.relu(y).unwrap();
        }
        let loss = g.sum(y, &[0], false).unwrap();
        let trained = train::parameters(&g);
        let rate = learning_rate(&mut g, 0.1).unwrap();
        minimize_params(&mut g, loss, &trained, Rule::Sgd(SgdRule::default()), rate).unwrap();
        (g, loss)
    };
    let time = |(g, loss): &(Graph, Value)| {
        let start = Instant::now();
        let states = StateLayout::new(&[g], caps.max_binding).unwrap();
        Plan::new(g, &states, &[*loss], &caps, PlanOptions::default()).unwrap();
        start.elapsed()
    };
    let chains = [chain(500), chain(4000)];
    let rounds: Vec<[Duration; 2]> = (0..9).map(|_| chains.each_ref().map(time)).collect();
    let [short, long] = [0, 1].map(|i| rounds.iter().map(|round| round[i]).min().unwrap());
    assert!(long < 24 * short, "{short:?} for 500, {long:?} for 4,000");
}

/// Frozen layers are built for evaluation, have no gradients and no moments, and stay as they are;
/// the others train.
#[test]
fn frozen_layers_stay_as_they_are() {
    let net = Sequential::new()
        .named("conv", Conv2d::new(1, 4, 3))
        .named("bn", BatchNorm2d::new(4))
        .then(Relu)
        .then(Flatten)
        .named("drop", striate::nn::Dropout::new(0.5))
        .named("fc", Linear::new(4 * 36, 3));
    let mut g = Graph::new();
    let x = input(&mut g, [6, 1, 8, 8]);
    let labels = g.input("labels", Type::u32([6])).unwrap();
    let mut cx = Build::train(&mut g).freeze_where(|layer| ["conv", "bn"].contains(&layer));
    let logits = net.build(&mut cx, x).unwrap();
    let normal = cx.find("bn").unwrap();
    assert_eq!(cx.find("fc"), Some(logits));
    assert_eq!(cx.find("nothing"), None);
    let names: Vec<&str> = cx.layers().map(|(name, _)| name).collect();
    assert_eq!(names, ["conv", "bn", "2", "3", "drop", "fc"]);
    let loss = g.cross_entropy(logits, labels).unwrap();
    striate::train::minimize(&mut g, loss, striate::train::Adam::new().lr(0.1)).unwrap();
    let ops = || g.nodes().iter().map(|node| node.op.name());
    assert!(!ops().any(|op| op == "conv2d_grad_weight" || op == "batch_norm_train"));
    // The head's dropout is still there.
    assert!(ops().any(|op| op == "dropout"));
    let moments = |name: &str| {
        g.states()
            .iter()
            .any(|s| s.name.ends_with(name) && s.like.is_some())
    };
    assert!(moments("fc.weight") && !moments("conv.weight") && !moments("bn.weight"));

    let store = Store::new(&Engine::cpu(), &[&g], 3).unwrap();
    let states = ["conv.weight", "bn.weight", "bn.running_mean", "fc.weight"];
    let read = || states.map(|name| store.get(name).unwrap());
    let before = read();
    let mut session = Session::new(&store, &g, &[normal]).unwrap();
    let pixels = (0..6 * 64).map(|i| (i % 7) as f32).collect();
    session
        .write(x, &Tensor::f32([6, 1, 8, 8], pixels).unwrap())
        .unwrap();
    let classes = Tensor::u32([6], vec![0, 1, 2, 0, 1, 2]).unwrap();
    session.write(labels, &classes).unwrap();
    session.run(2).unwrap();
    let after = read();
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3]);
}

/// Further heads are registered by name, and a function is a module.
#[test]
fn a_network_has_further_outputs() {
    let net = striate::nn::from_fn(|cx, x| {
        let y = cx.layer("trunk", &Linear::new(4, 4), x)?;
        let aux = cx.layer("aux", &Linear::new(4, 2), y)?;
        cx.output("aux", aux);
        assert_eq!(cx.name(), "net");
        cx.layer("fc", &Linear::new(4, 3), y)
    });
    let mut g = Graph::new();
    let x = input(&mut g, [2, 4]);
    let mut cx = Build::eval(&mut g);
    let y = cx.layer("net", &net, x).unwrap();
    let [head] = cx.outputs() else {
        panic!("{:?}", cx.outputs());
    };
    assert_eq!((head.name.as_str(), head.weight), ("aux", 0.0));
    let (aux, again) = (head.value, cx.find("net.aux"));
    assert_eq!(again, Some(aux));
    assert_eq!(g.shape(aux).unwrap()[..], [2, 2]);
    assert_eq!(g.shape(y).unwrap()[..], [2, 3]);
    assert!(g.find_state("net.trunk.weight").is_some());
}

/// Means 2 and 4 become max(2 - 4 + 1, 0) = 0 and max(2 + 4 - 1, 0) = 5, whose difference and sum
/// are the logits.
#[test]
fn squeezed_channels_are_weighed_by_their_means() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 2, 1, 2])).unwrap();
    let net = SqueezeExcite::new(2, 2);
    let y = net.build(&mut Build::eval(&mut g), x).unwrap();
    let mut given = HashMap::new();
    let mut give = |value, shape: &[usize], numbers: &[f64]| {
        let array = Array::float(shape.to_vec(), numbers.to_vec());
        given.insert(value, Arc::new(array));
    };
    give(x, &[1, 2, 1, 2], &[1.0, 3.0, 8.0, 0.0]);
    for (name, bias) in [("fc1", [1.0, -1.0]), ("fc2", [0.0, 0.0])] {
        let state = |part: &str| g.find_state(&format!("{name}.{part}")).unwrap();
        give(state("weight"), &[2, 2, 1, 1], &[1.0, -1.0, 1.0, 1.0]);
        give(state("bias"), &[2], &bias);
    }
    let found = evaluate(&g, &given, &[y], 1).unwrap();
    let weights = [-5.0f64, 5.0].map(|x| 1.0 / (1.0 + (-x).exp()));
    let wanted = [weights[0], 3.0 * weights[0], 8.0 * weights[1], 0.0];
    for (found, wanted) in found[0].floats().iter().zip(wanted) {
        assert!(
            (found - wanted).abs() < 1e-12,
            "{found} instead of {wanted}"
        );
    }
}
