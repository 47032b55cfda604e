//! Optimizer updates over a store: many parameters in one dispatch, the same numbers as the
//! reference.

use std::sync::Mutex;

use striate::error::{ErrorKind, Result};
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::ops::{AdagradRule, AdamRule, Blending, Ema, RmsPropRule, Rule, SgdRule};
use striate::session::Session;
use striate::shape::{Shape, Type};
use striate::store::Store;
use striate::tensor::Tensor;
use striate::train::{
    Group, Optimizer, average_name, averaging, learning_rate, minimize_params, swap_averages,
};
use striate_cases::devices;

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus = devices::gpus(&GpuOptions::default());
    std::iter::once(Engine::cpu())
        .chain(gpus.into_iter().map(Engine::from))
        .collect()
}

fn shapes() -> [Shape; 4] {
    [[6, 1, 5, 5].into(), [7].into(), [65].into(), [3, 31].into()]
}

/// Parameters, kept gradients and moments in one store, updated by `rule` at the rates of a
/// schedule.
fn training(rule: Rule) -> Graph {
    let mut g = Graph::new();
    let init = Init::Normal { std: 1.0 };
    let (mut params, mut grads) = (Vec::new(), Vec::new());
    let mut moments: Vec<Vec<Value>> = vec![Vec::new(); rule.moments()];
    for (i, shape) in shapes().into_iter().enumerate() {
        let ty = Type::f32(shape.clone());
        let p = g.parameter(&format!("p{i}"), shape, init.clone()).unwrap();
        let name = format!("g{i}");
        grads.push(
            g.state(
                &name,
                ty.clone(),
                StateKind::Gradient,
                init.clone(),
                Some(p),
            )
            .unwrap(),
        );
        for (m, moments) in moments.iter_mut().enumerate() {
            let (name, kind) = (format!("m{m}.{i}"), StateKind::Moment(m as u8));
            let zero = Init::Constant(0.0);
            moments.push(g.state(&name, ty.clone(), kind, zero, Some(p)).unwrap());
        }
        params.push(p);
    }
    let table = Tensor::f32([2], vec![0.1, 0.05]).unwrap();
    let table = g.constant(table).unwrap();
    let lr = g.lookup(table).unwrap();
    let updated = g.update(rule, &params, &grads, &moments, lr).unwrap();
    for (state, value) in params.iter().zip(updated.params) {
        g.assign(*state, value).unwrap();
    }
    for (states, values) in moments.iter().zip(updated.moments) {
        for (state, value) in states.iter().zip(values) {
            g.assign(*state, value).unwrap();
        }
    }
    g
}

/// Rules with the dispatches that they take: one, or two where their states are more than four.
fn rules() -> Vec<(Rule, usize)> {
    let sgd = SgdRule {
        momentum: 0.9,
        weight_decay: 0.01,
        ..SgdRule::default()
    };
    let adam = AdamRule::default();
    let (rms, centered) = (
        RmsPropRule::default(),
        RmsPropRule {
            centered: true,
            ..RmsPropRule::default()
        },
    );
    let momentum = 0.9;
    vec![
        (
            Rule::Sgd(SgdRule {
                momentum: 0.0,
                ..sgd
            }),
            1,
        ),
        (
            Rule::Sgd(SgdRule {
                dampening: 0.5,
                ..sgd
            }),
            1,
        ),
        (
            Rule::Sgd(SgdRule {
                nesterov: true,
                ..sgd
            }),
            1,
        ),
        (Rule::Adam(adam), 1),
        (
            Rule::Adam(AdamRule {
                weight_decay: 0.01,
                decoupled: true,
                ..adam
            }),
            1,
        ),
        (
            Rule::Adam(AdamRule {
                amsgrad: true,
                ..adam
            }),
            2,
        ),
        (Rule::RmsProp(rms), 1),
        (Rule::RmsProp(RmsPropRule { momentum, ..rms }), 1),
        (Rule::RmsProp(centered), 1),
        (
            Rule::RmsProp(RmsPropRule {
                momentum,
                ..centered
            }),
            2,
        ),
        (
            Rule::Adagrad(AdagradRule {
                lr_decay: 0.5,
                ..AdagradRule::default()
            }),
            1,
        ),
    ]
}

#[test]
fn one_dispatch_updates_all_parameters() {
    for (rule, dispatches) in rules() {
        let g = training(rule);
        let mut reference: Option<Vec<Vec<f32>>> = None;
        for engine in engines() {
            let store = Store::new(&engine, &[&g], 7).unwrap();
            let mut session = Session::new(&store, &g, &[]).unwrap();
            if let Some(plan) = session.plan() {
                assert_eq!(
                    plan.steps.len(),
                    1 + dispatches,
                    "lookup and update:\n{plan}"
                );
            }
            session.run(3).unwrap();
            let names = (0..4).map(|i| format!("p{i}"));
            let found: Vec<Vec<f32>> = names
                .map(|name| store.get(&name).unwrap().as_f32().unwrap().to_vec())
                .collect();
            match &reference {
                None => reference = Some(found),
                Some(wanted) => {
                    for (a, b) in wanted.iter().flatten().zip(found.iter().flatten()) {
                        assert!((a - b).abs() < 1e-5, "{rule:?} on {engine:?}: {b}, not {a}");
                    }
                }
            }
        }
    }
}

#[test]
fn first_steps_by_hand() {
    let step = |rule: Rule| {
        let mut g = Graph::new();
        let row = |a: f32, b: f32| Init::Tensor(Tensor::f32([2], vec![a, b]).unwrap().into());
        let p = g.parameter("p", [2], row(1.0, -2.0)).unwrap();
        let grad = g
            .constant(Tensor::f32([2], vec![0.5, 0.25]).unwrap())
            .unwrap();
        let lr = g.constant(Tensor::scalar(0.1)).unwrap();
        let zero = g.fill([2], 0.0).unwrap();
        let moments = vec![vec![zero]; rule.moments()];
        let updated = g.update(rule, &[p], &[grad], &moments, lr).unwrap();
        g.assign(p, updated.params[0]).unwrap();
        let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
        Session::new(&store, &g, &[]).unwrap().run(1).unwrap();
        store.get("p").unwrap().as_f32().unwrap().to_vec()
    };
    assert_eq!(step(Rule::Sgd(SgdRule::default())), [0.95, -2.025]);
    // m = g, so that nesterov takes g + momentum * g.
    let nesterov = SgdRule {
        momentum: 0.5,
        nesterov: true,
        ..SgdRule::default()
    };
    assert_eq!(step(Rule::Sgd(nesterov)), [0.925, -2.0375]);
    // m / (1 - beta1) over sqrt(v / (1 - beta2)) is the sign of g at the first step.
    let adam = |decoupled| AdamRule {
        eps: 1e-30,
        weight_decay: 0.5,
        decoupled,
        ..AdamRule::default()
    };
    assert_eq!(step(Rule::Adam(adam(false))), [0.9, -1.9]);
    assert_eq!(step(Rule::Adam(adam(true))), [0.85, -2.0]);
    // The first step takes the gradient whole, whatever the dampening.
    let dampened = SgdRule {
        momentum: 0.5,
        dampening: 0.75,
        ..SgdRule::default()
    };
    assert_eq!(step(Rule::Sgd(dampened)), [0.95, -2.025]);
    // g / sqrt(g^2 / 4) is twice the sign of g; around a mean of g / 4 the deviation is sqrt(g^2 /
    // 4 - g^2 / 16) = sqrt(3) g / 4.
    let rms = |alpha, centered, momentum| {
        Rule::RmsProp(RmsPropRule {
            alpha,
            eps: 1e-30,
            centered,
            momentum,
            weight_decay: 0.0,
        })
    };
    assert_eq!(step(rms(0.75, false, 0.0)), [0.8, -2.2]);
    assert_eq!(step(rms(0.75, false, 0.5)), [0.8, -2.2]);
    let off = (0.1 * 4.0 / 3f64.sqrt()) as f32;
    assert_eq!(step(rms(0.75, true, 0.0)), [1.0 - off, -2.0 - off]);
    assert_eq!(step(rms(0.75, true, 0.5)), [1.0 - off, -2.0 - off]);
    let adagrad = AdagradRule {
        eps: 1e-30,
        lr_decay: 0.5,
        ..AdagradRule::default()
    };
    assert_eq!(step(Rule::Adagrad(adagrad)), [0.9, -2.1]);
}

#[test]
fn wrong_rules_are_refused() {
    let refuse = |rule: Rule| {
        let mut g = Graph::new();
        let p = g.parameter("p", [2], Init::Constant(0.0)).unwrap();
        let lr = g.constant(Tensor::scalar(0.1)).unwrap();
        let moments = vec![vec![p]; rule.moments()];
        let error = g.update(rule, &[p], &[p], &moments, lr).unwrap_err();
        error.to_string()
    };
    let sgd = SgdRule {
        nesterov: true,
        ..SgdRule::default()
    };
    assert_eq!(
        refuse(Rule::Sgd(sgd)),
        "sgd: nesterov needs a momentum and no dampening"
    );
    let adam = AdamRule {
        eps: 0.0,
        ..AdamRule::default()
    };
    assert_eq!(
        refuse(Rule::Adam(adam)),
        "adam: eps 0 is not a normal number above 0"
    );
    let adam = AdamRule {
        beta2: 1.0,
        ..AdamRule::default()
    };
    assert_eq!(refuse(Rule::Adam(adam)), "adam: beta2 1 is not in [0, 1)");
    let mut g = Graph::new();
    let p = g.parameter("p", [2], Init::Constant(0.0)).unwrap();
    let q = g.parameter("q", [3], Init::Constant(0.0)).unwrap();
    let lr = g.constant(Tensor::scalar(0.1)).unwrap();
    let rule = Rule::Sgd(SgdRule::default());
    let error = g.update(rule, &[p], &[q], &[], lr).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sgd: gradient 0 is [3], its parameter [2]"
    );
}

/// The centered form is PyTorch's, which subtracts the square of the mean from the mean of squares
/// in each step.
#[test]
fn centered_rmsprop_divides_by_the_deviation() {
    for momentum in [0.0, 0.9] {
        let rule = Rule::RmsProp(RmsPropRule {
            centered: true,
            momentum,
            alpha: 0.9,
            ..RmsPropRule::default()
        });
        let mut g = Graph::new();
        let p = g.parameter("p", [1], Init::Constant(1.0)).unwrap();
        let x = g.input("x", Type::f32([1])).unwrap();
        let product = g.mul(p, x).unwrap();
        let loss = g.sum(product, &[0], false).unwrap();
        let rate = learning_rate(&mut g, 0.01).unwrap();
        Optimizer::new(rule)
            .minimize_at(&mut g, loss, rate)
            .unwrap();
        let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[]).unwrap();
        let (mut p, mut square, mut mean, mut moment) = (1.0, 0.0, 0.0, 0.0);
        for step in 0..20 {
            let grad = f64::from(step % 7) - 2.5;
            let tensor = Tensor::f32([1], vec![grad as f32]).unwrap();
            session.write(x, &tensor).unwrap();
            session.run(1).unwrap();
            square = 0.9 * square + 0.1 * grad * grad;
            mean = 0.9 * mean + 0.1 * grad;
            let direction = grad / ((square - mean * mean).sqrt() + 1e-8);
            moment = momentum * moment + direction;
            p -= 0.01 * moment;
            let found = f64::from(store.get("p").unwrap().item().unwrap());
            assert!((found - p).abs() < 1e-5, "step {step}: {found}, not {p}");
        }
    }
}

/// Weights and biases as they alternate in a network, and a loss whose gradient is `factor`
/// everywhere.
fn network(factor: f32) -> Result<(Graph, Value)> {
    let mut g = Graph::new();
    let mut sums = Vec::new();
    for layer in ["stem", "trunk", "head"] {
        for (name, shape) in [("weight", vec![6, 5]), ("bias", vec![5])] {
            let init = Init::Constant(1.0);
            let p = g.parameter(&format!("{layer}.{name}"), shape, init)?;
            let axes: Vec<usize> = (0..g.shape(p)?.len()).collect();
            let sum = g.sum(p, &axes, false)?;
            sums.push(g.scale(sum, factor)?);
        }
    }
    let mut loss = sums[0];
    for &sum in &sums[1..] {
        loss = g.add(loss, sum)?;
    }
    Ok((g, loss))
}

/// All elements of a state, which are equal.
fn value(store: &Store, name: &str) -> f32 {
    let tensor = store.get(name).unwrap();
    let values = tensor.as_f32().unwrap();
    assert!(values.iter().all(|&v| v == values[0]), "{name}: {values:?}");
    values[0]
}

#[test]
fn groups_have_settings_of_their_own() {
    for engine in engines() {
        let (mut g, loss) = network(0.5).unwrap();
        let rate = learning_rate(&mut g, 1.0).unwrap();
        let sgd = Rule::Sgd(SgdRule {
            weight_decay: 0.25,
            ..SgdRule::default()
        });
        let optimizer = Optimizer::new(sgd)
            .group(Group::matching(|name, _| name.starts_with("stem.")).frozen())
            .group(Group::named(["trunk.weight"]).rate(0.5))
            .group(Group::vectors().weight_decay(0.0));
        optimizer.minimize_at(&mut g, loss, rate).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[]).unwrap();
        if let Some(plan) = session.plan() {
            let updates = plan.steps.iter().filter(|step| step.op == "sgd").count();
            assert_eq!(updates, 3, "one per group:\n{plan}");
        }
        session.run(1).unwrap();
        for (name, wanted) in [
            ("stem.weight", 1.0),
            ("stem.bias", 1.0),
            ("trunk.weight", 1.0 - 0.5 * (0.5 + 0.25)),
            ("trunk.bias", 1.0 - 0.5),
            ("head.weight", 1.0 - (0.5 + 0.25)),
            ("head.bias", 1.0 - 0.5),
        ] {
            assert_eq!(value(&store, name), wanted, "{name} on {engine:?}");
        }
        assert!(store.ty("grad.stem.weight").is_err());
    }
    let (mut g, loss) = network(0.5).unwrap();
    let rate = learning_rate(&mut g, 1.0).unwrap();
    let absent = Optimizer::new(Rule::Sgd(SgdRule::default())).group(Group::named(["neck.bias"]));
    let error = absent.minimize_at(&mut g, loss, rate).unwrap_err();
    assert_eq!(
        error.to_string(),
        "optimizer: there is no parameter \"neck.bias\""
    );
}

#[test]
fn gradients_are_clipped_by_norm_then_by_value() {
    // 3 * 35 elements of 4: the norm is 4 sqrt(105), as one vector.
    let norm = 4.0 * 105f32.sqrt();
    for engine in engines() {
        for (max_norm, limit, step) in [
            (1e3, None, 4.0),
            (norm / 2.0, None, 2.0),
            (norm / 2.0, Some(1.5), 1.5),
            (norm / 2.0, Some(3.0), 2.0),
        ] {
            let (mut g, loss) = network(-4.0).unwrap();
            let rate = learning_rate(&mut g, 1.0).unwrap();
            let mut optimizer =
                Optimizer::new(Rule::Sgd(SgdRule::default())).clip_norm(max_norm.into());
            if let Some(limit) = limit {
                optimizer = optimizer.clip_value(limit);
            }
            let found = optimizer.minimize_at(&mut g, loss, rate).unwrap().unwrap();
            let store = Store::new(&engine, &[&g], 0).unwrap();
            let mut session = Session::new(&store, &g, &[found]).unwrap();
            session.run(1).unwrap();
            let found = session.read(found).unwrap().item().unwrap();
            assert!((found - norm).abs() < 1e-4, "{found}, not {norm}");
            for name in ["stem.weight", "head.bias"] {
                let moved = value(&store, name) - 1.0;
                assert!((moved - step).abs() < 1e-5, "{name} by {moved}, not {step}");
                assert_eq!(value(&store, &format!("grad.{name}")), -4.0);
            }
        }
    }
}

#[test]
fn averages_follow_the_parameters_and_take_their_place() {
    let warmed = Ema::new(0.9).warmup();
    let late = Ema {
        start: 2,
        ..Ema::new(0.75)
    };
    for engine in engines() {
        for ema in [Ema::new(0.5), warmed, late] {
            let (mut g, loss) = network(0.5).unwrap();
            let rate = learning_rate(&mut g, 0.25).unwrap();
            let optimizer = Optimizer::new(Rule::Sgd(SgdRule::default())).average(ema);
            optimizer.minimize_at(&mut g, loss, rate).unwrap();
            let store = Store::new(&engine, &[&g], 0).unwrap();
            let mut session = Session::new(&store, &g, &[]).unwrap();
            if let Some(plan) = session.plan() {
                let blends = plan.steps.iter().filter(|step| step.op == "blend").count();
                assert_eq!(blends, 1, "{plan}");
            }
            let mut average = 0.0;
            let mut p = 1.0;
            for step in 0..6u32 {
                session.run(1).unwrap();
                p -= 0.125;
                // timm's `get_decay`, whose first step is number 1.
                let t = f64::from(step.saturating_sub(ema.start));
                let decay = match ema.warmup {
                    _ if t == 0.0 => 0.0,
                    Some(w) => (1.0 - (1.0 + t / w.gamma).powf(-w.power)).min(ema.decay),
                    None => ema.decay,
                };
                average = decay * average + (1.0 - decay) * p;
                for name in ["stem.weight", "stem.bias", "head.bias"] {
                    assert_eq!(f64::from(value(&store, name)), p);
                    let found = f64::from(value(&store, &average_name(name)));
                    assert!((found - average).abs() < 1e-6, "{found}, not {average}");
                }
            }
            let averaged = value(&store, &average_name("head.bias"));
            let swap = swap_averages(&g).unwrap();
            let mut swap = Session::new(&store, &swap, &[]).unwrap();
            swap.run(1).unwrap();
            assert_eq!(value(&store, "head.bias"), averaged);
            assert_eq!(f64::from(value(&store, &average_name("head.bias"))), p);
            swap.run(1).unwrap();
            assert_eq!(f64::from(value(&store, "head.bias")), p);
        }
    }
}

#[test]
fn averages_begin_as_the_parameters() {
    let inits = [
        Init::Normal { std: 1.0 },
        Init::Uniform { bound: 0.5 },
        Init::Constant(4.0),
        Init::Tensor(Tensor::f32([3], vec![1.0, 2.0, 3.0]).unwrap().into()),
    ];
    for engine in engines() {
        let mut g = Graph::new();
        let mut sums = Vec::new();
        for (i, init) in inits.iter().enumerate() {
            let p = g.parameter(&format!("p{i}"), [3], init.clone()).unwrap();
            sums.push(g.sum(p, &[0], false).unwrap());
        }
        let stochastic = averaging(&g, Blending::Mean).unwrap();
        let mut loss = sums[0];
        for &sum in &sums[1..] {
            loss = g.add(loss, sum).unwrap();
        }
        let mut trained = g.clone();
        let rate = learning_rate(&mut trained, 0.25).unwrap();
        let optimizer = Optimizer::new(Rule::Sgd(SgdRule::default())).average(Ema::new(0.5));
        optimizer.minimize_at(&mut trained, loss, rate).unwrap();
        for graphs in [vec![&trained], vec![&g, &stochastic]] {
            let store = Store::new(&engine, &graphs, 3).unwrap();
            for i in 0..inits.len() {
                let name = format!("p{i}");
                let average = store.get(&average_name(&name)).unwrap();
                assert_eq!(store.get(&name).unwrap(), average);
            }
        }
        let mut lone = Graph::new();
        let init = Init::SameAs("absent".to_owned());
        let ty = Type::f32([3]);
        lone.state("average", ty, StateKind::Average, init, None)
            .unwrap();
        assert!(Store::new(&engine, &[&lone], 3).is_err());
    }
}

/// Everything at once on parameters that do not fit a binding: the same numbers as the reference.
#[test]
fn parameters_in_parts_are_clipped_updated_and_averaged() {
    let options = GpuOptions {
        max_binding: Some(512),
        ..GpuOptions::default()
    };
    let train = |engine: &Engine, rule: Rule| {
        let mut g = Graph::new();
        let init = Init::Normal { std: 1.0 };
        let w = g.parameter("w", [50, 7], init.clone()).unwrap();
        let b = g.parameter("b", [9], init).unwrap();
        let [sum, other] = [w, b].map(|p| {
            let square = g.mul(p, p).unwrap();
            let axes: Vec<usize> = (0..g.shape(p).unwrap().len()).collect();
            g.sum(square, &axes, false).unwrap()
        });
        let loss = g.add(sum, other).unwrap();
        let optimizer = Optimizer::new(rule)
            .group(Group::vectors().rate(0.5))
            .clip_norm(10.0)
            .clip_value(1.0)
            .average(Ema::new(0.5));
        let rate = |g: &mut Graph| learning_rate(g, 0.125);
        let applying = optimizer.accumulate_at(&mut g, loss, 2, rate).unwrap();
        let swap = swap_averages(&applying.graph).unwrap();
        let store = Store::new(engine, &[&g, &applying.graph], 3).unwrap();
        let norm = applying.norm.unwrap();
        let mut batch = Session::new(&store, &g, &[]).unwrap();
        let mut apply = Session::new(&store, &applying.graph, &[norm]).unwrap();
        for _ in 0..2 {
            batch.run(2).unwrap();
            apply.run(1).unwrap();
        }
        Session::new(&store, &swap, &[]).unwrap().run(1).unwrap();
        let mut found = vec![apply.read(norm).unwrap().item().unwrap()];
        for name in ["w", "b", "grad.w", "ema.w", "ema.b"] {
            found.extend(store.get(name).unwrap().as_f32().unwrap());
        }
        found
    };
    for (rule, _) in rules() {
        let wanted = train(&Engine::cpu(), rule);
        for gpu in devices::gpus(&options) {
            let found = train(&gpu.into(), rule);
            for (a, b) in wanted.iter().zip(&found) {
                let near = (a - b).abs() < 1e-5 * a.abs().max(1.0);
                assert!(near, "{rule:?}: {b}, not {a}");
            }
        }
    }
}

/// Stochastic weight averaging: after each of some steps of training, not after all.
#[test]
fn parameters_are_averaged_when_asked_for() {
    for engine in engines() {
        let (mut g, loss) = network(0.5).unwrap();
        let rate = learning_rate(&mut g, 0.5).unwrap();
        let optimizer = Optimizer::new(Rule::Sgd(SgdRule::default()));
        optimizer.minimize_at(&mut g, loss, rate).unwrap();
        let averaging = averaging(&g, Blending::Mean).unwrap();
        let store = Store::new(&engine, &[&g, &averaging], 0).unwrap();
        let mut session = Session::new(&store, &g, &[]).unwrap();
        let mut average = Session::new(&store, &averaging, &[]).unwrap();
        if let Some(plan) = average.plan() {
            assert_eq!(plan.steps.len(), 2, "blend and advance:\n{plan}");
        }
        let mut mean = 0.0;
        for cycle in 0..4u8 {
            session.run(3).unwrap();
            average.run(1).unwrap();
            mean += (f64::from(value(&store, "stem.bias")) - mean) / (f64::from(cycle) + 1.0);
            let found = f64::from(value(&store, &average_name("stem.bias")));
            assert!((found - mean).abs() < 1e-6, "{found}, not {mean}");
        }
    }
}

/// Warnings of this program.
struct Warnings(Mutex<Vec<String>>);

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Warn && metadata.target().starts_with("striate")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

/// `0.5 * sum(a) + 0.5 * sum(c)`, where a parameter `b` may lie between the two and is not used.
fn with_unused(unused: bool) -> (Graph, Value) {
    let mut g = Graph::new();
    let mut used = Vec::new();
    for (name, shape) in [("a", [6, 5]), ("b", [70, 1]), ("c", [1, 9])] {
        if unused || name != "b" {
            let param = g.parameter(name, shape, Init::Constant(1.0)).unwrap();
            if name != "b" {
                let sum = g.sum(param, &[0, 1], false).unwrap();
                used.push(g.scale(sum, 0.5).unwrap());
            }
        }
    }
    let loss = g.add(used[0], used[1]).unwrap();
    (g, loss)
}

/// As PyTorch's optimizers pass over a parameter whose `grad` is `None`.
#[test]
fn parameters_that_the_loss_does_not_use_stay_as_they_are() {
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let optimizer = Optimizer::new(Rule::Adam(AdamRule::default()))
        .clip_norm(0.5)
        .average(Ema::new(0.5));
    let train = |engine: &Engine, unused: bool, batches: usize| {
        let (mut g, loss) = with_unused(unused);
        let rate = |g: &mut Graph| learning_rate(g, 0.25);
        let (store, steps) = match batches {
            1 => {
                let rate = rate(&mut g).unwrap();
                optimizer.minimize_at(&mut g, loss, rate).unwrap();
                (Store::new(engine, &[&g], 0).unwrap(), vec![g])
            }
            _ => {
                let applying = optimizer
                    .accumulate_at(&mut g, loss, batches, rate)
                    .unwrap();
                let store = Store::new(engine, &[&g, &applying.graph], 0).unwrap();
                (store, vec![g.clone(), g, applying.graph])
            }
        };
        for _ in 0..3 {
            for graph in &steps {
                Session::new(&store, graph, &[]).unwrap().run(1).unwrap();
            }
        }
        store
    };
    for engine in engines() {
        for batches in [1, 2] {
            let [with, without] = [true, false].map(|unused| train(&engine, unused, batches));
            for name in ["a", "c", "grad.a", "moment2.c", "ema.a"] {
                assert_eq!(
                    value(&with, name),
                    value(&without, name),
                    "{name} on {engine:?}"
                );
            }
            assert!(value(&with, "a") < 1.0);
            assert_eq!(value(&with, "b"), 1.0);
            assert!(with.ty("grad.b").is_err() && with.ty("moment1.b").is_err());
        }
    }
    let wanted = "optimizer: the loss does not depend on parameter \"b\", which is not trained";
    assert!(WARNINGS.0.lock().unwrap().iter().any(|line| line == wanted));

    let (mut g, loss) = with_unused(true);
    let b = g.find_state("b").unwrap();
    let rate = learning_rate(&mut g, 0.25).unwrap();
    let error =
        minimize_params(&mut g, loss, &[b], Rule::Sgd(SgdRule::default()), rate).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDifferentiable);
    assert!(
        error.to_string().ends_with("no parameter: parameter \"b\""),
        "{error}"
    );
}
