//! The network in a frame: from the tracer's textures to one of its own, in the host's encoder.

use std::path::Path;

use striate::interop::replace_file;
use striate::kernel::TexelFormat;
use striate::ops::{Texels, TextureInput, TextureOutput};
use striate::prelude::*;
use striate::wgpu;

use crate::host::{Host, Outcome};
use crate::network::{Network, Seen};
use crate::step::FAST;
use crate::tracer::Tracer;

/// A session between textures.
#[derive(Debug)]
pub struct InFrame {
    /// Linear radiance as the network makes it, `Rgba16Float`.
    pub texture: wgpu::Texture,
    /// The weights, and what else the graphs keep that came along.
    pub store: Store,
    network: Network,
    session: Session,
}

impl InFrame {
    /// For what a tracer draws, with these weights, in a store that holds the states of `others`
    /// too.
    ///
    /// # Errors
    /// What the network, the weights and the device say.
    pub fn new(
        host: &Host,
        network: &Network,
        weights: &[(String, Tensor)],
        tracer: &Tracer,
        others: &[&Graph],
    ) -> Outcome<Self> {
        let size = [
            tracer.colour.height() as usize,
            tracer.colour.width() as usize,
        ];
        let mut g = Graph::new();
        let mut read = |name: &str| -> Result<(Value, Value)> {
            let texture = g.texture(name, size)?;
            let settings = TextureInput::new(size).read(Texels::rgb());
            Ok((texture, g.texture_input(&[texture], &settings)?))
        };
        let (colour_texture, colour) = read("colour")?;
        let (albedo_texture, albedo) = read("albedo")?;
        let (normal_texture, normal) = read("normal")?;
        let seen = Seen {
            colour,
            albedo,
            normal,
        };
        let made = network.build(&mut Build::eval(&mut g), "", seen)?;
        let settings = TextureOutput::new(TexelFormat::Rgba16Float, size);
        let denoised = g.texture_output("denoised", made.linear, &settings)?;

        let graphs: Vec<&Graph> = others.iter().copied().chain([&g]).collect();
        let store = Store::new(&host.engine(), &graphs, 0)?;
        let fast = weights
            .iter()
            .map(|(name, tensor)| (format!("{FAST}{name}"), tensor.clone()));
        let fast = fast.filter(|(name, _)| store.ty(name).is_ok());
        let all: Vec<_> = weights.iter().cloned().chain(fast).collect();
        store.restore(&all)?;
        let mut session = Session::new(&store, &g, &[])?;
        let texture = host.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("denoised"),
            size: tracer.colour.size(),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba16Float,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        // A texture that the network does not see is not asked for.
        for (value, bound) in [
            (colour_texture, &tracer.colour),
            (albedo_texture, &tracer.albedo),
            (normal_texture, &tracer.normal),
            (denoised, &texture),
        ] {
            session.bind_texture(value, &bound.create_view(&Default::default()))?;
        }
        Ok(Self {
            texture,
            store,
            network: network.clone(),
            session,
        })
    }

    /// Records the network behind what the encoder holds. Nothing is submitted.
    ///
    /// # Errors
    /// What the device says.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.session.record(encoder, 1)
    }

    /// Writes the network to a file that [`Network::load`] reads.
    ///
    /// # Errors
    /// What the device says; `Io` if the file cannot be written.
    pub fn save(&self, host: &Host, path: &Path) -> Outcome<()> {
        let names = self.store.names_of(StateKind::Parameter);
        let names: Vec<&str> = names.filter(|name| !name.starts_with(FAST)).collect();
        let weights = host.finish(self.store.snapshot_async(&names))?;
        replace_file(path, &self.network.encode(&weights)?)?;
        Ok(())
    }

    /// Bytes of its buffers and its texture on the device.
    pub fn bytes(&self) -> u64 {
        let size = self.texture.size();
        let texels = u64::from(size.width) * u64::from(size.height);
        self.session.bytes() + self.store.bytes() + 8 * texels
    }
}
