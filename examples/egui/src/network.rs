//! The network: a convolution from one texture of the host's to another.

use striate::kernel::TexelFormat;
use striate::ops::{Conv2d, Texels, TextureInput, TextureOutput};
use striate::prelude::*;
use striate::wgpu;

use crate::filter::Filter;

/// A session between two textures.
#[derive(Debug)]
pub struct Network {
    session: Session,
}

impl Network {
    /// Compiled for the textures `from` and `to`. A kernel that was compiled before is not
    /// compiled again.
    ///
    /// # Errors
    /// Those of a graph, a session and its textures.
    pub fn new(
        engine: &Engine,
        filter: Filter,
        from: &wgpu::Texture,
        to: &wgpu::Texture,
    ) -> Result<Self> {
        let size = [from.height() as usize, from.width() as usize];
        let mut g = Graph::new();
        let picture = g.texture("picture", size)?;
        let x = g.texture_input(&[picture], &TextureInput::new(size).read(Texels::rgb()))?;

        // The same matrix for red, green and blue, each by itself.
        let conv = Conv2d::new().groups(3).padding(1);
        let conv = conv.padding_mode(filter.padding);
        let mut results = Vec::new();
        for matrix in filter.kernel.matrices() {
            let weight = g.constant(Tensor::f32([3, 1, 3, 3], matrix.repeat(3))?)?;
            results.push(g.conv2d(x, weight, None, conv)?);
        }
        let mut y = results[0];
        if let [across, down] = results[..] {
            let (a, b) = (g.mul(across, across)?, g.mul(down, down)?);
            let squares = g.add(a, b)?;
            y = g.sqrt(squares)?;
        }
        let offset = g.constant(Tensor::scalar(filter.kernel.offset()))?;
        let y = g.add(y, offset)?;
        let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, size);
        let filtered = g.texture_output("filtered", y, &settings)?;

        let store = Store::new(engine, &[&g], 0)?;
        let mut session = Session::new(&store, &g, &[])?;
        session.bind_texture(picture, &from.create_view(&Default::default()))?;
        session.bind_texture(filtered, &to.create_view(&Default::default()))?;
        Ok(Self { session })
    }

    /// Records one step behind what the encoder holds. Nothing is submitted.
    ///
    /// # Errors
    /// What the device says.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.session.record(encoder, 1)
    }
}
