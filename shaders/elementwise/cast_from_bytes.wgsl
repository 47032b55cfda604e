// Provider of Input, Output and converted: four bytes become f32 where `float` is 1, u32 where it
// is 0.

alias Input = u32;
alias Output = vec4<u32>;

fn converted(at: u32) -> vec4<u32> {
    let bytes = (vec4<u32>(x[at]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return select(bytes, bitcast<vec4<u32>>(vec4<f32>(bytes)), float == 1u);
}
