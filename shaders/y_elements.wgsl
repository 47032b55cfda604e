// Provider of y and params where y is written element by element. Y comes from end_*.

@group(0) @binding(Y) var<storage, read_write> y: array<f32>;
@group(0) @binding(Y + 1u) var<uniform> params: Params;

// What y held.
fn y_at(at: u32) -> f32 {
    return y[at];
}
