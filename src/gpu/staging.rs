//! Writes by the host: staged in buffers of the library's own, copied by the encoder that comes
//! next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Gpu;
use crate::error::{Error, ErrorKind, Result};

/// Bytes that are staged at most, where nothing else is said.
const STAGED: u64 = 64 << 20;

/// Bytes that an own device stages in one buffer of what only it reads so far.
const PIECE: usize = 16 << 20;

/// How often an own device is waited for where writes are said to be on their way still: another
/// thread may be about to note that they have arrived.
const WAITS: usize = 16;

/// The writes of one owner, a store or a session, that wait for the next encoder of its own or of
/// the host's. They take effect there, before what is encoded after them, and never by a
/// submission that the host did not ask for. A later write to the same range replaces one that
/// waits. Cloning shares them.
///
/// Bytes count as staged until the device has copied them. What does not fit is submitted and
/// waited for on an own device, which then stages one write of any size; on a borrowed one it is
/// an error.
///
/// An encoder that is dropped without being submitted gives its writes back: they wait again,
/// unless later ones to the same ranges have been staged or submitted.
#[derive(Clone)]
pub(crate) struct Staging(Arc<SharedRing>);

/// Bytes that go to a buffer: which, from which of its bytes on.
pub(crate) type Piece<'a> = (&'a wgpu::Buffer, u64, &'a [u8]);

/// Held from taking writes to submitting them.
pub(crate) type Order<'a> = MutexGuard<'a, ()>;

struct SharedRing {
    /// Held from taking writes to submitting them, so that who finds none may rely on them.
    order: Mutex<()>,
    state: Mutex<RingState>,
    /// Bytes that a borrowed device may stage, unless its options say otherwise.
    room: u64,
}

#[derive(Default)]
struct RingState {
    waiting: Vec<Write>,
    /// Bytes that wait or are on their way.
    held: u64,
    /// Number of the next write.
    next: u64,
    /// The number of the last write to each range that was staged, by where it begins.
    last: BTreeMap<(wgpu::Buffer, u64), u64>,
}

struct Write {
    staged: wgpu::Buffer,
    buffer: wgpu::Buffer,
    offset: u64,
    number: u64,
}

impl Write {
    fn is_to(&self, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> bool {
        self.buffer == *buffer && self.offset == offset && self.staged.size() == bytes
    }
}

impl RingState {
    /// Bytes of the writes to exactly this range that wait.
    fn replaced(&self, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> u64 {
        let same = self.waiting.iter();
        let same = same.filter(|write| write.is_to(buffer, offset, bytes));
        same.map(|write| write.staged.size()).sum()
    }

    fn push(&mut self, staged: wgpu::Buffer, buffer: &wgpu::Buffer, offset: u64) {
        let bytes = staged.size();
        self.held += bytes;
        self.held -= self.replaced(buffer, offset, bytes);
        self.waiting
            .retain(|write| !write.is_to(buffer, offset, bytes));
        let number = self.number();
        self.overtake(number, buffer, offset, bytes);
        self.last.insert((buffer.clone(), offset), number);
        self.waiting.push(Write {
            staged,
            buffer: buffer.clone(),
            offset,
            number,
        });
    }

    /// The number of a write that is later than all so far.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Notes that the write of this number follows those that were staged within its range.
    fn overtake(&mut self, number: u64, buffer: &wgpu::Buffer, offset: u64, bytes: u64) {
        let within = (buffer.clone(), offset)..(buffer.clone(), offset + bytes);
        for (_, last) in self.last.range_mut(within) {
            *last = number.max(*last);
        }
    }

    fn is_last(&self, write: &Write) -> bool {
        let place = (write.buffer.clone(), write.offset);
        self.last.get(&place) == Some(&write.number)
    }
}

impl Staging {
    /// Bytes of writes that wait for an encoder.
    pub fn waiting_bytes(&self) -> u64 {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.iter().map(|write| write.staged.size()).sum()
    }

    /// No writes yet. A borrowed device stages up to `room` bytes, and up to 64 MiB in any case.
    pub fn new(room: u64) -> Self {
        Self(Arc::new(SharedRing {
            order: Mutex::default(),
            state: Mutex::default(),
            room,
        }))
    }

    fn state(&self) -> MutexGuard<'_, RingState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stages pieces, each padded with zeros to a multiple of 4: all of them or none, and no
    /// encoder takes some of them.
    ///
    /// # Errors
    /// `OutOfMemory` if they do not fit, `DeviceLost`.
    pub fn stage(&self, gpu: &Gpu, pieces: &[Piece<'_>]) -> Result<()> {
        gpu.check_lost()?;
        let bytes = pieces.iter().map(|piece| padded(piece.2)).sum();
        self.make_room(gpu, bytes, pieces)?;
        let mut staged = Vec::with_capacity(pieces.len());
        for (_, _, bytes) in pieces {
            staged.push(self.staged(gpu, bytes)?);
        }
        let mut state = self.state();
        for (&(buffer, offset, _), staged) in pieces.iter().zip(staged) {
            state.push(staged, buffer, offset);
        }
        drop(state);
        Ok(())
    }

    fn limit(&self, gpu: &Gpu) -> u64 {
        let room = match gpu.is_owned() {
            true => STAGED,
            false => self.0.room.max(STAGED),
        };
        gpu.0.max_staging.unwrap_or(room)
    }

    /// Bytes that are held, but for those that these pieces replace.
    fn held_beside(&self, pieces: &[Piece<'_>]) -> u64 {
        let state = self.state();
        let replaced = pieces
            .iter()
            .map(|&(buffer, offset, bytes)| state.replaced(buffer, offset, padded(bytes)));
        state.held.saturating_sub(replaced.sum())
    }

    /// Whether these pieces can be staged without submitting what waits.
    pub fn has_room(&self, gpu: &Gpu, pieces: &[Piece<'_>]) -> bool {
        let bytes: u64 = pieces.iter().map(|piece| padded(piece.2)).sum();
        self.held_beside(pieces) + bytes <= self.limit(gpu)
    }

    /// Sees to it that these bytes can be staged, of pieces that may replace some that wait.
    fn make_room(&self, gpu: &Gpu, bytes: u64, pieces: &[Piece<'_>]) -> Result<()> {
        let limit = self.limit(gpu);
        let mut held = self.held_beside(pieces);
        if held + bytes <= limit {
            return Ok(());
        }
        if gpu.is_owned() && cfg!(target_arch = "wasm32") {
            // Nobody waits in a browser: it keeps what was submitted until that is copied.
            return self.flush(gpu, false);
        }
        if gpu.is_owned() {
            for _ in 0..WAITS {
                self.flush(gpu, true)?;
                held = self.state().held;
                if held <= limit {
                    return Ok(());
                }
            }
            return Err(Error::new(
                ErrorKind::OutOfMemory,
                format!(
                    "{held} bytes of earlier writes, more than the {limit} of staging \
                     (GpuOptions::max_staging), are in encoders that steps were recorded into and \
                     that have not been submitted"
                ),
            ));
        }
        Err(Error::new(
            ErrorKind::OutOfMemory,
            format!(
                "{bytes} bytes do not fit the {limit} of staging (GpuOptions::max_staging): {held} \
                 wait for a step to be recorded or run, or for the host to submit and poll"
            ),
        ))
    }

    /// A buffer that holds a piece. An own device gives back what it has copied, if that helps.
    fn staged(&self, gpu: &Gpu, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let size = padded(bytes);
        let staged = filled(gpu, bytes, size);
        let full = matches!(&staged, Err(error) if error.kind() == ErrorKind::OutOfMemory);
        match full && gpu.is_owned() {
            true => {
                self.flush(gpu, true)?;
                filled(gpu, bytes, size)
            }
            false => staged,
        }
    }

    /// Encodes the writes that wait. Who submits the encoder keeps what is returned until then.
    pub fn encode<'a>(&'a self, encoder: &mut wgpu::CommandEncoder) -> Option<Order<'a>> {
        let order = self.0.order.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = std::mem::take(&mut self.state().waiting);
        let last = writes.last()?.staged.clone();
        for write in &writes {
            let bytes = write.staged.size();
            encoder.copy_buffer_to_buffer(&write.staged, 0, &write.buffer, write.offset, bytes);
        }
        let flight = Flight {
            staging: self.clone(),
            writes,
            arrived: false,
        };
        // The map waits for the submission that uses the buffer.
        let arrive = move |_| flight.arrive();
        encoder.map_buffer_on_submit(&last, wgpu::MapMode::Write, .., arrive);
        Some(order)
    }

    /// Notes writes that an encoder makes behind those that it took: what other encoders took
    /// before does not come back over them.
    pub(super) fn overtake<'a>(
        &self,
        ranges: impl IntoIterator<Item = (&'a wgpu::Buffer, u64, u64)>,
    ) {
        let mut state = self.state();
        let number = state.number();
        for (buffer, offset, bytes) in ranges {
            state.overtake(number, buffer, offset, bytes);
        }
    }

    /// Submits the writes that wait, on the queue; `wait` waits for all that were submitted, where
    /// a device can be waited for.
    pub fn flush(&self, gpu: &Gpu, wait: bool) -> Result<()> {
        gpu.guarded("submitting writes", || {
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            let order = self.encode(&mut encoder);
            if order.is_some() {
                gpu.submit(encoder);
            }
        })?;
        #[cfg(not(target_arch = "wasm32"))]
        if wait {
            gpu.wait()?;
        }
        let _ = wait;
        Ok(())
    }
}

/// Writes in an encoder, until the device has copied them or the encoder is dropped.
struct Flight {
    staging: Staging,
    writes: Vec<Write>,
    arrived: bool,
}

impl Flight {
    fn arrive(mut self) {
        self.arrived = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.staging.state();
        let mut writes = std::mem::take(&mut self.writes);
        if !self.arrived {
            let returned: Vec<Write>;
            (returned, writes) = writes.into_iter().partition(|write| state.is_last(write));
            state.waiting.splice(0..0, returned);
        }
        let bytes: u64 = writes.iter().map(|write| write.staged.size()).sum();
        state.held -= bytes;
        drop(state);
    }
}

/// Bytes of a copy that holds these.
pub(super) fn padded(bytes: &[u8]) -> u64 {
    (bytes.len() as u64).next_multiple_of(4)
}

/// A buffer of `size` bytes that begins with `bytes`, to be copied from.
fn filled(gpu: &Gpu, bytes: &[u8], size: u64) -> Result<wgpu::Buffer> {
    gpu.count_written(bytes.len() as u64);
    let staged = gpu.guarded("staging a write", || {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        })
    })?;
    match staged.get_mapped_range_mut(..) {
        Ok(mut range) => range.slice(..bytes.len()).copy_from_slice(bytes),
        Err(error) => {
            gpu.check_lost()?;
            let message = format!("staging a write: {size} bytes could not be mapped");
            return Err(Error::new(ErrorKind::OutOfMemory, message).with_source(error.to_string()));
        }
    }
    staged.unmap();
    Ok(staged)
}

impl Gpu {
    /// Gives a buffer that was just made its first bytes, padded with zeros to a multiple of 4:
    /// through `staging` on an own device, and on a borrowed one ahead of the host's next
    /// submission, whichever that is.
    pub(crate) fn fill(
        &self,
        staging: &Staging,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        if self.is_owned() {
            // Nothing reads the buffer yet: pieces keep to the bound, and may arrive one by one.
            let mut pieces = (offset..).step_by(PIECE).zip(bytes.chunks(PIECE));
            return pieces.try_for_each(|(at, piece)| staging.stage(self, &[(buffer, at, piece)]));
        }
        let size = padded(bytes);
        // wgpu gives a device up that has no memory for its own staging: so it is tried out.
        drop(filled(self, &[], size.max(4))?);
        self.count_written(bytes.len() as u64);
        self.guarded("filling a buffer", || {
            let whole = bytes.len() / 4 * 4;
            self.queue().write_buffer(buffer, offset, &bytes[..whole]);
            if whole < bytes.len() {
                let mut last = [0; 4];
                last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
                let end = offset + whole as u64;
                self.queue().write_buffer(buffer, end, &last);
            }
        })
    }
}
