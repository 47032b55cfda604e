// Provider of Element and value_at: byte * scale + shift of one byte; four of them lie in a
// little-endian word.

alias Element = f32;

fn value_at(at: u32) -> f32 {
    let byte = (data[at / 4u] >> (at % 4u * 8u)) & 0xffu;
    return f32(byte) * params.scale + params.shift;
}
