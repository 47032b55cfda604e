// Provider of Element and value_at: byte * scale + shift of the four bytes of a little-endian word.

alias Element = vec4<f32>;

fn value_at(at: u32) -> vec4<f32> {
    let bytes = (vec4<u32>(data[at]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return vec4<f32>(bytes) * params.scale + params.shift;
}
