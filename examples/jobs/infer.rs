//! Says what a picture shows, by a network that `train.rs` saved:
//! `cargo run --release --features images --example job_infer`.

use striate::interop::Predictor;
use striate::prelude::*;

fn main() -> Result<()> {
    let mut predictor = Predictor::load("model.safetensors")?;
    let prediction = predictor.predict_file("picture.png")?;
    println!("{} with {:.1} %", prediction.name, 100.0 * prediction.share);
    Ok(())
}
