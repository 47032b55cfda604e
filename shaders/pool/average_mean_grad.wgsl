// Provider of derivative: of the mean of a window, which reads dy alone.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn derivative(o: u32, i: u32, count: f32) -> f32 {
    return average(dy[o], count);
}
