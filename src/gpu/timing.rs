//! Time on the device, by timestamp queries.

use super::Gpu;
use crate::error::{Error, ErrorKind, Result};

/// Queries in one set: WebGPU's limit.
const QUERIES: u32 = 4096;

/// Timestamps at the beginning and the end of passes.
pub(crate) struct Timestamps {
    sets: Vec<wgpu::QuerySet>,
    passes: usize,
}

impl Timestamps {
    /// Room for `passes` passes.
    ///
    /// # Errors
    /// `Unsupported` if the device was made without timestamp queries.
    pub fn new(gpu: &Gpu, passes: usize) -> Result<Self> {
        if !gpu.has_timestamps() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} was made without timestamp queries (feature TIMESTAMP_QUERY)",
                    gpu.info().name
                ),
            ));
        }
        let sets = passes.div_ceil(QUERIES as usize / 2);
        let make = |_| {
            gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: QUERIES,
            })
        };
        Ok(Self {
            sets: (0..sets).map(make).collect(),
            passes,
        })
    }

    /// What pass number `pass` writes.
    pub fn of(&self, pass: usize) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let per_set = QUERIES as usize / 2;
        let begin = (pass % per_set * 2) as u32;
        let query_set = self.sets.get(pass / per_set)?;
        Some(wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(begin),
            end_of_pass_write_index: Some(begin + 1),
        })
    }

    /// Copies what the passes wrote, after them, and submits `encoder`; nanoseconds from the first
    /// pass's beginning to each pass's beginning and end.
    pub async fn submit(
        &self,
        gpu: &Gpu,
        mut encoder: wgpu::CommandEncoder,
    ) -> Result<Vec<[f64; 2]>> {
        let submit = || {
            let bytes = u64::from(QUERIES) * 8;
            let mut buffers = Vec::new();
            for set in &self.sets {
                let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
                    label: Some("timestamps"),
                    size: bytes,
                    usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                });
                encoder.resolve_query_set(set, 0..QUERIES, &buffer, 0);
                buffers.push(buffer);
            }
            gpu.submit(encoder);
            buffers
        };
        let buffers = gpu.scoped("submitting a profiled step", submit).await?;
        let ranges: Vec<(&wgpu::Buffer, u64, u64)> =
            buffers.iter().map(|b| (b, 0, b.size())).collect();
        let parts = gpu.read(&[], &ranges).await?;
        let ticks = |bytes: &[u8]| -> u64 {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let period = f64::from(gpu.queue().get_timestamp_period());
        let pairs = parts.iter().flat_map(|part| part.chunks_exact(16));
        let pairs: Vec<[u64; 2]> = pairs
            .take(self.passes)
            .map(|pair| [ticks(&pair[..8]), ticks(&pair[8..])])
            .collect();
        let start = pairs.first().map_or(0, |pair| pair[0]);
        let since = |tick: u64| tick.saturating_sub(start) as f64 * period;
        Ok(pairs.iter().map(|pair| pair.map(since)).collect())
    }
}
