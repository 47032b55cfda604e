// Floats, given by their bits, as integers: towards 0, from 0 to `most` for numbers up to `last`,
// above which all become `most`; 0 for NaN.

fn truncated4(bits: vec4<u32>, last: f32, most: u32) -> vec4<u32> {
    let x = bitcast<vec4<f32>>(bits);
    let above = (x > vec4<f32>(last)) & !is_nan4(x);
    // Zeros, negative numbers and NaN are not above 0.
    let inside = (x > vec4<f32>()) & (x <= vec4<f32>(last)) & !is_nan4(x);
    let whole = vec4<u32>(select(vec4<f32>(), x, inside));
    return select(whole, vec4<u32>(most), above);
}
