//! A step in slices: as many dispatches in each frame as fit a budget of time.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::gpu_form::{GpuForm, encode_steps};
use super::recorded::Heard;
use super::{Compiled, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Gpu;
use crate::plan::Step;

/// How far [`Session::advance`] has come with a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advanced {
    /// Dispatches of the step that are recorded.
    pub done: usize,
    /// Dispatches of the step.
    pub of: usize,
    /// Milliseconds that the slice is expected to take.
    pub expected: f64,
}

impl Advanced {
    /// Whether the step is whole.
    pub fn is_finished(&self) -> bool {
        self.done == self.of
    }
}

/// The slices of a session's steps, and what their dispatches are expected to take.
#[derive(Debug)]
pub(super) struct Slices {
    /// The next dispatch.
    next: usize,
    /// Milliseconds that each dispatch is expected to take.
    expected: Vec<f64>,
    /// How often each was measured.
    measured: Vec<u32>,
    /// What is heard of the encoders of the step at hand.
    heard: Vec<Heard>,
    /// The last slices, oldest first, with the times that may still arrive.
    last: VecDeque<Slice>,
    /// Timestamps of slices, to be used again.
    free: Vec<Timer>,
}

#[derive(Debug)]
struct Slice {
    dispatches: Range<usize>,
    timer: Option<Timer>,
}

/// Slices whose times may still arrive that are remembered.
const REMEMBERED: usize = 64;

/// How far one measurement moves what is expected, at most, and the least that is expected.
const FACTOR: f64 = 1e3;
const LEAST: f64 = 1e-6;

/// Two timestamps, and where they arrive.
#[derive(Debug)]
struct Timer {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    mapped: wgpu::Buffer,
    arrived: Arc<Mutex<Option<bool>>>,
}

impl Timer {
    fn new(gpu: &Gpu) -> Result<Self> {
        let device = gpu.device();
        let buffer = |label, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: 16,
                usage,
                mapped_at_creation: false,
            })
        };
        gpu.guarded("timestamps of a slice", || Self {
            set: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("slice"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: buffer(
                "slice",
                wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            ),
            mapped: buffer(
                "slice time",
                wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            ),
            arrived: Arc::default(),
        })
    }

    fn writes(&self) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        }
    }

    /// Behind the pass: its times arrive once the encoder is submitted and done.
    fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.mapped, 0, 16);
        let arrived = self.arrived.clone();
        encoder.map_buffer_on_submit(&self.mapped, wgpu::MapMode::Read, .., move |mapped| {
            *arrived.lock().unwrap_or_else(PoisonError::into_inner) = Some(mapped.is_ok());
        });
    }

    /// Milliseconds, once they are there; and whether the timer can be used again.
    fn take(&self, gpu: &Gpu) -> Option<Option<f64>> {
        let arrived = self
            .arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        if !arrived {
            return Some(None);
        }
        let ticks: Option<Vec<u64>> = self.mapped.get_mapped_range(..).ok().map(|bytes| {
            let word = |eight: &[u8]| {
                let mut word = [0; 8];
                word.copy_from_slice(eight);
                u64::from_le_bytes(word)
            };
            bytes.chunks_exact(8).map(word).collect()
        });
        self.mapped.unmap();
        let period = f64::from(gpu.queue().get_timestamp_period());
        Some(ticks.and_then(|ticks| match ticks[..] {
            [begin, end] if end > begin => Some((end - begin) as f64 * period * 1e-6),
            _ => None,
        }))
    }
}

/// What a dispatch takes before anything was measured, in milliseconds: so many multiply-adds and
/// bytes a millisecond as a small GPU, or two cores, do.
fn first_guess(gpu: &Gpu, step: &Step) -> f64 {
    let (products, bytes) = match gpu.info().device_type {
        wgpu::DeviceType::Cpu => (5e6, 2e6),
        _ => (2.5e8, 2e7),
    };
    let bound: u64 = step.bindings.iter().map(|(span, _)| span.bytes).sum();
    step.multiply_adds as f64 / products + bound as f64 / bytes + 0.005
}

impl Slices {
    pub fn new(gpu: &Gpu, steps: &[Step]) -> Self {
        Self {
            next: 0,
            expected: steps.iter().map(|step| first_guess(gpu, step)).collect(),
            measured: vec![0; steps.len()],
            heard: Vec::new(),
            last: VecDeque::new(),
            free: Vec::new(),
        }
    }

    /// Whether a step has begun and is not whole.
    pub fn is_under_way(&self) -> bool {
        self.next > 0
    }

    /// The dispatches that fit: one at least, and all of the commit together.
    fn fill(&self, budget: f64, commit: usize) -> Range<usize> {
        let first = self.next;
        let (mut end, mut sum) = (first, 0.0);
        while end < self.expected.len() {
            let group = if end >= commit {
                end..self.expected.len()
            } else {
                end..end + 1
            };
            let more: f64 = self.expected[group.clone()].iter().sum();
            if end > first && sum + more > budget {
                break;
            }
            (end, sum) = (group.end, sum + more);
        }
        first..end
    }

    fn expected(&self, dispatches: Range<usize>) -> f64 {
        self.expected[dispatches].iter().sum()
    }

    /// Takes in what a slice took. Dispatches that were measured less often are corrected more.
    fn correct(&mut self, dispatches: Range<usize>, milliseconds: f64) {
        let expected = self.expected(dispatches.clone());
        let right = milliseconds > 0.0 && milliseconds.is_finite() && expected > 0.0;
        if right {
            let ratio = (milliseconds / expected).clamp(1.0 / FACTOR, FACTOR);
            for at in dispatches {
                let trust = if self.measured[at] < 2 { 1.0 } else { 0.4 };
                self.expected[at] = (self.expected[at] * ratio.powf(trust)).max(LEAST);
                self.measured[at] += 1;
            }
        }
    }

    /// Takes in all times that have arrived.
    fn collect(&mut self, gpu: &Gpu) {
        let slices: Vec<Slice> = self.last.drain(..).collect();
        for mut slice in slices {
            let time = slice.timer.as_ref().and_then(|timer| timer.take(gpu));
            match time {
                None => self.last.push_back(slice),
                Some(time) => {
                    if let Some(milliseconds) = time {
                        self.correct(slice.dispatches.clone(), milliseconds);
                    }
                    self.free.extend(slice.timer.take());
                }
            }
        }
    }

    /// Keeps a slice until its time is known. Of those without timestamps only the last one is.
    fn remember(&mut self, slice: Slice) {
        self.last.retain(|slice| slice.timer.is_some());
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(slice);
    }

    /// Begins from the start of a step.
    fn abandon(&mut self) {
        self.next = 0;
        self.heard.clear();
    }
}

/// # Steps in slices
impl Session {
    /// Records as many dispatches of a step into the host's encoder as are expected to take
    /// `budget` milliseconds on the device, one at least; the next call goes on where this one
    /// ended. The encoders are to be submitted in the order in which they were recorded. Once the
    /// step [is finished](Advanced::is_finished), its results can be read, and the next call begins
    /// another step. All dispatches run in the order of a step that is recorded whole: the bits
    /// are the same.
    ///
    /// A step reads the inputs as they were written when it began. What it assigns is written by
    /// its last slice, which is recorded whole, whatever the budget; so other sessions over the
    /// store see the old states or the new, but for gradients that are kept and made anew. A graph
    /// with assignments is compiled for that
    /// ([`PlanOptions::staged`](crate::plan::PlanOptions::staged)).
    ///
    /// The other way round it is the host who sees to it: while a step is under way, no other
    /// session steps over the states that it reads, none is set by name, and the contents of bound
    /// textures and buffers stay. Nothing is bound then, which is an error.
    ///
    /// An encoder that is dropped takes its slice with it: the next call says so, and the one after
    /// that begins the step anew. Where it held the last slice, no state has changed, and the next
    /// call begins another step. [`abandon_step`](Self::abandon_step) leaves a step at will.
    ///
    /// What dispatches take is guessed at first, and measured from then on: by timestamps where the
    /// device has the feature `TIMESTAMP_QUERY`, else by what the host tells
    /// [`report_time`](Self::report_time). The library reads no clock. Times arrive some frames
    /// later, while the host polls.
    ///
    /// ```no_run
    /// # use striate::prelude::*;
    /// # use striate::wgpu;
    /// # fn frame(session: &mut Session, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
    /// if session.advance(encoder, 4.0)?.is_finished() {
    ///     // The result of this step is drawn from this frame on.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Graph` if an input has no value, something is not bound, an encoder with a slice of the
    /// step was dropped, or the graph has assignments and was not compiled as staged;
    /// `Unsupported` on the CPU reference or for a budget that is no number; `DeviceLost`,
    /// `OutOfMemory`.
    pub fn advance(&mut self, encoder: &mut wgpu::CommandEncoder, budget: f64) -> Result<Advanced> {
        self.begin()?;
        if budget.is_nan() {
            let message = "advance: a budget of NaN milliseconds";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let Compiled::Gpu(form) = &mut self.form else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "advance: the session runs on the CPU reference",
            ));
        };
        form.gpu.check_lost()?;
        let of = form.dispatches.len();
        if !self.graph.assigns().is_empty() && !form.plan.staged {
            return Err(Error::graph(
                "advance: the graph assigns states, which other sessions would see half done; \
                 compile the session with PlanOptions::staged",
            ));
        }
        let (gpu, commit) = (form.gpu.clone(), form.plan.commit);
        let slices = form.slices();
        slices.collect(&gpu);
        if slices.is_under_way() && slices.heard.iter().any(Heard::is_dropped) {
            slices.abandon();
            return Err(Error::graph(
                "advance: an encoder with a slice of this step was dropped; the step begins anew",
            ));
        }
        let first = !slices.is_under_way();
        let dispatches = slices.fill(budget, commit);
        let timer = match form.gpu.has_timestamps() {
            true => {
                let free = form.slices().free.pop();
                Some(free.map_or_else(|| Timer::new(&gpu), Ok)?)
            }
            false => None,
        };
        let steps = usize::from(dispatches.end == of);
        let heard = self.recorded.mark(&gpu, encoder, steps)?;
        form.record_slice(
            encoder,
            dispatches.clone(),
            first,
            timer.as_ref().map(Timer::writes),
        );
        if let Some(timer) = &timer {
            timer.resolve(encoder);
        }
        let slices = form.slices();
        let expected = slices.expected(dispatches.clone());
        let done = dispatches.end;
        slices.next = done;
        slices.heard.push(heard);
        if done == of {
            slices.abandon();
        }
        slices.remember(Slice { dispatches, timer });
        Ok(Advanced { done, of, expected })
    }

    /// Leaves a step that is under way: the next one begins from its start. No state was written,
    /// but for gradients that are kept and made anew.
    pub fn abandon_step(&mut self) {
        if let Compiled::Gpu(form) = &mut self.form {
            form.slices().abandon();
        }
    }

    /// Tells what the last slice took, in milliseconds, once, where the device has no timestamps;
    /// with them it changes nothing.
    pub fn report_time(&mut self, milliseconds: f64) {
        if let Compiled::Gpu(form) = &mut self.form {
            let slices = form.slices();
            let untimed = slices
                .last
                .back()
                .is_some_and(|slice| slice.timer.is_none());
            if untimed && let Some(slice) = slices.last.pop_back() {
                slices.correct(slice.dispatches, milliseconds);
            }
        }
    }

    /// Fails while a step is under way in slices.
    pub(super) fn expect_whole(&self, what: &str) -> Result<()> {
        match &self.form {
            Compiled::Gpu(form) if form.is_under_way() => Err(Error::graph(format!(
                "{what}: a step is under way in slices; Session::advance finishes it"
            ))),
            _ => Ok(()),
        }
    }
}

impl GpuForm {
    fn slices(&mut self) -> &mut Slices {
        let (gpu, steps) = (&self.gpu, &self.plan.steps);
        self.slices.get_or_insert_with(|| Slices::new(gpu, steps))
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.slices.as_ref().is_some_and(Slices::is_under_way)
    }

    /// Records some dispatches; behind the writes that wait if they are the `first`.
    fn record_slice(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        dispatches: Range<usize>,
        first: bool,
        timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        let _order = first.then(|| self.encode_writes(encoder));
        encode_steps(&self.dispatches[dispatches], encoder, 1, timestamps);
    }
}
