// Provider of first_quad and first_element: the first operand through a window of
// a uniform binding, which CPU adapters read ten times as fast as storage.

@group(0) @binding(0) var<uniform> first: array<vec4<f32>, 4096>;

fn first_quad(index: u32) -> vec4<f32> {
    return first[index];
}

fn first_element(at: u32) -> f32 {
    return first[at / 4u][at % 4u];
}
