//! Optimizers, schedules, clipping and averages: what happens to parameters over several steps,
//! their gradients being given.

use std::collections::HashMap;
use std::sync::Arc;

use striate::error::Result;
use striate::graph::{Graph, Init, Value};
use striate::ops::{AdagradRule, AdamRule, Ema, RmsPropRule, Rule, SgdRule};
use striate::reference::evaluate;
use striate::shape::{DType, Type};
use striate::tensor::{Array, Tensor};
use striate::train::{Optimizer, learning_rate, schedule};

use crate::build::not_built;
use crate::{Example, Results};

/// The results of calls that are about training.
pub fn run(example: &Example) -> Result<Results> {
    let options = &example.options;
    match example.family.as_str() {
        "optimizer" => {
            let optimizer = Optimizer::new(rule(example)?);
            let steps = Steps::run(example, &optimizer, options.number("lr"))?;
            Ok(steps.all("updated", "param"))
        }
        "average" => {
            let average = Ema::new(options.number("decay"));
            let optimizer = Optimizer::new(Rule::Sgd(SgdRule::default())).average(average);
            let steps = Steps::run(example, &optimizer, options.number("lr"))?;
            Ok(steps.all("average", "ema.param"))
        }
        "clipping" => clip(example),
        _ => {
            let rates = rates(example)?;
            let rate = |step: usize| f64::from(rates[step.min(rates.len() - 1)]);
            let steps = options.whole("steps");
            let rates = Array::float([steps], (0..steps).map(rate).collect());
            Ok(vec![("lr".to_owned(), rates)])
        }
    }
}

fn rule(example: &Example) -> Result<Rule> {
    let options = &example.options;
    let weight_decay = options.number_or("weight_decay", 0.0);
    let momentum = options.number_or("momentum", 0.0);
    Ok(match example.op.as_str() {
        "SGD" => Rule::Sgd(SgdRule {
            momentum,
            dampening: options.number_or("dampening", 0.0),
            nesterov: options.has("nesterov"),
            weight_decay,
        }),
        "Adam" | "AdamW" => {
            let default = AdamRule::default();
            let betas = options.has("betas").then(|| options.numbers("betas"));
            Rule::Adam(AdamRule {
                beta1: betas.as_ref().map_or(default.beta1, |betas| betas[0]),
                beta2: betas.as_ref().map_or(default.beta2, |betas| betas[1]),
                eps: options.number_or("eps", default.eps),
                weight_decay,
                decoupled: example.op == "AdamW",
                amsgrad: options.has("amsgrad"),
            })
        }
        "RMSprop" => {
            let default = RmsPropRule::default();
            Rule::RmsProp(RmsPropRule {
                alpha: options.number_or("alpha", default.alpha),
                eps: options.number_or("eps", default.eps),
                weight_decay,
                momentum,
                centered: options.has("centered"),
            })
        }
        "Adagrad" => {
            let default = AdagradRule::default();
            Rule::Adagrad(AdagradRule {
                lr_decay: options.number_or("lr_decay", default.lr_decay),
                weight_decay,
                initial_accumulator_value: options.number_or(
                    "initial_accumulator_value",
                    default.initial_accumulator_value,
                ),
                eps: options.number_or("eps", default.eps),
            })
        }
        _ => return not_built(example),
    })
}

fn rates(example: &Example) -> Result<Vec<f32>> {
    let options = &example.options;
    let number = |name: &str| options.number(name);
    let whole = |name: &str| options.whole(name);
    let (lr, steps) = (number("lr"), whole("steps"));
    match example.op.as_str() {
        "StepLR" => schedule::step(lr, whole("step_size"), number("gamma"), steps),
        "MultiStepLR" => schedule::multi_step(lr, &options.list("milestones"), number("gamma")),
        "ExponentialLR" => schedule::exponential(lr, number("gamma"), steps),
        "LinearLR" => {
            let [start, end] = ["start_factor", "end_factor"].map(number);
            schedule::linear(lr, start, end, whole("total_iters"))
        }
        "CosineAnnealingLR" => schedule::cosine_annealing(lr, whole("T_max"), number("eta_min")),
        "CosineAnnealingWarmRestarts" => {
            let [first, times] = ["T_0", "T_mult"].map(whole);
            schedule::cosine_annealing_warm_restarts(lr, first, times, number("eta_min"), steps)
        }
        "OneCycleLR" => {
            let default = schedule::OneCycle::new(number("max_lr"), whole("total_steps"));
            let cycle = schedule::OneCycle {
                pct_start: options.number_or("pct_start", default.pct_start),
                linear: options.has("anneal_strategy"),
                div_factor: options.number_or("div_factor", default.div_factor),
                final_div_factor: options.number_or("final_div_factor", default.final_div_factor),
                three_phase: options.has("three_phase"),
                ..default
            };
            cycle.table()
        }
        _ => not_built(example),
    }
}

/// The clipped gradients, as the first step of gradient descent at rate 1 from 0 shows them,
/// negated.
fn clip(example: &Example) -> Result<Results> {
    let options = &example.options;
    let optimizer = Optimizer::new(Rule::Sgd(SgdRule::default()));
    let optimizer = match example.op.as_str() {
        "clip_grad_norm_" => optimizer.clip_norm(options.number("max_norm")),
        "clip_grad_value_" => optimizer.clip_value(options.number("clip_value")),
        _ => return not_built(example),
    };
    let steps = Steps::run(example, &optimizer, 1.0)?;
    let mut results: Results = steps
        .norm
        .into_iter()
        .map(|norm| ("total_norm".to_owned(), norm))
        .collect();
    for i in 0..steps.count {
        let moved = &steps.states[&format!("param{i}")][0];
        let clipped = moved.floats().iter().map(|x| -x).collect();
        results.push((
            format!("clipped{i}"),
            Array::float(moved.shape().clone(), clipped),
        ));
    }
    Ok(results)
}

/// Some steps of training.
struct Steps {
    /// Number of parameters.
    count: usize,
    /// The states after each step.
    states: HashMap<String, Vec<Array>>,
    /// The gradients' norm in the first step, if the optimizer tells it.
    norm: Option<Array>,
}

impl Steps {
    /// Trains the parameters `param0` and so on, or zeros if they are not given, on a loss with the
    /// gradients `gradient0` and so on: one step, or as many as these have rows above the
    /// parameters' shape.
    fn run(example: &Example, optimizer: &Optimizer, lr: f64) -> Result<Self> {
        let count = example
            .inputs
            .iter()
            .filter(|name| name.starts_with("gradient"))
            .count();
        let mut g = Graph::new();
        let mut losses: Vec<Value> = Vec::new();
        let mut gradients: Vec<(Value, Array)> = Vec::new();
        for i in 0..count {
            let name = format!("param{i}");
            let mut gradient = example.array(&format!("gradient{i}"));
            let start = match example.tensors.get(&name) {
                Some(start) => start.clone(),
                None => {
                    let ty = gradient.ty().clone();
                    let one = [&[1], &ty.shape[..]].concat();
                    gradient = gradient.reshaped(one);
                    Tensor::zeros(&ty)?
                }
            };
            let ty = start.ty().clone();
            let param = g.parameter(&name, ty.shape.clone(), Init::Tensor(start.into()))?;
            let given = g.input(&format!("gradient{i}"), ty.clone())?;
            let product = g.mul(param, given)?;
            let axes: Vec<usize> = (0..ty.shape.len()).collect();
            losses.push(g.sum(product, &axes, false)?);
            gradients.push((given, gradient));
        }
        let mut loss = losses[0];
        for &other in &losses[1..] {
            loss = g.add(loss, other)?;
        }
        let rate = learning_rate(&mut g, lr as f32)?;
        let norm = optimizer.minimize_at(&mut g, loss, rate)?;

        let mut now = begin(&g)?;
        let (states, news): (Vec<Value>, Vec<Value>) = g.assigns().iter().copied().unzip();
        let wanted = [&news[..], norm.as_slice()].concat();
        let mut steps = Self {
            count,
            states: HashMap::new(),
            norm: None,
        };
        for step in 0..gradients[0].1.shape()[0] {
            for (given, gradient) in &gradients {
                let row = gradient.rows(step, step + 1);
                let row = row.reshaped(gradient.shape()[1..].to_vec());
                now.insert(*given, row.into());
            }
            let found = evaluate(&g, &now, &wanted, 1)?;
            steps.norm = steps
                .norm
                .or_else(|| found.get(news.len()).map(|norm| norm.as_ref().clone()));
            now.extend(states.iter().copied().zip(found));
            for state in g.states() {
                let seen = steps.states.entry(state.name.clone()).or_default();
                seen.push(now[&state.value].as_ref().clone());
            }
        }
        Ok(steps)
    }

    /// The states `state0` and so on after each step, as the results `result0` and so on.
    fn all(&self, result: &str, state: &str) -> Results {
        let all = (0..self.count).map(|i| {
            let rows = self.states[&format!("{state}{i}")].iter();
            let rows = rows.map(|row| row.reshaped([&[1], &row.shape()[..]].concat()));
            (
                format!("{result}{i}"),
                Array::concat(&rows.collect::<Vec<_>>()).unwrap(),
            )
        });
        all.collect()
    }
}

/// The states as they begin.
fn begin(g: &Graph) -> Result<HashMap<Value, Arc<Array>>> {
    let states = g.states().iter().map(|state| {
        let Type { shape, dtype } = &state.ty;
        let source = match &state.init {
            Init::SameAs(name) => g.states().iter().find(|source| &source.name == name),
            _ => Some(state),
        };
        let init = source.map_or(&state.init, |source| &source.init);
        let array = match (init, dtype) {
            (Init::Tensor(tensor), _) => tensor.to_array()?,
            (&Init::Constant(x), DType::F32) => {
                Array::float(shape.clone(), vec![f64::from(x); shape.count()])
            }
            (Init::Constant(_) | Init::Seed, _) => Tensor::zeros(&state.ty)?.to_array()?,
            (init, _) => panic!("\"{}\" begins as {init:?}", state.name),
        };
        Ok((state.value, Arc::new(array)))
    });
    states.collect()
}
