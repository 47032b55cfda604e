//! The famous networks: how large they are, and what two of them are made of.

use striate::models::{Row, by_name};
use striate::prelude::*;

use super::{Page, extents};

const NETWORKS: [&str; 6] = [
    "lenet5_1998",
    "alexnet",
    "vgg16",
    "googlenet",
    "resnet18",
    "resnet50",
];

pub fn show(page: &mut Page) -> Result<()> {
    page.say("             convolutions and linear layers   parameters   multiply-adds");
    for name in NETWORKS {
        let model = by_name(name, if name == "lenet5_1998" { 10 } else { 1000 })?;
        let summary = model.summary(1)?;
        let layers = summary.rows.iter().filter(|row| row.multiply_adds > 0);
        page.say(format!(
            "{name:12} {:>30} {:>9.2} million {:>7.1} million",
            layers.count(),
            summary.parameters as f64 / 1e6,
            summary.multiply_adds as f64 / 1e6,
        ));
    }
    let convolutions = |rows: &[Row], block: &str| -> Vec<(String, Vec<usize>, usize)> {
        let inside = rows.iter().filter(|row| row.multiply_adds > 0);
        let inside = inside.filter_map(|row| {
            let name = row.name.strip_prefix(block)?;
            Some((name.to_owned(), row.output.to_vec(), row.parameters))
        });
        inside.collect()
    };
    for (network, block, about) in [
        ("googlenet", "inception3a.", "An inception block"),
        ("resnet18", "layer2.0.", "A residual block"),
    ] {
        page.say(format!(
            "{about}, {} of {network}:",
            block.trim_end_matches('.')
        ));
        for (name, output, parameters) in
            convolutions(&by_name(network, 1000)?.summary(1)?.rows, block)
        {
            let size = extents(&output);
            page.say(format!(
                "  {name:14} makes {size:14} with {parameters:6} weights"
            ));
        }
    }
    let training = by_name("googlenet", 1000)?.summary(1)?;
    let evaluation: usize = training.rows.iter().map(|row| row.parameters).sum();
    page.say(format!(
        "googlenet's two auxiliary classifiers have {} of its {} parameters",
        training.parameters - evaluation,
        training.parameters
    ));
    Ok(())
}
