//! Images of another size.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{GridSample, InterpolateMode, SampleMode, SamplePadding};

use crate::Example;
use crate::build::{Inputs, not_built};

pub fn resize(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    let options = &example.options;
    let x = inputs["input"];
    match example.op.as_str() {
        "pixel_shuffle" => g.pixel_shuffle(x, options.whole("factor")),
        "pixel_unshuffle" => g.pixel_unshuffle(x, options.whole("factor")),
        "affine_grid" => g.affine_grid(x, options.axes("size"), options.flag("align_corners")),
        "grid_sample" => {
            let sample = GridSample {
                mode: match options.text("mode") {
                    "nearest" => SampleMode::Nearest,
                    _ => SampleMode::Bilinear,
                },
                padding: match options.text("padding_mode") {
                    "border" => SamplePadding::Border,
                    "reflection" => SamplePadding::Reflection,
                    _ => SamplePadding::Zeros,
                },
                align_corners: options.flag("align_corners"),
            };
            g.grid_sample(x, inputs["grid"], sample)
        }
        "interpolate" => {
            let mode = match options.text("mode") {
                "nearest" => InterpolateMode::Nearest,
                "nearest-exact" => InterpolateMode::NearestExact,
                "area" => InterpolateMode::Area,
                "bicubic" => InterpolateMode::Cubic {
                    align_corners: options.flag("align_corners"),
                },
                _ => InterpolateMode::Linear {
                    align_corners: options.flag("align_corners"),
                },
            };
            if options.has("size") {
                g.interpolate(x, &options.list("size"), mode)
            } else {
                g.interpolate_by(x, &options.numbers("scale_factor"), mode)
            }
        }
        _ => not_built(example),
    }
}
