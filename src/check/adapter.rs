//! A case on a GPU, held against the reference.

use std::fmt;

use super::forms::{FORMS, FORMS_OF_UNITS, Form, UNITS};
use super::mismatch;
use super::prepared::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu, GpuOptions};
use crate::kernel::{Matrices, Tile};
use crate::plan::{Plan, PlanOptions, StateLayout, Step};
use crate::session::Session;
use crate::store::Store;

/// What checking a case on an adapter found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Ways that ran and were right.
    pub passed: usize,
    /// What was wrong, by way.
    pub wrong: Vec<Error>,
    /// The limit that the case needs and the adapter lacks.
    pub unsupported: Option<Error>,
    /// Ways among those that passed in which values lay in several parts.
    pub in_parts: usize,
    /// Refused where values are cut into parts, as the case [says](super::Case::whole).
    pub refused_parts: Option<Error>,
    /// Ways among those that passed in which loops were cut into pieces.
    pub in_pieces: usize,
    /// Refused where loops are cut into pieces, as the case [says](super::Case::uncut).
    pub refused_pieces: Option<Error>,
    /// Largest error in units of its bound.
    pub worst: f64,
}

/// An adapter with every way to run cases on it.
#[derive(Debug)]
pub struct Adapter {
    /// Its name, driver and back end.
    pub name: String,
    gpu: Gpu,
    ways: Vec<Way>,
}

/// A device with options that change how cases run on it.
#[derive(Debug)]
struct Way {
    gpu: Gpu,
    form: Form,
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Adapter {
    /// Every adapter that `options` admits, in 21 ways: kernels in registers, with and without
    /// windows, and in shared memory, each with the tiles of the rules and with those of each size;
    /// both bodies with values in several parts; all three with loops cut into pieces; without
    /// fusion; with grids of at most three workgroups; cases that are not large on cooperative
    /// matrices that are written out in WGSL, small ones with these in small grids and values in
    /// several parts. Where the device has cooperative matrices of its own, on those too. One that
    /// gives no device that fits is an error of its own, `NoAdapter` or `Limit`, which begins with
    /// its name.
    pub fn all(options: &GpuOptions) -> Vec<Result<Self>> {
        let units = GpuOptions {
            body: UNITS.body,
            ..options.clone()
        };
        let found = Gpu::all(options).into_iter().zip(Gpu::all(&units));
        let adapter = |(gpu, able): (Result<Gpu>, Result<Gpu>)| match able {
            // What is asked for nothing more runs as it does for everybody.
            Ok(able) => {
                let mut adapter = Self::new(gpu?, options)?;
                adapter
                    .ways
                    .extend(Way::all(&able, &FORMS_OF_UNITS, options)?);
                Ok(adapter)
            }
            // One that lacks them is not at fault.
            Err(error) if error.kind() == ErrorKind::Unsupported => Self::new(gpu?, options),
            Err(error) => gpu.and(Err(error)),
        };
        found.map(adapter).collect()
    }

    fn new(gpu: Gpu, options: &GpuOptions) -> Result<Self> {
        Ok(Self {
            name: Engine::from(gpu.clone()).describe(),
            ways: Way::all(&gpu, &FORMS, options)?,
            gpu,
        })
    }

    /// The same adapter with few of its ways: each body with the tiles of the rules, and the graph
    /// unfused. The others cut the same kernels otherwise.
    pub fn in_few_ways(mut self) -> Self {
        self.ways.retain(|way| way.form.is_plain());
        self
    }

    /// Runs a case in every way. One that runs the same steps as an earlier one is not repeated.
    pub fn check(&self, prepared: &Prepared) -> Verdict {
        let mut verdict = Verdict::default();
        let mut done: Vec<Vec<Step>> = Vec::new();
        let bytes = prepared.built.bytes();
        let long = prepared.case.is_long();
        let runs = |form: &Form| {
            // Of the tiles of long cases the largest take the most turns.
            let spared = long && form.tile.is_some_and(|tile| tile != Tile::Large);
            bytes <= form.most && !spared
        };
        for way in self.ways.iter().filter(|way| runs(&way.form)) {
            let limit = |error: &Error| error.kind() == ErrorKind::Limit;
            let says = |error: &Error, words: &str| error.to_string().contains(words);
            let gpu = match way.gpu(prepared) {
                Ok(gpu) => gpu,
                Err(error) => {
                    verdict.wrong.push(error);
                    continue;
                }
            };
            let cut = way.form.cut && prepared.built.cuts(gpu.caps().max_binding);
            let pieces = way.form.max_turns.is_some();
            let plan = way.plan(prepared, &gpu);
            if let (Some(words), true) = (prepared.case.uncut, pieces) {
                match plan {
                    Err(error) if limit(&error) && says(&error, words) => {
                        verdict.refused_pieces = Some(error);
                    }
                    Err(error) => verdict.wrong.push(error),
                    Ok(_) => verdict.wrong.push(mismatch(format!(
                        "{}: runs in pieces, which the case says it refuses: \"{words}\"",
                        prepared.case.name
                    ))),
                }
                continue;
            }
            let worst = match (plan, prepared.case.whole) {
                (Err(error), Some(words)) if cut && limit(&error) && says(&error, words) => {
                    verdict.refused_parts = Some(error);
                    continue;
                }
                (Err(error), _) if limit(&error) && !cut && !pieces => {
                    verdict.unsupported = Some(error);
                    continue;
                }
                (Err(error), _) => Err(error),
                (Ok(_), Some(words)) if cut => Err(mismatch(format!(
                    "runs on values in parts, which the case says it refuses: \"{words}\""
                ))),
                (Ok(steps), _) if done.contains(&steps) => continue,
                (Ok(steps), _) => {
                    done.push(steps);
                    way.check(prepared, gpu)
                }
            };
            match worst {
                Ok(worst) => {
                    verdict.passed += 1;
                    verdict.in_parts += usize::from(cut);
                    verdict.in_pieces += usize::from(pieces);
                    verdict.worst = verdict.worst.max(worst);
                }
                Err(error) => {
                    let form = way.form.describe();
                    let place = format!("{}, {}, {form}", prepared.case.name, self.name);
                    verdict.wrong.push(error.context(place));
                }
            }
        }
        verdict
    }

    /// The cooperative matrices of the device, if cases run on some.
    pub fn matrices(&self) -> Option<Matrices> {
        let own = self.ways.iter().find(|way| way.form.name == UNITS.name);
        own.map(|way| way.gpu.caps().matrices)
    }

    /// Pipelines that were built so far.
    pub fn pipeline_count(&self) -> usize {
        self.gpu.pipeline_count()
    }
}

impl Way {
    /// One for each of these forms.
    fn all(gpu: &Gpu, forms: &[Form], options: &GpuOptions) -> Result<Vec<Self>> {
        let way = |&form: &Form| {
            let options = GpuOptions {
                body: form.body,
                matrices: form.matrices,
                tile: form.tile,
                windows: form.windows,
                max_workgroups: form.max_workgroups,
                max_turns: form.max_turns,
                ..options.clone()
            };
            let gpu = gpu.with_options(&options)?;
            Ok(Self { gpu, form })
        };
        forms.iter().map(way).collect()
    }

    /// The device for a case: where values are cut, into about eight parts, each of one row or
    /// more.
    fn gpu(&self, prepared: &Prepared) -> Result<Gpu> {
        if !self.form.cut {
            return Ok(self.gpu.clone());
        }
        self.gpu.with_options(&GpuOptions {
            body: Some(self.gpu.caps().body),
            matrices: Some(self.gpu.caps().matrices),
            max_workgroups: self.form.max_workgroups,
            max_binding: Some(prepared.built.part_limit()),
            ..GpuOptions::default()
        })
    }

    fn options(&self) -> PlanOptions {
        PlanOptions {
            fuse: self.form.fuse,
            ..PlanOptions::default()
        }
    }

    /// What would run.
    fn plan(&self, prepared: &Prepared, gpu: &Gpu) -> Result<Vec<Step>> {
        let graph = &prepared.built.graph;
        let caps = gpu.caps();
        let states = StateLayout::new(&[graph], caps.max_binding)?;
        let results = prepared.built.results();
        Ok(Plan::new(graph, &states, &results, caps, self.options())?.steps)
    }

    /// Runs the case; its largest error in units of its bound.
    fn check(&self, prepared: &Prepared, gpu: Gpu) -> Result<f64> {
        let graph = &prepared.built.graph;
        let store = Store::new(&Engine::from(gpu), &[graph], 0)?;
        let results = prepared.built.results();
        let mut session = Session::builder(&store, graph)
            .fetch(&results)
            .options(self.options())
            .build()?;
        prepared.check(&mut session)
    }
}
