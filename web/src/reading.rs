//! One picture read: probabilities, and what each layer makes of it.

use striate::gpu::Progress;
use striate::interop::{LoadOptions, load_state_dict_bytes};
use striate::prelude::*;
use striate::session::ReadFuture;
use striate::train::Normalise;
use striate::wgpu;

use crate::{SIDE, factors, network, normalise_of};

/// The layers that are shown: how the page calls them, and the names under which the network
/// builds them. Of convolutions and linear layers it is what the relu behind them lets through.
pub const LAYERS: [(&str, &str); 6] = [
    ("conv1", "1"),
    ("pool1", "2"),
    ("conv2", "4"),
    ("pool2", "5"),
    ("fc1", "8"),
    ("fc2", "10"),
];

/// The state with the filters of the first layer, f32 `[6, 1, 5, 5]`.
pub const FILTERS: &str = "conv1.weight";

/// LeNet-5 in use.
#[derive(Debug)]
pub struct Reading {
    gpu: Gpu,
    store: Store,
    session: Session,
    normalise: Normalise,
    x: Value,
    layers: Vec<Layer>,
}

/// A value that is shown.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name on the page.
    pub name: &'static str,
    /// Maps, rows and columns; of a layer without maps its numbers, 1 and 1.
    pub size: [usize; 3],
    value: Value,
}

impl Reading {
    /// The network of a safetensors file, with the native trainer's card or without any.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference; `Data` and `Checkpoint` from the file; those of the
    /// device.
    pub async fn new(
        engine: &Engine,
        file: &[u8],
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        let Some(gpu) = engine.gpu() else {
            let message = "pictures are read on a GPU";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let normalise = normalise_of(file)?;
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 1, SIDE, SIDE]))?;
        let mut cx = Build::eval(&mut g);
        let logits = network().build(&mut cx, x)?;
        let mut shown = Vec::new();
        for (name, built) in LAYERS {
            let missing = || {
                let message = format!("the network has no layer \"{built}\"");
                Error::new(ErrorKind::Graph, message)
            };
            shown.push((name, cx.find(built).ok_or_else(missing)?));
        }
        shown.push(("probabilities", g.softmax(logits, 1)?));
        let mut layers = Vec::new();
        for (name, value) in shown {
            let size = match g.shape(value)?[..] {
                [1, maps, rows, columns] => [maps, rows, columns],
                ref shape => [shape.iter().product(), 1, 1],
            };
            layers.push(Layer { name, size, value });
        }
        let values: Vec<Value> = layers.iter().map(|layer| layer.value).collect();
        let store = Store::new_async(engine, &[&g], 0).await?;
        load_state_dict_bytes(file, &store, &loading())?;
        let session = Session::builder(&store, &g)
            .fetch(&values)
            .progress(progress)
            .build_async()
            .await?;
        Ok(Self {
            gpu: gpu.clone(),
            store,
            session,
            normalise,
            x,
            layers,
        })
    }

    /// What is shown, in the order in which [`read`](Self::read) returns it; the probabilities come
    /// last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Takes the network of another file.
    ///
    /// # Errors
    /// `Data` and `Checkpoint` from the file, and the network is as it was; those of the device.
    pub fn load(&mut self, file: &[u8]) -> Result<()> {
        let normalise = normalise_of(file)?;
        load_state_dict_bytes(file, &self.store, &loading())?;
        self.normalise = normalise;
        Ok(())
    }

    /// Takes the parameters of a network that is trained.
    ///
    /// # Errors
    /// `Graph` or `Shape` if they are of another network; `OutOfMemory`, `DeviceLost`.
    pub fn take(&mut self, states: &[(String, Tensor)], normalise: &Normalise) -> Result<()> {
        let own: Vec<&str> = self.store.names().collect();
        let states = states.iter().filter(|(name, _)| own.contains(&&**name));
        self.store.restore(&states.cloned().collect::<Vec<_>>())?;
        self.normalise = normalise.clone();
        Ok(())
    }

    /// Reads a picture of `SIDE` rows and columns of bytes, white on black; what each of the
    /// [`layers`](Self::layers) made of it is on its way when this returns. One submission.
    ///
    /// # Errors
    /// `Shape` for more or fewer pixels; `OutOfMemory`, `DeviceLost`.
    pub fn read(&mut self, pixels: &[u8]) -> Result<Vec<ReadFuture>> {
        let [scale, shift] = factors(&self.normalise);
        let scaled = pixels.iter().map(|&pixel| f32::from(pixel) * scale + shift);
        let x = Tensor::f32([1, 1, SIDE, SIDE], scaled.collect())?;
        self.session.write(self.x, &x)?;
        let descriptor = wgpu::CommandEncoderDescriptor {
            label: Some("reading"),
        };
        let mut encoder = self.gpu.device().create_command_encoder(&descriptor);
        self.session.record(&mut encoder, 1)?;
        let layers = self.layers.iter();
        let reads = layers
            .map(|layer| self.session.record_read(&mut encoder, layer.value))
            .collect::<Result<_>>()?;
        self.gpu.queue().submit([encoder.finish()]);
        Ok(reads)
    }

    /// The filters of the first layer.
    pub fn filters(&self) -> ReadFuture {
        self.store.get_async(FILTERS)
    }
}

fn loading() -> LoadOptions<'static> {
    LoadOptions::new().strip_prefix("module.")
}
