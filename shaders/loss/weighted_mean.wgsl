// mean = sums[0] / sums[1], 0 of no valid rows, and sums[1] again: the loss of a weighted mean and
// its divisor.
//
// Layout: two floats, one word, one float, one float. rows is how many there are, valid or not.
// Reference: src/ops/loss/cross_entropy.rs. One invocation makes all.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<uniform> valid: u32;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> divisor: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    if workgroup_index(group) == 0u && local == 0u {
        var loss = 0.0;
        if min(valid, params.rows) > 0u {
            loss = sums[0] / sums[1];
        }
        mean[0] = loss;
        divisor[0] = sums[1];
    }
}
