//! Back-propagation: one number followed through a network by hand, by the library, and by trying.

use striate::ops::{Conv2d, MaxPool2d, Reduction};
use striate::prelude::*;

use super::{Given, Page, number, numbers};

const IMAGE: [f32; 9] = [1.0, 2.0, 0.0, 0.0, 1.0, 3.0, 2.0, 0.0, 1.0];
const KERNEL: [f32; 4] = [1.0, 0.5, 0.0, 1.0];
const WEIGHT: f32 = 0.4;
const BIAS: f32 = -1.0;
const TARGET: f32 = 2.0;
/// How far the parameter is moved to see what the loss does, and the learning rate.
const NUDGE: f32 = 1.0 / 64.0;
const RATE: f32 = 0.1;

/// conv, relu, max pooling of all, weight and bias, squared error. The values on the way, loss last.
fn network(g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
    let maps = g.conv2d(x[0], x[1], None, Conv2d::new())?;
    let relu = g.relu(maps)?;
    let pooled = g.max_pool(relu, MaxPool2d::new(2))?;
    let flat = g.reshape(pooled, [1, 1])?;
    let weight = g.constant(Tensor::f32([1, 1], vec![WEIGHT])?)?;
    let bias = g.constant(Tensor::f32([1], vec![BIAS])?)?;
    let y = g.linear(flat, weight, Some(bias))?;
    let target = g.constant(Tensor::f32([1, 1], vec![TARGET])?)?;
    let loss = g.mse_loss(y, target, Reduction::Mean)?;
    Ok(vec![maps, pooled, y, loss])
}

fn given(kernel: &[f32; 4]) -> [Given<'_>; 2] {
    [(&[1, 1, 3, 3], &IMAGE), (&[1, 1, 2, 2], kernel)]
}

pub fn show(page: &mut Page) -> Result<()> {
    let made = page.run(&given(&KERNEL), network)?;
    let maps = made[0].as_f32()?.to_vec();
    let [pooled, y, loss] = [made[1].item()?, made[2].item()?, made[3].item()?];
    page.say("Forwards:");
    page.say(format!("  3 x 3 pixels {}", numbers(&IMAGE)));
    page.say(format!("  2 x 2 kernel {}", numbers(&KERNEL)));
    page.say(format!("  map {}", numbers(&maps)));
    page.say(format!("  relu and the largest: {}", number(pooled)));
    page.say(format!(
        "  y = {} * {} - {} = {}",
        number(WEIGHT),
        number(pooled),
        number(-BIAS),
        number(y)
    ));
    page.say(format!(
        "  loss = ({} - {})^2 = {}",
        number(y),
        number(TARGET),
        number(loss)
    ));

    // By hand: the chain rule, from the loss back.
    let of_y = 2.0 * (y - TARGET);
    let of_pooled = of_y * WEIGHT;
    // The largest is the second of the map: the kernel lay one to the right.
    let under = [IMAGE[1], IMAGE[2], IMAGE[4], IMAGE[5]];
    let by_hand = under.map(|x| of_pooled * x);
    page.say("Backwards, by hand:");
    page.say(format!(
        "  by y: 2 * ({} - {}) = {}",
        number(y),
        number(TARGET),
        number(of_y)
    ));
    page.say(format!(
        "  by the largest: {} * {} = {}",
        number(of_y),
        number(WEIGHT),
        number(of_pooled)
    ));
    page.say(format!("  under the kernel lay {}", numbers(&under)));
    page.say(format!("  by the kernel: {}", numbers(&by_hand)));

    let by_graph = page.one(&given(&KERNEL), |g, x| {
        let loss = network(g, x)?[3];
        Ok(gradients(g, loss, &[x[1]])?[0])
    })?;
    page.say(format!("By the library: {}", numbers(&by_graph)));
    let mut by_trying = [0.0; 4];
    for (i, found) in by_trying.iter_mut().enumerate() {
        let loss = |by: f32| -> Result<f32> {
            let mut kernel = KERNEL;
            kernel[i] += by;
            page.run(&given(&kernel), network)?[3].item()
        };
        *found = (loss(NUDGE)? - loss(-NUDGE)?) / (2.0 * NUDGE);
    }
    page.say(format!(
        "By trying, each moved by 1/64 to both sides: {}",
        numbers(&by_trying)
    ));

    let mut better = KERNEL;
    for (weight, slope) in better.iter_mut().zip(&by_graph) {
        *weight -= RATE * slope;
    }
    let loss = page.run(&given(&better), network)?[3].item()?;
    page.say(format!(
        "One step at the rate {}: kernel {}, loss {}",
        number(RATE),
        numbers(&better),
        number(loss)
    ));
    Ok(())
}
