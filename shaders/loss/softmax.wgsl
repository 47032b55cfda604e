// y = exp(x - max(x)) / sum(exp(x - max(x))) over each row x of the logits, or its logarithm x -
// max(x) - log(sum(exp(x - max(x)))).
//
// Layout: logits and y are [outer, columns, inner], a row runs along the columns; by quads inner is
// 1 and columns count fours.
// Reference: src/ops/loss/softmax.rs. A row is made by one invocation or by one workgroup, as lanes
// says.
// Overrides: logarithm (0 or 1), workgroup_size.
// Providers: lib/row_softmax, Element (lib/elements or lib/quads), lib/rows, lib/special,
// lib/divide, lib/grid, lib/float.

override logarithm: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    columns: u32,
    inner: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let inside = row < params.rows;
    let outer = quotient(select(0u, row, inside), params.inner);
    let start = outer * (params.columns - 1u) * params.inner + select(0u, row, inside);
    let end = start + select(0u, params.columns * params.inner, inside);
    let first = start + row_lane(local) * params.inner;
    let step = lanes * params.inner;

    let soft = row_softmax(start, end, params.inner, local);
    if logarithm == 1u {
        let log_sum = log4(vec4<f32>(soft.sum)).x;
        for (var i = first; i < end; i += step) {
            y[i] = (logits[i] - soft.top) - log_sum;
        }
    } else {
        let share = 1.0 / soft.sum;
        for (var i = first; i < end; i += step) {
            y[i] = exp(logits[i] - soft.top) * share;
        }
    }
}
