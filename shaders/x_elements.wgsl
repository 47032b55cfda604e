// Provider of x and x_at: x in storage, read one by one.

@group(0) @binding(0) var<storage, read> x: array<f32>;

fn x_at(at: u32) -> f32 {
    return x[at];
}
