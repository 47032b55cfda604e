// Provider of Y, the binding of y, and of finish, finish_row and finish_one: a bias per channel, then relu, with NaN kept.

@group(0) @binding(2) var<storage, read> bias: array<f32>;
const Y: u32 = 3u;

fn finish(value: f32, channel: u32, at: u32) -> f32 {
    return relu(value + bias[channel]);
}

// The same of four values of one channel in two steps: what depends on the channel, then what depends on the place.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return relu4(value + bias[channel]);
}

fn finish_one(value: f32, at: u32) -> f32 {
    return value;
}
