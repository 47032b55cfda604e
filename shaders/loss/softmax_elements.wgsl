// y[i] = exp(x[i] - top[row]) / sum[row], its logarithm, or exp(x[i] - top[row]) * sum[row] and 0
// where that factor is 0.
//
// Layout: x and y are rows of [outer, columns, inner], a row runs along the columns; top and sum
// are [outer, inner], from element `first` on.
// Reference: src/ops/loss/softmax.rs. One invocation makes one element, one workgroup
// workgroup_size of them.
// Overrides: function (0 softmax, 1 logarithm, 2 factor), workgroup_size. Providers: lib/special,
// lib/divide, lib/grid, lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    columns: u32,
    inner: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> top: array<f32>;
@group(0) @binding(2) var<storage, read> sum: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let line = quotient(i, params.inner);
        let row = params.first
            + quotient(line, params.columns) * params.inner
            + (i - line * params.inner);
        let below = x[i] - top[row];
        if function == 1u {
            y[i] = below - log4(vec4<f32>(sum[row])).x;
        } else if function == 2u {
            y[i] = select(exp(below) * sum[row], 0.0, sum[row] == 0.0);
        } else {
            y[i] = exp(below) / sum[row];
        }
    }
}
