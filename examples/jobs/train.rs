//! Trains a classifier on pictures of one's own, with validation, early stopping and a report:
//! `cargo run --release --features images --example job_train`.

use striate::data::{Augment, FolderOptions, load_folder};
use striate::models::resnet20;
use striate::prelude::*;
use striate::report::Report;
use striate::train::{AdamW, Terminal, Trainer, warmup_cosine};

fn main() -> Result<()> {
    let folder = load_folder("pictures", &FolderOptions::new([3, 32, 32]))?;
    let data = folder.set.split(0.2, 1)?;
    let model = resnet20(data.train.classes);
    let mut trainer = Trainer::builder(&Engine::new()?, &model, &data)
        .epochs(15)
        .optimizer(AdamW::new())
        .rates(|updates| warmup_cosine(3e-3, updates / 20, updates))
        .augment(Augment::new().flip(0.5).shift(2))
        .validation(0.1)
        .patience(5)
        .observe(Terminal::new())
        .build()?;
    trainer.fit()?;
    trainer.save("model.safetensors")?;
    let tested = trainer.evaluate(&data.test)?;
    let accuracy = tested.scalar("accuracy").unwrap_or(f64::NAN);
    println!("test accuracy {accuracy:.4}");
    Report::of_trainer("Own pictures", &trainer, &model, &data.test)?.write("report.html")
}
