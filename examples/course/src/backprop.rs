//! Back-propagation: numbers followed through a network by hand, by the library, and by trying.

use striate::ops::{Conv2d, MaxPool2d, Reduction};
use striate::prelude::*;

use super::{Given, Page, number, numbers};

const IMAGE: [f32; 9] = [1.0, 2.0, 0.0, 0.0, 1.0, 3.0, 2.0, 0.0, 1.0];
const TARGET: f32 = 2.0;
/// How far a parameter is moved to either side, to see what the loss does.
const NUDGE: f32 = 1.0 / 64.0;
/// Learning rates: one that is small enough, one that is not.
const RATES: [f32; 2] = [0.01, 0.1];

/// What is learnt.
#[derive(Clone, Copy)]
struct Parameters {
    kernel: [f32; 4],
    weight: f32,
    bias: f32,
}

const BEGIN: Parameters = Parameters {
    kernel: [1.0, 0.5, 0.0, 1.0],
    weight: 0.4,
    bias: -1.0,
};

/// What the network makes on its way.
struct Made {
    map: Value,
    largest: Value,
    y: Value,
    loss: Value,
}

/// conv, relu, the largest of the map, weight and bias, squared error; of the image, the kernel,
/// the weight and the bias.
fn network(g: &mut Graph, x: &[Value]) -> Result<Made> {
    let map = g.conv2d(x[0], x[1], None, Conv2d::new())?;
    let relu = g.relu(map)?;
    let largest = g.max_pool(relu, MaxPool2d::new(2))?;
    let flat = g.reshape(largest, [1, 1])?;
    let y = g.linear(flat, x[2], Some(x[3]))?;
    let target = g.constant(Tensor::f32([1, 1], vec![TARGET])?)?;
    let loss = g.mse_loss(y, target, Reduction::Mean)?;
    Ok(Made {
        map,
        largest,
        y,
        loss,
    })
}

fn given(own: &Parameters) -> [Given<'_>; 4] {
    [
        (&[1, 1, 3, 3], &IMAGE),
        (&[1, 1, 2, 2], &own.kernel),
        (&[1, 1], std::slice::from_ref(&own.weight)),
        (&[1], std::slice::from_ref(&own.bias)),
    ]
}

fn loss(page: &Page, own: &Parameters) -> Result<f32> {
    Ok(page.one(&given(own), |g, x| Ok(network(g, x)?.loss))?[0])
}

pub fn show(page: &mut Page) -> Result<()> {
    let made = page.run(&given(&BEGIN), |g, x| {
        let made = network(g, x)?;
        Ok(vec![made.map, made.largest, made.y, made.loss])
    })?;
    let map = made[0].as_f32()?.to_vec();
    let [largest, y, loss_now] = [made[1].item()?, made[2].item()?, made[3].item()?];
    let Parameters {
        kernel,
        weight,
        bias,
    } = BEGIN;
    let of_y = 2.0 * (y - TARGET);
    let of_largest = of_y * weight;
    // The pixels that lay under the kernel where the map is largest.
    let place = map.iter().position(|x| *x == largest).unwrap_or(0);
    let corner = 3 * (place / 2) + place % 2;
    let under = [0, 1, 3, 4].map(|step| IMAGE[corner + step]);
    let by_hand = under.map(|x| of_largest * x);

    page.say("Forwards:");
    page.say(format!("  3 x 3 pixels {}", numbers(&IMAGE)));
    page.say(format!("  2 x 2 kernel {}", numbers(&kernel)));
    page.say(format!("  map {}", numbers(&map)));
    page.say(format!("  relu and the largest: {}", number(largest)));
    let [shown_weight, shown_y] = [number(weight), number(y)];
    let [shown_largest, shown_target] = [number(largest), number(TARGET)];
    page.say(format!(
        "  y = {shown_weight} * {shown_largest} - {} = {shown_y}",
        number(-bias)
    ));
    page.say(format!(
        "  loss = ({shown_y} - {shown_target})^2 = {}",
        number(loss_now)
    ));
    let back = number(of_y);
    page.say("Backwards, by hand:");
    page.say(format!("  by y: 2 * ({shown_y} - {shown_target}) = {back}"));
    page.say(format!("  by the bias: {back}"));
    page.say(format!(
        "  by the weight: {back} * {shown_largest} = {}",
        number(of_y * largest)
    ));
    page.say(format!(
        "  by the largest: {back} * {shown_weight} = {}",
        number(of_largest)
    ));
    page.say(format!("  under the kernel lay {}", numbers(&under)));
    page.say(format!("  by the kernel: {}", numbers(&by_hand)));

    let slopes = page.run(&given(&BEGIN), |g, x| {
        let loss = network(g, x)?.loss;
        gradients(g, loss, x)
    })?;
    let of_kernel = slopes[1].as_f32()?.to_vec();
    let [of_weight, of_bias] = [slopes[2].item()?, slopes[3].item()?];
    page.say("By the library:");
    page.say(format!("  by the kernel: {}", numbers(&of_kernel)));
    page.say(format!(
        "  by the weight: {}, by the bias: {}",
        number(of_weight),
        number(of_bias)
    ));
    page.say(format!("  by the pixels: {}", numbers(slopes[0].as_f32()?)));

    let mut by_trying = [0.0; 4];
    for (i, found) in by_trying.iter_mut().enumerate() {
        let [mut more, mut less] = [BEGIN; 2];
        more.kernel[i] += NUDGE;
        less.kernel[i] -= NUDGE;
        *found = (loss(page, &more)? - loss(page, &less)?) / (2.0 * NUDGE);
    }
    page.say(format!(
        "By trying, each number of the kernel moved by {NUDGE} to both sides:"
    ));
    page.say(format!("  {}", numbers(&by_trying)));

    for rate in RATES {
        let mut next = BEGIN;
        for (own, slope) in next.kernel.iter_mut().zip(&of_kernel) {
            *own -= rate * slope;
        }
        next.weight -= rate * of_weight;
        next.bias -= rate * of_bias;
        page.say(format!(
            "One step at the rate {}: kernel {}, weight {}, bias {}, loss {}",
            number(rate),
            numbers(&next.kernel),
            number(next.weight),
            number(next.bias),
            number(loss(page, &next)?)
        ));
    }
    Ok(())
}
