//! The networks of `models` against torchvision's: sizes, and what they compute
//! (`tests/oracle/networks.py`).

use std::time::Instant;

use serde_json::Value as Json;
use striate::gpu::{Engine, GpuOptions};
use striate::graph::StateKind;
use striate::kernel::Caps;
use striate::models::{self, Model};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::prelude::*;
use striate::train::{Sgd, minimize};
use striate_cases::devices;

const CLASSES: usize = 10;

fn model(name: &str) -> Model {
    match name {
        "lenet5" => models::lenet5(CLASSES),
        "lenet5_1998" => models::lenet5_1998(CLASSES),
        "alexnet" => models::alexnet(CLASSES),
        "vgg11" => models::vgg11(CLASSES),
        "vgg11_bn" => models::vgg11_bn(CLASSES),
        "vgg16" => models::vgg16(CLASSES),
        "vgg19_bn" => models::vgg19_bn(CLASSES),
        "googlenet" => models::googlenet(CLASSES),
        "resnet18" => models::resnet18(CLASSES),
        "resnet34" => models::resnet34(CLASSES),
        "resnet50" => models::resnet50(CLASSES),
        "resnet101" => models::resnet101(CLASSES),
        "mobilenet_v2" => models::mobilenet_v2(CLASSES),
        "unet" => models::unet(1, 2),
        _ => panic!("{name}"),
    }
}

/// Parameters and multiply-adds of a forward pass as torchvision's pages print them for 1000
/// classes; the parameters of the others as their papers' layers add up.
#[test]
fn sizes_are_the_published_ones() {
    let sizes: [(Model, usize, f64); 21] = [
        (models::convnet(10), 29_434, 0.002126),
        (models::lenet5(10), 61_706, 0.000_416),
        (models::lenet5_1998(10), 61_706, 0.000_416),
        (models::alexnet(1000), 61_100_840, 0.714),
        (models::vgg11(1000), 132_863_336, 7.609),
        (models::vgg11_bn(1000), 132_868_840, 7.609),
        (models::vgg13(1000), 133_047_848, 11.308),
        (models::vgg13_bn(1000), 133_053_736, 11.308),
        (models::vgg16(1000), 138_357_544, 15.470),
        (models::vgg16_bn(1000), 138_365_992, 15.470),
        (models::vgg19(1000), 143_667_240, 19.632),
        (models::vgg19_bn(1000), 143_678_248, 19.632),
        // Of which the auxiliary classifiers 6,379,984.
        (models::googlenet(1000), 13_004_888, 1.498),
        (models::resnet18(1000), 11_689_512, 1.814),
        (models::resnet34(1000), 21_797_672, 3.664),
        (models::resnet50(1000), 25_557_032, 4.089),
        (models::resnet101(1000), 44_549_160, 7.801),
        (models::resnet152(1000), 60_192_808, 11.514),
        (models::mobilenet_v2(1000), 3_504_872, 0.301),
        (models::resnet20(10), 269_722, 0.0406),
        // Its paper gives no numbers: as its layers add up.
        (models::unet(1, 2), 31_030_658, 48.096),
    ];
    for (model, parameters, billions) in sizes {
        let summary = model.summary(1).unwrap();
        let name = model.name();
        assert_eq!(summary.parameters, parameters, "{name}");
        let found = summary.multiply_adds as f64 / 1e9;
        assert!(
            (found / billions - 1.0).abs() < 0.02,
            "{name}: {found} billion multiply-adds, {billions} published"
        );
        let by_row: u64 = summary.rows.iter().map(|row| row.multiply_adds).sum();
        assert_eq!(by_row, summary.multiply_adds, "{name}");
        let text = summary.to_string();
        assert!(text.starts_with("layer "), "{text}");
        assert!(text.contains(" parameters, "), "{text}");
        println!("{}", text.lines().last().unwrap());
    }
}

/// Every network with gradients and updates is planned in half a second.
#[test]
fn planning_is_quick() {
    for model in [
        models::alexnet(1000),
        models::vgg19_bn(1000),
        models::googlenet(1000),
        models::resnet152(1000),
        models::mobilenet_v2(1000),
        models::unet(3, 21),
    ] {
        let [channels, height, width] = model.input();
        let mut g = Graph::new();
        let ty = Type::f32([2, channels, height, width]);
        let x = g.input("images", ty).unwrap();
        let logits = model.build(&mut Build::train(&mut g), x).unwrap();
        let mut labels = g.shape(logits).unwrap().to_vec();
        labels.remove(1);
        let labels = g.input("labels", Type::u32(labels)).unwrap();
        let loss = g.cross_entropy(logits, labels).unwrap();
        minimize(&mut g, loss, Sgd::new().lr(0.1).momentum(0.9)).unwrap();
        let caps = Caps::default();
        let best = (0..3).map(|_| {
            let start = Instant::now();
            let states = StateLayout::new(&[&g], caps.max_binding).unwrap();
            Plan::new(&g, &states, &[loss], &caps, PlanOptions::default()).unwrap();
            start.elapsed().as_secs_f64()
        });
        let best = best.fold(f64::INFINITY, f64::min);
        println!("{}: {:.0} ms", model.name(), 1000.0 * best);
        if !cfg!(debug_assertions) {
            assert!(best < 0.5, "{}: {best} s", model.name());
        }
    }
}

/// How often the images of a step are moved at most.
const MOVES: usize = 31;

/// Numbers in [-1, 1) as `noise` of `networks.py`.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> + use<> {
    let seed = name.bytes().fold(2_166_136_261u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    (0..count as u32).map(move |index| {
        let mut word = index.wrapping_mul(2_654_435_761).wrapping_add(seed);
        word ^= word >> 15;
        word = word.wrapping_mul(2_246_822_519);
        word ^= word >> 13;
        word = word.wrapping_mul(3_266_489_917);
        word ^= word >> 16;
        f64::from(word >> 8) / f64::from(1 << 23) - 1.0
    })
}

/// As `draw` of `networks.py`.
fn draw(name: &str, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let fan: usize = shape.iter().skip(1).product();
    let value = |x: f64| match (name, shape.len()) {
        _ if name.ends_with("running_var") => 1.0 + x.abs() / 2.0,
        (_, 1) if name.ends_with("weight") => 0.1 * x + 1.0,
        (_, 1) => 0.1 * x,
        ("images", _) => x,
        _ => x * (6.0 / fan as f64).sqrt(),
    };
    let values = noise(name, count).map(|x| value(x) as f32).collect();
    Tensor::f32(Shape::from(shape.to_vec()), values).unwrap()
}

/// Sets all parameters and running statistics.
fn set_states(store: &Store) {
    for kind in [StateKind::Parameter, StateKind::Statistic] {
        let names: Vec<String> = store.names_of(kind).map(str::to_owned).collect();
        for name in names {
            let shape = store.ty(&name).unwrap().shape.to_vec();
            store.set(&name, &draw(&name, &shape)).unwrap();
        }
    }
}

fn numbers(value: &Json) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn extents(value: &Json) -> [usize; 4] {
    let numbers = numbers(value);
    [0, 1, 2, 3].map(|axis| numbers[axis] as usize)
}

fn networks() -> Vec<Json> {
    let text = include_str!("oracle/networks.json");
    let all: Json = serde_json::from_str(text).unwrap();
    assert!(all["torch"].as_str().unwrap().starts_with("2.15."));
    all["networks"].as_array().unwrap().clone()
}

fn engines() -> Vec<Engine> {
    let gpus = devices::gpus(&GpuOptions::default());
    gpus.into_iter().map(Engine::from).collect()
}

/// The largest difference, as a share of the largest number.
fn apart(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let pairs = found.iter().zip(wanted);
    let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    most / wanted.iter().map(|x| x.abs()).fold(0.0, f64::max)
}

#[test]
fn forward_passes_are_pytorchs() {
    for network in networks() {
        let name = network["name"].as_str().unwrap();
        let shape = extents(&network["images"]);
        let mut g = Graph::new();
        let x = g.input("images", Type::f32(shape)).unwrap();
        let logits = model(name).build(&mut Build::eval(&mut g), x).unwrap();
        let wanted = numbers(&network["logits"]);
        for engine in engines() {
            let store = Store::new(&engine, &[&g], 0).unwrap();
            set_states(&store);
            let mut session = Session::new(&store, &g, &[logits]).unwrap();
            session.write(x, &draw("images", &shape)).unwrap();
            session.run(1).unwrap();
            let found = session.read(logits).unwrap();
            let values = found.as_f32().unwrap().iter().map(|&x| f64::from(x));
            // Of maps, the first eight of the first row of each class.
            let found: Vec<f64> = match found.shape()[..] {
                [_, _] => values.collect(),
                [_, _, height, width] => {
                    let place = |i: usize| i % (height * width);
                    let values = values.enumerate().filter(|(i, _)| place(*i) < 8.min(width));
                    values.map(|(_, x)| x).collect()
                }
                _ => panic!("{:?}", found.shape()),
            };
            let apart = apart(&found, &wanted);
            println!("{name} on {}: {apart:.1e}", engine.describe());
            assert!(apart < 1e-4, "{name} on {}: {apart}", engine.describe());
        }
    }
}

/// The gradients of one training step, dropout left out. Two gradients are as far apart as the root
/// of the mean square of the differences of their products with vectors of signs.
///
/// A gradient jumps where an activation crosses a kink, and rounding alone may carry one across:
/// one of `inception5b` moves GoogLeNet's gradient by 4.5e-3, one of MobileNetV2 by 9.6e-3. So a
/// step that is off is tried again on images moved by at most 1e-7. They lie on both sides of such
/// jumps and change GoogLeNet's gradient by less than 2e-5 elsewhere (CPU reference), while a wrong
/// gradient stays wrong on all of them.
#[test]
fn gradients_are_pytorchs() {
    for network in networks() {
        let name = network["name"].as_str().unwrap();
        let Some(step) = network.get("step") else {
            continue;
        };
        let model = model(name);
        let shape = extents(&step["images"]);
        let mut g = Graph::new();
        let x = g.input("images", Type::f32(shape)).unwrap();
        // Frozen layers are built for evaluation, in which dropout does nothing.
        let dropout: &[&str] = match name {
            "alexnet" => &["classifier.0", "classifier.3"],
            "vgg11_bn" => &["classifier.2", "classifier.5"],
            "googlenet" => &["aux1.dropout", "aux2.dropout", "dropout"],
            "mobilenet_v2" => &["classifier.0"],
            _ => &[],
        };
        let mut cx = Build::train(&mut g).freeze_where(move |layer| dropout.contains(&layer));
        let logits = model.build(&mut cx, x).unwrap();
        let mut heads = vec![(logits, 1.0)];
        heads.extend(cx.outputs().iter().map(|head| (head.value, head.weight)));
        let ty = g.shape(logits).unwrap().clone();
        let mut label_shape = ty.to_vec();
        let classes = label_shape.remove(1) as u32;
        let labels = g.input("labels", Type::u32(label_shape.clone())).unwrap();
        let mut loss = None;
        for (head, weight) in heads {
            let own = g.cross_entropy(head, labels).unwrap();
            let own = g.scale(own, weight).unwrap();
            loss = Some(match loss {
                Some(sum) => g.add(sum, own).unwrap(),
                None => own,
            });
        }
        let loss = loss.unwrap();
        let parameters: Vec<(String, Value)> = {
            let states = g.states().iter();
            let states = states.filter(|state| state.kind == StateKind::Parameter);
            states.map(|s| (s.name.clone(), s.value)).collect()
        };
        let values: Vec<Value> = parameters.iter().map(|(_, value)| *value).collect();
        let found = gradients(&mut g, loss, &values).unwrap();
        let count: usize = label_shape.iter().product();
        let classes_of = match ty.len() {
            2 => (0..count as u32).map(|i| i * 3 % classes).collect(),
            _ => (0..count as u32).map(|i| i * 7 % 3 % classes).collect(),
        };
        let label_values = Tensor::u32(Shape::from(label_shape), classes_of).unwrap();
        let wanted = step["gradients"].as_object().unwrap();
        assert_eq!(wanted.len(), parameters.len(), "{name}");
        for engine in engines() {
            let store = Store::new(&engine, &[&g], 0).unwrap();
            set_states(&store);
            let fetched: Vec<Value> = std::iter::once(loss).chain(found.iter().copied()).collect();
            let mut session = Session::new(&store, &g, &fetched).unwrap();
            session.write(labels, &label_values).unwrap();
            let mut moved = 0;
            let apart = loop {
                session.write(x, &near_images(&shape, moved)).unwrap();
                session.run(1).unwrap();
                let value = f64::from(session.read(loss).unwrap().item().unwrap());
                let right = step["loss"].as_f64().unwrap();
                assert!(
                    (value / right - 1.0).abs() < 1e-4,
                    "{name}: loss {value}, {right}"
                );
                let mut worst = (0.0, "");
                let (mut all, mut off) = (0.0, 0.0);
                for ((parameter, _), &gradient) in parameters.iter().zip(&found) {
                    let own = session.read(gradient).unwrap();
                    let wanted = &wanted[parameter.as_str()];
                    let norm = wanted["norm"].as_f64().unwrap();
                    let products = numbers(&wanted["products"]);
                    let square = square_apart(parameter, own.as_f32().unwrap(), &products);
                    all += norm * norm;
                    off += square;
                    let apart = square.sqrt() / norm;
                    if apart > worst.0 {
                        worst = (apart, parameter);
                    }
                }
                let apart = (off / all).sqrt();
                println!(
                    "{name} on {}, images moved {moved} times: {apart:.1e} of the whole gradient, \
                     {} {:.1e}",
                    engine.describe(),
                    worst.1,
                    worst.0
                );
                if apart < 1e-3 || moved == MOVES {
                    break apart;
                }
                moved += 1;
            };
            assert!(apart < 1e-3, "{name} on {}: {apart}", engine.describe());
        }
    }
}

/// The images of a step and, for `moved` > 0, others that are at most 1e-7 away.
fn near_images(shape: &[usize], moved: usize) -> Tensor {
    let images = draw("images", shape);
    if moved == 0 {
        return images;
    }
    let values = images.as_f32().unwrap();
    let moves = noise(&format!("moved {moved}"), values.len());
    let near = values
        .iter()
        .zip(moves)
        .map(|(&x, by)| x + (1e-7 * by) as f32);
    Tensor::f32(Shape::from(shape.to_vec()), near.collect()).unwrap()
}

/// The mean square of what a gradient's products with vectors of signs differ from PyTorch's.
fn square_apart(parameter: &str, gradient: &[f32], products: &[f64]) -> f64 {
    let squares = products.iter().enumerate().map(|(k, &product)| {
        let signs = noise(&format!("{parameter}/{k}"), gradient.len());
        let signed = |(sign, &x): (f64, &f32)| f64::from(if sign < 0.0 { -x } else { x });
        let sum: f64 = signs.zip(gradient).map(signed).sum();
        (sum - product).powi(2)
    });
    squares.sum::<f64>() / products.len() as f64
}

/// AlexNet and VGG-16 on an image of 224 pixels: evaluation, and training steps in which the loss
/// falls, though single weights exceed a binding of 128 MiB.
#[test]
fn networks_of_full_size_take_steps() {
    if std::env::var_os("STRIATE_LONG").is_none() {
        println!("SKIPPED: STRIATE_LONG is not set");
        return;
    }
    for model in [models::alexnet(1000), models::vgg16(1000)] {
        for engine in engines() {
            let [channels, height, width] = model.input();
            let shape = [1, channels, height, width];
            let mut test = Graph::new();
            let picture = test.input("images", Type::f32(shape)).unwrap();
            let logits = model.build(&mut Build::eval(&mut test), picture).unwrap();
            let mut g = Graph::new();
            let x = g.input("images", Type::f32(shape)).unwrap();
            let labels = g.input("labels", Type::u32([1])).unwrap();
            let trained = model.build(&mut Build::train(&mut g), x).unwrap();
            let loss = g.cross_entropy(trained, labels).unwrap();
            minimize(&mut g, loss, Sgd::new().lr(0.001)).unwrap();
            let store = Store::new(&engine, &[&g, &test], 1).unwrap();
            let mut evaluation = Session::new(&store, &test, &[logits]).unwrap();
            let mut training = Session::new(&store, &g, &[loss]).unwrap();
            let image = draw("images", &shape);
            evaluation.write(picture, &image).unwrap();
            training.write(x, &image).unwrap();
            training
                .write(labels, &Tensor::u32([1], vec![7]).unwrap())
                .unwrap();
            let seventh = |evaluation: &mut Session| {
                evaluation.run(1).unwrap();
                let logits = evaluation.read(logits).unwrap();
                let logits = logits.as_f32().unwrap().to_vec();
                assert!(logits.iter().all(|x| x.is_finite()));
                let mean = logits.iter().sum::<f32>() / 1000.0;
                logits[7] - mean
            };
            let before = seventh(&mut evaluation);
            let start = Instant::now();
            training.run(2).unwrap();
            let value = training.read(loss).unwrap().item().unwrap();
            let seconds = start.elapsed().as_secs_f64() / 2.0;
            let after = seventh(&mut evaluation);
            println!(
                "{} on {}: {seconds:.1} s a step, loss {value}, logit {before} to {after}",
                model.name(),
                engine.describe()
            );
            assert!(value.is_finite() && after > before);
        }
    }
}
