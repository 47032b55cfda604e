// Integers and floats as each other, bit for bit as src/ops/elementwise/cast.rs has them. WGSL
// leaves two things open: the rounding of integers beyond 2^24, and floats beyond all integers.

// Integers as the nearest floats, of two that are as near the even one.
fn nearest4(n: vec4<u32>) -> vec4<f32> {
    // Bits beyond the 24 that an f32 holds.
    let spare = vec4<u32>(8u) - min(countLeadingZeros(n), vec4<u32>(8u));
    let kept = n >> spare;
    let rest = n - (kept << spare);
    let half = (vec4<u32>(1u) << spare) >> vec4<u32>(1u);
    let odd = (kept & vec4<u32>(1u)) == vec4<u32>(1u);
    let up = (rest > half) | ((rest == half) & odd & (half > vec4<u32>()));
    return vec4<f32>(kept + select(vec4<u32>(), vec4<u32>(1u), up))
        * vec4<f32>(vec4<u32>(1u) << spare);
}

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
