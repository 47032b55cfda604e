//! The first losses of the page's training on the CPU reference, as JSON: what the page is held
//! against. `cargo run --release -p striate-web --example losses -- 10`

use striate::prelude::*;
use striate_web::digits::Drawing;
use striate_web::normalise;
use striate_web::training::{SEED, step};

fn main() -> Result<()> {
    let argument = std::env::args().nth(1);
    let steps = argument.and_then(|steps| steps.parse().ok()).unwrap_or(10);
    let data = Drawing::default().finish()?;
    let (graph, loss) = step(&data.train, &normalise()?)?;
    let store = Store::new(&Engine::cpu(), &[&graph], SEED)?;
    let mut session = Session::new(&store, &graph, &[loss])?;
    let mut losses = Vec::new();
    for _ in 0..steps {
        session.run(1)?;
        losses.push(session.read(loss)?.item()?);
    }
    println!("{losses:?}");
    Ok(())
}
