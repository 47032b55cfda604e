// Provider of Input, Output and converted: four f32 become u32 where `float` is 1, four u32 become
// f32 where it is 0.

alias Input = vec4<u32>;
alias Output = vec4<u32>;

fn converted(at: u32) -> vec4<u32> {
    let words = x[at];
    if float == 1u {
        return truncated4(words, 4294967040.0, 0xffffffffu);
    }
    return bitcast<vec4<u32>>(nearest4(words));
}
