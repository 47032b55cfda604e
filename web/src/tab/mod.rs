//! What the page's scripts call. Errors are thrown, named after their kind.

#![allow(unsafe_code, reason = "the macro of wasm-bindgen writes some")]

mod read;
mod teach;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use js_sys::{Float64Array, Function, Promise, Uint8Array};
use striate::data::Split;
use striate::gpu::Progress;
use striate::interop::ModelCard;
use striate::prelude::*;
use striate::train::Normalise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};

use crate::digits::Drawing;
use crate::training::{Answers, BATCH, Point, RATE, Training};
use crate::{SIDE, network, normalise, normalise_of};

#[wasm_bindgen]
extern "C" {
    /// The page's clock, in milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;

    /// Calls `then` in a task of its own.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, milliseconds: i32);

    /// The browser's console.
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn report(message: &str);
}

type Thrown<T> = Result<T, JsValue>;

/// An error as the page's scripts catch it.
fn thrown(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    thrown.set_name(&format!("{:?}", error.kind()));
    thrown.into()
}

/// Tells `listener` how many pipelines there are, of how many.
fn telling(listener: &Function) -> impl FnMut(Progress<'_>) {
    move |progress| {
        let (done, total) = (progress.done() as f64, progress.total as f64);
        // What a listener throws is not the network's fault.
        let _ = listener.call2(&JsValue::NULL, &done.into(), &total.into());
    }
}

/// Polls `work` in tasks of their own, so that frames come between. Of a session that is compiled,
/// each does one pipeline.
async fn in_tasks<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(made) = work.as_mut().poll(&mut context) {
            return made;
        }
        let later = Promise::new(&mut |resolve, _| set_timeout(&resolve, 0));
        // It is never rejected.
        let _ = JsFuture::from(later).await;
    }
}

/// Faults that should not be are told in the console.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| report(&info.to_string())));
}

/// Rows and columns of a picture.
#[wasm_bindgen]
pub fn side() -> usize {
    SIDE
}

/// Images of a training step.
#[wasm_bindgen]
pub fn batch() -> usize {
    BATCH
}

/// The learning rate that training begins with.
#[wasm_bindgen]
pub fn rate() -> f32 {
    RATE
}

/// The browser's device.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Device {
    gpu: Gpu,
    lost: Arc<Mutex<Option<String>>>,
}

#[wasm_bindgen]
impl Device {
    /// Asks the browser for one.
    pub async fn open() -> Thrown<Device> {
        let gpu = Gpu::new_async(&GpuOptions::default()).await;
        let gpu = gpu.map_err(thrown)?;
        let lost = Arc::new(Mutex::new(None));
        let (told, notify) = (lost.clone(), gpu.device_lost_notifier());
        gpu.device()
            .set_device_lost_callback(move |reason, message| {
                let reason = match &*message {
                    "" => format!("{reason:?}"),
                    message => format!("{reason:?}: {message}"),
                };
                notify(&reason);
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            });
        Ok(Device { gpu, lost })
    }

    /// Why it was lost, if it was.
    pub fn lost(&self) -> Option<String> {
        let lost = self.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives it up, as a driver that is reset does: what runs on it fails.
    pub fn destroy(&self) {
        self.gpu.device().destroy();
    }

    /// Whether it measures what it does.
    pub fn has_timestamps(&self) -> bool {
        self.gpu.has_timestamps()
    }
}

impl Device {
    fn engine(&self) -> Engine {
        self.gpu.clone().into()
    }
}

/// The digits that are trained on and tested with.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Digits {
    drawing: Option<Drawing>,
    split: Option<Rc<Split>>,
}

#[wasm_bindgen]
impl Digits {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Digits {
        Digits {
            drawing: Some(Drawing::default()),
            split: None,
        }
    }

    /// Draws for about so many milliseconds; returns the share that is there, 0 to 1.
    pub fn draw(&mut self, milliseconds: f64) -> Thrown<f64> {
        let until = now() + milliseconds;
        let Some(drawing) = &mut self.drawing else {
            return Ok(1.0);
        };
        loop {
            let (done, of) = drawing.done();
            if done == of {
                break;
            }
            if now() >= until {
                return Ok(done as f64 / of as f64);
            }
            drawing.draw(20).map_err(thrown)?;
        }
        if let Some(drawing) = self.drawing.take() {
            self.split = Some(Rc::new(drawing.finish().map_err(thrown)?));
        }
        Ok(1.0)
    }

    /// A picture that is tested with.
    pub fn picture(&self, number: usize) -> Option<Vec<u8>> {
        let test = &self.split.as_ref()?.test;
        let first = number.checked_mul(SIDE * SIDE)?;
        test.images
            .get(first..first + SIDE * SIDE)
            .map(<[u8]>::to_vec)
    }
}

impl Digits {
    fn split(&self) -> Thrown<Rc<Split>> {
        let missing = || js_sys::Error::new("the digits are not drawn yet").into();
        self.split.clone().ok_or_else(missing)
    }
}

/// States between two steps: what training goes on from when a device is lost.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct Snapshot {
    states: Vec<(String, Tensor)>,
    normalise: Normalise,
}

impl Snapshot {
    /// Fails if parameters are no numbers any more.
    fn expect_finite(&self) -> striate::error::Result<()> {
        for (name, tensor) in &self.states {
            let numbers = tensor.as_f32().unwrap_or_default();
            if !numbers.iter().all(|x| x.is_finite()) {
                let message = format!("\"{name}\" holds NaN or infinities");
                return Err(Error::new(ErrorKind::NotFinite, message));
            }
        }
        Ok(())
    }
}

/// What frames brought and scripts have not taken yet.
#[derive(Debug, Default)]
struct News {
    points: VecDeque<Point>,
    answers: Option<Answers>,
    error: Option<Error>,
}

/// LeNet-5 in training.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Trainer {
    training: Training,
    news: Rc<RefCell<News>>,
    /// Frames that the device has not done, and the milliseconds that the last one took.
    in_flight: Arc<AtomicU32>,
    took: Arc<Mutex<Option<f64>>>,
    timed: bool,
}

#[wasm_bindgen]
impl Trainer {
    /// A promise of one: compiles what training needs, and begins with the network of a file, or
    /// with one as it is drawn. Until it is kept or broken it holds nothing that scripts may free.
    pub fn open(
        device: &Device,
        digits: &Digits,
        file: Option<Vec<u8>>,
        progress: Function,
    ) -> Thrown<Promise> {
        let normalise = match &file {
            Some(file) => normalise_of(file),
            None => normalise(),
        };
        let normalise = normalise.map_err(thrown)?;
        let compiled = Self::compiled(device, digits, normalise, progress)?;
        Ok(future_to_promise(async move {
            let mut trainer = compiled.await?;
            if let Some(file) = file {
                trainer.training.load(&file).map_err(thrown)?;
            }
            Ok(trainer.into())
        }))
    }

    /// The same, and goes on from a snapshot.
    pub fn resume(
        device: &Device,
        digits: &Digits,
        snapshot: &Snapshot,
        progress: Function,
    ) -> Thrown<Promise> {
        let Snapshot { states, normalise } = snapshot.clone();
        let compiled = Self::compiled(device, digits, normalise, progress)?;
        Ok(future_to_promise(async move {
            let mut trainer = compiled.await?;
            trainer.training.restore(&states).map_err(thrown)?;
            Ok(trainer.into())
        }))
    }

    /// Submits what fits into so many milliseconds, at most so many steps; returns how many became
    /// whole. While the device has not done what was submitted before, nothing is
    /// submitted.
    pub fn frame(&mut self, budget: f64, most: usize) -> Thrown<usize> {
        if let Some(error) = self.news.borrow_mut().error.take() {
            return Err(thrown(error));
        }
        let most_in_flight = if self.timed { 2 } else { 1 };
        if self.in_flight.load(Ordering::Relaxed) >= most_in_flight {
            return Ok(0);
        }
        let took = self
            .took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(took) = took {
            self.training.took(took);
        }
        let frame = self.training.frame(budget, most).map_err(thrown)?;
        if frame.expected.is_some() {
            self.follow();
        }
        if let Some(told) = frame.told {
            let news = self.news.clone();
            spawn_local(async move {
                let point = told.arrive().await;
                let mut news = news.borrow_mut();
                match point {
                    Ok(point) => news.points.push_back(point),
                    Err(error) => news.error = Some(error),
                }
            });
        }
        if let Some(tested) = frame.tested {
            let news = self.news.clone();
            spawn_local(async move {
                let answers = tested.arrive().await;
                let mut news = news.borrow_mut();
                match answers {
                    Ok(answers) => news.answers = Some(answers),
                    Err(error) => news.error = Some(error),
                }
            });
        }
        Ok(frame.steps)
    }

    /// Points that arrived since this was last called: of each the last step, its mean loss, the
    /// images that were read rightly, and all images.
    pub fn points(&mut self) -> Float64Array {
        let points = self.news.borrow_mut().points.split_off(0);
        let numbers = points.iter().flat_map(|point| {
            let counts = [point.correct, point.images].map(f64::from);
            [point.step as f64, point.loss, counts[0], counts[1]]
        });
        Float64Array::from(&numbers.collect::<Vec<_>>()[..])
    }

    /// The answers of a test that arrived since this was last called.
    pub fn answers(&mut self) -> Option<Test> {
        self.news.borrow_mut().answers.take().map(Test)
    }

    /// Has the test pictures read once the step at hand is whole.
    pub fn request_test(&mut self) {
        self.training.request_test();
    }

    /// Whether nothing has begun or is due but steps.
    pub fn is_idle(&self) -> bool {
        self.training.is_idle() && self.in_flight.load(Ordering::Relaxed) == 0
    }

    /// Steps that were made.
    pub fn steps(&self) -> f64 {
        self.training.steps() as f64
    }

    /// Sets the learning rate from the next step on.
    pub fn set_rate(&mut self, rate: f32) {
        self.training.set_rate(rate);
    }

    /// A promise of the states as they are between two steps.
    pub fn snapshot(&self) -> Promise {
        let (store, names) = (self.training.store().clone(), self.training.state_names());
        let normalise = self.training.normalise().clone();
        future_to_promise(async move {
            let states = store.snapshot_async(&names).await.map_err(thrown)?;
            Ok(Snapshot { states, normalise }.into())
        })
    }

    /// A promise of the bytes of a safetensors file with the parameters, as the native trainer
    /// writes it.
    pub fn file(&self) -> Promise {
        let store = self.training.store().clone();
        let names: Vec<String> = (store.names_of(StateKind::Parameter))
            .map(str::to_owned)
            .collect();
        let normalise = self.training.normalise().clone();
        future_to_promise(async move {
            let states = store.snapshot_async(&names).await.map_err(thrown)?;
            let snapshot = Snapshot { states, normalise };
            snapshot.expect_finite().map_err(thrown)?;
            let card = ModelCard::new(&network(), &snapshot.normalise);
            let bytes = card.file(snapshot.states).map_err(thrown)?;
            Ok(Uint8Array::from(&bytes[..]).into())
        })
    }
}

impl Trainer {
    fn compiled(
        device: &Device,
        digits: &Digits,
        normalise: Normalise,
        progress: Function,
    ) -> Thrown<impl Future<Output = Thrown<Trainer>> + use<>> {
        let (engine, split) = (device.engine(), digits.split()?);
        let timed = device.has_timestamps();
        Ok(async move {
            let told = telling(&progress);
            let training = in_tasks(Training::new(&engine, &split, &normalise, told)).await;
            Ok(Trainer {
                training: training.map_err(thrown)?,
                news: Rc::default(),
                in_flight: Arc::default(),
                took: Arc::default(),
                timed,
            })
        })
    }

    /// Hears when the device has done what was just submitted.
    fn follow(&self) {
        let begun = now();
        let (in_flight, took) = (self.in_flight.clone(), self.took.clone());
        in_flight.fetch_add(1, Ordering::Relaxed);
        let queue = self.training.gpu().queue();
        queue.on_submitted_work_done(move || {
            in_flight.fetch_sub(1, Ordering::Relaxed);
            *took.lock().unwrap_or_else(PoisonError::into_inner) = Some(now() - begun);
        });
    }
}

/// Answers to the test pictures.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Test(Answers);

#[wasm_bindgen]
impl Test {
    /// Steps that were made before.
    pub fn step(&self) -> f64 {
        self.0.step as f64
    }

    /// The share that is right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.0.accuracy()
    }

    /// Of each picture that is wrong its number, its class, and the class that it was read as.
    pub fn wrong(&self) -> Vec<u32> {
        self.0.wrong.concat()
    }
}
