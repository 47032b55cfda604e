//! Calls of pooling, one generic over the number of axes.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LpPool, MaxPool, MaxUnpool};

use crate::Example;
use crate::build::{Inputs, pending};

pub fn pool<const D: usize>(
    g: &mut Graph,
    example: &Example,
    inputs: &Inputs,
) -> Result<Vec<Value>> {
    let (options, x) = (&example.options, inputs["input"]);
    let axes = |name: &str| options.axes::<D>(name);
    let one = match example.op.trim_end_matches(&format!("{D}d")) {
        "max_pool" => {
            let pool = MaxPool {
                kernel: axes("kernel_size"),
                stride: axes("stride"),
                padding: axes("padding"),
                dilation: axes("dilation"),
                ceil_mode: options.flag("ceil_mode"),
            };
            let (y, indices) = g.max_pool_with_indices(x, pool)?;
            return Ok(vec![y, indices]);
        }
        "adaptive_max_pool" => {
            let output = axes("output_size");
            let (y, indices) = g.adaptive_max_pool_with_indices(x, AdaptiveMaxPool { output })?;
            return Ok(vec![y, indices]);
        }
        "adaptive_avg_pool" => {
            let output = axes("output_size");
            g.adaptive_avg_pool(x, AdaptiveAvgPool { output })
        }
        "avg_pool" => {
            let divisor = options.has("divisor_override");
            let pool = AvgPool {
                kernel: axes("kernel_size"),
                stride: axes("stride"),
                padding: axes("padding"),
                ceil_mode: options.flag("ceil_mode"),
                count_include_pad: options.flag("count_include_pad"),
                divisor_override: divisor.then(|| options.whole("divisor_override")),
            };
            g.avg_pool(x, pool)
        }
        "lp_pool" => {
            let pool = LpPool {
                norm_type: options.number("norm_type") as f32,
                kernel: axes("kernel_size"),
                stride: axes("stride"),
                ceil_mode: options.flag("ceil_mode"),
            };
            g.lp_pool(x, pool)
        }
        "max_unpool" => {
            let unpool = MaxUnpool {
                kernel: axes("kernel_size"),
                stride: axes("stride"),
                padding: axes("padding"),
                output_size: options.has("output_size").then(|| axes("output_size")),
            };
            // Where windows share their largest element, PyTorch gives its gradient to each of them; here the last has it alone.
            if (0..D).any(|axis| unpool.stride[axis] < unpool.kernel[axis]) {
                return pending();
            }
            g.max_unpool(x, inputs["indices"], unpool)
        }
        _ => return pending(),
    };
    Ok(vec![one?])
}
