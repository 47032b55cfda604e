//! What a caller may do by mistake: values of other graphs, ops that do not keep their word, absurd
//! numbers. Each is an error of the right kind that names what is wrong, and nothing panics.

use std::collections::HashMap;
use std::sync::Arc;

use striate::autodiff::{gradients, gradients_from};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::Engine;
use striate::graph::{Graph, Init, Kind, Value};
use striate::kernel::Caps;
use striate::plan::{Buffer, Plan, PlanOptions, StateLayout};
use striate::reference::evaluate;
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::{Array, Tensor};

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
    refused(g.add_values(x, w), kind, &told("add", x));
    refused(g.add_values(own_x, w), kind, &told("add", w));
    refused(g.assign(w, own_x), kind, &told("assign", w));
    refused(g.assign(own_w, y), kind, &told("assign", y));
    assert_eq!(g.assigned(w), None);
    assert_eq!(g.producer(y), None);
    refused(g.set_group(w, 1), kind, &told("set_group", w));
    refused(g.set_clock(w), kind, &told("set_clock", w));
    let like = g.state("m", Type::f32([2]), Kind::Moment(1), Init::Seed, Some(w));
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
    let last = grandchild.add_values(of_child, y).unwrap();
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
            "gradients: parameter \"layer.v\" has no differentiable path to the loss {loss} (of sum)"
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
    let pool = striate::ops::MaxPool2d::square(2);
    let images = g.input("images", Type::f32([1, 1, 4, 4])).unwrap();
    let (_, indices) = g.max_pool_with_indices(images, pool).unwrap();
    assert_eq!(
        g.describe(indices),
        format!("{indices} (output 1 of max_pool2d)")
    );
}
