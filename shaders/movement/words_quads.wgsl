// Provider of Word, widened and narrowed: words of any element type, four at a time.

alias Word = vec4<u32>;

// The quad, or where the operand stretches the word at `at` in all four places.
fn widened(value: vec4<u32>, at: u32, stride: u32) -> vec4<u32> {
    let pair = select(value.xy, value.zw, (at & 2u) != 0u);
    let one = select(pair.x, pair.y, (at & 1u) != 0u);
    return select(value, vec4<u32>(one), stride == 0u);
}

fn narrowed(value: vec4<u32>) -> vec4<u32> {
    return value;
}
