// Provider of second_element: the second operand in storage, read one by one.

@group(0) @binding(1) var<storage, read> second: array<f32>;

fn second_element(at: u32) -> f32 {
    return second[at];
}
