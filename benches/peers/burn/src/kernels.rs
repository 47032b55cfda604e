//! Single products, over several copies of their operands that take turns, as striate's own bench
//! runs them.

use burn::backend::{Dispatch, ops::ModuleOps};
use burn::tensor::module::{conv2d as forward, conv2d_weight_backward};
use burn::tensor::{Device, Distribution, Tensor, ops::ConvOptions};

use crate::Subject;
use crate::case::{Layer, Pass};

/// Copies of a case's operands together exceed this, so that no cache holds what the next run
/// reads.
const ROTATED_BYTES: f64 = 128e6;

/// Results of so many bytes are kept until the device is waited for, so that none is dropped before
/// it is made.
const KEPT_BYTES: f64 = 512e6;

fn draw<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// A subject that calls `make` with the number of a copy.
fn subject<const D: usize>(
    device: &Device,
    bytes: f64,
    copies: usize,
    make: impl Fn(usize) -> Tensor<D> + 'static,
) -> Subject {
    let device = device.clone();
    let most = (KEPT_BYTES / bytes).clamp(1.0, 1000.0) as usize;
    Box::new(move |count| {
        let mut kept = Vec::new();
        for run in 0..count {
            kept.push(make(run % copies));
            if kept.len() == most {
                device.sync()?;
                kept.clear();
            }
        }
        device.sync()?;
        Ok(())
    })
}

fn copies(bytes: f64) -> usize {
    (ROTATED_BYTES / bytes).clamp(1.0, 8.0) as usize
}

pub fn matmul(device: &Device, bytes: f64, batch: usize, [m, n, k]: [usize; 3]) -> Subject {
    let copies = copies(bytes);
    let pair = |_| (draw([batch, m, k], device), draw([batch, k, n], device));
    let operands: Vec<(Tensor<3>, Tensor<3>)> = (0..copies).map(pair).collect();
    subject(device, bytes, copies, move |copy| {
        let (a, b) = operands[copy].clone();
        a.matmul(b)
    })
}

pub fn conv2d(device: &Device, bytes: f64, layer: Layer) -> Subject {
    let copies = copies(bytes);
    let options = ConvOptions::new([layer.stride; 2], [layer.padding; 2], [1, 1], layer.groups);
    let triple = |_| {
        (
            draw(layer.x, device),
            draw(layer.weight(), device),
            draw(layer.y(), device),
        )
    };
    let operands: Vec<(Tensor<4>, Tensor<4>, Tensor<4>)> = (0..copies).map(triple).collect();
    subject(device, bytes, copies, move |copy| {
        let (x, weight, dy) = operands[copy].clone();
        match layer.pass {
            Pass::Forward => forward(x, weight, None, options.clone()),
            // Of x only the shape counts.
            Pass::GradInput => Tensor::from_dispatch(Dispatch::conv2d_x_backward(
                x.into_dispatch(),
                weight.into_dispatch(),
                dy.into_dispatch(),
                options.clone(),
            )),
            Pass::GradWeight => conv2d_weight_backward(x, weight, dy, options.clone()),
        }
    })
}
