//! Many writes as one: all of them or none, and no step between them.

use super::staging::padded;
use super::{Gpu, Piece, Staging};
use crate::error::{Error, ErrorKind, Result};

/// The largest buffer that bytes are staged in, in bytes.
const MOST: u64 = 64 << 20;

impl Gpu {
    /// Writes bytes, each padded with zeros to a multiple of 4, after all work submitted so far and
    /// the writes that wait: in one submit, and not before there is memory to stage all of them.
    pub(crate) fn write_all(&self, waiting: &Staging, writes: &[Piece<'_>]) -> Result<()> {
        let most = MOST.min(self.device().limits().max_buffer_size) / 4 * 4;
        let blocks = blocks(writes, most as usize);
        let stage = || {
            let stage = |block: &Vec<Piece<'_>>| {
                self.device().create_buffer(&wgpu::BufferDescriptor {
                    label: Some("staging"),
                    size: block.iter().map(|write| padded(write.2)).sum(),
                    // Without MAP_WRITE wgpu maps memory of its own, and gives the device up where
                    // there is none.
                    usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: true,
                })
            };
            blocks.iter().map(stage).collect::<Vec<_>>()
        };
        let staged = self.guarded("staging states", stage)?;
        for (block, staging) in blocks.iter().zip(&staged) {
            fill(staging, block)?;
        }
        self.guarded("writing states", || {
            let mut encoder = self.device().create_command_encoder(&Default::default());
            // Held until the submission.
            let _order = waiting.encode(&mut encoder);
            let ranges = writes.iter();
            waiting
                .overtake(ranges.map(|&(buffer, offset, bytes)| (buffer, offset, padded(bytes))));
            for (block, staging) in blocks.iter().zip(&staged) {
                let mut from = 0;
                for &(buffer, offset, bytes) in block {
                    let size = padded(bytes);
                    encoder.copy_buffer_to_buffer(staging, from, buffer, offset, size);
                    from += size;
                }
            }
            self.count_written(writes.iter().map(|write| write.2.len() as u64).sum());
            self.submit(encoder);
        })
    }
}

/// The writes, cut into blocks of at most `most` bytes, a multiple of 4; a write of no bytes is
/// left out.
fn blocks<'a>(writes: &[Piece<'a>], most: usize) -> Vec<Vec<Piece<'a>>> {
    let mut blocks = Vec::new();
    let (mut block, mut left) = (Vec::new(), most);
    for &(buffer, offset, bytes) in writes {
        let mut done = 0;
        while done < bytes.len() {
            if left == 0 {
                blocks.push(std::mem::take(&mut block));
                left = most;
            }
            let size = left.min(bytes.len() - done);
            block.push((buffer, offset + done as u64, &bytes[done..done + size]));
            left -= size.next_multiple_of(4);
            done += size;
        }
    }
    blocks.extend((!block.is_empty()).then_some(block));
    blocks
}

fn fill(staging: &wgpu::Buffer, block: &[Piece<'_>]) -> Result<()> {
    let mut mapped = staging.get_mapped_range_mut(..).map_err(|e| {
        let message = "staging states: the staging buffer is not mapped";
        Error::new(ErrorKind::OutOfMemory, message).with_source(e)
    })?;
    let mut from = 0;
    for (_, _, bytes) in block {
        let end = from + bytes.len();
        mapped.slice(from..end).copy_from_slice(bytes);
        from = end.next_multiple_of(4);
        mapped
            .slice(end..from)
            .copy_from_slice(&[0; 3][..from - end]);
    }
    drop(mapped);
    staging.unmap();
    Ok(())
}
