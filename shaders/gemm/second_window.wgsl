// Provider of second_quad and second_element: the second operand through a window of
// a uniform binding, which CPU adapters read ten times as fast as storage.

@group(0) @binding(1) var<uniform> second: array<vec4<f32>, 4096>;

fn second_quad(index: u32) -> vec4<f32> {
    return second[index];
}

fn second_element(at: u32) -> f32 {
    return second[at / 4u][at % 4u];
}
