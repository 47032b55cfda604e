// Provider of Y, the binding of y, and of finish, finish_row and finish_one: nothing follows the product.

const Y: u32 = 2u;

fn finish(value: f32, channel: u32, at: u32) -> f32 {
    return value;
}

// The same of four values of one channel in two steps: what depends on the channel, then what depends on the place.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return value;
}

fn finish_one(value: f32, at: u32) -> f32 {
    return value;
}
