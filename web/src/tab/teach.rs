//! Classes of the visitor's own.

use js_sys::{Array, Float32Array, Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{Device, Thrown, in_tasks, telling, thrown};
use crate::teaching::{self, Judged, Teaching};

/// Three classes on a frozen trunk.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Teacher {
    teaching: Teaching,
}

#[wasm_bindgen]
impl Teacher {
    /// A promise of one: compiles the trunk of a network in a safetensors file, and a head.
    pub fn open(device: &Device, file: Vec<u8>, progress: Function) -> Promise {
        let engine = device.engine();
        future_to_promise(async move {
            let teaching = in_tasks(Teaching::new(&engine, &file, telling(&progress))).await;
            let teaching = teaching.map_err(thrown)?;
            Ok(Teacher { teaching }.into())
        })
    }

    /// The most pictures of a class.
    pub fn most() -> usize {
        teaching::MOST
    }

    /// Of so many pictures of a class the last one is kept back.
    pub fn kept_every() -> usize {
        teaching::KEPT_EVERY
    }

    /// A promise of what is seen of a picture, its red, green and blue planes: an array of the
    /// features that [`add`](Self::add) takes, and of the probability of each class.
    pub fn look(&mut self, pixels: &[u8]) -> Thrown<Promise> {
        let look = self.teaching.look(pixels).map_err(thrown)?;
        Ok(future_to_promise(async move {
            let seen = look.arrive().await.map_err(thrown)?;
            let both = [&seen.features[..], &seen.shares[..]];
            let both: Array = both.into_iter().map(Float32Array::from).collect();
            Ok(both.into())
        }))
    }

    /// Adds a picture to a class; false if that is full.
    pub fn add(&mut self, class: usize, features: &[f32]) -> Thrown<bool> {
        self.teaching.add(class, features).map_err(thrown)
    }

    /// Takes all pictures of a class away.
    pub fn clear(&mut self, class: usize) -> Thrown<()> {
        self.teaching.clear(class).map_err(thrown)
    }

    /// Steps that are due.
    pub fn due(&self) -> usize {
        self.teaching.due()
    }

    /// Makes up to `most` steps. A promise of how all pictures are read: counts by class and by
    /// what it is read as, of pictures that were learnt from, then of those that were kept back.
    /// Nothing where nothing is due.
    pub fn frame(&mut self, most: usize) -> Thrown<Option<Promise>> {
        let judging = self.teaching.frame(most).map_err(thrown)?;
        Ok(judging.map(|judging| {
            future_to_promise(async move {
                let Judged { learnt, kept } = judging.arrive().await.map_err(thrown)?;
                let counts = [learnt, kept].concat().concat();
                Ok(js_sys::Uint32Array::from(&counts[..]).into())
            })
        }))
    }
}
