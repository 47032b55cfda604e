// Provider of second_quad and second_element: the second operand in storage, read as the vec4s in
// which it lies.

@group(0) @binding(1) var<storage, read> second: array<vec4<f32>>;

fn second_quad(index: u32) -> vec4<f32> {
    return second[index];
}

fn second_element(at: u32) -> f32 {
    return second[at / 4u][at % 4u];
}
