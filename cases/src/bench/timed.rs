//! A case compiled to be timed. Who runs it brings the clock: a page's clock is not a program's.

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

/// The most steps of one measurement.
pub const MOST_STEPS: usize = 10_000;

/// A case compiled on a device, over several copies of its buffers that take turns.
pub struct TimedCase {
    /// Where it runs.
    pub gpu: Gpu,
    /// A step of it runs each copy once.
    pub session: Session,
    /// Copies of the buffers.
    pub copies: usize,
    /// Steps that one measurement takes.
    pub steps: usize,
}

impl TimedCase {
    /// Compiles a case of so many bytes and writes its inputs; one step for a measurement.
    ///
    /// # Errors
    ///
    /// Those of building and compiling the case.
    pub async fn new(gpu: &Gpu, case: &Case, bytes: u64) -> Result<Self> {
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
        let store = Store::new_async(&Engine::from(gpu.clone()), &[&graph], 0).await?;
        let mut session = Session::builder(&store, &graph)
            .fetch(&fetched)
            .build_async()
            .await?;
        let drawn: Vec<Tensor> = {
            let built = build(case)?;
            let drawn = built.draw(case, Numbers::Real)?;
            drawn.into_iter().map(|(_, tensor)| tensor).collect()
        };
        for (value, input) in given {
            session.write(value, &drawn[input])?;
        }
        Ok(Self {
            gpu: gpu.clone(),
            session,
            copies,
            steps: 1,
        })
    }

    /// Milliseconds of one run of the case where a measurement took `all`.
    pub fn each(&self, all: f64) -> f64 {
        all / (self.steps * self.copies) as f64
    }
}

/// The largest error of `case` on the device, in units of its bound.
///
/// # Errors
///
/// `Mismatch` where it exceeds that; those of compiling, running and reading.
pub async fn error(gpu: &Gpu, case: &Case) -> Result<f64> {
    let prepared = Prepared::new(case)?;
    let built = prepared.built();
    let store = Store::new_async(&Engine::from(gpu.clone()), &[&built.graph], 0).await?;
    let mut session = Session::builder(&store, &built.graph)
        .fetch(&built.results())
        .build_async()
        .await?;
    prepared.check_async(&mut session).await
}

/// Median, smallest, and the distance from the smallest to the largest.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The one in the middle.
    pub median: f64,
    /// The smallest.
    pub best: f64,
    /// From the smallest to the largest.
    pub spread: f64,
}

impl Times {
    /// Of some.
    ///
    /// # Errors
    ///
    /// `Data` if there are none.
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
