//! Ops on values that are larger than one binding: cut into parts, operands differently.

mod common;

use striate::autodiff::gradients_from;
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, Kind, Value};
use striate::ops::{Adam, AvgPool2d, MaxPool2d, Rule, Sgd};
use striate::session::Session;
use striate::shape::{DType, Type};
use striate::store::Store;

/// Runs the graph on the CPU and on every adapter with bindings of at most `max_binding` bytes, and compares what it fetches.
fn compare(g: &Graph, fetched: &[Value], max_binding: u64) {
    let run = |engine: &Engine| {
        let store = Store::new(engine, &[g], 3).unwrap();
        let mut session = Session::new(&store, g, fetched).unwrap();
        session.run(2).unwrap();
        let tensors = fetched.iter().map(|&v| session.read(v).unwrap());
        tensors.collect::<Vec<_>>()
    };
    let wanted = run(&Engine::cpu());
    let gpus = common::gpus(&GpuOptions {
        max_binding: Some(max_binding),
        ..GpuOptions::default()
    });
    for engine in gpus.into_iter().map(Engine::from) {
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
    g.state(name, ty, Kind::Data, init, None).unwrap()
}

#[test]
fn pooling_of_an_input_in_more_parts_than_its_output() {
    // A row of x takes 720 bytes, one of the 2 x 2 output 180: with 2,048 bytes, four parts and one; with 800, seven and two.
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

#[test]
fn pooling_with_indices_in_bytes() {
    // A row of x takes 960 bytes, one of the 2 x 2 output 240, one of its indices 60: all three are cut at other rows.
    for max_binding in [2048, 1024] {
        for [kernel, stride, padding] in [[2, 2, 0], [3, 2, 1], [2, 3, 1]] {
            let mut g = Graph::new();
            let x = normal(&mut g, "x", Type::f32([40, 4, 6, 10]));
            let pool = MaxPool2d {
                stride: [stride; 2],
                padding: [padding; 2],
                ..MaxPool2d::square(kernel)
            };
            let mut fetched = common::cases::pool::with_smallest_indices(&mut g, x, pool).unwrap();
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
    let sgd = Rule::Sgd(Sgd {
        momentum: 0.9,
        ..Sgd::default()
    });
    for rule in [sgd, Rule::Adam(Adam::default())] {
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
