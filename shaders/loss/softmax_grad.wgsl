// dx = y * (dy - sum(dy * y)) over each row, the gradient of softmax of its output y; of
// log_softmax dx = dy - exp(y) * sum(dy).
//
// Layout: y, dy and dx are [outer, columns, inner], a row runs along the columns; by quads inner is
// 1 and columns count fours.
// Reference: src/ops/loss/softmax.rs. A row is made by one invocation or by one workgroup, as lanes
// says.
// Overrides: logarithm (0 or 1), workgroup_size.
// Providers: Element (lib/elements or lib/quads), lib/rows, lib/divide, lib/grid, lib/float.

override logarithm: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    columns: u32,
    inner: u32,
}

@group(0) @binding(0) var<storage, read> y: array<Element>;
@group(0) @binding(1) var<storage, read> dy: array<Element>;
@group(0) @binding(2) var<storage, read_write> dx: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let inside = row < params.rows;
    let outer = quotient(select(0u, row, inside), params.inner);
    let start = outer * (params.columns - 1u) * params.inner + select(0u, row, inside);
    let end = start + select(0u, params.columns * params.inner, inside);
    let first = start + row_lane(local) * params.inner;
    let step = lanes * params.inner;

    var sums = Element();
    for (var i = first; i < end; i += step) {
        if logarithm == 1u {
            sums += dy[i];
        } else {
            sums += y[i] * dy[i];
        }
    }
    let sum = row_sum(sum_of(sums), local);
    for (var i = first; i < end; i += step) {
        let own = y[i];
        if logarithm == 1u {
            dx[i] = dy[i] - select(exp(own), own, is_nan_each(own)) * sum;
        } else {
            dx[i] = own * (dy[i] - sum);
        }
    }
}
