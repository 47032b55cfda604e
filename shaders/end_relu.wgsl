// Provider of Y, the binding of y, finish_row and finish_one: relu, with NaN kept.

const Y: u32 = 2u;

// What depends on the channel, for four values of one, then what depends on the place.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return relu4(value);
}

fn finish_one(value: f32, at: u32) -> f32 {
    return value;
}
