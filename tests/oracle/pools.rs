//! Poolings and their inverse.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LpPool, MaxPool, MaxUnpool};

use crate::Example;
use crate::build::{Inputs, not_built};

/// Output, and indices where the call returns them, of a call over `D` axes.
pub fn pool<const D: usize>(
    g: &mut Graph,
    example: &Example,
    inputs: &Inputs,
) -> Result<Vec<Value>> {
    let options = &example.options;
    let x = inputs["input"];
    let two = |(y, indices)| vec![y, indices];
    let kind = example.op.trim_end_matches(['1', '2', '3', 'd']);
    let one = match kind {
        "max_pool" => {
            let pool = MaxPool {
                kernel: options.axes::<D>("kernel_size"),
                stride: options.axes("stride"),
                padding: options.axes("padding"),
                dilation: options.axes("dilation"),
                ceil_mode: options.flag("ceil_mode"),
            };
            return g.max_pool_with_indices(x, pool).map(two);
        }
        "adaptive_max_pool" => {
            let output = options.axes::<D>("output_size");
            return g
                .adaptive_max_pool_with_indices(x, AdaptiveMaxPool { output })
                .map(two);
        }
        "adaptive_avg_pool" => {
            let output = options.axes::<D>("output_size");
            g.adaptive_avg_pool(x, AdaptiveAvgPool { output })
        }
        "avg_pool" => {
            let divisor = options.has("divisor_override");
            let pool = AvgPool {
                kernel: options.axes::<D>("kernel_size"),
                stride: options.axes("stride"),
                padding: options.axes("padding"),
                ceil_mode: options.flag("ceil_mode"),
                count_include_pad: options.flag("count_include_pad"),
                divisor_override: divisor.then(|| options.whole("divisor_override")),
            };
            g.avg_pool(x, pool)
        }
        "lp_pool" => {
            let pool = LpPool {
                norm_type: options.number("norm_type") as f32,
                kernel: options.axes::<D>("kernel_size"),
                stride: options.axes("stride"),
                ceil_mode: options.flag("ceil_mode"),
            };
            g.lp_pool(x, pool)
        }
        "max_unpool" => {
            let sized = options.has("output_size");
            let unpool = MaxUnpool {
                kernel: options.axes::<D>("kernel_size"),
                stride: options.axes("stride"),
                padding: options.axes("padding"),
                output_size: sized.then(|| options.axes("output_size")),
            };
            g.max_unpool(x, inputs["indices"], unpool)
        }
        _ => not_built(example),
    };
    Ok(vec![one?])
}
