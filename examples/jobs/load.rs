//! Loads pictures of one's own, a folder for each class:
//! `cargo run --release --features images --example job_load`.

use striate::data::{FolderOptions, load_folder};
use striate::prelude::*;

fn main() -> Result<()> {
    let options = FolderOptions::new([3, 32, 32]).skip_corrupt(true);
    let folder = load_folder("pictures", &options)?;
    for (_, why) in &folder.skipped {
        println!("left out: {why}");
    }
    let data = folder.set.split(0.2, 1)?;
    let names = data.train.class_names.join(", ");
    println!(
        "{} to train, {} to test: {names}",
        data.train.count, data.test.count
    );
    Ok(())
}
