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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use striate::shape::DType;

    use super::*;
    use crate::host::tests::host_or_skip;
    use crate::scene::{Draws, Scene};
    use crate::tiles::{TileSettings, noisy};
    use crate::tracer::Tracer;
    use crate::tza;

    /// Height and width, neither of them a multiple of 16.
    const SIZE: [usize; 2] = [40, 56];

    /// What the network in a file makes of a frame, on a GPU and by the reference.
    fn compare(host: &Host, path: &Path) {
        let (network, weights) = Network::load(path).unwrap();
        let size = [SIZE[1] as u32, SIZE[0] as u32];
        let mut tracer = Tracer::new(&host.device, &host.queue, size);
        let settings = TileSettings {
            window: [20, 30, 96, 96],
            seed: 5,
            samples: 1,
            frames: 1,
        };
        let mut encoder = host.device.create_command_encoder(&Default::default());
        tracer.record(&mut encoder, &Scene::cornell(), &noisy(&settings, 0));
        host.submit([encoder.finish()]);
        let seen = [&tracer.colour, &tracer.albedo, &tracer.normal];
        let seen = host.look(seen).unwrap();

        let frame = FrameGraph::new(&network, 1, SIZE).unwrap();
        let make = |engine: &Engine| {
            let store = Store::new(engine, &[&frame.graph], 0).unwrap();
            store.restore(&weights).unwrap();
            Denoiser::new(&store, &frame).unwrap()
        };
        let made = make(&host.engine()).denoise(host, &seen).unwrap();
        let mut reference = make(&Engine::cpu());
        reference.feed([&seen]).unwrap();
        reference.session.run(1).unwrap();
        let wanted = reference.session.read(reference.linear).unwrap();
        let wanted = wanted.as_f32().unwrap();

        let most = wanted.iter().copied().fold(0.0, f32::max);
        let least = wanted.iter().copied().fold(f32::MAX, f32::min);
        assert!(most > least + 0.05, "one grey: {least} to {most}");
        let apart = made.planes.iter().zip(wanted);
        let apart = apart.map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
        let worst = apart.fold(0.0, f32::max);
        println!("{}: {least} to {most}, {worst:e} apart", path.display());
        assert!(worst <= 1e-3, "{worst}");
    }

    /// Weights at random in half precision and biases in single, in the shapes of a network.
    fn tensors(network: &Network) -> Vec<(String, Tensor)> {
        let mut g = Graph::new();
        let seen = Seen::inputs(&mut g, [1, 3, 16, 16]).unwrap();
        network.build(&mut Build::eval(&mut g), "", seen).unwrap();
        let mut draws = Draws::new(9);
        let drawn = |state: &striate::graph::State| {
            let shape = state.ty.shape.clone();
            let last = state.name.starts_with("dec_conv0");
            let bound = match shape[..] {
                [_, from, 3, 3] => {
                    (6.0 / (9.0 * from as f32)).sqrt() * if last { 0.2 } else { 1.0 }
                }
                _ => 0.05,
            };
            let middle = if last && shape.len() == 1 { 0.4 } else { 0.0 };
            let drawn = (0..state.ty.count()).map(|_| middle + draws.between(-bound, bound));
            let tensor = match shape.len() {
                1 => Tensor::f32(shape, drawn.collect()),
                _ => {
                    let bits = drawn.map(|x| half::f16::from_f32(x).to_bits());
                    Tensor::f16_bits(shape, bits.collect())
                }
            };
            (state.name.clone(), tensor.unwrap())
        };
        g.states().iter().map(drawn).collect()
    }

    #[test]
    fn archives_make_the_pictures_of_the_reference() {
        let Some(host) = host_or_skip() else {
            return;
        };
        let tensors = tensors(&Network::small());
        assert!(tensors.iter().any(|(_, t)| t.ty().dtype == DType::F16));
        let file = format!("denoise-{}.tza", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, tza::tests::encode(&tensors)).unwrap();
        compare(&host, &path);
        std::fs::remove_file(&path).unwrap();
    }

    /// With weights of Open Image Denoise, where the variable names a file.
    #[test]
    fn given_archives_make_the_pictures_of_the_reference() {
        let Some(path) = std::env::var_os("DENOISE_TZA") else {
            println!("skipped: DENOISE_TZA names no tensor archive");
            return;
        };
        if let Some(host) = host_or_skip() {
            compare(&host, Path::new(&path));
        }
    }
}
