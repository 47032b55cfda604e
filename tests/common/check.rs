//! A case on a GPU, held against the reference.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::kernel::Body;
use striate::plan::{Plan, PlanOptions, StateLayout, Step};
use striate::reference::evaluate;
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::{Array, Tensor};

use super::cases::{Bound, Case};
use super::compare::{compare, tolerances};
use super::draw::{Built, Numbers, absolute, arrays, build};
use super::gpus;

/// One way to run cases: an adapter with a body forced, without fusion, or with values cut into small parts.
pub struct Way {
    pub gpu: Gpu,
    label: String,
    fuse: bool,
    /// Whether values are cut into parts.
    parts: bool,
    /// Cases that ran, with all their results right.
    pub passed: usize,
    /// How many cases each op refused in parts, by its name.
    pub refused: BTreeMap<String, usize>,
    /// Largest error met, in units of its bound.
    pub worst: f64,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} cases checked, worst error {:.2} of its bound",
            self.label, self.passed, self.worst
        )?;
        match self.refused.is_empty() {
            true => Ok(()),
            false => write!(f, ", refused {:?}", self.refused),
        }
    }
}

/// Every adapter with both bodies, without fusion, with values cut into parts, and with dispatches folded.
pub fn ways() -> Vec<Way> {
    let plain = GpuOptions::default();
    let shared = GpuOptions {
        body: Some(Body::Shared),
        ..plain.clone()
    };
    let registers = GpuOptions {
        body: Some(Body::Registers),
        ..plain.clone()
    };
    let folded = GpuOptions {
        max_workgroups: Some(3),
        ..shared.clone()
    };
    let mut ways = Vec::new();
    for gpu in gpus(&plain) {
        let adapter = Engine::from(gpu.clone()).describe();
        for (form, options, fuse, parts) in [
            ("registers", &registers, true, false),
            ("shared", &shared, true, false),
            ("unfused", &plain, false, false),
            ("registers in parts", &registers, true, true),
            ("shared in parts", &shared, true, true),
            ("folded", &folded, true, false),
        ] {
            ways.push(Way {
                gpu: gpu
                    .with_options(options)
                    .expect("fewer than the device's own"),
                label: format!("{adapter}, {form}"),
                fuse,
                parts,
                passed: 0,
                refused: BTreeMap::new(),
                worst: 0.0,
            });
        }
    }
    ways
}

impl Way {
    /// The device for a case whose values are these: in parts, each value is cut into up to about eight.
    fn gpu(&self, types: &[Type]) -> Result<Gpu> {
        if !self.parts {
            return Ok(self.gpu.clone());
        }
        let row = |ty: &Type| ty.padded_bytes(ty.row());
        let largest_row = types.iter().map(row).max().unwrap_or(0);
        let eighth = types.iter().map(|ty| ty.bytes() / 8).max().unwrap_or(0);
        self.gpu.with_options(&GpuOptions {
            body: Some(self.gpu.caps().body),
            max_binding: Some(largest_row.max(eighth).next_multiple_of(256)),
            ..GpuOptions::default()
        })
    }

    fn options(&self) -> PlanOptions {
        PlanOptions {
            fuse: self.fuse,
            ..PlanOptions::default()
        }
    }
}

/// A case with what the reference says.
pub struct Prepared<'a> {
    case: &'a Case,
    built: Built,
    runs: Vec<Run>,
}

/// One run's numbers.
struct Run {
    numbers: Numbers,
    given: Vec<(striate::graph::Value, Tensor)>,
    want: Vec<Arc<Array>>,
    sums: Vec<Arc<Array>>,
}

impl<'a> Prepared<'a> {
    /// Builds the case and evaluates it on real-valued and, if it promises bits for them, integer-valued inputs.
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
                let states = built.states()?;
                let exact = arrays(&[given.clone(), states].concat())?;
                let threads = 2;
                Ok(Run {
                    numbers,
                    want: evaluate(&built.graph, &exact, &results, threads)?,
                    sums: evaluate(&built.graph, &absolute(&exact), &results, threads)?,
                    given,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { case, built, runs })
    }

    /// What would run.
    fn plan(&self, way: &Way, gpu: &Gpu) -> Result<Vec<Step>> {
        let graph = &self.built.graph;
        let caps = gpu.caps();
        let states = StateLayout::new(&[graph], caps.max_binding)?;
        let results = self.built.results();
        let plan = Plan::new(graph, &states, &results, caps, way.options())?;
        Ok(plan.steps)
    }

    fn types(&self) -> Result<Vec<Type>> {
        let graph = &self.built.graph;
        graph.values().map(|v| graph.ty(v).cloned()).collect()
    }

    /// Runs the case on `way`, with its device as the case needs it; what is wrong, one line each.
    fn check(&self, way: &mut Way, gpu: Gpu) -> Result<Vec<String>> {
        let store = Store::new(&Engine::from(gpu), &[&self.built.graph], 0)?;
        let results = self.built.results();
        let graph = &self.built.graph;
        let mut session = Session::with_options(&store, graph, &results, way.options())?;
        let mut wrong = Vec::new();
        for run in &self.runs {
            for (value, tensor) in &run.given {
                session.write(*value, tensor)?;
            }
            session.poison().unwrap();
            session.run(1)?;
            let mut got = Vec::new();
            for &value in &results {
                got.push(session.read(value)?);
            }
            for (i, got) in got.iter().enumerate() {
                let bound = self.bound(run, i);
                match compare(got, &run.want[i], bound, Some(&run.sums[i])) {
                    Ok(units) => way.worst = way.worst.max(units),
                    Err(message) => wrong.push(format!(
                        "{}, {}, {:?}: {}: {message}",
                        self.case.name,
                        way.label,
                        run.numbers,
                        self.result_name(i)
                    )),
                }
            }
            if self.case.linear && wrong.is_empty() {
                wrong.extend(self.check_adjoint(run, &got));
            }
        }
        way.passed += usize::from(wrong.is_empty());
        Ok(wrong)
    }

    fn bound(&self, run: &Run, result: usize) -> Bound {
        match run.numbers {
            Numbers::Integers => Bound::Exact,
            Numbers::Real if result < self.built.outputs.len() => self.case.bound,
            Numbers::Real => self.case.gradient_bound,
        }
    }

    fn result_name(&self, result: usize) -> String {
        match result.checked_sub(self.built.outputs.len()) {
            None => format!("output {result}"),
            Some(i) => format!("gradient of input {}", self.case.wrt[i]),
        }
    }

    /// <f(x), dy> == <x, f^T(dy)> on the GPU's own results, as far as their bounds permit.
    fn check_adjoint(&self, run: &Run, got: &[Tensor]) -> Option<String> {
        let floats = |tensor: &Tensor| -> Vec<f64> {
            let values = tensor.as_f32().unwrap_or_default();
            values.iter().map(|&x| f64::from(x)).collect()
        };
        let find = |value| {
            let given = run.given.iter().find(|(v, _)| *v == value);
            given.map(|(_, tensor)| floats(tensor)).unwrap_or_default()
        };
        // The product of a result and its counterpart, and how far the result's bound lets it stray.
        let dot = |result: usize, with: &[f64]| -> (f64, f64) {
            let bound = self.bound(run, result);
            let want = &run.want[result];
            let slack = tolerances(want, bound, Some(&run.sums[result])).unwrap_or_default();
            let rounding = want.floats().iter().map(|x| x.abs() * 2f64.powi(-24));
            let slack = slack.iter().zip(rounding).map(|(s, r)| s.unwrap_or(r));
            let got = floats(&got[result]);
            (
                got.iter().zip(with).map(|(a, b)| a * b).sum(),
                slack.zip(with).map(|(s, b)| s * b.abs()).sum(),
            )
        };
        let mut forward = (0.0, f64::from(f32::MIN_POSITIVE));
        for (i, output) in self.built.outputs.iter().enumerate() {
            if let Some(&(_, dy)) = self.built.seeds.iter().find(|(y, _)| y == output) {
                let (product, slack) = dot(i, &find(dy));
                forward = (forward.0 + product, forward.1 + slack);
            }
        }
        for (i, &input) in self.case.wrt.iter().enumerate() {
            let (product, slack) = dot(
                self.built.outputs.len() + i,
                &find(self.built.inputs[input]),
            );
            let error = (forward.0 - product).abs();
            let allowed = (forward.1 + slack) * (1.0 + 1e-9) + 1e-12 * product.abs();
            let holds = error <= allowed;
            if !holds {
                return Some(format!(
                    "{}, {:?}: <f(x), dy> is {}, <x, f^T(dy)> for input {input} is {product}, off by {error:.3e}, allowed {allowed:.3e}",
                    self.case.name, run.numbers, forward.0
                ));
            }
        }
        None
    }
}

/// Checks `cases` in every way; what is wrong, one line each. A case that runs the same steps as in an earlier way of the
/// same adapter is not repeated there.
pub fn check_all(cases: &[Case], ways: &mut [Way]) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in cases {
        match check_one(case, ways) {
            Ok(found) => wrong.extend(found),
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    wrong
}

fn check_one(case: &Case, ways: &mut [Way]) -> Result<Vec<String>> {
    let prepared = Prepared::new(case)?;
    let mut wrong = Vec::new();
    let mut done: Vec<(String, Vec<Step>)> = Vec::new();
    let types = prepared.types()?;
    for way in ways {
        let gpu = way.gpu(&types)?;
        let steps = match prepared.plan(way, &gpu) {
            Ok(steps) => steps,
            Err(error) if way.parts && error.kind() == ErrorKind::Limit => {
                *way.refused.entry(refuser(&error)).or_default() += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let adapter = Engine::from(gpu.clone()).describe();
        if done.iter().any(|(a, s)| *a == adapter && *s == steps) {
            continue;
        }
        wrong.extend(prepared.check(way, gpu)?);
        done.push((adapter, steps));
    }
    Ok(wrong)
}

/// The op that works on whole values only, with which its message begins.
fn refuser(error: &Error) -> String {
    let message = error.to_string();
    message.split(':').next().unwrap_or_default().to_owned()
}
