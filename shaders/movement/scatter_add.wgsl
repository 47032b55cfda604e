// y[.., a, ..] = the sum of src[.., j, ..] over the j with index[.., j, ..] = a, along one axis.
//
// Layout: index and src [outer, columns, inner], y [outer, extent, inner], each from its base on.
// Reference: src/ops/movement/index.rs. Each output is summed by one invocation in the order of j,
// or by one workgroup, whose invocations take every lanes-th j, of those from `begin` to `until` -
// 1. Where begin is not 0 the sum is added to what y holds.
// Overrides: lanes (see lib/rows), workgroup_size. Providers: lib/rows, lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    outputs: u32,
    begin: u32,
    until: u32,
    columns: u32,
    extent: u32,
    inner: u32,
    index_base: u32,
    src_base: u32,
    y_base: u32,
}

@group(0) @binding(0) var<storage, read> index: array<u32>;
@group(0) @binding(1) var<storage, read> src: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let output = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let inside = output < params.outputs;
    let rest = quotient(output, params.inner);
    let outer = quotient(rest, params.extent);
    let a = rest - outer * params.extent;
    let first = outer * params.columns * params.inner + output - rest * params.inner;
    var sum = 0.0;
    for (var j = params.begin + lane; j < select(0u, params.until, inside); j += lanes) {
        let at = first + j * params.inner;
        if index[params.index_base + at] == a {
            sum += src[params.src_base + at];
        }
    }
    sum = row_sum(sum, local);
    if inside && lane == 0u {
        if params.begin > 0u {
            sum += y[params.y_base + output];
        }
        y[params.y_base + output] = sum;
    }
}
