//! Ops on values that are larger than one binding: cut into parts, operands differently.

use striate::autodiff::gradients_from;
use striate::error::ErrorKind;
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::kernel::Body;
use striate::nn::{self, Build, Dropout, Linear, Relu, Sequential};
use striate::ops::{
    AdamRule, AvgPool2d, Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTransposeWalk, ConvWalk,
    CrossEntropyLoss, MaxPool2d, Rule, SgdRule,
};
use striate::rng::{Stream, philox4x32, unit_f32};
use striate::session::Session;
use striate::shape::{DType, PaddingMode, Type};
use striate::store::Store;
use striate::tensor::Tensor;
use striate::train::{learning_rate, minimize_params, parameters};
use striate_cases::devices;

/// Runs the graph on the CPU and on every adapter with bindings of at most `max_binding` bytes, and
/// compares what it fetches.
fn compare(g: &Graph, fetched: &[Value], max_binding: u64) {
    let run = |engine: &Engine| {
        let store = Store::new(engine, &[g], 3).unwrap();
        let mut session = Session::new(&store, g, fetched).unwrap();
        session.run(2).unwrap();
        let tensors = fetched.iter().map(|&v| session.read(v).unwrap());
        tensors.collect::<Vec<_>>()
    };
    let wanted = run(&Engine::cpu());
    let gpus = |body| {
        devices::gpus(&GpuOptions {
            max_binding: Some(max_binding),
            body: Some(body),
            ..GpuOptions::default()
        })
    };
    let gpus = [Body::Registers, Body::Shared].into_iter().flat_map(gpus);
    for engine in gpus.map(Engine::from) {
        for (i, (a, b)) in wanted.iter().zip(run(&engine)).enumerate() {
            if a.ty().dtype != DType::F32 {
                assert_eq!(a, &b, "output {i} on {engine:?}");
                continue;
            }
            for (at, (a, b)) in a
                .as_f32()
                .unwrap()
                .iter()
                .zip(b.as_f32().unwrap())
                .enumerate()
            {
                assert!(
                    (a - b).abs() <= 2e-6 * a.abs().max(1.0),
                    "output {i}, element {at} on {engine:?}: {b}, not {a}"
                );
            }
        }
    }
}

fn normal(g: &mut Graph, name: &str, ty: Type) -> Value {
    let init = Init::Normal { std: 1.0 };
    g.state(name, ty, StateKind::Data, init, None).unwrap()
}

#[test]
fn pooling_of_an_input_in_more_parts_than_its_output() {
    // A row of x takes 720 bytes, one of the 2 x 2 output 180: with 2,048 bytes, four parts and
    // one; with 800, seven and two.
    for max_binding in [2048, 800] {
        for [kernel, stride, padding] in [[2, 2, 0], [3, 2, 1], [2, 3, 1]] {
            let (kernel, stride, padding) = ([kernel; 2], [stride; 2], [padding; 2]);
            let mut g = Graph::new();
            let x = normal(&mut g, "x", Type::f32([7, 3, 6, 10]));
            let max = MaxPool2d {
                stride,
                padding,
                ..MaxPool2d::new(kernel)
            };
            let avg = AvgPool2d {
                stride,
                padding,
                count_include_pad: false,
                ..AvgPool2d::new(kernel)
            };
            let (y, index) = g.max_pool_with_indices(x, max).unwrap();
            let mean = g.avg_pool(x, avg).unwrap();
            let ty = g.ty(y).unwrap().clone();
            let dy = normal(&mut g, "dy", ty);
            let mut fetched = vec![y, index, mean];
            for y in [y, mean] {
                let dx = gradients_from(&mut g, &[(y, dy)], &[x]).unwrap();
                fetched.extend(dx.into_iter().flatten());
            }
            compare(&g, &fetched, max_binding);
        }
    }
}

/// Small integers, whose sums of products are exact.
fn integers(g: &mut Graph, name: &str, shape: &[usize]) -> Value {
    let ty = Type::f32(shape);
    let values = (0..ty.count()).map(|i| ((i * 7 + name.len()) % 9) as f32 - 4.0);
    let tensor = Tensor::f32(shape, values.collect()).unwrap();
    let init = Init::Tensor(tensor.into());
    g.state(name, ty, StateKind::Data, init, None).unwrap()
}

/// A convolution and its gradients in parts of 2,048 bytes.
fn convolve<const D: usize>(x: &[usize], weight: &[usize], conv: Conv<D>)
where
    Conv<D>: Into<ConvWalk>,
{
    convolve_in(2048, x, weight, conv);
}

/// The same in parts of `max_binding` bytes.
fn convolve_in<const D: usize>(max_binding: u64, x: &[usize], weight: &[usize], conv: Conv<D>)
where
    Conv<D>: Into<ConvWalk>,
{
    let mut g = Graph::new();
    let x = integers(&mut g, "x", x);
    let weight = integers(&mut g, "weight", weight);
    let filters = g.shape(weight).unwrap()[0];
    let bias = integers(&mut g, "bias", &[filters]);
    let y = g.conv(x, weight, Some(bias), conv).unwrap();
    let shape = g.shape(y).unwrap().to_vec();
    let dy = integers(&mut g, "dy", &shape);
    let found = gradients_from(&mut g, &[(y, dy)], &[x, weight, bias]).unwrap();
    let mut fetched: Vec<Value> = found.into_iter().flatten().collect();
    // A mask on the gradient of the input, which fusion moves into its kernel.
    let activation = g.relu(x).unwrap();
    let next = g.conv(activation, weight, None, conv).unwrap();
    fetched.extend(gradients_from(&mut g, &[(next, dy)], &[x]).unwrap()[0]);
    fetched.push(g.relu(y).unwrap());
    compare(&g, &fetched, max_binding);
}

/// Parts that are as large as a window of a uniform binding, the last of them smaller.
#[test]
fn parts_through_windows() {
    // Nine images of 24 x 24 to a part of x, and four in its last.
    convolve_in(1 << 16, &[40, 3, 24, 24], &[8, 3, 5, 5], Conv2d::default());
    for transpose_a in [false, true] {
        let mut g = Graph::new();
        let shape = if transpose_a { [100, 300] } else { [300, 100] };
        let a = integers(&mut g, "a", &shape);
        let b = integers(&mut g, "b", &[100, 20]);
        let y = g.matmul(a, b, transpose_a, false).unwrap();
        let dy = integers(&mut g, "dy", &[300, 20]);
        let found = gradients_from(&mut g, &[(y, dy)], &[a, b]).unwrap();
        let fetched: Vec<Value> = [y].into_iter().chain(found.into_iter().flatten()).collect();
        compare(&g, &fetched, 1 << 16);
    }
    // Two runs of terms to each of three parts of dy, whose sums wait until the mask, a single
    // part, has been read.
    let mut g = Graph::new();
    let x = integers(&mut g, "x", &[300, 100]);
    let weight = integers(&mut g, "weight", &[300, 100]);
    let dy = integers(&mut g, "dy", &[300, 300]);
    let activation = g.relu(x).unwrap();
    let y = g.matmul(activation, weight, false, true).unwrap();
    let dx = gradients_from(&mut g, &[(y, dy)], &[x]).unwrap()[0].unwrap();
    compare(&g, &[dx], 1 << 17);
    // Three matrices of a to a part, ten of b.
    let mut g = Graph::new();
    let a = integers(&mut g, "a", &[7, 64, 80]);
    let b = integers(&mut g, "b", &[7, 80, 20]);
    let y = g.matmul(a, b, false, false).unwrap();
    let dy = integers(&mut g, "dy", &[7, 64, 20]);
    let found = gradients_from(&mut g, &[(y, dy)], &[a, b]).unwrap();
    let fetched: Vec<Value> = [y].into_iter().chain(found.into_iter().flatten()).collect();
    compare(&g, &fetched, 1 << 16);
}

/// The sums of runs of a long batch of rows would exceed a binding: it is read from storage.
#[test]
fn a_gradient_of_a_weight_over_many_rows() {
    let mut g = Graph::new();
    let x = integers(&mut g, "x", &[200, 140]);
    let dy = integers(&mut g, "dy", &[200, 140]);
    let fetched = [g.matmul(x, dy, true, false).unwrap()];
    compare(&g, &fetched, 1 << 17);
}

#[test]
fn convolutions_by_weights_in_parts() {
    // Parts of seven filters.
    convolve(&[9, 8, 4, 4], &[24, 8, 3, 3], Conv2d::default());
    // Fourteen of two groups of twelve.
    let two = Conv {
        groups: 2,
        ..Conv2d::default()
    };
    convolve(&[9, 8, 4, 4], &[24, 4, 3, 3], two);
    // 56 of 32 groups of three: a group lies in both parts.
    let depthwise = Conv {
        groups: 32,
        ..Conv2d::default()
    };
    convolve(&[9, 32, 3, 3], &[96, 1, 3, 3], depthwise);
    // Rows of whole quads; the second cuts groups, which leaves some filters without quads.
    for groups in [96, 32] {
        let depthwise = Conv2d {
            groups,
            ..Conv2d::new().padding(1)
        };
        convolve(&[3, groups, 1, 4], &[96, 1, 3, 3], depthwise);
    }
    // Groups of one.
    let most = Conv {
        groups: 96,
        ..Conv2d::default()
    };
    convolve(
        &[5, 96, 2, 2],
        &[96, 1, 3, 2],
        Conv {
            padding: [[1, 0], [0, 1]],
            ..most
        },
    );
    let reflect = Conv {
        padding_mode: PaddingMode::Reflect,
        stride: [2],
        ..Conv1d::new().padding(2)
    };
    convolve(&[9, 6, 17], &[25, 6, 5], reflect);
    convolve(&[3, 2, 3, 4, 3], &[18, 2, 3, 3, 3], Conv3d::default());
    // Parts of one filter, with more than two sums for each element of the gradient of the input.
    convolve(&[2, 20, 5, 5], &[4, 20, 5, 5], Conv2d::default());
    transpose(
        &[9, 24, 2, 2],
        &[24, 8, 3, 3],
        ConvTranspose::<2>::default(),
    );
    let two = ConvTranspose {
        groups: 2,
        ..ConvTranspose::<2>::default()
    };
    transpose(&[9, 24, 2, 2], &[24, 4, 3, 3], two);
    let three = ConvTranspose {
        groups: 32,
        ..ConvTranspose::<2>::default()
    };
    transpose(&[9, 96, 1, 1], &[96, 1, 3, 3], three);
}

#[test]
fn convolutions_of_batches_in_parts() {
    let same = Conv2d::new().padding(1);
    convolve(&[9, 4, 5, 6], &[6, 4, 3, 3], same);
    let stride = Conv {
        stride: [1, 2],
        ..same
    };
    convolve(&[9, 3, 5, 8], &[12, 3, 3, 3], stride);
    convolve(&[9, 4, 31], &[7, 4, 5], Conv1d::new().padding(2));
    let groups = Conv { groups: 4, ..same };
    convolve(&[9, 4, 5, 6], &[8, 1, 3, 3], groups);
    convolve(&[9, 8, 3, 5], &[8, 1, 3, 3], Conv { groups: 8, ..same });
    let reflect = Conv {
        padding_mode: PaddingMode::Reflect,
        ..same
    };
    convolve(&[9, 4, 5, 6], &[6, 4, 3, 3], reflect);
    convolve(&[9, 2, 3, 4, 5], &[4, 2, 3, 3, 3], Conv3d::new().padding(1));
}

/// A transposed convolution with a bias, and its gradients, in parts of 2,048 bytes and whole.
fn transpose<const D: usize>(x: &[usize], weight: &[usize], conv: ConvTranspose<D>)
where
    ConvTranspose<D>: Into<ConvTransposeWalk>,
{
    let mut g = Graph::new();
    let bias = integers(&mut g, "bias", &[weight[1] * conv.groups]);
    let x = integers(&mut g, "x", x);
    let weight = integers(&mut g, "weight", weight);
    let y = g.conv_transpose(x, weight, Some(bias), conv).unwrap();
    let shape = g.shape(y).unwrap().to_vec();
    let dy = integers(&mut g, "dy", &shape);
    let found = gradients_from(&mut g, &[(y, dy)], &[x, weight, bias]).unwrap();
    let fetched: Vec<Value> = found.into_iter().flatten().chain([y]).collect();
    compare(&g, &fetched, 2048);
}

#[test]
fn transposed_convolutions_of_batches_in_parts() {
    let double = ConvTranspose::<2> {
        stride: [2, 2],
        padding: [[1, 1]; 2],
        output_padding: [1, 1],
        ..ConvTranspose::default()
    };
    transpose(&[9, 4, 5, 6], &[4, 2, 3, 3], double);
    // A row of x takes 288 bytes, one of y 640: parts of seven and of three rows.
    let depthwise = ConvTranspose::<2> {
        groups: 4,
        ..ConvTranspose::default()
    };
    transpose(&[9, 4, 3, 6], &[4, 1, 3, 3], depthwise);
    // A row of x takes 288 bytes, one of y 600.
    let deep = ConvTranspose::<3>::default();
    transpose(&[9, 4, 2, 3, 3], &[4, 2, 2, 3, 3], deep);
    let steps = ConvTranspose::<3> {
        stride: [1, 2, 2],
        ..deep
    };
    transpose(&[9, 4, 2, 3, 3], &[4, 2, 2, 3, 3], steps);
}

#[test]
fn pooling_with_indices_in_bytes() {
    // A row of x takes 960 bytes, one of the 2 x 2 output 240, one of its indices 60: all three are
    // cut at other rows.
    for max_binding in [2048, 1024] {
        for [kernel, stride, padding] in [[2, 2, 0], [3, 2, 1], [2, 3, 1]] {
            let mut g = Graph::new();
            let x = normal(&mut g, "x", Type::f32([40, 4, 6, 10]));
            let pool = MaxPool2d {
                stride: [stride; 2],
                padding: [padding; 2],
                ..MaxPool2d::new(kernel)
            };
            let mut fetched = striate_cases::pool::with_smallest_indices(&mut g, x, pool).unwrap();
            let (y, index) = (fetched[0], fetched[1]);
            assert_eq!(g.ty(index).unwrap().dtype, DType::U8);
            let ty = g.ty(y).unwrap().clone();
            let dy = normal(&mut g, "dy", ty);
            let dx = gradients_from(&mut g, &[(y, dy)], &[x]).unwrap();
            fetched.extend(dx.into_iter().flatten());
            compare(&g, &fetched, max_binding);
        }
    }
}

#[test]
fn updates_of_a_parameter_in_parts() {
    let sgd = Rule::Sgd(SgdRule {
        momentum: 0.9,
        ..SgdRule::default()
    });
    for rule in [sgd, Rule::Adam(AdamRule::default())] {
        let mut g = Graph::new();
        let mut row = |kind: &str| -> Vec<Value> {
            let shapes = [Type::f32([3, 5]), Type::f32([50, 7]), Type::f32([9])];
            let named = shapes.into_iter().enumerate();
            named
                .map(|(i, ty)| normal(&mut g, &format!("{kind}{i}"), ty))
                .collect()
        };
        let (params, grads) = (row("p"), row("g"));
        let moments: Vec<Vec<Value>> = (0..rule.moments())
            .map(|m| row(&format!("m{m}.")))
            .collect();
        let lr = g.fill([], 0.125).unwrap();
        let moments: Vec<Vec<Value>> = moments
            .into_iter()
            .map(|row| row.into_iter().map(|v| g.mul(v, v).unwrap()).collect())
            .collect();
        let updated = g.update(rule, &params, &grads, &moments, lr).unwrap();
        let fetched: Vec<Value> = [updated.params, updated.moments.concat()].concat();
        compare(&g, &fetched, 512);
    }
}

/// A perceptron with dropout, trained in parts of 512 bytes and whole: weights, gradients and
/// moments are cut, most sums too.
#[test]
fn a_perceptron_trains_in_parts_as_it_does_whole() {
    let sgd = Rule::Sgd(SgdRule {
        momentum: 0.9,
        weight_decay: 0.01,
        ..SgdRule::default()
    });
    for rule in [sgd, Rule::Adam(AdamRule::default())] {
        let mut g = Graph::new();
        let x = normal(&mut g, "x", Type::f32([12, 30]));
        let labels = Tensor::u32([12], (0..12).map(|i| i * 7 % 10).collect()).unwrap();
        let labels = g.constant(labels).unwrap();
        let valid = g.constant(Tensor::u32([1], vec![11]).unwrap()).unwrap();
        let net = Sequential::new()
            .then(Linear::new(30, 64))
            .then(Relu)
            .then(Dropout { p: 0.25 })
            .then(Linear::new(64, 33))
            .then(Relu)
            .then(Linear::new(33, 10));
        let logits = Build::train(&mut g).layer("net", &net, x).unwrap();
        let loss = g
            .cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(valid))
            .unwrap();
        let params = parameters(&g);
        let rate = learning_rate(&mut g, 0.01).unwrap();
        minimize_params(&mut g, loss, &params, rule, rate).unwrap();
        trains_alike(&g, 512, 10);
    }
}

/// A small convolutional net, every activation and the first linear layer's weight in parts.
#[test]
fn a_convolutional_net_trains_in_parts_as_it_does_whole() {
    let mut g = Graph::new();
    let x = normal(&mut g, "x", Type::f32([8, 3, 12, 12]));
    let labels = Tensor::u32([8], (0..8).map(|i| i * 7 % 10).collect()).unwrap();
    let labels = g.constant(labels).unwrap();
    let valid = g.constant(Tensor::u32([1], vec![8]).unwrap()).unwrap();
    let net = Sequential::new()
        // The gradient of a bias before a batch normalisation is 0, but for rounding.
        .then(nn::Conv2d::new(3, 8, 3).padding(1).bias(false))
        .then(nn::BatchNorm2d::new(8))
        .then(Relu)
        .then(nn::MaxPool2d::new(2))
        .then(nn::Conv2d::new(8, 12, 3).padding(1))
        .then(Relu)
        .then(nn::AvgPool2d::new(2))
        .then(nn::Flatten)
        .then(Linear::new(108, 40))
        .then(Relu)
        .then(Linear::new(40, 10));
    let logits = Build::train(&mut g).layer("net", &net, x).unwrap();
    let loss = g
        .cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(valid))
        .unwrap();
    let params = parameters(&g);
    let rate = learning_rate(&mut g, 0.01).unwrap();
    let sgd = Rule::Sgd(SgdRule {
        momentum: 0.9,
        ..SgdRule::default()
    });
    minimize_params(&mut g, loss, &params, sgd, rate).unwrap();
    // One image of the first activation.
    trains_alike(&g, 8 * 12 * 12 * 4, 10);
}

/// Runs `steps` steps of a graph on every adapter, whole and with bindings of at most `max_binding`
/// bytes: all states end alike.
fn trains_alike(g: &Graph, max_binding: u64, steps: usize) {
    for gpu in devices::gpus(&GpuOptions::default()) {
        for body in [Body::Registers, Body::Shared] {
            let run = |max_binding: Option<u64>| {
                let options = GpuOptions {
                    body: Some(body),
                    max_binding,
                    ..GpuOptions::default()
                };
                let engine = Engine::from(gpu.with_options(&options).unwrap());
                let store = Store::new(&engine, &[g], 3).unwrap();
                let mut session = Session::new(&store, g, &[]).unwrap();
                session.run(steps).unwrap();
                let names = store
                    .names()
                    .map(|name| (name.to_owned(), store.get(name).unwrap()));
                names.collect::<Vec<_>>()
            };
            let (whole, parts) = (run(None), run(Some(max_binding)));
            for ((name, whole), (_, parts)) in whole.iter().zip(&parts) {
                let (Ok(whole), Ok(parts)) = (whole.as_f32(), parts.as_f32()) else {
                    assert_eq!(whole, parts, "{name}");
                    continue;
                };
                let largest = whole.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
                for (i, (a, b)) in whole.iter().zip(parts).enumerate() {
                    let near = (a - b).abs() <= 1e-4 * largest;
                    assert!(
                        near,
                        "{name}, element {i} on {gpu:?}, {body:?}: {b}, not {a}"
                    );
                }
            }
        }
    }
}

/// Bytes that WebGPU lets a device bind by default.
const DEFAULT_BINDING: u64 = 128 << 20;

/// A session on an adapter that binds as much as WebGPU promises; none, with a line, where its
/// memory does not hold it.
fn at_full_size(gpu: &Gpu, g: &Graph, fetched: &[Value]) -> Option<(Store, Session)> {
    let options = GpuOptions {
        max_binding: Some(DEFAULT_BINDING),
        ..GpuOptions::default()
    };
    let engine = Engine::from(gpu.with_options(&options).unwrap());
    let made = Store::new(&engine, &[g], 1).and_then(|store| {
        let session = Session::new(&store, g, fetched)?;
        Ok((store, session))
    });
    match made {
        Ok(made) => Some(made),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            println!("SKIPPED on {gpu:?}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A product of `terms`, as close to `got` as a sum in any order must be.
fn expect_sum(got: f32, terms: impl Iterator<Item = (f32, f32)>, what: &str) {
    let (mut count, mut sum, mut size) = (0, 0.0, 0.0);
    for (a, b) in terms {
        let product = f64::from(a) * f64::from(b);
        (count, sum, size) = (count + 1, sum + product, size + product.abs());
    }
    let bound = f64::from(count + 8) * 2f64.powi(-24) * size;
    let off = (f64::from(got) - sum).abs();
    assert!(
        off <= bound,
        "{what}: {got}, not {sum}: off by {off:.2e}, allowed {bound:.2e}"
    );
}

/// AlexNet's first fully connected layer, whose weight takes 151 MB: forward, gradients and a step
/// of SGD.
#[test]
fn a_linear_layer_beyond_one_binding() {
    const BATCH: usize = 4;
    const IN: usize = 9216;
    const OUT: usize = 4096;
    const RATE: f32 = 0.5;
    let mut g = Graph::new();
    let x = normal(&mut g, "x", Type::f32([BATCH, IN]));
    let dy = normal(&mut g, "dy", Type::f32([BATCH, OUT]));
    let init = Init::Uniform { bound: 1.0 };
    let weight = g.parameter("weight", [OUT, IN], init).unwrap();
    let bias = normal(&mut g, "bias", Type::f32([OUT]));
    let y = g.linear(x, weight, Some(bias)).unwrap();
    let gradients = gradients_from(&mut g, &[(y, dy)], &[x, weight]).unwrap();
    let (dx, dweight) = (gradients[0].unwrap(), gradients[1].unwrap());
    let lr = g.fill([], RATE).unwrap();
    let sgd = Rule::Sgd(SgdRule::default());
    let updated = g.update(sgd, &[weight], &[dweight], &[], lr).unwrap();
    g.assign(weight, updated.params[0]).unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let Some((store, mut session)) = at_full_size(&gpu, &g, &[y, dx]) else {
            continue;
        };
        let read = |name: &str| store.get(name).unwrap();
        let (x, dy, before, bias) = (read("x"), read("dy"), read("weight"), read("bias"));
        session.run(1).unwrap();
        let (y, dx, after) = (
            session.read(y).unwrap(),
            session.read(dx).unwrap(),
            read("weight"),
        );
        let floats = [&x, &dy, &before, &bias, &y, &dx, &after].map(|t| t.as_f32().unwrap());
        let [x, dy, before, bias, y, dx, after] = floats;
        // Rows on both sides of the cut, which lies at row 3640.
        for row in (0..OUT).step_by(91).chain([3639, 3640, OUT - 1]) {
            let weights = &before[row * IN..][..IN];
            for batch in 0..BATCH {
                let terms = weights
                    .iter()
                    .copied()
                    .zip(x[batch * IN..][..IN].iter().copied());
                let got = y[batch * OUT + row];
                expect_sum(got, terms.chain([(bias[row], 1.0)]), "y");
            }
            for column in (0..IN).step_by(7) {
                let terms = (0..BATCH).map(|b| (-RATE * dy[b * OUT + row], x[b * IN + column]));
                let old = (weights[column], 1.0);
                expect_sum(after[row * IN + column], terms.chain([old]), "weight");
            }
        }
        for column in (0..IN).step_by(331).chain([IN - 1]) {
            for batch in 0..BATCH {
                let terms = (0..OUT).map(|row| (dy[batch * OUT + row], before[row * IN + column]));
                expect_sum(dx[batch * IN + column], terms, "dx");
            }
        }
    }
}

/// An activation of ResNet-50's first layer at batch 64, 205 MB: made, pooled, its gradient added
/// to it, and pooled again. The 200,704 workgroups of an elementwise op are more than a dimension
/// holds, in parts too.
#[test]
fn an_activation_beyond_one_binding() {
    const SHAPE: [usize; 4] = [64, 64, 112, 112];
    const P: f32 = 0.875;
    let mut g = Graph::new();
    let clock = g.clock().unwrap();
    // 1 with probability 1/8, else 0.
    let eighths = g.fill(SHAPE, 0.125).unwrap();
    let kept = g.dropout(eighths, P, clock).unwrap();
    let x = g.relu(kept).unwrap();
    let largest = g.max_pool(x, MaxPool2d::new(2)).unwrap();
    let dx = gradients_from(&mut g, &[(largest, largest)], &[x]).unwrap();
    let sum = g.add(x, dx[0].unwrap()).unwrap();
    let mean = g.avg_pool(sum, AvgPool2d::new(2)).unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let Some((store, mut session)) = at_full_size(&gpu, &g, &[largest, mean]) else {
            continue;
        };
        let seed = store.get("clock").unwrap().as_u32().unwrap().to_vec();
        session.run(1).unwrap();
        let largest = session.read(largest).unwrap();
        let mean = session.read(mean).unwrap();
        let (largest, mean) = (largest.as_f32().unwrap(), mean.as_f32().unwrap());
        let [n, c, h, w] = SHAPE;
        let mut at = 0;
        for plane in 0..n * c {
            let blocks = plane * h * w / 4..(plane + 1) * h * w / 4;
            let kept: Vec<bool> = blocks
                .flat_map(|block| philox4x32([block as u32, 0, 1, seed[2]], [seed[0], seed[1]]))
                .map(|word| unit_f32(word) >= P)
                .collect();
            for row in (0..h).step_by(2) {
                for column in (0..w).step_by(2) {
                    let first = row * w + column;
                    let window = [first, first + 1, first + w, first + w + 1].map(|i| kept[i]);
                    let count = window.into_iter().filter(|&kept| kept).count() as f32;
                    let max = count.min(1.0);
                    assert_eq!(largest[at], max, "maximum {at} on {gpu:?}");
                    assert_eq!(mean[at], (count + max) / 4.0, "mean {at} on {gpu:?}");
                    at += 1;
                }
            }
        }
    }
}

/// A convolution to an activation of 205 MB, with relu, pooling, and the weight's gradient back
/// through both: all of it integers below 2^24.
#[test]
fn a_convolution_beyond_one_binding() {
    const N: usize = 64;
    const C: usize = 4;
    const O: usize = 64;
    const H: usize = 112;
    const W: usize = 112;
    let mut g = Graph::new();
    let clock = g.clock().unwrap();
    let halves = g.fill([N, C, H, W], 0.5).unwrap();
    let x = g.dropout(halves, 0.5, clock).unwrap();
    let weights: Vec<f32> = (0..O * C).map(|i| (i * 5 % 7) as f32 - 3.0).collect();
    let tensor = Tensor::f32([O, C, 1, 1], weights.clone()).unwrap();
    let weight = g.constant(tensor).unwrap();
    let y = g.conv2d(x, weight, None, Conv2d::default()).unwrap();
    let y = g.relu(y).unwrap();
    let largest = g.max_pool(y, MaxPool2d::new(2)).unwrap();
    let gradients = gradients_from(&mut g, &[(largest, largest)], &[weight]).unwrap();
    let dweight = gradients[0].unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let Some((store, mut session)) = at_full_size(&gpu, &g, &[largest, dweight]) else {
            continue;
        };
        let clock = store.get("clock").unwrap().as_u32().unwrap().to_vec();
        session.run(1).unwrap();
        let draws = Stream::new(u64::from(clock[0]) | u64::from(clock[1]) << 32, 1, clock[2]);
        let image = C * H * W;
        let largest = session.read(largest).unwrap();
        let mut largest = largest.as_f32().unwrap().iter();
        let mut wanted = vec![0.0; O * C];
        for n in 0..N {
            let first = (n * image) as u64;
            let x: Vec<f32> = (first..first + image as u64)
                .map(|i| if draws.unit(i) >= 0.5 { 1.0 } else { 0.0 })
                .collect();
            for (o, weights) in weights.chunks(C).enumerate() {
                let y_at = |at: usize| -> f32 {
                    let terms = weights.iter().enumerate();
                    terms.map(|(c, w)| w * x[c * H * W + at]).sum()
                };
                for row in (0..H).step_by(2) {
                    for column in (0..W).step_by(2) {
                        let at = row * W + column;
                        let (mut max, mut place) = (0.0, at);
                        for at in [at, at + 1, at + W, at + W + 1] {
                            let y = y_at(at);
                            if y > max {
                                (max, place) = (y, at);
                            }
                        }
                        let got = *largest.next().unwrap();
                        assert_eq!(
                            got, max,
                            "image {n}, channel {o}, {row}, {column} on {gpu:?}"
                        );
                        for c in 0..C {
                            wanted[o * C + c] += max * x[c * H * W + place];
                        }
                    }
                }
            }
        }
        assert_eq!(
            session.read(dweight).unwrap().as_f32().unwrap(),
            wanted,
            "{gpu:?}"
        );
    }
}

/// Two classes for each pixel of 18 images, 151 MB of logits in two parts: convolution, batch
/// normalisation, relu and a cross-entropy that ignores labels, back to weights and images, and a
/// step of Adam on these. One loss for each pixel alone would take 75 MB.
#[test]
fn a_network_beyond_one_binding() {
    const N: usize = 18;
    const SIDE: usize = 1024;
    const PLANE: usize = SIDE * SIDE;
    const COUNT: usize = N * PLANE;
    const WEIGHT: [[f32; 2]; 2] = [[1.0, 0.5], [-0.5, 1.0]];
    const GAMMA: [f32; 2] = [1.5, -0.75];
    const BETA: [f32; 2] = [0.25, 0.5];
    const EPS: f32 = 1e-5;
    const RATE: f32 = 0.125;
    /// On the loss, a mean, so that gradients are about 1.
    const SCALE: f32 = 16_777_216.0;
    // Every image about another mean: no part stands for the others.
    let element = |i: usize| {
        let image = i / (2 * PLANE);
        let word = (i as u32).wrapping_mul(2_654_435_761) >> 16;
        word as f32 / 32_768.0 - 1.0 + (image as f32 - 8.5) * 0.125
    };
    // 2 is ignored.
    let label = |i: usize| ((i * 7 + i / SIDE) % 3) as u32;

    let mut g = Graph::new();
    let shape = [N, 2, SIDE, SIDE];
    let floats = Tensor::f32(shape, (0..2 * COUNT).map(element).collect()).unwrap();
    let x = g
        .parameter("x", shape, Init::Tensor(floats.into()))
        .unwrap();
    let labels = Tensor::u32([N, SIDE, SIDE], (0..COUNT).map(label).collect()).unwrap();
    let labels = g.constant(labels).unwrap();
    let mut parameter = |name: &str, shape: &[usize], values: &[f32]| {
        let tensor = Tensor::f32(shape, values.to_vec()).unwrap();
        g.parameter(name, shape, Init::Tensor(tensor.into()))
            .unwrap()
    };
    let weight = parameter("weight", &[2, 2, 1, 1], WEIGHT.as_flattened());
    let gamma = parameter("gamma", &[2], &GAMMA);
    let beta = parameter("beta", &[2], &BETA);
    let y = g.conv2d(x, weight, None, Conv2d::default()).unwrap();
    let (y, _) = g.batch_norm_train(y, Some(gamma), Some(beta), EPS).unwrap();
    let logits = g.relu(y).unwrap();
    let options = CrossEntropyLoss {
        ignore_index: Some(2),
        ..CrossEntropyLoss::default()
    };
    let loss = g.cross_entropy_with(logits, labels, options).unwrap();
    let loss = g.scale(loss, SCALE).unwrap();
    let params = parameters(&g);
    let rate = learning_rate(&mut g, RATE).unwrap();
    minimize_params(&mut g, loss, &params, Rule::Adam(AdamRule::default()), rate).unwrap();

    // The same in f64.
    let pixels = || (0..COUNT).map(|pixel| (pixel, pixel / PLANE * 2 * PLANE + pixel % PLANE));
    let x_at = |at: usize| [at, at + PLANE].map(|i| f64::from(element(i)));
    let y_at = |x: [f64; 2]| WEIGHT.map(|w| f64::from(w[0]) * x[0] + f64::from(w[1]) * x[1]);
    let (mut sums, mut squares) = ([0.0; 2], [0.0; 2]);
    for (_, at) in pixels() {
        let y = y_at(x_at(at));
        for c in 0..2 {
            sums[c] += y[c];
            squares[c] += y[c] * y[c];
        }
    }
    let mean = sums.map(|sum| sum / COUNT as f64);
    let scales = [0, 1].map(|c| {
        let variance = squares[c] / COUNT as f64 - mean[c] * mean[c];
        1.0 / (variance + f64::from(EPS)).sqrt()
    });
    let counted = (0..COUNT).filter(|&pixel| label(pixel) < 2).count();
    // Normalised, activated before relu, and the gradients of these and of the loss alone.
    let at_pixel = |pixel: usize, at: usize| {
        let y = y_at(x_at(at));
        let normal = [0, 1].map(|c| (y[c] - mean[c]) * scales[c]);
        let active = [0, 1].map(|c| normal[c] * f64::from(GAMMA[c]) + f64::from(BETA[c]));
        let logits = active.map(|a| a.max(0.0));
        let sum = logits[0].exp() + logits[1].exp();
        let label = label(pixel) as usize;
        let share = if label < 2 {
            f64::from(SCALE) / counted as f64
        } else {
            0.0
        };
        let dactive = [0, 1].map(|c| {
            let target = f64::from(u8::from(c == label));
            let dlogit = share * (logits[c].exp() / sum - target);
            if active[c] > 0.0 { dlogit } else { 0.0 }
        });
        let loss = if label < 2 {
            share * (sum.ln() - logits[label])
        } else {
            0.0
        };
        (normal, active, dactive, loss)
    };
    let (mut wanted_loss, mut dbeta, mut dgamma) = (0.0, [0.0; 2], [0.0; 2]);
    for (pixel, at) in pixels() {
        let (normal, _, dactive, loss) = at_pixel(pixel, at);
        wanted_loss += loss;
        for c in 0..2 {
            dbeta[c] += dactive[c];
            dgamma[c] += dactive[c] * normal[c];
        }
    }
    let dy_of = |normal: [f64; 2], dactive: [f64; 2]| {
        [0, 1].map(|c| {
            let shared = (dbeta[c] + normal[c] * dgamma[c]) / COUNT as f64;
            f64::from(GAMMA[c]) * scales[c] * (dactive[c] - shared)
        })
    };
    // With the sums of magnitudes.
    let mut dweight = [[[0.0; 2]; 2]; 2];
    for (pixel, at) in pixels() {
        let (normal, _, dactive, _) = at_pixel(pixel, at);
        let (dy, x) = (dy_of(normal, dactive), x_at(at));
        for c in 0..2 {
            for k in 0..2 {
                dweight[c][k][0] += dy[c] * x[k];
                dweight[c][k][1] += (dy[c] * x[k]).abs();
            }
        }
    }

    for gpu in devices::gpus(&GpuOptions::default()) {
        let Some((store, mut session)) = at_full_size(&gpu, &g, &[loss]) else {
            continue;
        };
        session.run(1).unwrap();
        let near = |got: f32, wanted: f64, allowed: f64, what: &str| {
            let off = (f64::from(got) - wanted).abs();
            assert!(off <= allowed, "{what} on {gpu:?}: {got}, not {wanted}");
        };
        // Sums of millions of roundings in f32, on random inputs.
        const ALLOWED: f64 = 2e-4;
        let got = session.read(loss).unwrap().as_f32().unwrap()[0];
        near(got, wanted_loss, ALLOWED * wanted_loss, "loss");
        let read = |name: &str| store.get(name).unwrap();
        let got = read("grad.weight");
        for (got, [wanted, size]) in got.as_f32().unwrap().iter().zip(dweight.as_flattened()) {
            near(*got, *wanted, ALLOWED * size, "dweight");
        }
        let size = f64::from(SCALE);
        for (name, wanted) in [("grad.gamma", dgamma), ("grad.beta", dbeta)] {
            for (got, wanted) in read(name).as_f32().unwrap().iter().zip(wanted) {
                near(*got, wanted, ALLOWED * size, name);
            }
        }
        let states = ["x", "grad.x", "moment1.x", "moment2.x"].map(read);
        let [x, dx, first, second] = states.each_ref().map(|t| t.as_f32().unwrap());
        let ends = (1..=N).flat_map(|n| [n * PLANE - 1, n * PLANE % COUNT]);
        let (mut seen, mut updated) = (0, 0);
        for pixel in (0..COUNT).step_by(9973).chain(ends) {
            let at = pixel / PLANE * 2 * PLANE + pixel % PLANE;
            let (normal, active, dactive, _) = at_pixel(pixel, at);
            // Too near the kink of relu to say.
            if active.iter().any(|a| a.abs() < 1e-3) {
                continue;
            }
            let dy = dy_of(normal, dactive);
            for k in [0, 1] {
                let at = at + k * PLANE;
                let wanted: f64 = (0..2).map(|c| f64::from(WEIGHT[c][k]) * dy[c]).sum();
                near(dx[at], wanted, ALLOWED, "dx");
                let got = f64::from(dx[at]);
                near(first[at], 0.1 * got, 1e-6 * got.abs(), "moment 1");
                near(second[at], 0.001 * got * got, 1e-7 * got * got, "moment 2");
                seen += 1;
                if got.abs() > 1e-2 {
                    let step = f64::from(RATE) * got.signum();
                    near(x[at], f64::from(element(at)) - step, 2e-6, "x");
                    updated += 1;
                }
            }
        }
        assert!(seen > 3000 && updated > 2000, "{seen}, {updated}");
    }
}
