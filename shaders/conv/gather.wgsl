// Provider of what a convolution reads by element, `source`, and of gather and gather_any.

@group(0) @binding(0) var<storage, read> source: array<f32>;

// Four elements; anything where one is not inside, wherever its index leads.
fn gather_any(index: vec4<u32>, inside: vec4<bool>) -> vec4<f32> {
    let at = select(vec4<u32>(), index, inside);
    return vec4<f32>(source[at.x], source[at.y], source[at.z], source[at.w]);
}

// Four elements; 0 where one is not inside, wherever its index leads.
fn gather(index: vec4<u32>, inside: vec4<bool>) -> vec4<f32> {
    return select(vec4<f32>(), gather_any(index, inside), inside);
}
