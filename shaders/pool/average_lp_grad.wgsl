// Provider of derivative and gradient: of the Lp norm of a window, dy * (x / y)^(p - 1), 0 where y
// = 0.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn derivative(o: u32, i: u32, count: f32) -> f32 {
    let norm = y[o];
    if norm == 0.0 {
        return 0.0;
    }
    let ratio = x[i] / norm;
    let p = params.power - 1.0;
    let slope = select(power(ratio, max(p, 0.0)), 1.0 / power(ratio, max(-p, 0.0)), p < 0.0);
    return dy[o] * window_share(count) * slope;
}

fn gradient(sum: f32) -> f32 {
    return sum;
}
