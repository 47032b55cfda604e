//! Optimizers, schedules, clipping and averages: what happens over several steps.

use std::collections::HashMap;
use std::sync::Arc;

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{Adam, Rule, Sgd};
use striate::reference::evaluate;
use striate::shape::Type;
use striate::tensor::Array;

use crate::build::pending;
use crate::{Example, Options, Results};

pub fn run(example: &Example) -> Result<Results> {
    match example.family.as_str() {
        "optimizer" => optimize(example),
        _ => pending(),
    }
}

fn rule(op: &str, options: &Options) -> Result<Rule> {
    let decay = options.number_or("weight_decay", 0.0);
    let betas = if options.has("betas") {
        options.numbers("betas")
    } else {
        vec![0.9, 0.999]
    };
    Ok(match op {
        "SGD" if !options.has("dampening") => Rule::Sgd(Sgd {
            momentum: options.number_or("momentum", 0.0),
            nesterov: options.has("nesterov"),
            weight_decay: decay,
        }),
        "Adam" | "AdamW" if !options.has("amsgrad") => Rule::Adam(Adam {
            beta1: betas[0],
            beta2: betas[1],
            eps: options.number_or("eps", 1e-8),
            weight_decay: decay,
            decoupled: op == "AdamW",
        }),
        _ => return pending(),
    })
}

/// The parameters after each step, the gradients of each step being given.
fn optimize(example: &Example) -> Result<Results> {
    let rule = rule(&example.op, &example.options)?;
    let count = example.outputs.len();
    let mut g = Graph::new();
    let mut input = |name: String, ty: &Type| g.input(&name, ty.clone());
    let mut now: HashMap<Value, Arc<Array>> = HashMap::new();
    let (mut params, mut grads) = (Vec::new(), Vec::new());
    let mut moments = vec![Vec::new(); rule.moments()];
    for i in 0..count {
        let start = example.array(&format!("param{i}"));
        let param = input(format!("param{i}"), start.ty())?;
        grads.push(input(format!("gradient{i}"), start.ty())?);
        for (m, moments) in moments.iter_mut().enumerate() {
            let moment = input(format!("moment{m}.{i}"), start.ty())?;
            let zeros = vec![0.0; start.ty().count()];
            now.insert(moment, Array::float(start.shape().clone(), zeros).into());
            moments.push(moment);
        }
        now.insert(param, start.into());
        params.push(param);
    }
    let lr = g.input("lr", Type::f32([]))?;
    now.insert(
        lr,
        Array::float([], vec![example.options.number("lr")]).into(),
    );
    let updated = g.update(rule, &params, &grads, &moments, lr)?;
    let clock = g.clock()?;

    let olds = [params, moments.concat()].concat();
    let news = [updated.params, updated.moments.concat()].concat();
    let gradients: Vec<Array> = (0..count)
        .map(|i| example.array(&format!("gradient{i}")))
        .collect();
    let steps = gradients[0].shape()[0];
    let mut seen: Vec<Vec<Array>> = vec![Vec::new(); count];
    for step in 0..steps {
        now.insert(clock, Array::u32([4], vec![0, 0, step as u32, 0]).into());
        for (&grad, all) in grads.iter().zip(&gradients) {
            let row = all.rows(step, step + 1);
            now.insert(grad, row.reshaped(all.shape()[1..].to_vec()).into());
        }
        let found = evaluate(&g, &now, &news, 1)?;
        for (seen, param) in seen.iter_mut().zip(&found) {
            let row = [&[1], &param.shape()[..]].concat();
            seen.push(param.reshaped(row));
        }
        now.extend(olds.iter().copied().zip(found));
    }
    let names = example.outputs.iter().cloned();
    Ok(names
        .zip(seen.iter().map(|rows| Array::concat(rows)))
        .collect())
}
