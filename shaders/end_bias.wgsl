// Provider of y, params and finish: a bias per channel.

@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn finish(value: f32, channel: u32, at: u32) -> f32 {
    return value + bias[channel];
}
