// Provider of Element, Bits, Result and fold: quads along the innermost run, which is reduced.

alias Element = vec4<f32>;
alias Bits = vec4<u32>;
alias Result = f32;

fn fold(total: vec4<f32>) -> f32 {
    if function == LARGEST {
        let pairs = larger(total, total.zwxy);
        return larger(pairs, pairs.yxwz).x;
    }
    if function == MULTIPLIED {
        return (total.x * total.y) * (total.z * total.w);
    }
    return (total.x + total.y) + (total.z + total.w);
}
