// Provider of derivative and gradient: of the mean of a window, which reads dy alone.
// Overrides: even (1: an average divides by the same number in each window, the sum of all then;
// as forward, that sum is to be finite).
// Providers: counted and the axes (pool_windows), average (average_mean).

override even: u32 = 0u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn derivative(o: u32, i: u32, count: f32) -> f32 {
    if even == 1u {
        return dy[o];
    }
    return average(dy[o], count);
}

fn gradient(sum: f32) -> f32 {
    if even == 0u {
        return sum;
    }
    let count =
        counted(depth_axis(), 0u) * counted(height_axis(), 0u) * counted(width_axis(), 0u);
    return average(sum, count);
}
