// Provider of Y, the binding of y, finish_row and finish_unit: a bias per channel, then relu, with
// NaN kept.

@group(0) @binding(2) var<storage, read> bias: array<f32>;
const Y: u32 = 3u;

// What depends on the channel, for four values of one.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return relu4(value + bias[channel]);
}

// What depends on the place, for unit `unit` of y.
fn finish_unit(value: Unit, unit: u32) -> Unit {
    return value;
}
