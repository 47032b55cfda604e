// Provider of make: the gradient of x, in place of the sums of shares.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn make(i: u32) {
    let at = params.base + i;
    dx[at] = dy[at] * divisor_power(sums[i]) + params.factor * x[at] * dx[at];
}
