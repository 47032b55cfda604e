//! Optimizer updates over a store: many parameters in one dispatch, the same numbers as the reference.

mod common;

use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, Kind, Value};
use striate::ops::{Adam, Rule, Sgd};
use striate::session::Session;
use striate::shape::{Shape, Type};
use striate::store::Store;
use striate::tensor::Tensor;

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus = common::gpus(&GpuOptions::default());
    std::iter::once(Engine::cpu())
        .chain(gpus.into_iter().map(Engine::from))
        .collect()
}

fn shapes() -> [Shape; 4] {
    [[6, 1, 5, 5].into(), [7].into(), [65].into(), [3, 31].into()]
}

/// Parameters, kept gradients and moments in one store, updated by `rule` at the rates of a schedule.
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
            g.state(&name, ty.clone(), Kind::Gradient, init.clone(), Some(p))
                .unwrap(),
        );
        for (m, moments) in moments.iter_mut().enumerate() {
            let (name, kind) = (format!("m{m}.{i}"), Kind::Moment(m as u8));
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

#[test]
fn one_dispatch_updates_all_parameters() {
    let rules = [
        Rule::Sgd(Sgd {
            weight_decay: 0.01,
            ..Sgd::default()
        }),
        Rule::Sgd(Sgd {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.01,
        }),
        Rule::Adam(Adam::default()),
        Rule::Adam(Adam {
            weight_decay: 0.01,
            decoupled: true,
            ..Adam::default()
        }),
    ];
    for rule in rules {
        let g = training(rule);
        let mut reference: Option<Vec<Vec<f32>>> = None;
        for engine in engines() {
            let store = Store::new(&engine, &[&g], 7).unwrap();
            let mut session = Session::new(&store, &g, &[]).unwrap();
            if let Some(plan) = session.plan() {
                assert_eq!(plan.steps.len(), 2, "lookup and update:\n{plan}");
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
    assert_eq!(step(Rule::Sgd(Sgd::default())), [0.95, -2.025]);
    // m = g, so that nesterov takes g + momentum * g.
    let nesterov = Sgd {
        momentum: 0.5,
        nesterov: true,
        weight_decay: 0.0,
    };
    assert_eq!(step(Rule::Sgd(nesterov)), [0.925, -2.0375]);
    // m / (1 - beta1) over sqrt(v / (1 - beta2)) is the sign of g at the first step.
    let adam = |decoupled| Adam {
        eps: 1e-30,
        weight_decay: 0.5,
        decoupled,
        ..Adam::default()
    };
    assert_eq!(step(Rule::Adam(adam(false))), [0.9, -1.9]);
    assert_eq!(step(Rule::Adam(adam(true))), [0.85, -2.0]);
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
    let sgd = Sgd {
        nesterov: true,
        ..Sgd::default()
    };
    assert_eq!(refuse(Rule::Sgd(sgd)), "sgd: nesterov needs a momentum");
    let adam = Adam {
        eps: 0.0,
        ..Adam::default()
    };
    assert_eq!(
        refuse(Rule::Adam(adam)),
        "adam: eps 0 is not a normal number above 0"
    );
    let adam = Adam {
        beta2: 1.0,
        ..Adam::default()
    };
    assert_eq!(
        refuse(Rule::Adam(adam)),
        "adam: betas 0.9 and 1 are not in [0, 1)"
    );
    let mut g = Graph::new();
    let p = g.parameter("p", [2], Init::Constant(0.0)).unwrap();
    let q = g.parameter("q", [3], Init::Constant(0.0)).unwrap();
    let lr = g.constant(Tensor::scalar(0.1)).unwrap();
    let rule = Rule::Sgd(Sgd::default());
    let error = g.update(rule, &[p], &[q], &[], lr).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sgd: gradient 0 is [3], its parameter [2]"
    );
}
