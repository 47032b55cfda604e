//! The network over one frame, as the host runs it.

use striate::prelude::*;

use crate::host::{Host, Outcome};
use crate::network::{Network, Seen};
use crate::picture::Picture;

/// The graph of a network over one frame.
#[derive(Debug)]
pub struct FrameGraph {
    /// The graph.
    pub graph: Graph,
    seen: Seen,
    linear: Value,
    size: [usize; 2],
}

impl FrameGraph {
    /// For frames of this height and width.
    ///
    /// # Errors
    /// Those of the network.
    pub fn new(network: &Network, size: [usize; 2]) -> Result<Self> {
        let mut graph = Graph::new();
        let seen = Seen::inputs(&mut graph, [1, 3, size[0], size[1]])?;
        let made = network.build(&mut Build::eval(&mut graph), seen)?;
        Ok(Self {
            graph,
            seen,
            linear: made.linear,
            size,
        })
    }
}

/// A session that denoises frames of one size.
#[derive(Debug)]
pub struct Denoiser {
    session: Session,
    seen: Seen,
    linear: Value,
    size: [usize; 2],
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
            size: frame.size,
        })
    }

    /// Denoises one frame: colour, albedo and normals as the tracer makes them.
    ///
    /// # Errors
    /// `Shape` if they have another size; what the device says.
    pub fn denoise(&mut self, host: &Host, seen: &[Picture; 3]) -> Outcome<Picture> {
        self.feed(seen)?;
        self.session.run(1)?;
        let planes = host.finish(self.session.read_async(self.linear))?;
        Ok(Picture {
            size: self.size,
            planes: planes.as_f32()?.to_vec(),
        })
    }

    /// Brings what the tracer drew into the network.
    fn feed(&mut self, seen: &[Picture; 3]) -> Result<()> {
        let Seen {
            colour,
            albedo,
            normal,
        } = self.seen;
        for (input, picture) in [colour, albedo, normal].into_iter().zip(seen) {
            let [height, width] = picture.size;
            let tensor = Tensor::f32([1, 3, height, width], picture.planes.clone())?;
            self.session.write(input, &tensor)?;
        }
        Ok(())
    }
}
