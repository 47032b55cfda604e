// Provider of x, x_at and quad: x in storage, read as the vec4s in which it lies.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

fn quad(index: i32) -> vec4<f32> {
    return x[min(bitcast<u32>(index), params.last)];
}

fn x_at(at: u32) -> f32 {
    return x[at / 4u][at % 4u];
}
