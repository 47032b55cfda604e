// Provider of y, params and finish where y is written element by element. Y, finish_row and finish_one come from end_*.

@group(0) @binding(Y) var<storage, read_write> y: array<f32>;
@group(0) @binding(Y + 1u) var<uniform> params: Params;

// What y held.
fn y_at(at: u32) -> f32 {
    return y[at];
}

// What element `at` of y holds at the end, of one channel.
fn finish(value: f32, channel: u32, at: u32) -> f32 {
    return finish_one(finish_row(vec4<f32>(value), channel).x, at);
}
