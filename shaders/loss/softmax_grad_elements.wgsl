// dx[i] = y[i] * (dy[i] - sum[row]), with the sum of dy * y over each row; of log_softmax dx[i] =
// dy[i] - exp(y[i]) * sum[row], with that of dy.
//
// Layout: y, dy and dx are rows of [outer, columns, inner], a row runs along the columns; sum is
// [outer, inner], from element `first` on.
// Reference: src/ops/loss/softmax.rs. One invocation makes one element, one workgroup
// workgroup_size of them.
// Overrides: logarithm (0 or 1), workgroup_size. Providers: lib/divide, lib/grid, lib/float.

override logarithm: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    columns: u32,
    inner: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> sum: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let line = quotient(i, params.inner);
        let row = params.first
            + quotient(line, params.columns) * params.inner
            + (i - line * params.inner);
        if logarithm == 1u {
            dx[i] = dy[i] - exp_or_nan(y[i]) * sum[row];
        } else {
            dx[i] = y[i] * (dy[i] - sum[row]);
        }
    }
}
