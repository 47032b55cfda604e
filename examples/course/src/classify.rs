//! From maps to classes: flatten, a fully connected layer, softmax, and two losses.

use striate::ops::Reduction;
use striate::prelude::*;

use super::{Given, Page, number, numbers};

pub fn show(page: &mut Page) -> Result<()> {
    // Two maps of 1 x 2, flattened, against three classes.
    let maps = [1.0, 0.0, 0.5, 1.0];
    let weights = [1.0, 0.5, 0.0, 1.0, 0.0, -1.0, 1.0, 0.5, -1.0, 1.0, 0.2, 1.0];
    let given: [Given; 2] = [(&[1, 2, 1, 2], &maps), (&[3, 4], &weights)];
    let made = page.run(&given, |g, x| {
        let flat = g.reshape(x[0], [1, 4])?;
        let logits = g.linear(flat, x[1], None)?;
        Ok(vec![flat, logits, g.softmax(logits, 1)?])
    })?;
    let logits = made[1].as_f32()?.to_vec();
    page.say(format!(
        "2 maps of 1 x 2, flattened: {}",
        numbers(made[0].as_f32()?)
    ));
    page.say("weights, a row for each of three classes:");
    page.matrix(&weights, 4);
    for (class, (row, logit)) in weights.chunks(4).zip(&logits).enumerate() {
        let products: Vec<String> = row
            .iter()
            .zip(&maps)
            .map(|(w, x)| format!("{} * {}", number(*w), number(*x)))
            .collect();
        let logit = number(*logit);
        page.say(format!("class {class}: {} = {logit}", products.join(" + ")));
    }
    page.say(format!("softmax: {}", numbers(made[2].as_f32()?)));

    for class in 0..3 {
        let label = Tensor::u32([1], vec![class])?;
        let given: [Given; 1] = [(&[1, 3], &logits)];
        let losses = page.run(&given, |g, x| {
            let label = g.constant(label)?;
            let mut one = [0.0; 3];
            one[class as usize] = 1.0;
            let one = g.constant(Tensor::f32([1, 3], one.to_vec())?)?;
            let shares = g.softmax(x[0], 1)?;
            let cross_entropy = g.cross_entropy(x[0], label)?;
            Ok(vec![
                cross_entropy,
                g.mse_loss(shares, one, Reduction::Mean)?,
            ])
        })?;
        let [cross_entropy, mse] = [losses[0].item()?, losses[1].item()?];
        page.say(format!(
            "if class {class} is right: cross-entropy {cross_entropy:.4}, mean squared error \
             {mse:.4}"
        ));
    }
    Ok(())
}
