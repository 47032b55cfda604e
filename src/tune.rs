//! Measuring which body and tile of the matrix-shaped kernels is fastest on an adapter, product by
//! product.
//!
//! The rules of the ops choose by the kind of the adapter and the sizes of a product. Where a
//! minute of measuring is worth while, [`tune`] tries every choice for the products of one's own
//! session, and keeps those that are clearly better in a [`Tuning`]. Nothing is ever tuned by
//! surprise: a table is used where [`GpuOptions::tuning`](crate::gpu::GpuOptions::tuning) gives it,
//! and nowhere else. No batch is part of a product's name, but that a linear layer of at most four
//! rows is another product than the same one of more: a table for both is made of sessions with
//! both.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu};
use crate::graph::{Graph, Value};
use crate::kernel::{Choice, Tuning};
use crate::plan::{Product, Step};
use crate::rng::Stream;
use crate::session::Session;
use crate::shape::{DType, Type};
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
    /// Milliseconds of each choice that lowers it otherwise, but for those that the device has no
    /// room for, and those that took more than three times as long as the rules' when they were
    /// warmed up.
    pub others: Vec<(Choice, f64)>,
}

impl Measured {
    /// The best choice and its milliseconds; none if the rules' is.
    pub fn best(&self) -> Option<(Choice, f64)> {
        let best = self.others.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        best.filter(|best| best.1 < self.rules).copied()
    }
}

/// How often a choice may take the rules' time without being given up.
const TOO_LONG: f64 = 3.0;

/// Measures the products of a session's plan, each by itself, on random numbers; `told` hears of
/// each.
///
/// The session itself is left as it is. Where the session already uses a table, that plays no part:
/// the new one is complete.
///
/// # Errors
/// `Unsupported` if the session runs on the CPU reference, the device is borrowed and cannot be
/// waited for, or a product of an op from outside the crate is not of f32; `Data` without rounds,
/// with seconds or a gain that are no numbers, and for a product whose name is not one line;
/// whatever making a session and running it returns.
pub fn tune(
    session: &Session,
    options: &TuneOptions,
    mut told: impl FnMut(&Measured),
) -> Result<Tuning> {
    let (Engine::Gpu(gpu), Some(plan)) = (session.engine(), session.plan()) else {
        let message = "tune: the session runs on the CPU reference, which has one form of each op";
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let &TuneOptions {
        rounds,
        seconds,
        gain,
    } = options;
    if rounds == 0 || !seconds.is_finite() || seconds < 0.0 || !gain.is_finite() {
        let message =
            format!("tune: {rounds} rounds of {seconds} s for a gain of {gain} make no sense");
        return Err(Error::new(ErrorKind::Data, message));
    }
    let mut choices = BTreeMap::new();
    for (name, product) in &plan.products {
        if name.contains(char::is_control) {
            let message = format!("tune: {name:?} is not a name of one line");
            return Err(Error::new(ErrorKind::Data, message));
        }
        let measured = measure(gpu, name, product, options)
            .map_err(|error| error.context(format!("tuning {name}")))?;
        told(&measured);
        if let Some((choice, ms)) = measured.best()
            && ms <= (1.0 - gain) * measured.rules
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

/// Milliseconds that `steps` steps of a session on `gpu` take, all together: the device's own where
/// it has timestamps, else of submitting and waiting.
///
/// # Errors
/// `Unsupported` on a borrowed device; whatever running the session returns.
pub fn time(gpu: &Gpu, session: &mut Session, steps: usize) -> Result<f64> {
    if gpu.has_timestamps() {
        return Ok(session.time(steps)? / 1e6);
    }
    gpu.wait()?;
    let start = Instant::now();
    session.run(steps)?;
    gpu.wait()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// A product compiled with one choice.
struct Subject {
    choice: Option<Choice>,
    gpu: Gpu,
    session: Session,
    inputs: Vec<Value>,
    /// Runs in a round.
    runs: usize,
    times: Vec<f64>,
}

impl Subject {
    /// Compiled, its inputs not yet written.
    fn new(gpu: &Gpu, product: &Product, choice: Option<Choice>) -> Result<Self> {
        let gpu = gpu.choosing(choice);
        let mut graph = Graph::new();
        let given = |(i, ty): (usize, &Type)| graph.input(&format!("x{i}"), ty.clone());
        let inputs = product.inputs.iter().enumerate().map(given);
        let inputs: Vec<Value> = inputs.collect::<Result<_>>()?;
        let outputs = graph.apply_shared(product.op.clone(), &inputs)?;
        let store = Store::new(&Engine::from(gpu.clone()), &[&graph], 0)?;
        Ok(Self {
            choice,
            session: Session::new(&store, &graph, &outputs)?,
            gpu,
            inputs,
            runs: 1,
            times: Vec::new(),
        })
    }

    fn write(&mut self, numbers: &[Tensor]) -> Result<()> {
        let mut pairs = self.inputs.iter().zip(numbers);
        pairs.try_for_each(|(&input, tensor)| self.session.write(input, tensor))
    }

    fn steps(&self) -> &[Step] {
        self.session.plan().map_or(&[], |plan| &plan.steps)
    }

    /// Milliseconds of a run.
    fn time(&mut self) -> Result<f64> {
        Ok(time(&self.gpu, &mut self.session, self.runs)? / self.runs as f64)
    }

    /// After a first run, whose time may be that of a compiler: the time of the second, by which it
    /// is found how many make a round.
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

/// Random numbers around 0.
fn numbers(product: &Product) -> Result<Vec<Tensor>> {
    let number = |(input, ty): (u32, &Type)| {
        if ty.dtype != DType::F32 {
            let message = format!("input {input} is {ty}, only f32 can be tuned");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let stream = Stream::new(1, input, 0);
        let numbers = (0..ty.count() as u64).map(|i| stream.unit(i) - 0.5);
        Tensor::f32(ty.shape.clone(), numbers.collect())
    };
    (0..).zip(&product.inputs).map(number).collect()
}

fn measure(gpu: &Gpu, name: &str, product: &Product, options: &TuneOptions) -> Result<Measured> {
    let numbers = numbers(product)?;
    let mut rules = Subject::new(gpu, product, None)?;
    rules.write(&numbers)?;
    let most = TOO_LONG * rules.warm_up(options.seconds)?;
    let mut seen = vec![rules.steps().to_vec()];
    let mut subjects = vec![rules];
    for choice in Choice::all() {
        let mut ready = || -> Result<Option<Subject>> {
            let mut subject = Subject::new(gpu, product, Some(choice))?;
            if seen.iter().any(|steps| steps == subject.steps()) {
                return Ok(None);
            }
            seen.push(subject.steps().to_vec());
            subject.write(&numbers)?;
            let fits = subject.warm_up(options.seconds)? <= most;
            Ok(fits.then_some(subject))
        };
        match ready() {
            Ok(subject) => subjects.extend(subject),
            // A choice that the device has no room for is none.
            Err(e) if matches!(e.kind(), ErrorKind::Limit | ErrorKind::OutOfMemory) => {}
            Err(e) => return Err(e),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Body, Tile};

    #[test]
    fn the_best_is_better_than_the_rules() {
        let choice = |tile| Choice {
            body: Body::Shared,
            tile: Some(tile),
        };
        let measured = |rules| Measured {
            product: "matmul".to_owned(),
            rules,
            others: vec![(choice(Tile::Small), 3.0), (choice(Tile::Large), 2.0)],
        };
        assert_eq!(measured(2.5).best(), Some((choice(Tile::Large), 2.0)));
        assert_eq!(measured(2.0).best(), None);
    }
}
