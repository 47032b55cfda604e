// Provider of Y, the binding of y, finish_row and finish_one: zero where the mask, an activation after relu, is not positive; NaN lets pass.

@group(0) @binding(2) var<storage, read> mask: array<f32>;
const Y: u32 = 3u;

// What depends on the channel, for four values of one, then what depends on the place.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return value;
}

fn finish_one(value: f32, at: u32) -> f32 {
    return select(value, 0.0, mask[at] <= 0.0 && !is_nan(mask[at]));
}
