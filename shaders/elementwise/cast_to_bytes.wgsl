// Provider of Input, Output and converted: four f32 where `float` is 1, u32 where it is 0, become
// bytes, the first in the lowest.

alias Input = vec4<u32>;
alias Output = u32;

fn converted(at: u32) -> u32 {
    var bytes = x[at] & vec4<u32>(0xffu);
    if float == 1u {
        bytes = truncated4(x[at], 255.0, 255u);
    }
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}
