// Provider of Element, Bits, Result and fold: quads along the innermost run, which is kept.

alias Element = vec4<f32>;
alias Bits = vec4<u32>;
alias Result = vec4<f32>;

fn fold(total: vec4<f32>) -> vec4<f32> {
    return total;
}
