// Provider of make: what an element adds to the gradients of its window, but for their common
// factor.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> shares: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn make(i: u32) {
    let at = params.base + i;
    shares[i] = dy[at] * x[at] * divisor_power(sums[i]);
}
