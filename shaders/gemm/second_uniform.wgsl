// Provider of second_quad: the second operand, 16 KiB at most, from a uniform binding, which CPU
// adapters read once for eight lanes.

@group(0) @binding(1) var<uniform> second: array<vec4<f32>, 1024>;

fn second_quad(index: u32) -> vec4<f32> {
    return second[index];
}
