// Provider of Input, Output and converted: a byte becomes an f32 where `float` is 1, a u32 where it
// is 0. Places count bytes.

alias Input = u32;
alias Output = u32;

fn converted(at: u32) -> u32 {
    let byte = (x[at / 4u] >> (at % 4u * 8u)) & 0xffu;
    return select(byte, bitcast<u32>(f32(byte)), float == 1u);
}
