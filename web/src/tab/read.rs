//! A picture that is read.

use js_sys::{Array, Float32Array, Function, Promise};
use striate::session::ReadFuture;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{Device, Snapshot, Thrown, in_tasks, telling, thrown};
use crate::reading::Reading;

/// The numbers of a tensor, once they have arrived.
async fn numbers(read: ReadFuture) -> Thrown<Float32Array> {
    let tensor = read.await.map_err(thrown)?;
    Ok(Float32Array::from(tensor.as_f32().map_err(thrown)?))
}

/// LeNet-5 in use.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Reader {
    reading: Reading,
}

#[wasm_bindgen]
impl Reader {
    /// A promise of one: compiles the network of a safetensors file.
    pub fn open(device: &Device, file: Vec<u8>, progress: Function) -> Promise {
        let engine = device.engine();
        future_to_promise(async move {
            let reading = in_tasks(Reading::new(&engine, &file, telling(&progress))).await;
            let reading = reading.map_err(thrown)?;
            Ok(Reader { reading }.into())
        })
    }

    /// What is shown, in the order of [`read`](Self::read): arrays of the name, the number of maps,
    /// their rows and their columns. The probabilities come last.
    pub fn layers(&self) -> Array {
        let layers = self.reading.layers().iter().map(|layer| {
            let size = layer.size.map(|extent| JsValue::from(extent as f64));
            [&[JsValue::from(layer.name)], &size[..]]
                .concat()
                .into_iter()
                .collect::<Array>()
        });
        layers.collect()
    }

    /// A promise of what the layers make of a picture: an array of `Float32Array`s.
    pub fn read(&mut self, pixels: &[u8]) -> Thrown<Promise> {
        let reads = self.reading.read(pixels).map_err(thrown)?;
        Ok(future_to_promise(async move {
            let all = Array::new();
            for read in reads {
                all.push(&numbers(read).await?.into());
            }
            Ok(all.into())
        }))
    }

    /// A promise of the filters of the first layer, 5 by 5 each.
    pub fn filters(&self) -> Promise {
        let read = self.reading.filters();
        future_to_promise(async move { numbers(read).await.map(JsValue::from) })
    }

    /// Takes the network of another file.
    pub fn load(&mut self, file: &[u8]) -> Thrown<()> {
        self.reading.load(file).map_err(thrown)
    }

    /// Takes the parameters of a network that is trained.
    pub fn take(&mut self, snapshot: &Snapshot) -> Thrown<()> {
        let states = &snapshot.states;
        self.reading
            .take(states, &snapshot.normalise)
            .map_err(thrown)
    }
}
