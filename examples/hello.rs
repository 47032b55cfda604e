//! A convolution and a relu, run and read back: `cargo run --release --example hello`.

use striate::ops::Conv2d;
use striate::prelude::*;

fn main() -> Result<()> {
    // A graph is built first; nothing runs yet. y = relu(conv(x, edge)).
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 1, 4, 6]))?;
    let edge = vec![-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0];
    let edge = g.constant(Tensor::f32([1, 1, 3, 3], edge)?)?;
    let y = g.conv2d(x, edge, None, Conv2d::new().padding(1))?;
    let y = g.relu(y)?;

    // The best GPU, or the CPU reference where there is none.
    let engine = Engine::new()?;
    println!("on {}", engine.describe());
    let store = Store::new(&engine, &[&g], 0)?;
    let mut session = Session::new(&store, &g, &[y])?;

    // Dark on the left, bright on the right: the kernel finds the edge between them.
    let picture = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0].repeat(4);
    session.write(x, &Tensor::f32([1, 1, 4, 6], picture)?)?;
    session.run(1)?;
    for row in session.read(y)?.as_f32()?.chunks(6) {
        println!("{row:?}");
    }
    Ok(())
}
