//! Measuring which body and tile of the matrix-shaped kernels is fastest on an adapter, product by product.
//!
//! The rules of the ops choose by the kind of the adapter and the sizes of a product. Where a minute of measuring is worth while, [`tune`]
//! tries every choice for the products of one's own session, and keeps those that are clearly better in a [`Tuning`]. Nothing is ever
//! tuned by surprise: a table is used where [`GpuOptions::tuning`](crate::gpu::GpuOptions::tuning) gives it, and nowhere else.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu};
use crate::graph::{Graph, Value};
use crate::kernel::{Choice, Tuning};
use crate::plan::{Product, Step};
use crate::rng::Stream;
use crate::session::Session;
use crate::shape::Type;
use crate::store::Store;
use crate::tensor::Tensor;

/// How long [`tune`] measures, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TuneOptions {
    /// Times that the choices take turns; their medians are compared.
    pub rounds: usize,
    /// Seconds that a choice runs in a round, but once at least.
    pub seconds: f64,
    /// The part of the rules' time that a choice must save to be kept.
    pub gain: f64,
}

impl Default for TuneOptions {
    /// Five rounds of 50 ms; 5 % are to be saved.
    fn default() -> Self {
        Self {
            rounds: 5,
            seconds: 0.05,
            gain: 0.05,
        }
    }
}

/// What was measured of a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its name, by [`Op::product`](crate::graph::Op::product).
    pub product: String,
    /// Milliseconds with what the rules choose.
    pub rules: f64,
    /// Milliseconds of each choice that lowers it otherwise, and was not given up after one run for taking too long.
    pub others: Vec<(Choice, f64)>,
}

impl Measured {
    /// The best choice and its milliseconds; none if the rules' is.
    pub fn best(&self) -> Option<(Choice, f64)> {
        let best = self.others.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        best.filter(|best| best.1 < self.rules).copied()
    }
}

/// How often a choice may take the rules' time in its first run without being given up.
const TOO_LONG: f64 = 3.0;

/// Measures the products of a session's plan, each by itself, on random numbers; `told` hears of each.
///
/// The session itself is left as it is. Where the session already uses a table, that plays no part: the new one is complete.
///
/// # Errors
/// `Unsupported` if the session runs on the CPU reference or the device is borrowed and cannot be waited for; `Data` without rounds; whatever
/// making a session and running it returns.
pub fn tune(
    session: &Session,
    options: &TuneOptions,
    mut told: impl FnMut(&Measured),
) -> Result<Tuning> {
    let (Engine::Gpu(gpu), Some(plan)) = (session.engine(), session.plan()) else {
        let message = "tune: the session runs on the CPU reference, which has one form of each op";
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    if options.rounds == 0 {
        return Err(Error::new(ErrorKind::Data, "tune: rounds is at least 1"));
    }
    let mut choices = BTreeMap::new();
    for (name, product) in &plan.products {
        let measured = measure(gpu, name, product, options)
            .map_err(|error| error.context(format!("tuning {name}")))?;
        told(&measured);
        if let Some((choice, ms)) = measured.best()
            && ms <= (1.0 - options.gain) * measured.rules
        {
            choices.insert(name.clone(), choice);
        }
    }
    let info = gpu.info();
    Ok(Tuning {
        adapter: info.name.clone(),
        backend: info.backend.to_string(),
        choices,
    })
}

/// A product compiled with one choice.
struct Subject {
    choice: Option<Choice>,
    gpu: Gpu,
    session: Session,
    /// Runs in a round.
    runs: usize,
    times: Vec<f64>,
}

impl Subject {
    fn new(gpu: &Gpu, product: &Product, choice: Option<Choice>) -> Result<Self> {
        let gpu = gpu.choosing(choice);
        let mut graph = Graph::new();
        let given = |(i, ty): (usize, &Type)| graph.input(&format!("x{i}"), ty.clone());
        let inputs: Vec<Value> = product
            .inputs
            .iter()
            .enumerate()
            .map(given)
            .collect::<Result<_>>()?;
        let outputs = graph.add_shared(product.op.clone(), &inputs)?;
        let store = Store::new(&Engine::from(gpu.clone()), &[&graph], 0)?;
        let mut session = Session::new(&store, &graph, &outputs)?;
        for (input, ty) in (0..).zip(&product.inputs) {
            let stream = Stream::new(1, input, 0);
            let numbers = (0..ty.count() as u64).map(|i| stream.unit(i) - 0.5);
            session.write(
                inputs[input as usize],
                &Tensor::f32(ty.shape.clone(), numbers.collect())?,
            )?;
        }
        Ok(Self {
            choice,
            gpu,
            session,
            runs: 1,
            times: Vec::new(),
        })
    }

    fn steps(&self) -> &[Step] {
        self.session.plan().map_or(&[], |plan| &plan.steps)
    }

    /// Milliseconds of a run.
    fn time(&mut self) -> Result<f64> {
        let all = if self.gpu.has_timestamps() {
            self.session.time(self.runs)? / 1e6
        } else {
            self.gpu.wait()?;
            let start = Instant::now();
            self.session.run(self.runs)?;
            self.gpu.wait()?;
            start.elapsed().as_secs_f64() * 1e3
        };
        Ok(all / self.runs as f64)
    }

    /// After a first run, whose time may be that of a compiler: the time of the second, by which it is found how many make a round.
    fn warm_up(&mut self, seconds: f64) -> Result<f64> {
        self.time()?;
        let once = self.time()?;
        self.runs = (seconds * 1e3 / once.max(1e-6)).clamp(1.0, 10_000.0) as usize;
        Ok(once)
    }

    fn median(&mut self) -> f64 {
        self.times.sort_by(f64::total_cmp);
        self.times[self.times.len() / 2]
    }
}

fn measure(gpu: &Gpu, name: &str, product: &Product, options: &TuneOptions) -> Result<Measured> {
    let mut rules = Subject::new(gpu, product, None)?;
    let most = TOO_LONG * rules.warm_up(options.seconds)?;
    let mut subjects = vec![rules];
    for choice in Choice::all() {
        let mut subject = Subject::new(gpu, product, Some(choice))?;
        if subjects
            .iter()
            .any(|other| other.steps() == subject.steps())
        {
            continue;
        }
        if subject.warm_up(options.seconds)? <= most {
            subjects.push(subject);
        }
    }
    for _ in 0..options.rounds {
        for subject in &mut subjects {
            let time = subject.time()?;
            subject.times.push(time);
        }
    }
    let mut times = subjects
        .iter_mut()
        .map(|subject| (subject.choice, subject.median()));
    let rules = times.next().map_or(f64::NAN, |(_, time)| time);
    let others = times.filter_map(|(choice, time)| Some((choice?, time)));
    Ok(Measured {
        product: name.to_owned(),
        rules,
        others: others.collect(),
    })
}
