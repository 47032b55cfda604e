//! What the page's worker calls. Errors are thrown, named after their kind.

#![allow(unsafe_code, reason = "the macro of wasm-bindgen writes some")]

use js_sys::{Array, Object, Reflect};
use striate::error::Error;
use striate::gpu::{Gpu, GpuOptions};
use wasm_bindgen::prelude::*;

use crate::measuring::{Measuring, SHORT};

#[wasm_bindgen]
extern "C" {
    /// The worker's clock, in milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;

    /// The browser's console.
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn report(message: &str);
}

type Thrown<T> = Result<T, JsValue>;

/// An error as scripts catch it.
fn thrown(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    thrown.set_name(&format!("{:?}", error.kind()));
    thrown.into()
}

/// An object of these fields.
fn object(fields: &[(&str, JsValue)]) -> Thrown<JsValue> {
    let object = Object::new();
    for (name, value) in fields {
        Reflect::set(&object, &JsValue::from_str(name), value)?;
    }
    Ok(object.into())
}

/// Faults that should not be are told in the console.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| report(&info.to_string())));
}

/// A device that is measured.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Measurer {
    measuring: Measuring,
}

#[wasm_bindgen]
impl Measurer {
    /// Asks the browser for a device.
    pub async fn open() -> Thrown<Measurer> {
        let gpu = Gpu::new_async(&GpuOptions::default()).await;
        let measuring = Measuring::new(gpu.map_err(thrown)?);
        Ok(Measurer { measuring })
    }

    /// Names of the cases that take an instant, or of all.
    pub fn names(all: bool) -> Array {
        let names = match all {
            true => Measuring::names(),
            false => SHORT.map(str::to_owned).to_vec(),
        };
        names.into_iter().map(JsValue::from).collect()
    }

    /// Of the library that is measured.
    pub fn version() -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// Measures a case and checks it: fields of the lab's lines.
    pub async fn measure(&mut self, name: String) -> Thrown<JsValue> {
        let measured = self.measuring.measure(&name, &now).await.map_err(thrown)?;
        let (error, wrong) = match measured.error {
            Ok(error) => (error.into(), JsValue::NULL),
            Err(wrong) => (JsValue::NULL, wrong.into()),
        };
        object(&[
            ("case", name.into()),
            ("ms", measured.times.median.into()),
            ("best_ms", measured.times.best.into()),
            ("spread_ms", measured.times.spread.into()),
            ("gflops", measured.gflops.into()),
            ("gbps", measured.gbps.into()),
            ("peak_gflops", measured.peak.gflops.into()),
            ("peak_gbps", measured.peak.gbps.into()),
            ("roofline", measured.roofline.into()),
            ("error", error),
            ("wrong", wrong),
        ])
    }
}
