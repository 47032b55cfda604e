// Provider of first_quad and first_element: the first operand in storage, read as the vec4s in
// which it lies.

@group(0) @binding(0) var<storage, read> first: array<vec4<f32>>;

fn first_quad(index: u32) -> vec4<f32> {
    return first[index];
}

fn first_element(at: u32) -> f32 {
    return first[at / 4u][at % 4u];
}
