//! How many numbers are learnt.

use striate::models::{lenet5, vgg16};
use striate::nn::{Conv2d, Linear};
use striate::prelude::*;

use super::Page;

pub fn show(page: &mut Page) -> Result<()> {
    let count = |layer: &dyn Module, input: &[usize]| -> Result<usize> {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32(input))?;
        Build::train(&mut g).layer("layer", layer, x)?;
        let parameters = striate::train::parameters(&g);
        parameters.iter().map(|&own| Ok(g.ty(own)?.count())).sum()
    };
    let side = 128;
    let conv = count(&Conv2d::new(3, 10, 5), &[1, 3, side, side])?;
    page.say(format!(
        "10 filters of 5 x 5 x 3: (5 * 5 * 3 + 1) * 10 = {conv}, whatever the size of the picture"
    ));
    let inputs = side * side * 3;
    let linear = count(&Linear::new(inputs, 10), &[1, inputs])?;
    page.say(format!(
        "10 numbers, each of all {inputs} of {side} x {side} x 3: ({inputs} + 1) * 10 = {linear}"
    ));
    let maps = 10 * side * side;
    page.say(format!(
        "10 maps of {side} x {side}, each number of all {inputs}: ({inputs} + 1) * {maps} = {}",
        (inputs + 1) * maps
    ));
    page.say("LeNet-5:");
    let summary = lenet5(10).summary(1)?;
    for row in summary.rows.iter().filter(|row| row.parameters > 0) {
        page.say(format!("  {:<6} {:>6}", row.name, row.parameters));
    }
    page.say(format!("  {:<6} {:>6}", "all", summary.parameters));
    let vgg = vgg16(1000).summary(1)?;
    let dense = vgg
        .rows
        .iter()
        .filter(|row| row.name.starts_with("classifier"));
    let dense: usize = dense.map(|row| row.parameters).sum();
    page.say(format!(
        "VGG-16: {}, of which its three fully connected layers have {dense}",
        vgg.parameters
    ));
    Ok(())
}
