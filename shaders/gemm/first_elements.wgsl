// Provider of first_element: the first operand in storage, read one by one.

@group(0) @binding(0) var<storage, read> first: array<f32>;

fn first_element(at: u32) -> f32 {
    return first[at];
}
