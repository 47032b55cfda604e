//! The network over frames in memory, as the host runs it.

use striate::prelude::*;
use striate::session::{Advanced, ReadFuture};
use striate::wgpu;

use crate::host::{Host, Outcome};
use crate::network::{Network, Seen};
use crate::picture::Picture;

/// The graph of a network over frames.
#[derive(Debug)]
pub struct FrameGraph {
    /// The graph.
    pub graph: Graph,
    seen: Seen,
    linear: Value,
    shape: [usize; 4],
}

impl FrameGraph {
    /// For so many frames of this height and width.
    ///
    /// # Errors
    /// Those of the network.
    pub fn new(network: &Network, count: usize, size: [usize; 2]) -> Result<Self> {
        let mut graph = Graph::new();
        let shape = [count, 3, size[0], size[1]];
        let seen = Seen::inputs(&mut graph, shape)?;
        let made = network.build(&mut Build::eval(&mut graph), "", seen)?;
        Ok(Self {
            graph,
            seen,
            linear: made.linear,
            shape,
        })
    }
}

/// A session that denoises frames of one size.
#[derive(Debug)]
pub struct Denoiser {
    session: Session,
    seen: Seen,
    linear: Value,
    shape: [usize; 4],
}

impl Denoiser {
    /// With the weights of a store, which others may train at the same time.
    ///
    /// # Errors
    /// Those of a session.
    pub fn new(store: &Store, frame: &FrameGraph) -> Result<Self> {
        let session = Session::new(store, &frame.graph, &[frame.linear])?;
        Ok(Self {
            session,
            seen: frame.seen,
            linear: frame.linear,
            shape: frame.shape,
        })
    }

    /// Bytes of its buffers on the device.
    pub fn bytes(&self) -> u64 {
        self.session.bytes()
    }

    /// Denoises one frame: colour, albedo and normals as the tracer makes them.
    ///
    /// # Errors
    /// `Shape` if it is for more, or they have another size; what the device says.
    pub fn denoise(&mut self, host: &Host, seen: &[Picture; 3]) -> Outcome<Picture> {
        self.feed([seen])?;
        self.session.run(1)?;
        let planes = host.finish(self.session.read_async(self.linear))?;
        Ok(Picture {
            size: [self.shape[2], self.shape[3]],
            planes: planes.as_f32()?.to_vec(),
        })
    }

    /// Brings what the tracer drew into the network, where it stays.
    ///
    /// # Errors
    /// `Shape` if it is not of as many frames of the size; what the device says.
    pub fn feed<'a>(&mut self, frames: impl IntoIterator<Item = &'a [Picture; 3]>) -> Result<()> {
        let mut inputs: [Vec<f32>; 3] = Default::default();
        for frame in frames {
            for (input, picture) in inputs.iter_mut().zip(frame) {
                input.extend_from_slice(&picture.planes);
            }
        }
        let Seen {
            colour,
            albedo,
            normal,
        } = self.seen;
        for (value, input) in [colour, albedo, normal].into_iter().zip(inputs) {
            self.session
                .write(value, &Tensor::f32(self.shape, input)?)?;
        }
        Ok(())
    }

    /// Records a slice of what denoises the frames.
    ///
    /// # Errors
    /// Those of [`Session::advance`].
    pub fn advance(&mut self, encoder: &mut wgpu::CommandEncoder, budget: f64) -> Result<Advanced> {
        self.session.advance(encoder, budget)
    }

    /// Tells what the last slice took, in milliseconds, where the device has no timestamps.
    pub fn report_time(&mut self, milliseconds: f64) {
        self.session.report_time(milliseconds);
    }

    /// Records a read of linear radiance `[n, 3, height, width]`, behind the last slice.
    ///
    /// # Errors
    /// Those of [`Session::record_read`].
    pub fn record_read(&self, encoder: &mut wgpu::CommandEncoder) -> Result<ReadFuture> {
        self.session.record_read(encoder, self.linear)
    }
}
