// Provider of dy_quad: dy in storage, read as the vec4s in which it lies.

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;

fn dy_quad(index: u32) -> vec4<f32> {
    return dy[index];
}
