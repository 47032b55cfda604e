//! A case with what the reference says of it, held against what a session makes of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::compare::{compare, tolerances};
use super::numbers::{Built, Numbers, arrays, build};
use super::{Bound, Case, mismatch};
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::reference::evaluate;
use crate::session::Session;
use crate::session::texels::{Target, bind_texels};
use crate::tensor::{Array, Tensor};

/// A case with what the reference says.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(super) case: &'a Case,
    pub(super) built: Built,
    runs: Vec<PreparedRun>,
}

/// One run's numbers.
#[derive(Debug)]
struct PreparedRun {
    numbers: Numbers,
    given: Vec<(Value, Tensor)>,
    want: Vec<Arc<Array>>,
    /// The reference on absolute values.
    sums: Vec<Arc<Array>>,
}

impl<'a> Prepared<'a> {
    /// Builds the case and evaluates it on real-valued and, if it promises bits for them,
    /// integer-valued inputs.
    pub fn new(case: &'a Case) -> Result<Self> {
        let built = build(case)?;
        let results = built.results();
        let mut kinds = vec![Numbers::Real];
        if case.integers {
            kinds.push(Numbers::Integers);
        }
        let runs = kinds
            .into_iter()
            .map(|numbers| {
                let given = built.draw(case, numbers)?;
                let exact = arrays(&[given.clone(), built.states()?].concat())?;
                let threads = 2;
                Ok(PreparedRun {
                    numbers,
                    want: evaluate(&built.graph, &exact, &results, threads)?,
                    sums: evaluate(
                        &built.graph,
                        &built.absolute(case, &exact),
                        &results,
                        threads,
                    )?,
                    given,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { case, built, runs })
    }

    /// The case as a graph.
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// Runs the case in `session`, which was compiled from [`built`](Self::built) and fetches its
    /// results; the largest error in units of its bound.
    ///
    /// # Errors
    /// `Mismatch` with the result and the element that differ most; whatever running and reading
    /// return; `Unsupported` on a borrowed device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn check(&self, session: &mut Session) -> Result<f64> {
        let engine = session.engine().clone();
        crate::store::blocking(&engine, self.check_async(session))
    }

    /// As [`check`](Self::check), without blocking, on a borrowed device too.
    ///
    /// # Errors
    /// As there.
    pub async fn check_async(&self, session: &mut Session) -> Result<f64> {
        let mut worst: f64 = 0.0;
        let halves = self.halves(session)?;
        for run in &self.runs {
            let graph = &self.built.graph;
            let mut textures = HashMap::new();
            for (value, tensor) in &run.given {
                match graph.texture_of(*value) {
                    Some(_) => bind_texels(session, *value, tensor)?,
                    None => session.write(*value, tensor)?,
                }
            }
            for texture in graph.textures() {
                if let Some(format) = texture.format {
                    let target = Target::bind(session, graph, texture.value, format)?;
                    textures.insert(texture.value, target);
                }
            }
            session.poison()?;
            session.run(1)?;
            let mut got = Vec::new();
            for value in self.built.results() {
                got.push(match textures.get(&value) {
                    Some(target) => target.read(session).await?,
                    None => session.read_async(value).await?,
                });
            }
            let context = |error: Error| error.context(format!("{:?}", run.numbers));
            worst = worst.max(self.compare(run, &got, halves).map_err(context)?);
            if self.case.linear {
                self.adjoint(run, &got, halves).map_err(context)?;
            }
        }
        Ok(worst)
    }

    /// How many products of the case are products of numbers rounded to `f16` in `session`: none,
    /// or all that may be.
    fn halves(&self, session: &Session) -> Result<usize> {
        let mut steps = session.plan().map_or(&[][..], |plan| &plan.steps).iter();
        if !steps.any(|step| step.kernel.halves()) {
            return Ok(0);
        }
        let mut count = 0;
        for node in self.built.graph.nodes() {
            let inputs = node.inputs.iter().map(|&input| self.built.graph.ty(input));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            count += usize::from(node.op.product(&inputs).is_some());
        }
        Ok(count)
    }

    /// The bound of a result where so many products round their factors to `f16`.
    fn bound(&self, run: &PreparedRun, result: usize, halves: usize) -> Bound {
        match run.numbers {
            Numbers::Integers => Bound::Exact,
            Numbers::Real if result < self.built.outputs.len() => self.case.bound.in_halves(halves),
            Numbers::Real => self.case.gradient_bound.in_halves(halves),
        }
    }

    fn result_name(&self, result: usize) -> String {
        match result.checked_sub(self.built.outputs.len()) {
            None => format!("output {result}"),
            Some(i) => format!("gradient of input {}", self.case.wrt[i]),
        }
    }

    /// The largest error of what a GPU gave, in units of its bound.
    fn compare(&self, run: &PreparedRun, got: &[Tensor], halves: usize) -> Result<f64> {
        let mut worst: f64 = 0.0;
        for (i, got) in got.iter().enumerate() {
            let bound = self.bound(run, i, halves);
            let units = compare(got, &run.want[i], bound, Some(&run.sums[i]))
                .map_err(|error| error.context(self.result_name(i)))?;
            worst = worst.max(units);
        }
        Ok(worst)
    }

    /// <f(x), dy> == <x, f^T(dy)> on the GPU's own results, as far as their bounds permit.
    fn adjoint(&self, run: &PreparedRun, got: &[Tensor], halves: usize) -> Result<()> {
        let floats = |tensor: &Tensor| -> Result<Vec<f64>> {
            Ok(tensor.as_f32()?.iter().map(|&x| f64::from(x)).collect())
        };
        let given: HashMap<Value, &Tensor> = run.given.iter().map(|(v, t)| (*v, t)).collect();
        // The product of a result and its counterpart, and how far the result's bound lets it
        // stray.
        let dot = |result: usize, with: Value| -> Result<(f64, f64)> {
            let with = floats(given[&with])?;
            let want = &run.want[result];
            let bound = self.bound(run, result, halves);
            let slack = tolerances(want, bound, Some(&run.sums[result]))?;
            let rounding = want.floats().iter().map(|x| x.abs() * 2f64.powi(-24));
            let slack = slack.iter().zip(rounding).map(|(s, r)| s.unwrap_or(r));
            let got = floats(&got[result])?;
            Ok((
                got.iter().zip(&with).map(|(a, b)| a * b).sum(),
                slack.zip(&with).map(|(s, b)| s * b.abs()).sum(),
            ))
        };
        let mut forward = (0.0, f64::from(f32::MIN_POSITIVE));
        for (i, output) in self.built.outputs.iter().enumerate() {
            if let Some(&(_, dy)) = self.built.seeds.iter().find(|(y, _)| y == output) {
                let (product, slack) = dot(i, dy)?;
                forward = (forward.0 + product, forward.1 + slack);
            }
        }
        for (i, &input) in self.case.wrt.iter().enumerate() {
            let result = self.built.outputs.len() + i;
            let (product, slack) = dot(result, self.built.inputs[input])?;
            let error = (forward.0 - product).abs();
            let allowed = (forward.1 + slack) * (1.0 + 1e-9) + 1e-12 * product.abs();
            let holds = error <= allowed;
            if !holds {
                return Err(mismatch(format!(
                    "<f(x), dy> is {}, <x, f^T(dy)> for input {input} is {product}, off by \
                     {error:.3e}, allowed {allowed:.3e}",
                    forward.0
                )));
            }
        }
        Ok(())
    }
}
