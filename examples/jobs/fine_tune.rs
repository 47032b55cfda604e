//! Fine-tunes a saved network on other pictures, whose classes it does not know yet:
//! `cargo run --release --features images --example job_fine_tune`.

use striate::data::{FolderOptions, load_folder};
use striate::models::resnet20;
use striate::prelude::*;
use striate::train::{AdamW, Trainer};

fn main() -> Result<()> {
    let folder = load_folder("others", &FolderOptions::new([3, 32, 32]))?;
    let data = folder.set.split(0.2, 1)?;
    let model = resnet20(data.train.classes);
    let builder = Trainer::builder(&Engine::new()?, &model, &data);
    let builder = builder.begin_with("model.safetensors").epochs(5);
    let mut trainer = builder.optimizer(AdamW::new().lr(3e-4)).build()?;
    trainer.fit()?;
    trainer.save("fine_tuned.safetensors")
}
