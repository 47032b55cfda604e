// Provider of Word, widened and narrowed: words of any element type, one at a time.

alias Word = u32;

fn widened(value: u32, at: u32, stride: u32) -> vec4<u32> {
    return vec4<u32>(value);
}

fn narrowed(value: vec4<u32>) -> u32 {
    return value.x;
}
