// Float facts that WGSL has no words for. Compilers may assume that NaN never occurs, so it is
// found by its bits.

const LOWEST_F32: f32 = -3.40282346638528859812e+38;

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_nan2(x: vec2<f32>) -> vec2<bool> {
    return (bitcast<vec2<u32>>(x) & vec2<u32>(0x7fffffffu)) > vec2<u32>(0x7f800000u);
}

fn is_nan4(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

// exp(x); NaN for NaN, which the built-in function does not promise.
fn exp_or_nan(x: f32) -> f32 {
    return select(exp(x), x, is_nan(x));
}

fn relu4(x: vec4<f32>) -> vec4<f32> {
    return select(x, vec4<f32>(), (x <= vec4<f32>()) & !is_nan4(x));
}
