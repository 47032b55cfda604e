//! The chapters of the course: numbers and pictures, made by graphs of the library.

mod axes;
mod backprop;
mod channels;
mod classify;
mod convolution;
mod image;
mod kernels;
mod networks;
mod parameters;
mod pooling;
mod scene;
mod sharing;
mod sizes;
mod varying;

use std::fmt::Display;

use striate::data::{Palette, Picture};
use striate::prelude::*;

/// What a chapter does.
pub type Chapter = fn(&mut Page) -> Result<()>;

/// All of them, in the order in which they are read.
pub const CHAPTERS: [(&str, Chapter); 12] = [
    ("image", image::show),
    ("convolution", convolution::show),
    ("channels", channels::show),
    ("sizes", sizes::show),
    ("parameters", parameters::show),
    ("sharing", sharing::show),
    ("pooling", pooling::show),
    ("classify", classify::show),
    ("backprop", backprop::show),
    ("networks", networks::show),
    ("varying", varying::show),
    ("axes", axes::show),
];

/// What a chapter has shown so far.
pub struct Page {
    engine: Engine,
    /// Lines, each ended.
    pub text: String,
    /// Pictures, by the names of their files.
    pub pictures: Vec<(&'static str, Picture)>,
}

/// An input of a graph: its extents, and its elements.
pub type Given<'a> = (&'a [usize], &'a [f32]);

impl Page {
    /// An empty one, whose graphs run on `engine`.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            text: String::new(),
            pictures: Vec::new(),
        }
    }

    fn say(&mut self, line: impl Display) {
        self.text += &format!("{line}\n");
    }

    /// Rows of numbers, right-aligned.
    fn matrix(&mut self, values: &[f32], columns: usize) {
        let told: Vec<String> = values.iter().copied().map(number).collect();
        let width = told.iter().map(String::len).max().unwrap_or(0);
        for row in told.chunks(columns) {
            let row: Vec<String> = row.iter().map(|x| format!("{x:>width$}")).collect();
            self.say(format!("  {}", row.join(" ")));
        }
    }

    fn draw(&mut self, name: &'static str, picture: Picture) {
        self.pictures.push((name, picture));
    }

    /// Runs the graph that `build` makes over these inputs, and reads what it returns.
    fn run(
        &self,
        given: &[Given],
        build: impl FnOnce(&mut Graph, &[Value]) -> Result<Vec<Value>>,
    ) -> Result<Vec<Tensor>> {
        let mut g = Graph::new();
        let names = (0..given.len()).map(|i| format!("x{i}"));
        let inputs = names.zip(given);
        let inputs = inputs.map(|(name, (shape, _))| g.input(&name, Type::f32(*shape)));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let made = build(&mut g, &inputs)?;
        let store = Store::new(&self.engine, &[&g], 0)?;
        let mut session = Session::new(&store, &g, &made)?;
        for (&input, (shape, values)) in inputs.iter().zip(given) {
            session.write(input, &Tensor::f32(*shape, values.to_vec())?)?;
        }
        session.run(1)?;
        made.iter().map(|&value| session.read(value)).collect()
    }

    /// The elements of the one value that `build` makes.
    fn one(
        &self,
        given: &[Given],
        build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value>,
    ) -> Result<Vec<f32>> {
        let made = self.run(given, |g, inputs| Ok(vec![build(g, inputs)?]))?;
        Ok(made[0].as_f32()?.to_vec())
    }
}

/// At most four places behind the point, and no more than are needed.
fn number(x: f32) -> String {
    let text = format!("{x:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// Numbers side by side.
fn numbers(values: &[f32]) -> String {
    let told: Vec<String> = values.iter().copied().map(number).collect();
    told.join(" ")
}

/// Extents as they are spoken of: height x width x maps, of `[n, maps, height, width]`.
fn extents(shape: &[usize]) -> String {
    match *shape {
        [_, maps, height, width] => format!("{height} x {width} x {maps}"),
        _ => format!("{shape:?}"),
    }
}

/// Numbers from 0 to 1 in grey.
fn grey(values: &[f32], [height, width]: [usize; 2]) -> Result<Picture> {
    Picture::of_values(values, [height, width], [0.0, 1.0], Palette::Grey)
}
