//! A case on one device, timed: on the device where it has timestamps, else by submitting and
//! waiting.

use striate::check::{Case, Numbers, Prepared, build};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, Gpu};
use striate::graph::{Graph, Value};
use striate::session::Session;
use striate::store::Store;
use striate::tensor::Tensor;

/// Copies of a case's buffers together exceed this, so that no cache holds what the next run reads.
const ROTATED_BYTES: u64 = 128 << 20;

/// Bytes beyond which no further copy is made.
const MOST_BYTES: u64 = 1 << 30;

/// A case compiled on a device, over several copies of its buffers that take turns.
pub struct Subject {
    gpu: Gpu,
    session: Session,
    copies: usize,
    /// Steps that one measurement takes.
    steps: usize,
}

impl Subject {
    /// Compiles the case, runs it once and finds how often it must run to fill `seconds`.
    pub fn new(gpu: &Gpu, case: &Case, bytes: u64, seconds: f64) -> Result<Self> {
        let copies = (ROTATED_BYTES / bytes.max(1)).clamp(1, 8);
        let copies = copies.min(MOST_BYTES / bytes.max(1)).max(1) as usize;
        let mut graph = Graph::new();
        let mut fetched: Vec<Value> = Vec::new();
        let mut given: Vec<(Value, usize)> = Vec::new();
        for copy in 0..copies {
            let inputs = case
                .inputs
                .iter()
                .enumerate()
                .map(|(i, input)| graph.input(&format!("x{i}.{copy}"), input.ty.clone()))
                .collect::<Result<Vec<_>>>()?;
            fetched.extend((case.build)(&mut graph, &inputs)?);
            given.extend(inputs.into_iter().zip(0..));
        }
        let store = Store::new(&Engine::from(gpu.clone()), &[&graph], 0)?;
        let mut session = Session::new(&store, &graph, &fetched)?;
        let drawn: Vec<Tensor> = {
            let built = build(case)?;
            let drawn = built.draw(case, Numbers::Real)?;
            drawn.into_iter().map(|(_, tensor)| tensor).collect()
        };
        for (value, input) in given {
            session.write(value, &drawn[input])?;
        }
        let mut subject = Self {
            gpu: gpu.clone(),
            session,
            copies,
            steps: 1,
        };
        subject.time()?;
        let once = subject.time()? * copies as f64;
        subject.steps = (seconds * 1e3 / once).clamp(1.0, 10_000.0) as usize;
        Ok(subject)
    }

    /// Milliseconds of one run of the case.
    pub fn time(&mut self) -> Result<f64> {
        let all = striate::tune::time(&self.gpu, &mut self.session, self.steps)?;
        Ok(all / (self.steps * self.copies) as f64)
    }
}

/// The largest error of `case` on the device, in units of its bound.
pub fn error(gpu: &Gpu, case: &Case) -> Result<f64> {
    let prepared = Prepared::new(case)?;
    let built = prepared.built();
    let store = Store::new(&Engine::from(gpu.clone()), &[&built.graph], 0)?;
    let mut session = Session::new(&store, &built.graph, &built.results())?;
    prepared.check(&mut session)
}

/// Median, smallest, and the distance from the smallest to the largest.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub median: f64,
    pub best: f64,
    pub spread: f64,
}

impl Times {
    pub fn of(mut times: Vec<f64>) -> Result<Self> {
        times.sort_by(f64::total_cmp);
        match (times.first(), times.get(times.len() / 2), times.last()) {
            (Some(&best), Some(&median), Some(&last)) => Ok(Self {
                median,
                best,
                spread: last - best,
            }),
            _ => Err(Error::new(ErrorKind::Data, "no rounds were measured")),
        }
    }
}
