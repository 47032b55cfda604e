//! What `package/index.js` calls. Errors are thrown, named after their kind.

#![allow(unsafe_code, reason = "the macro of wasm-bindgen writes some")]

use js_sys::{Float32Array, Promise, Uint8Array};
use striate::error::Error;
use striate::gpu::{Engine, Gpu, GpuOptions};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::Network;

/// An error as scripts catch it.
fn thrown(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    thrown.set_name(&format!("{:?}", error.kind()));
    thrown.into()
}

/// A network in use and in training.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Handle(Network);

#[wasm_bindgen]
impl Handle {
    /// On the browser's device.
    pub async fn load(file: Vec<u8>, rate: f64) -> Result<Handle, JsValue> {
        let gpu = Gpu::new_async(&GpuOptions::default()).await;
        let engine = Engine::from(gpu.map_err(thrown)?);
        let network = Network::load(&engine, &file, rate).await.map_err(thrown)?;
        Ok(Handle(network))
    }

    /// Channels, height and width of its pictures.
    pub fn input(&self) -> Vec<usize> {
        self.0.card().input.to_vec()
    }

    /// How pictures of other sizes become these: `crop`, `pad` or `stretch`.
    pub fn fit(&self) -> String {
        self.0.card().fit.name().to_owned()
    }

    /// Names of its classes; numbers where the file has none.
    pub fn classes(&self) -> Vec<String> {
        let card = self.0.card();
        let classes = 0..card.classes;
        classes.map(|class| card.class_name(class)).collect()
    }

    /// A promise of a share for each class.
    pub fn run(&mut self, rgba: &[u8]) -> Result<Promise, JsValue> {
        let read = self.0.run(rgba).map_err(thrown)?;
        Ok(future_to_promise(async move {
            let shares = read.await.map_err(thrown)?;
            Ok(Float32Array::from(shares.as_f32().map_err(thrown)?).into())
        }))
    }

    /// One step; the loss before it.
    pub async fn train(&mut self, rgba: Vec<u8>, labels: Vec<u32>) -> Result<f32, JsValue> {
        self.0.train(&rgba, &labels).await.map_err(thrown)
    }

    /// The bytes of a safetensors file.
    pub async fn save(&self) -> Result<Uint8Array, JsValue> {
        let bytes = self.0.save().await.map_err(thrown)?;
        Ok(Uint8Array::from(&bytes[..]))
    }
}
