//! Optimizers, schedules, clipping and averages: what happens over several steps.

use std::collections::HashMap;
use std::sync::Arc;

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{Adagrad, Adam, Blending, Ema, RmsProp, Rule, Sgd, Update, Updating};
use striate::reference::evaluate;
use striate::shape::Type;
use striate::tensor::Array;
use striate::train::schedule::{self, OneCycle};

use crate::build::pending;
use crate::{Example, Options, Results};

pub fn run(example: &Example) -> Result<Results> {
    match example.family.as_str() {
        "optimizer" => optimize(example),
        "scheduler" => schedule(example),
        "clipping" => clip(example),
        "average" => average(example),
        _ => pending(),
    }
}

fn rule(op: &str, options: &Options) -> Result<Rule> {
    let number = |name, default| options.number_or(name, default);
    let weight_decay = number("weight_decay", 0.0);
    let momentum = number("momentum", 0.0);
    let betas = match options.has("betas") {
        true => options.numbers("betas"),
        false => vec![0.9, 0.999],
    };
    Ok(match op {
        "SGD" => Rule::Sgd(Sgd {
            momentum,
            dampening: number("dampening", 0.0),
            nesterov: options.has("nesterov"),
            weight_decay,
        }),
        "Adam" | "AdamW" => Rule::Adam(Adam {
            beta1: betas[0],
            beta2: betas[1],
            eps: number("eps", 1e-8),
            weight_decay,
            decoupled: op == "AdamW",
            amsgrad: options.has("amsgrad"),
        }),
        "RMSprop" => Rule::RmsProp(RmsProp {
            alpha: number("alpha", 0.99),
            eps: number("eps", 1e-8),
            weight_decay,
            momentum,
            centered: options.has("centered"),
        }),
        "Adagrad" => Rule::Adagrad(Adagrad {
            lr_decay: number("lr_decay", 0.0),
            weight_decay,
            initial_accumulator_value: number("initial_accumulator_value", 0.0),
            eps: number("eps", 1e-10),
        }),
        _ => return pending(),
    })
}

/// The rate of each step; after the last entry of a table it stays.
fn schedule(example: &Example) -> Result<Results> {
    let options = &example.options;
    let (steps, rate) = (options.whole("steps"), options.number("lr"));
    let number = |name: &str| options.number(name);
    let table = match example.op.as_str() {
        "StepLR" => schedule::step(rate, options.whole("step_size"), number("gamma"), steps),
        "MultiStepLR" => schedule::multi_step(rate, &options.list("milestones"), number("gamma")),
        "ExponentialLR" => schedule::exponential(rate, number("gamma"), steps),
        "LinearLR" => schedule::linear(
            rate,
            number("start_factor"),
            number("end_factor"),
            options.whole("total_iters"),
        ),
        "CosineAnnealingLR" => {
            schedule::cosine_annealing(rate, options.whole("T_max"), number("eta_min"))
        }
        "CosineAnnealingWarmRestarts" => schedule::cosine_annealing_warm_restarts(
            rate,
            options.whole("T_0"),
            options.whole("T_mult"),
            number("eta_min"),
            steps,
        ),
        "OneCycleLR" => {
            let plain = OneCycle::new(number("max_lr"), options.whole("total_steps"));
            let cycle = OneCycle {
                pct_start: options.number_or("pct_start", plain.pct_start),
                linear: options.has("anneal_strategy"),
                div_factor: options.number_or("div_factor", plain.div_factor),
                final_div_factor: options.number_or("final_div_factor", plain.final_div_factor),
                three_phase: options.has("three_phase"),
                ..plain
            };
            cycle.table()
        }
        _ => return pending(),
    };
    let rates = (0..steps).map(|step| f64::from(table[step.min(table.len() - 1)]));
    Ok(vec![(
        "lr".to_owned(),
        Array::float([steps], rates.collect()),
    )])
}

/// The norm, and the gradients as an update takes them: subtracted from 0 at a rate of -1.
fn clip(example: &Example) -> Result<Results> {
    let (mut g, mut given) = (Graph::new(), HashMap::new());
    let (mut params, mut grads) = (Vec::new(), Vec::new());
    for name in &example.inputs {
        let array = example.array(name);
        params.push(g.fill(array.shape().clone(), 0.0)?);
        let grad = g.input(name, array.ty().clone())?;
        given.insert(grad, Arc::new(array));
        grads.push(grad);
    }
    let (mut wanted, mut op) = (
        Vec::new(),
        Update::new(Rule::Sgd(Sgd::default()), grads.len()),
    );
    let scale = match example.op.as_str() {
        "clip_grad_norm_" => {
            let max_norm = example.options.number("max_norm");
            let (norm, scale) = g.clip_grad_norm(&grads, max_norm, None)?;
            wanted.push(norm);
            Some(scale)
        }
        "clip_grad_value_" => {
            op = op.clip_value(Some(example.options.number("clip_value")));
            None
        }
        _ => return pending(),
    };
    let values = Updating {
        params: &params,
        grads: &grads,
        moments: &[],
        lr: g.fill([], -1.0)?,
        scale,
    };
    wanted.extend(g.update_with(op, values)?.params);
    let clock = g.clock()?;
    given.insert(clock, Array::u32([4], vec![0; 4]).into());
    let found = evaluate(&g, &given, &wanted, 1)?;
    let found = found.iter().map(|array| array.as_ref().clone());
    Ok(example.outputs.iter().cloned().zip(found).collect())
}

/// The average after each step.
fn average(example: &Example) -> Result<Results> {
    let all = example.array("param");
    let row = |step: usize| all.rows(step, step + 1);
    let mut g = Graph::new();
    let [state, value] = ["average", "param"].map(|name| g.input(name, row(0).ty().clone()));
    let (state, value, clock) = (state?, value?, g.clock()?);
    let ema = Blending::Ema(Ema::new(example.options.number("decay")));
    let new = g.blend(ema, &[state], &[value], clock)?;
    let mut average = Arc::new(row(0));
    let mut seen = Vec::new();
    for step in 0..all.shape()[0] {
        let given = HashMap::from([
            (state, average),
            (value, Arc::new(row(step))),
            (clock, Array::u32([4], vec![0, 0, step as u32, 0]).into()),
        ]);
        average = evaluate(&g, &given, &new, 1)?.remove(0);
        seen.push(average.as_ref().clone());
    }
    Ok(vec![("average".to_owned(), Array::concat(&seen))])
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
            let begin = vec![f64::from(rule.initial()); start.ty().count()];
            now.insert(moment, Array::float(start.shape().clone(), begin).into());
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
