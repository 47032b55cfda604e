// Provider of second_quad: the second operand through a window of
// a uniform binding, which CPU adapters read ten times as fast as storage.

@group(0) @binding(1) var<uniform> second: array<vec4<f32>, 4096>;

fn second_quad(index: u32) -> vec4<f32> {
    return second[index];
}
