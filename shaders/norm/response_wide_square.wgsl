// Provider of make: the squares of x, of which the sums are made.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> squares: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn make(i: u32) {
    let x = x[params.base + i];
    squares[i] = x * x;
}
