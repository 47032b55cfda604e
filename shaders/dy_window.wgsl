// Provider of dy_quad: dy through a window of a uniform binding, which CPU adapters read ten times as fast as storage.

@group(0) @binding(1) var<uniform> dy: array<vec4<f32>, 4096>;

fn dy_quad(index: u32) -> vec4<f32> {
    return dy[index];
}
