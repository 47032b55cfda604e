//! Views into networks: against PyTorch's numbers (`tests/oracle/seeing.py`), and by what must hold
//! of them.

use serde_json::Value as Json;
use striate::data::{Fit, Split, digits};
use striate::error::ErrorKind;
use striate::gpu::{Engine, GpuOptions};
use striate::inspect::{HeatMap, Inspector, MaximiseOptions};
use striate::models;
use striate::nn::{
    BatchNorm2d, Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Relu, Sequential,
};
use striate::prelude::*;
use striate::train::{Adam, Classifier, ClassifierOptions, Normalise};
use striate_cases::devices;

/// Every adapter, and the CPU reference; how far each may be from PyTorch.
fn engines() -> Vec<(Engine, f64)> {
    let gpus = devices::gpus(&GpuOptions::default()).into_iter();
    let gpus = gpus.map(|gpu| (Engine::from(gpu), 1e-4));
    gpus.chain([(Engine::Cpu { threads: 2 }, 2e-6)]).collect()
}

/// The first adapter, or the CPU reference.
fn engine() -> Engine {
    engines().swap_remove(0).0
}

/// A store with the states of a network, each from its name and shape.
fn store(
    engine: &Engine,
    net: &dyn Module,
    [c, h, w]: [usize; 3],
    value: impl Fn(&str, &Shape) -> Vec<f32>,
) -> Store {
    let mut g = Graph::new();
    let x = g.input("images", Type::f32([1, c, h, w])).unwrap();
    net.build(&mut Build::eval(&mut g), x).unwrap();
    let store = Store::new(engine, &[&g], 1).unwrap();
    for state in g.states() {
        let numbers = value(&state.name, &state.ty.shape);
        let tensor = Tensor::f32(state.ty.shape.clone(), numbers).unwrap();
        store.set(&state.name, &tensor).unwrap();
    }
    store
}

/// Numbers in [-1, 1) as `noise` of `seeing.py`.
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

/// As `draw` of `seeing.py`.
fn draw(name: &str, shape: &Shape) -> Vec<f32> {
    let fan: usize = shape.iter().skip(1).product();
    let value = |x: f64| match shape.len() {
        _ if name.ends_with("running_var") => 1.0 + x.abs() / 2.0,
        1 if name.ends_with("weight") => 0.1 * x + 1.0,
        1 => 0.1 * x,
        _ => x * (6.0 / fan as f64).sqrt(),
    };
    noise(name, shape.count())
        .map(|x| value(x) as f32)
        .collect()
}

const INPUT: [usize; 3] = [3, 16, 16];
const CLASS: usize = 2;

/// The network of `seeing.py`.
fn small() -> Sequential {
    Sequential::new()
        .named("conv1", Conv2d::new(3, 4, 3).padding(1))
        .named("bn1", BatchNorm2d::new(4))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .named("conv2", Conv2d::new(4, 6, 3))
        .named("relu2", Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .named("fc", Linear::new(6 * 3 * 3, 5))
}

fn small_inspector(engine: &Engine) -> Inspector {
    let store = store(engine, &small(), INPUT, draw);
    let inspector = Inspector::new(&store, small(), INPUT).unwrap();
    let normalise = Normalise::given(&[100.0 / 255.0], &[60.0 / 255.0]).unwrap();
    inspector.normalise(normalise).unwrap()
}

fn picture() -> Vec<u8> {
    let numbers = noise("picture", INPUT.iter().product());
    numbers.map(|x| ((x + 1.0) * 128.0) as u8).collect()
}

fn numbers(json: &Json) -> Vec<f64> {
    let list = json.as_array().unwrap().iter();
    list.map(|x| x.as_f64().unwrap()).collect()
}

/// Fails unless found numbers are within a share of the norm of the expected ones.
fn assert_near(name: &str, found: &[f32], expected: &Json, within: f64) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{name}");
    let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let terms = found.iter().zip(&expected);
    let apart = terms.map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>();
    let apart = apart.sqrt() / norm;
    println!("{name}: {apart:.1e}");
    assert!(
        apart < within,
        "{name}: {apart:.2e} apart, {within:.0e} allowed"
    );
}

#[test]
fn views_agree_with_pytorch() {
    let seen: Json = serde_json::from_str(include_str!("oracle/seeing.json")).unwrap();
    let pixels = picture();
    for (engine, within) in engines() {
        println!("{}", engine.describe());
        let mut inspector = small_inspector(&engine);
        let near = |name: &str, found: &[f32]| assert_near(name, found, &seen[name], within);
        near("scores", &inspector.scores(&pixels).unwrap());
        let maps = inspector.feature_maps(&pixels, "bn1").unwrap();
        assert_eq!(maps.size(), [4, 1, 16, 16]);
        near("bn1", maps.values());
        let maps = inspector.feature_maps(&pixels, "relu2").unwrap();
        near("relu2", maps.values());

        let found = inspector.saliency(&pixels, CLASS).unwrap();
        near("saliency", found.values());
        assert!((found.score() - inspector.scores(&pixels).unwrap()[CLASS]).abs() < 1e-4);
        // Both go through the network in one full batch; the 300 steps of
        // `integrated_gradients_are_complete` end in one that is not.
        let found = inspector.smooth_grad(&pixels, CLASS, 20, 0.15, 7).unwrap();
        near("smooth_grad", found.values());
        let black = vec![0; pixels.len()];
        let found = inspector.integrated_gradients(&pixels, CLASS, 24, &black);
        let found = found.unwrap();
        near("integrated_gradients", found.values());
        let difference = seen["difference"].as_f64().unwrap();
        assert!((f64::from(found.difference().unwrap()) - difference).abs() < 1e-4);
        let found = inspector.occlusion(&pixels, CLASS, 5, 3).unwrap();
        assert_eq!(found.size(), [16, 16]);
        near("occlusion", found.values());

        let found = inspector.grad_cam(&pixels, CLASS, "conv2").unwrap();
        near("grad_cam", found.values());
        let found = inspector.grad_cam(&pixels, CLASS, "relu2").unwrap();
        near("grad_cam_relu", found.values());
        let found = inspector.grad_cam_plus_plus(&pixels, CLASS, "relu2");
        near("grad_cam_plus_plus", found.unwrap().values());

        let options = MaximiseOptions {
            steps: 12,
            rate: 0.1,
            jitter: 3,
            blur: 0.6,
            l2: 0.02,
            seed: 7,
        };
        for (name, layer, channel) in [("maximise", "conv2", 4), ("maximise_class", "fc", CLASS)] {
            let found = inspector.maximise(layer, channel, &options).unwrap();
            let expected = &seen[name];
            // Steps follow one another: differences grow.
            assert_near(name, &found.values, &expected["values"], 10.0 * within);
            for (own, field) in [(found.before, "before"), (found.after, "after")] {
                let expected = expected[field].as_f64().unwrap();
                assert!(
                    (f64::from(own) - expected).abs() < 1e-3,
                    "{name} {field} {own}"
                );
            }
        }
    }
}

/// The sum of integrated gradients is the difference of scores.
#[test]
fn integrated_gradients_are_complete() {
    let mut inspector = small_inspector(&engine());
    let (pixels, grey) = (picture(), vec![100; 768]);
    for class in 0..5 {
        let found = inspector.integrated_gradients(&pixels, class, 300, &grey);
        let found = found.unwrap();
        let difference = f64::from(found.difference().unwrap());
        let apart = (found.sum() - difference).abs();
        assert!(
            apart < 0.01 * difference.abs().max(1.0),
            "{class}: {apart} of {difference}"
        );
    }
    // The same picture adds nothing.
    let found = inspector
        .integrated_gradients(&pixels, 0, 3, &pixels)
        .unwrap();
    assert_eq!((found.sum(), found.difference()), (0.0, Some(0.0)));

    // A linear network needs one step, and its gradient is its weight everywhere.
    let net = || {
        Sequential::new()
            .then(Flatten)
            .named("fc", Linear::new(768, 3))
    };
    let store = store(&engine(), &net(), INPUT, draw);
    let mut linear = Inspector::new(&store, net(), INPUT).unwrap();
    let found = linear.integrated_gradients(&pixels, 1, 1, &grey).unwrap();
    let difference = f64::from(found.difference().unwrap());
    assert!(
        (found.sum() - difference).abs() < 1e-4 * difference.abs(),
        "{difference}"
    );
    let weight = store.get("fc.weight").unwrap();
    let row = weight.as_f32().unwrap()[768..1536].to_vec();
    assert_eq!(linear.saliency(&pixels, 1).unwrap().values(), row);
    let smooth = linear.smooth_grad(&pixels, 1, 5, 0.2, 1).unwrap();
    let pairs = smooth.values().iter().zip(&row);
    assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-6));
}

/// A network that looks at four by four pixels in one corner.
#[test]
fn a_network_that_looks_at_a_corner_is_seen_to() {
    let net = || {
        Sequential::new()
            .then(Flatten)
            .named("fc", Linear::new(256, 2))
    };
    let corner = |at: usize| at / 16 >= 12 && at % 16 < 4;
    let value = |name: &str, shape: &Shape| match name {
        "fc.weight" => (0..512)
            .map(|at| f32::from(u8::from(at >= 256 && corner(at % 256))))
            .collect(),
        _ => vec![0.0; shape.count()],
    };
    let store = store(&engine(), &net(), [1, 16, 16], value);
    let mut inspector = Inspector::new(&store, net(), [1, 16, 16]).unwrap();
    let pixels = [200; 256];
    let saliency = inspector.saliency(&pixels, 1).unwrap().magnitude();
    for (at, &value) in saliency.values().iter().enumerate() {
        assert_eq!(value, f32::from(u8::from(corner(at))), "{at}");
    }
    let other = inspector.saliency(&pixels, 0).unwrap();
    assert!(other.values().iter().all(|&x| x == 0.0));
    // Windows of 3 that touch the corner begin one or two pixels before it.
    let heat = inspector.occlusion(&pixels, 1, 3, 1).unwrap();
    for (at, &value) in heat.values().iter().enumerate() {
        let (row, column) = (at / 16, at % 16);
        let touched = row >= 10 && column < 6;
        assert_eq!(value > 1e-4, touched, "row {row}, column {column}: {value}");
        // Inside, every window covers more than one outside does.
        assert!(!corner(at) || value > heat.values()[10 * 16 + 5]);
    }
    // Nothing to be found by covering what is not looked at.
    let heat = inspector.occlusion(&pixels, 0, 4, 4).unwrap();
    assert!(heat.values().iter().all(|&x| x == 0.0));
}

/// A network whose classes are lying and standing stripes, on a picture with lying ones in one
/// quarter and standing ones in another.
#[test]
fn class_activation_maps_find_their_quarter() {
    let net = || {
        Sequential::new()
            .named("conv", Conv2d::new(1, 2, 3).padding(1).bias(false))
            .named("relu", Relu)
            .then(GlobalAvgPool)
            .then(Flatten)
            .named("fc", Linear::new(2, 2))
    };
    let value = |name: &str, shape: &Shape| match name {
        "conv.weight" => {
            let line = |lying: bool| {
                (0..9).map(move |at| {
                    let place = if lying { at / 3 } else { at % 3 };
                    if place == 1 { 2.0 } else { -1.0 }
                })
            };
            line(true).chain(line(false)).collect()
        }
        "fc.weight" => vec![1.0, 0.0, 0.0, 1.0],
        _ => vec![0.0; shape.count()],
    };
    let store = store(&engine(), &net(), [1, 16, 16], value);
    let mut inspector = Inspector::new(&store, net(), [1, 16, 16]).unwrap();
    let pixels: Vec<u8> = (0..256)
        .map(|at| match (at / 16, at % 16) {
            (row @ 0..8, 0..8) if row % 3 == 1 => 255,
            (8..16, column @ 8..16) if column % 3 == 1 => 255,
            _ => 0,
        })
        .collect();
    for (class, quarter) in [(0, 0), (1, 3)] {
        for heat in [
            inspector.grad_cam(&pixels, class, "relu").unwrap(),
            inspector
                .grad_cam_plus_plus(&pixels, class, "relu")
                .unwrap(),
        ] {
            let total: f32 = heat.values().iter().sum();
            let own = heat.values().iter().enumerate();
            let own = own.filter(|(at, _)| at / 128 * 2 + at % 16 / 8 == quarter);
            let own: f32 = own.map(|(_, x)| x).sum();
            // Ends of stripes speak for the other class.
            assert!(own > 0.7 * total, "class {class}: {own} of {total}");
        }
    }
}

/// A picture that is made for a channel is what the channel looks for.
#[test]
fn activations_are_maximised() {
    // Filters that are a bright line beside a dark one, and the opposite.
    let net = || Sequential::new().named("conv", Conv2d::new(1, 2, 3).padding(1).bias(false));
    let value = |_: &str, _: &Shape| {
        let edge = [1.0, -1.0, 0.0].repeat(3);
        [edge.clone(), edge.iter().map(|x| -x).collect()].concat()
    };
    let store = store(&engine(), &net(), [1, 12, 12], value);
    let inspector = Inspector::new(&store, net(), [1, 12, 12]).unwrap();
    let normalise = Normalise::given(&[128.0 / 255.0], &[64.0 / 255.0]).unwrap();
    let mut inspector = inspector.normalise(normalise).unwrap();
    let options = MaximiseOptions {
        jitter: 0,
        blur: 0.0,
        ..MaximiseOptions::default()
    };
    let found = inspector.maximise("conv", 0, &options).unwrap();
    assert!(
        found.after > found.before + 0.1,
        "{} {}",
        found.before,
        found.after
    );
    // Column x counts 1 in the output to its right and -1 in its own. Summed over all places only
    // the last column is left, which has no output to its right: the gradient is 0 elsewhere.
    let opposite = inspector.maximise("conv", 1, &options).unwrap();
    assert!(opposite.after > opposite.before + 0.1);
    for (found, end) in [(&found, 0), (&opposite, 255)] {
        for (at, &pixel) in found.pixels.iter().enumerate() {
            // 128 is the mean, to which the noise of the start shrinks.
            let wanted = if at % 12 == 11 { end } else { 128 };
            assert!(pixel.abs_diff(wanted) <= 2, "{at}: {pixel}, not {wanted}");
        }
    }

    let mut small = small_inspector(&engine());
    let options = MaximiseOptions {
        steps: 20,
        ..MaximiseOptions::default()
    };
    let once = small.maximise("conv2", 1, &options).unwrap();
    assert!(once.after > once.before, "{} {}", once.before, once.after);
    // The same seed gives the same bits.
    assert_eq!(small.maximise("conv2", 1, &options).unwrap(), once);
    let other = MaximiseOptions { seed: 1, ..options };
    assert_ne!(
        small.maximise("conv2", 1, &other).unwrap().values,
        once.values
    );
    for wrong in [
        MaximiseOptions {
            steps: 0,
            ..options
        },
        MaximiseOptions {
            rate: f64::NAN,
            ..options
        },
        MaximiseOptions {
            jitter: 8,
            ..options
        },
        MaximiseOptions {
            blur: -1.0,
            ..options
        },
        MaximiseOptions { l2: 1.0, ..options },
    ] {
        let error = small.maximise("conv2", 1, &wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().starts_with("maximise: "), "{error}");
    }
    let error = small.maximise("conv2", 6, &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "maximise: layer \"conv2\" is [1, 6, 6, 6], without channel 6"
    );
}

/// A trained LeNet-5, saved and loaded again: its maps depend on its weights, an edge detector does
/// not.
#[test]
fn maps_of_a_trained_network_pass_the_sanity_check() {
    let engine = engine();
    let data = Split {
        train: digits(1000, 1).unwrap(),
        test: digits(200, 2).unwrap(),
    };
    let options = ClassifierOptions {
        batch: 50,
        optimizer: Adam::new().lr(0.003).into(),
        ..ClassifierOptions::default()
    };
    let model = models::lenet5(10);
    let mut classifier = Classifier::new(&engine, &model, &data, &options).unwrap();
    classifier.train(80).unwrap();
    let accuracy = classifier.test().unwrap();
    assert!(accuracy > 0.8, "{accuracy}");
    let file = std::env::temp_dir().join(format!("striate-inspect-{}", std::process::id()));
    classifier.save_model(&file, &model, Fit::Crop).unwrap();
    let mut inspector = Inspector::load_on(&engine, &file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        (inspector.class_names().len(), inspector.input()),
        (10, [1, 28, 28])
    );
    assert_eq!(inspector.class("7").unwrap(), 7);

    let pixels = data.test.images[..784].to_vec();
    let class = data.test.labels[0] as usize;
    let mut own = Inspector::of_classifier(&classifier, models::lenet5(10)).unwrap();
    assert_eq!(
        own.scores(&pixels).unwrap(),
        inspector.scores(&pixels).unwrap()
    );
    let filters = inspector.filters("conv1").unwrap();
    assert_eq!(filters.size(), [6, 1, 5, 5]);
    let weight = classifier.store().get("conv1.weight").unwrap();
    assert_eq!(filters.values(), weight.as_f32().unwrap());

    let edges = |_: &mut Inspector| {
        let at = |row: usize, column: usize| f32::from(pixels[row.min(27) * 28 + column.min(27)]);
        let edge = |p: usize| {
            let (row, column) = (p / 28, p % 28);
            (at(row, column + 1) - at(row, column)).abs()
                + (at(row + 1, column) - at(row, column)).abs()
        };
        HeatMap::new((0..784).map(edge).collect(), [28, 28])
    };
    let check = inspector.sanity_check(2, 5, edges).unwrap();
    assert_eq!(check.correlations, [1.0, 1.0]);
    assert!(!check.passed());
    // Nor does a map that says nothing.
    let ones = |_: &mut Inspector| HeatMap::new(vec![1.0; 784], [28, 28]);
    let check = inspector.sanity_check(2, 5, ones).unwrap();
    assert_eq!(check.correlations, [1.0, 1.0]);
    assert!(!check.passed());
    let gradient = |network: &mut Inspector| Ok(network.saliency(&pixels, class)?.magnitude());
    let check = inspector.sanity_check(4, 5, gradient).unwrap();
    println!("saliency: {check:?}");
    assert!(check.passed(), "{check:?}");
    let cam = |network: &mut Inspector| network.grad_cam(&pixels, class, "conv2");
    let check = inspector.sanity_check(4, 5, cam).unwrap();
    println!("Grad-CAM: {check:?}");
    assert!(check.passed(), "{check:?}");
    // With none drawn anew nothing changes.
    let mut same = inspector.randomised_where(5, |_| false).unwrap();
    assert_eq!(
        same.scores(&pixels).unwrap(),
        inspector.scores(&pixels).unwrap()
    );
    let mut head = inspector
        .randomised_where(5, |name| name.starts_with("fc3"))
        .unwrap();
    assert_ne!(
        head.scores(&pixels).unwrap(),
        inspector.scores(&pixels).unwrap()
    );
    let kept = head.feature_maps(&pixels, "fc2").unwrap();
    assert_eq!(kept, inspector.feature_maps(&pixels, "fc2").unwrap());
}

#[test]
fn what_cannot_be_seen_is_told() {
    let engine = Engine::Cpu { threads: 2 };
    let mut inspector = small_inspector(&engine);
    let pixels = picture();
    let told = |result: Result<HeatMap>, kind: ErrorKind, words: &str| {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, words));
    };
    let cam =
        |inspector: &mut Inspector, class, layer| inspector.grad_cam(&picture(), class, layer);
    told(
        cam(&mut inspector, 0, "conv3"),
        ErrorKind::Graph,
        "no layer is called \"conv3\"; the nearest is \"conv1\"",
    );
    told(
        cam(&mut inspector, 0, "encoder.7"),
        ErrorKind::Graph,
        "no layer is called \"encoder.7\"; there are conv1, bn1, 2, 3, conv2, relu2, 6, 7 and 1 \
         more",
    );
    told(
        cam(&mut inspector, 0, "fc"),
        ErrorKind::Shape,
        "layer \"fc\" is [1, 5], without maps [1, k, height, width]; those that have them, from \
         the last: 6, relu2, conv2, 3, 2, bn1, conv1",
    );
    told(
        cam(&mut inspector, 5, "conv2"),
        ErrorKind::Data,
        "class 5 of 5: they are 0 to 4",
    );
    told(
        inspector.occlusion(&pixels[1..], 0, 4, 2),
        ErrorKind::Shape,
        "767 pixels are no picture of 3x16x16",
    );
    told(
        inspector.occlusion(&pixels, 0, 4, 5),
        ErrorKind::Shape,
        "occlusion: a window of 4 pixels that moves by 5, on a picture of 16x16: the window has 1 \
         to 16 pixels, the stride 1 to as many as the window",
    );
    let error = inspector.class("cat").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no class is called \"cat\"; they are 0 to 4"
    );
    let error = inspector.filters("bn1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer \"bn1\" has no filters of two axes; those that have: conv1, conv2"
    );
    let error = inspector
        .integrated_gradients(&pixels, 0, 4, &[0; 3])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "baseline: 3 pixels are no picture of 3x16x16"
    );
    for error in [
        inspector
            .integrated_gradients(&pixels, 0, 0, &pixels)
            .unwrap_err(),
        inspector.smooth_grad(&pixels, 0, 0, 0.1, 0).unwrap_err(),
        inspector.smooth_grad(&pixels, 0, 1, -0.1, 0).unwrap_err(),
        inspector
            .sanity_check(0, 1, |_| unreachable!())
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
    }

    // Weights that are not finite, and states of another network.
    let broken = |name: &str, shape: &Shape| {
        let mut numbers = draw(name, shape);
        if name == "conv2.weight" {
            (numbers[3], numbers[9]) = (f32::NAN, f32::INFINITY);
        }
        numbers
    };
    let broken = store(&engine, &small(), INPUT, broken);
    let error = Inspector::new(&broken, small(), INPUT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFinite);
    assert_eq!(
        error.to_string(),
        "2 of 216 numbers of \"conv2.weight\" are NaN or infinite"
    );
    let error = Inspector::new(&broken, models::lenet5(10), [1, 28, 28]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
    // Finite weights may still make what is not.
    let huge = store(&engine, &small(), INPUT, |name, shape| {
        draw(name, shape).iter().map(|x| x * 1e30).collect()
    });
    let error = Inspector::new(&huge, small(), INPUT)
        .unwrap()
        .scores(&pixels)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");

    // A network that makes maps has layers, and no classes.
    let maps = || Sequential::new().named("conv", Conv2d::new(3, 2, 3));
    let store = store(&engine, &maps(), INPUT, draw);
    let mut maps = Inspector::new(&store, maps(), INPUT).unwrap();
    assert_eq!(
        maps.feature_maps(&pixels, "conv").unwrap().size(),
        [2, 1, 14, 14]
    );
    let error = maps.saliency(&pixels, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the network makes [1, 2, 14, 14] of a picture, not one row of logits"
    );
}

#[cfg(feature = "images")]
#[test]
fn views_are_written() {
    use striate::data::{Palette, read_picture};
    let mut inspector = small_inspector(&Engine::Cpu { threads: 2 });
    let pixels = picture();
    let file = std::env::temp_dir().join(format!("striate-seen-{}.png", std::process::id()));
    let maps = inspector.feature_maps(&pixels, "conv2").unwrap();
    maps.write_png(&file).unwrap();
    let drawn = maps.picture(Palette::Viridis).unwrap();
    let size = [3, drawn.height(), drawn.width()];
    assert_eq!(
        read_picture(&file, size, Fit::Crop).unwrap(),
        drawn.to_image()
    );
    let heat = inspector.grad_cam(&pixels, 0, "conv2").unwrap();
    let over = heat.over(&pixels, INPUT, Palette::Inferno).unwrap();
    over.write_png(&file).unwrap();
    assert_eq!(
        read_picture(&file, INPUT, Fit::Crop).unwrap(),
        over.to_image()
    );
    std::fs::remove_file(&file).unwrap();
}
